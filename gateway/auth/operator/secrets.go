package operator

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// KeyBytes is the length of the key that a desk is made with: one for AES-256.
const KeyBytes = 32

// secretBytes is the entropy of everything that is handed out: 256 bits, so that a plain SHA-256 at rest cannot be searched.
const secretBytes = 32

// The prefixes make leaked secrets recognisable to scanners.
const (
	tokenPrefix = "gho_"
	linkPrefix  = "ghl_"
)

// secrets holds one key a purpose, all derived from the configured one.
type secrets struct {
	seal cipher.AEAD
	mac  []byte
}

func newSecrets(key []byte) (*secrets, error) {
	if len(key) != KeyBytes {
		return nil, fmt.Errorf("the operators' key has %d bytes; %d are expected", len(key), KeyBytes)
	}
	sealing, err := hkdf.Key(sha256.New, key, nil, "gatehouse operator: sealed secrets", KeyBytes)
	if err != nil {
		return nil, err
	}
	mac, err := hkdf.Key(sha256.New, key, nil, "gatehouse operator: codes", KeyBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	return &secrets{seal: gcm, mac: mac}, err
}

// sealed encrypts what belongs to an operator; it opens for no other one.
func (s *secrets) sealed(operatorID, plain string) string {
	return base64.RawStdEncoding.EncodeToString(s.seal.Seal(nil, nil, []byte(plain), []byte(operatorID)))
}

func (s *secrets) open(operatorID, sealed string) (string, error) {
	raw, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil {
		return "", fmt.Errorf("a sealed secret of operator %s: %w", operatorID, err)
	}
	plain, err := s.seal.Open(nil, nil, raw, []byte(operatorID))
	if err != nil {
		return "", fmt.Errorf("a sealed secret of operator %s does not open; is auth.operator_key another one than before? %w", operatorID, err)
	}
	return string(plain), nil
}

// tag is a keyed hash, for what is too short to be hashed without a key.
func (s *secrets) tag(purpose string, parts ...string) []byte {
	m := hmac.New(sha256.New, s.mac)
	m.Write([]byte(purpose + "\x00" + strings.Join(parts, "\x00")))
	return m.Sum(nil)
}

// csrf is the token that a page shows with each write: derived from the session's secret, so it is stored nowhere and changes with it.
func (s *secrets) csrf(token string) string {
	return base64.RawURLEncoding.EncodeToString(s.tag("csrf", token))
}

// newSecret makes a secret and the hash that is stored in its place.
func newSecret(prefix string) (secret, hash string) {
	raw := make([]byte, secretBytes)
	rand.Read(raw) // never fails: crypto/rand stops the program instead
	secret = prefix + base64.RawURLEncoding.EncodeToString(raw)
	return secret, hashSecret(secret)
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// wellFormed spares the database a look-up of what cannot be a secret.
func wellFormed(prefix, secret string) bool {
	return strings.HasPrefix(secret, prefix) && len(secret) == len(prefix)+base64.RawURLEncoding.EncodedLen(secretBytes)
}
