package intake

import (
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"

	"gatehouse/storage"
)

// Digest is what a client claims about the file: RFC 9530 names the algorithms "sha-256" and "sha-512".
type Digest struct {
	Algorithm string
	Value     []byte
}

// The algorithms of RFC 9530 that are not deprecated.
const (
	DigestSHA256 = "sha-256"
	DigestSHA512 = "sha-512"
)

// checkDigests compares every claim with the bytes that arrived. sha512hex is empty where nobody has computed it.
func checkDigests(claims []Digest, sha256hex, sha512hex string, s *Spooled) error {
	for _, d := range claims {
		var got []byte
		known := map[string]string{DigestSHA256: sha256hex, DigestSHA512: sha512hex}[d.Algorithm]
		switch {
		case known != "":
			raw, err := hex.DecodeString(known)
			if err != nil {
				return fmt.Errorf("own digest: %w", err)
			}
			got = raw
		case d.Algorithm == DigestSHA512:
			h := sha512.New()
			if _, err := io.Copy(h, s.Reader()); err != nil {
				return fmt.Errorf("read spool: %w", err)
			}
			got = h.Sum(nil)
		}
		if subtle.ConstantTimeCompare(got, d.Value) != 1 {
			return storage.Refuse(storage.CodeDigestMismatch, storage.Details{
				"algorithm": d.Algorithm, "declared": hex.EncodeToString(d.Value), "computed": hex.EncodeToString(got),
			})
		}
	}
	return nil
}
