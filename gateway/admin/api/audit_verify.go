package api

import (
	"context"
	"strconv"

	"gatehouse/gateway/admin"
	"gatehouse/storage/meta"
)

// AuditRange is the part of the log to verify.
type AuditRange struct {
	Last int64 `query:"last" json:"-" doc:"The newest so many records; 100000 unless given, at most 200000."`
	From int64 `query:"from" json:"-" doc:"Instead of last: the first place in the chain (seq)."`
	To   int64 `query:"to" json:"-" doc:"The last place, at most 200000 on; the end of the log unless given."`
}

// VerifyAudit verifies a part of the audit log.
func (a *API) VerifyAudit() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in AuditRange) (admin.AuditVerdict, error) {
		return r.Admin.VerifyAudit(ctx, admin.AuditRange(in))
	})
}

// AuditCheckpoints lists the signed checkpoints, the newest first.
func (a *API) AuditCheckpoints() Endpoint {
	return List(a, func(ctx context.Context, r *Request, _ Nothing, p Page) ([]admin.AuditCheckpoint, error) {
		before := int64(0)
		if p.After != "" {
			var err error
			if before, err = strconv.ParseInt(p.After, 10, 64); err != nil || before < 1 {
				return nil, meta.ErrCursor
			}
		}
		return r.Admin.AuditCheckpoints(ctx, before, p.Limit)
	}, func(c admin.AuditCheckpoint) string { return strconv.FormatInt(c.Seq, 10) })
}

// AuditKey tells the public key.
func (a *API) AuditKey() Endpoint {
	return Call(a, func(_ context.Context, r *Request, _ Nothing) (admin.AuditPublicKey, error) {
		return r.Admin.AuditKey()
	})
}
