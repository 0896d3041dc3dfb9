package configs

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// keyBytes is the length of a key for AES-256, of an Ed25519 seed, and of an Ed25519 public key.
const keyBytes = 32

// OperatorKey is the key that seals operators' secrets. Without one in the configuration it is made once and kept in
// <data_dir>/operator.key. Elsewhere than with SQLite it must be given: a key of one machine's own would shut operators out of the others.
func (c *Config) OperatorKey() ([]byte, error) {
	if c.Auth.OperatorKey != "" {
		return decodeKey(c.Auth.OperatorKey.Reveal())
	}
	if !c.Embedded() {
		return nil, errors.New("auth.operator_key: must be set when the database is not SQLite, the same for every gateway")
	}
	file := filepath.Join(c.DataDir, "operator.key")
	key, err := readOperatorKey(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := makeSecret(file); err != nil {
		return nil, fmt.Errorf("make the operators' key: %w", err)
	}
	return readOperatorKey(file)
}

func readOperatorKey(file string) ([]byte, error) {
	content, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the operators' key: %w", err)
	}
	key, err := decodeKey(string(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w; bring it back from a backup: with another key all operators have to be reset", file, err)
	}
	return key, nil
}

// decodeKey reads 32 bytes as hex or as Base64 in any of its forms.
func decodeKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	plain := strings.TrimRight(text, "=")
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString,
		func(string) ([]byte, error) { return base64.RawStdEncoding.DecodeString(plain) },
		func(string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(plain) },
	} {
		if key, err := decode(text); err == nil && len(key) == keyBytes {
			return key, nil
		}
	}
	return nil, fmt.Errorf("%d bytes as hex or Base64 are expected", keyBytes)
}
