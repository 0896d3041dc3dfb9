package configs

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// minLinkSecret is the length of an HMAC-SHA256 key below which guessing the key beats forging the tag.
const minLinkSecret = 32

// LinkSecret is the key that signs links. Without one in the configuration it is made once and kept in
// <data_dir>/link.secret; several gateways on one folder agree on the first. Load allows that with SQLite only.
func (c *Config) LinkSecret() ([]byte, error) {
	if c.Auth.LinkSecret != "" {
		return []byte(c.Auth.LinkSecret.Reveal()), nil
	}
	file := filepath.Join(c.DataDir, "link.secret")
	secret, err := readLinkSecret(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if err := makeSecret(file); err != nil {
		return nil, fmt.Errorf("make the link secret: %w", err)
	}
	return readLinkSecret(file)
}

func readLinkSecret(file string) ([]byte, error) {
	content, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the link secret: %w", err)
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if len(secret) < minLinkSecret {
		return nil, fmt.Errorf("%s: %d bytes or more are expected; remove the file to have a new one made", file, minLinkSecret)
	}
	return []byte(secret), nil
}

// makeSecret writes 32 random bytes as hex into a whole file beside its place and links it there: whoever comes second loses, and
// nobody reads half a secret.
func makeSecret(file string) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	key := make([]byte, minLinkSecret)
	rand.Read(key) // never fails: crypto/rand stops the program instead
	_, err = tmp.WriteString(hex.EncodeToString(key) + "\n")
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
