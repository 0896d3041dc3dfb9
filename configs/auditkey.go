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

// AuditSeed is the key that signs checkpoints of the audit log, as it is configured. Without one it is made once and kept in
// <data_dir>/audit.key; several programs on one folder agree on the first. With any other database it must be given to whoever
// signs: workers that run, and restores.
func (c *Config) AuditSeed() (string, error) {
	if c.Audit.SigningKey != "" {
		return c.Audit.SigningKey.Reveal(), nil
	}
	if !c.Embedded() {
		return "", errors.New("audit.signing_key: must be set when the database is not SQLite, the same for every worker; as from: openssl rand -hex 32")
	}
	file := filepath.Join(c.DataDir, "audit.key")
	seed, err := readAuditSeed(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return seed, err
	}
	if err := makeSecret(file); err != nil {
		return "", fmt.Errorf("make the key of the audit log: %w", err)
	}
	return readAuditSeed(file)
}

func readAuditSeed(file string) (string, error) {
	content, err := readFile(file)
	if err != nil {
		return "", fmt.Errorf("read the key of the audit log: %w", err)
	}
	seed := strings.TrimSpace(string(content))
	if !isKey(seed) {
		return "", fmt.Errorf("%s: %s; bring back the right one: with another, what it has signed cannot be verified", file, keyRule)
	}
	return seed, nil
}

const keyRule = "32 bytes in hex or Base64 are expected, as from: openssl rand -hex 32"

// isKey reports whether s is an Ed25519 seed or public key as package audit reads them.
func isKey(s string) bool {
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.Strict().DecodeString, base64.RawStdEncoding.Strict().DecodeString} {
		if raw, err := decode(strings.TrimSpace(s)); err == nil && len(raw) == 32 {
			return true
		}
	}
	return false
}

func (l *loader) checkAudit(c *Config) {
	a := c.Audit
	l.must(a.SigningKey == "" || isKey(a.SigningKey.Reveal()), "audit.signing_key", keyRule)
	l.must(a.PublicKey == "" || isKey(a.PublicKey), "audit.public_key", "32 bytes in hex or Base64 are expected, as `gateway audit key` prints them")
}
