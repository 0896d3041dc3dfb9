package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"

	"gatehouse/storage/meta"
)

// What each kind of encoding begins with: no statement can be taken for one of another kind, or of another version.
const (
	domainSeal       = "gatehouse-audit-seal-1"
	domainCheckpoint = "gatehouse-audit-checkpoint-1"
	domainChain      = "gatehouse-audit-chain-1"
	domainFile       = "gatehouse-audit-file-1"
	domainMAC        = "gatehouse-audit-mac-1"
)

// noHash is what the first seal of all has as its predecessor.
var noHash = strings.Repeat("0", 2*sha256.Size)

// encode writes fields so that no two lists of fields give the same bytes: each is its length in bytes as eight bytes,
// big-endian, and then itself. Numbers are written in decimal.
func encode(fields ...string) []byte {
	n := 0
	for _, f := range fields {
		n += 8 + len(f)
	}
	out := make([]byte, 0, n)
	for _, f := range fields {
		out = binary.BigEndian.AppendUint64(out, uint64(len(f)))
		out = append(out, f...)
	}
	return out
}

func number[N ~int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// sealHash is the hash of the seal at seq, behind the seal whose hash is prev: over both, and every column of the record.
func sealHash(prev string, seq int64, sealedAt meta.Stamp, r meta.AuditRecord) string {
	sum := sha256.Sum256(encode(domainSeal, prev, number(seq), number(sealedAt),
		number(r.ID), number(r.At), r.ActorKind, r.ActorID, r.ActorRole, r.TenantID, r.Action, r.Target, r.Result, r.Code,
		r.RequestID, r.Address, r.UserAgent, r.Data))
	return hex.EncodeToString(sum[:])
}

// follows reports whether the record, at seq behind prev, gives the hash of the seal.
func follows(prev string, seq int64, s meta.AuditSeal, r meta.AuditRecord) bool {
	return sealHash(prev, seq, s.SealedAt, r) == s.Hash
}

// sumOf is the digest so far, in hex.
func sumOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
