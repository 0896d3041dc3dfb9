package audit

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Key signs checkpoints. The database never has it.
type Key struct {
	private ed25519.PrivateKey
	mac     []byte
}

// PublicKey checks what a Key has signed.
type PublicKey ed25519.PublicKey

// ParseKey reads the seed of a key: 32 bytes in hex or Base64.
func ParseKey(s string) (*Key, error) {
	seed, err := decode32(s)
	if err != nil {
		return nil, fmt.Errorf("the signing key: %w", err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	// A key of its own for the MACs: what they are for must not weaken signatures.
	h := hmac.New(sha256.New, seed)
	h.Write([]byte(domainMAC))
	return &Key{private: private, mac: h.Sum(nil)}, nil
}

// ParsePublicKey reads a public key: 32 bytes in hex or Base64.
func ParsePublicKey(s string) (PublicKey, error) {
	raw, err := decode32(s)
	if err != nil {
		return nil, fmt.Errorf("the public key: %w", err)
	}
	return raw, nil
}

var errKey = errors.New("32 bytes in hex (64 digits) or Base64 (44 characters) are expected")

func decode32(s string) ([]byte, error) {
	s = strings.TrimSpace(s)
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.Strict().DecodeString, base64.RawStdEncoding.Strict().DecodeString} {
		if raw, err := decode(s); err == nil && len(raw) == 32 {
			return raw, nil
		}
	}
	return nil, errKey
}

// Public is the key that others check with.
func (k *Key) Public() PublicKey { return PublicKey(k.private.Public().(ed25519.PublicKey)) }

// String is the key in hex.
func (p PublicKey) String() string { return hex.EncodeToString(p) }

// Fingerprint is what people compare keys by: the first 16 bytes of the key's SHA-256.
func (p PublicKey) Fingerprint() string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:16])
}

func (k *Key) sign(statement []byte) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, statement))
}

// signed reports whether the signature is the key's over the statement.
func (p PublicKey) signed(statement []byte, signature string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(signature)
	return err == nil && len(p) == ed25519.PublicKeySize && ed25519.Verify(ed25519.PublicKey(p), statement, raw)
}

// macBytes of a MAC are kept: 128 bits that nobody guesses.
const macBytes = 16

// sealMAC shows that the sealer made a seal. Checkpoints alone tell that the chain was made anew somewhere between two of
// them; this tells where.
func (k *Key) sealMAC(hash string) string {
	h := hmac.New(sha256.New, k.mac)
	h.Write([]byte(hash))
	return hex.EncodeToString(h.Sum(nil)[:macBytes])
}

func (k *Key) made(hash, mac string) bool { return hmac.Equal([]byte(k.sealMAC(hash)), []byte(mac)) }
