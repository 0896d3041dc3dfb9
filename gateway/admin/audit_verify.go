package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
)

const (
	// auditVerifyDefault is how many of the newest records are verified unless somebody says, auditVerifyMost how many at most:
	// some seconds' work. All of the log is `gateway audit verify`.
	auditVerifyDefault = 100_000
	auditVerifyMost    = 200_000
	// auditVerifyTime bounds one verification, which may have to read a checkpoint a minute from the store.
	auditVerifyTime = 25 * time.Second
)

// AuditRange is the part of the audit log to verify: the last records, or places From to To; all zero is the default.
type AuditRange struct {
	Last, From, To int64
}

// AuditVerdict is what a verification found.
type AuditVerdict struct {
	OK bool `json:"ok"`
	// Problem is the first thing that is wrong.
	Problem *audit.Problem `json:"problem"`
	// FirstSeq to LastSeq were verified, from the last checkpoint in front of what was asked for.
	FirstSeq    int64 `json:"first_seq"`
	LastSeq     int64 `json:"last_seq"`
	Records     int64 `json:"records"`
	Checkpoints int64 `json:"checkpoints"`
	// SignedSeq is the last place that a checkpoint vouches for.
	SignedSeq int64 `json:"signed_seq"`
	// EndSeq is where the log ended.
	EndSeq      int64    `json:"end_seq"`
	ChainID     string   `json:"chain_id"`
	Fingerprint string   `json:"public_key_fingerprint"`
	Notes       []string `json:"notes"`
	// Unsealed records wait for the worker that seals them.
	Unsealed int64 `json:"unsealed"`
}

// verifier is nil where nothing says with which key.
func (a Admin) verifier() (*audit.Verifier, error) {
	if a.Verifier == nil {
		return nil, refuse(storage.CodeUnavailable, "audit_key",
			"This gateway has no key to verify the audit log with: set audit.public_key in its configuration to what `gateway audit key` prints where the workers run.",
			"此网关没有用于验证审计日志的密钥：请在其配置中将 audit.public_key 设置为在 worker 所在环境运行 `gateway audit key` 输出的值。")
	}
	return a.Verifier, nil
}

// VerifyAudit verifies a part of the audit log.
func (a Admin) VerifyAudit(ctx context.Context, r AuditRange) (AuditVerdict, error) {
	v, err := a.verifier()
	if err != nil {
		return AuditVerdict{}, err
	}
	end := int64(0)
	switch head, err := a.DB.AuditHead(ctx); {
	case err == nil:
		end = head.Seq
	case !errors.Is(err, storage.ErrNotFound):
		return AuditVerdict{}, fmt.Errorf("read the head of the audit log: %w", err)
	}
	first, last, err := r.places(end)
	if err != nil {
		return AuditVerdict{}, err
	}
	timed, cancel := context.WithTimeout(ctx, auditVerifyTime)
	defer cancel()
	found, err := v.VerifyRange(timed, first, last)
	if errors.Is(timed.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		return AuditVerdict{}, refuse(storage.CodeUnavailable, "audit_verify_slow",
			fmt.Sprintf("The verification had got to place %d when its time was over. Ask for fewer records, or run `gateway audit verify`, which takes the time it needs.", found.LastSeq),
			fmt.Sprintf("验证在到达位置 %d 时超时。请减少要验证的记录数，或运行没有时间限制的 `gateway audit verify`。", found.LastSeq))
	}
	if err != nil {
		return AuditVerdict{}, err
	}
	waiting, _, err := audit.Waiting(ctx, a.DB)
	if err != nil {
		return AuditVerdict{}, fmt.Errorf("count unsealed audit records: %w", err)
	}
	return AuditVerdict{
		OK: found.Whole, Problem: found.Problem, FirstSeq: found.FirstSeq, LastSeq: found.LastSeq, Records: found.Records, Checkpoints: found.Checkpoints,
		SignedSeq: found.SignedSeq, EndSeq: end, ChainID: found.ChainID, Fingerprint: found.Fingerprint, Notes: found.Notes, Unsealed: waiting,
	}, nil
}

// places are those of the range in a log that ends at end; last is 0 for the end of the log, which may move meanwhile.
func (r AuditRange) places(end int64) (first, last int64, err error) {
	bad := func(parameter, english, chinese string) (int64, int64, error) {
		return 0, 0, storage.Refuse(storage.CodeMalformedRequest, storage.Details{"parameter": parameter}).
			Because(storage.Reason{Slug: "audit_range", English: english, Chinese: chinese})
	}
	switch {
	case r.Last != 0 && (r.From != 0 || r.To != 0):
		return bad("last", "Ask for the last records, or for places from and to; not for both.", "last 与 from、to 不能同时使用。")
	case r.Last < 0 || r.Last > auditVerifyMost:
		return bad("last", fmt.Sprintf("At most %d records are verified at once; `gateway audit verify` verifies all.", auditVerifyMost),
			fmt.Sprintf("一次最多验证 %d 条记录；`gateway audit verify` 可验证全部记录。", auditVerifyMost))
	case r.From == 0 && r.To == 0:
		if r.Last == 0 {
			r.Last = auditVerifyDefault
		}
		return max(1, end-r.Last+1), 0, nil
	case r.From < 1 || r.From > end:
		return bad("from", fmt.Sprintf("from must be a place in the log, from 1 to %d.", end), fmt.Sprintf("from 必须是日志中的位置（1 到 %d）。", end))
	case r.To != 0 && r.To < r.From:
		return bad("to", "to must not be in front of from.", "to 不能小于 from。")
	}
	if r.To == 0 || r.To > end {
		r.To = end
	}
	if r.To-r.From >= auditVerifyMost {
		return bad("to", fmt.Sprintf("At most %d records are verified at once; `gateway audit verify` verifies all.", auditVerifyMost),
			fmt.Sprintf("一次最多验证 %d 条记录；`gateway audit verify` 可验证全部记录。", auditVerifyMost))
	}
	if r.To == end {
		return r.From, 0, nil
	}
	return r.From, r.To, nil
}

// AuditCheckpoint is a signed statement about the log as it was at a place; Signed says whether this gateway's key vouches for
// it, and is nil where it has none.
type AuditCheckpoint struct {
	audit.Checkpoint
	Signed *bool `json:"signed"`
}

// AuditCheckpoints lists checkpoints, the newest first: at most limit in front of a place, 0 for none.
func (a Admin) AuditCheckpoints(ctx context.Context, before int64, limit int) ([]AuditCheckpoint, error) {
	list, err := audit.CheckpointsOf(ctx, a.DB, before, limit)
	if err != nil {
		return nil, err
	}
	out := make([]AuditCheckpoint, len(list))
	for i, c := range list {
		out[i] = AuditCheckpoint{Checkpoint: c}
		if a.Verifier != nil {
			signed := c.Signed(a.Verifier.Public)
			out[i].Signed = &signed
		}
	}
	return out, nil
}

// AuditPublicKey is the key that verifies exports and checkpoints.
type AuditPublicKey struct {
	PublicKey   string `json:"public_key" doc:"Ed25519, 32 bytes in hex: for gateway audit verify --file FILE --public-key KEY. Compare it with one that you had from elsewhere."`
	Fingerprint string `json:"public_key_fingerprint"`
}

// AuditKey tells the public key.
func (a Admin) AuditKey() (AuditPublicKey, error) {
	v, err := a.verifier()
	if err != nil {
		return AuditPublicKey{}, err
	}
	return AuditPublicKey{PublicKey: v.Public.String(), Fingerprint: v.Public.Fingerprint()}, nil
}
