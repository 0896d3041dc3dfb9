package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// keyPrefix makes a leaked key recognisable to secret scanners.
const keyPrefix = "ghk_"

// secretBytes is the entropy of a key: 256 bits, so that a plain SHA-256 at rest cannot be searched.
const secretBytes = 32

// NewKey makes an API key and the hash that is stored in its place.
func NewKey() (key, hash string) { return newSecret(keyPrefix) }

func newSecret(prefix string) (key, hash string) {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails (crypto/rand since Go 1.24)
	key = prefix + base64.RawURLEncoding.EncodeToString(secret)
	return key, HashKey(key)
}

// HashKey is how a key is found again.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// LooksLikeKey tells a key from the id of one.
func LooksLikeKey(s string) bool { return wellFormed(s, keyPrefix) }

// wellFormed spares the database a look-up of what cannot be a key.
func wellFormed(key, prefix string) bool {
	return strings.HasPrefix(key, prefix) && len(key) == len(prefix)+base64.RawURLEncoding.EncodedLen(secretBytes)
}
