package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"gatehouse/gateway/admin"
)

// counter counts bytes on their way.
type counter struct {
	w io.Writer
	n int64
}

// Write counts and passes on.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Export makes the manifest of a tenant and records its digest: that of what Manifest gives as CSV, as long as nothing changes.
func (a *API) Export() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in TenantWhy) (admin.Export, error) {
		// A million files take longer than a call may.
		long, cancel := context.WithTimeout(context.WithoutCancel(ctx), csvTime)
		defer cancel()
		r.Admin.Reason = in.Reason
		digest := sha256.New()
		out := &counter{w: digest}
		var e admin.Export
		next := func(ctx context.Context, p Page) ([]admin.ManifestLine, error) {
			list, err := r.Admin.Manifest(ctx, in.Tenant, p.After, p.Limit)
			e.Files += int64(len(list))
			return list, err
		}
		first, err := next(long, Page{Limit: csvPage})
		if err != nil {
			return e, err
		}
		if err := writeCSV(long, out, first, next, manifestKey); err != nil {
			return e, err
		}
		e.Bytes, e.SHA256 = out.n, hex.EncodeToString(digest.Sum(nil))
		return r.Admin.NoteExport(long, in.Tenant, e)
	})
}

func manifestKey(l admin.ManifestLine) string { return l.ID }

// Manifest lists all files of a tenant, deleted ones too, oldest first: what is known of them, never what is in them.
func (a *API) Manifest() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in TenantID, p Page) ([]admin.ManifestLine, error) {
		return r.Admin.Manifest(ctx, in.Tenant, p.After, p.Limit)
	}, manifestKey)
}
