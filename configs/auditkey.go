package configs

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// AuditSeed is the key that signs checkpoints of the audit log, as it is configured. Without one it is made once and kept in
// <data_dir>/audit.key; several programs on one folder agree on the first. With any other database it must be given to whoever
// signs: workers that run, and restores.
func (c *Config) AuditSeed() (string, error) {
	if c.Audit.SigningKey != "" {
		return auditSeed(c.Audit.SigningKey.Reveal())
	}
	if !c.Embedded() {
		return "", errors.New("audit.signing_key: must be set when the database is not SQLite, the same for every worker: that of the old place (<data_dir>/audit.key) where the audit log comes from one, else as from: openssl rand -hex 32")
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
	seed, err := auditSeed(string(content))
	if err != nil {
		return "", fmt.Errorf("%s: %s; bring back the right one: with another, what it has signed cannot be verified", file, keyRule)
	}
	return seed, nil
}

// auditSeed writes a key the one way that package audit surely reads: in hex.
func auditSeed(text string) (string, error) {
	key, err := decodeKey(text)
	return hex.EncodeToString(key), err
}

const keyRule = "32 bytes in hex or Base64 are expected, as from: openssl rand -hex 32"

func (l *loader) checkAudit(c *Config) {
	_, err := decodeKey(c.Audit.SigningKey.Reveal())
	l.must(c.Audit.SigningKey == "" || err == nil, "audit.signing_key", keyRule)
	public, err := decodeKey(c.Audit.PublicKey)
	l.must(c.Audit.PublicKey == "" || err == nil, "audit.public_key", "32 bytes in hex or Base64 are expected, as `gateway audit key` prints them")
	if err == nil {
		c.Audit.PublicKey = hex.EncodeToString(public)
	}
}
