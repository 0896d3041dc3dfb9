package alerts

import (
	"context"
	"fmt"
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
	for _, r := range list {
		names, err := look.DB.TenantNames(ctx, []string{r.TenantID})
		if err != nil {
			return nil, err
		}
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
			Message: fmt.Sprintf("%d uploads of %s were refused within %s: %s.", r.Count, tenantName(names, r.TenantID),
				spell(look.Limits.RefusalsWindow), strings.Join(words[:min(len(words), 5)], ", ")),
			Facts: map[string]any{"count": r.Count, "by_code": byCode, "window_seconds": look.Limits.RefusalsWindow.Seconds()},
		})
	}
	return out, nil
}
