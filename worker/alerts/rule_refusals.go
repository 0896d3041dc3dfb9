package alerts

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// refusals tells of tenants whose uploads are refused much more than by mistake: an attack, or a client that is broken.
func refusals(ctx context.Context, look *Look) ([]Finding, error) {
	since := look.Now.Add(-look.Limits.RefusalsWindow)
	list, err := look.DB.RefusalsSince(ctx, since, look.Limits.Refusals)
	if err != nil {
		return nil, err
	}
	var out []Finding
	names := map[string]string{}
	for part := range slices.Chunk(list, asked) {
		var tenants []string
		for _, r := range part {
			tenants = append(tenants, r.TenantID)
		}
		if err := addNames(ctx, look, names, tenants); err != nil {
			return nil, err
		}
	}
	for _, r := range list {
		codes, err := look.DB.RefusalCodes(ctx, r.TenantID, since)
		if err != nil {
			return nil, err
		}
		byCode, words := map[string]int64{}, []string{}
		for _, c := range codes {
			byCode[c.Code] = c.Count
			words = append(words, fmt.Sprintf("%d %s", c.Count, c.Code))
		}
		out = append(out, Finding{
			Subject: r.TenantID, TenantID: r.TenantID, Severity: Warning,
			Message: fmt.Sprintf("%s of %s refused within %s: %s.%s", plural(r.Count, "upload", "uploads"), isAre(tenantName(names, r.TenantID), r.Count, "was", "were"),
				spell(look.Limits.RefusalsWindow), strings.Join(words[:min(len(words), 5)], ", "), suspendHint(r.TenantID)),
			Facts: map[string]any{"count": r.Count, "tenant": names[r.TenantID], "by_code": byCode, "window_seconds": look.Limits.RefusalsWindow.Seconds()},
		})
	}
	return out, nil
}
