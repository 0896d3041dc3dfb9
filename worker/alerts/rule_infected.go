package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

const (
	// factFeed keeps how far the rule has read the audit log.
	factFeed = "alerts.audit"
	// feedPage and feedPages bound what is read of the log in one look; the next goes on.
	feedPage  = 500
	feedPages = 20
)

// infected tells of each infected upload. Verdicts are read from the audit log, so that none is missed whose file was
// deleted at once; that one is over with the next look. Others are over when nobody refers to the file any more, or
// after Limits.InfectedFor.
func infected(ctx context.Context, look *Look) ([]Finding, error) {
	var out []Finding
	open := map[string]bool{}
	for _, a := range look.Open {
		open[a.Subject] = true
		if a.OpenedAt.Add(look.Limits.InfectedFor) <= look.Now {
			continue
		}
		sha256 := strings.TrimPrefix(a.Subject, a.TenantID+"/")
		b, still, err := stillInfected(ctx, look.DB, a.TenantID, sha256)
		if err != nil {
			return nil, err
		}
		if still {
			f, err := infectedFinding(ctx, look, a.TenantID, sha256, b.ScanSignature)
			if err != nil {
				return nil, err
			}
			out = append(out, f)
		}
	}
	records, err := newVerdicts(ctx, look)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		f, fires, err := fromVerdict(ctx, look, r)
		if err != nil {
			return nil, err
		}
		if fires && !open[f.Subject] {
			open[f.Subject] = true
			out = append(out, f)
		}
	}
	return out, nil
}

// newVerdicts reads the verdicts behind the cursor, and moves it once their alerts are written. The newest part of the
// log is read again in the next look (see audit.After).
func newVerdicts(ctx context.Context, look *Look) ([]meta.AuditRecord, error) {
	cursor, err := feedCursor(ctx, look)
	if err != nil {
		return nil, err
	}
	settled, err := audit.Settled(ctx, look.DB, look.Now)
	if err != nil {
		return nil, err
	}
	var bad []meta.AuditRecord
	at := cursor
	for range feedPages {
		page, err := audit.After(ctx, look.DB, at, "scan.verdict", feedPage)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			at = r.ID
			if strings.Contains(r.Data, `"`+string(storage.ScanInfected)+`"`) {
				bad = append(bad, r)
			}
		}
		if len(page) < feedPage {
			at = settled
			break
		}
	}
	if next := max(cursor, min(at, settled)); next > cursor {
		look.Afterwards(func(ctx context.Context) error {
			return look.DB.SetFact(ctx, factFeed, strconv.FormatInt(next, 10))
		})
	}
	return bad, nil
}

func feedCursor(ctx context.Context, look *Look) (int64, error) {
	fact, err := look.DB.FactByName(ctx, factFeed)
	if errors.Is(err, storage.ErrNotFound) {
		// The first look: verdicts that are older would be over already.
		return look.DB.LastAuditBefore(ctx, look.Now.Add(-look.Limits.InfectedFor))
	}
	if err != nil {
		return 0, err
	}
	cursor, err := strconv.ParseInt(fact.Value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("fact %s: %w", factFeed, err)
	}
	return cursor, nil
}

// fromVerdict decides whether a verdict of the log is an alert now. One that was told already is none, unless the file
// is there still and its alert is.
func fromVerdict(ctx context.Context, look *Look, r meta.AuditRecord) (Finding, bool, error) {
	var facts struct {
		Status    storage.ScanStatus `json:"status"`
		Signature string             `json:"signature"`
	}
	if err := json.Unmarshal([]byte(r.Data), &facts); err != nil {
		return Finding{}, false, fmt.Errorf("audit record %d: %w", r.ID, err)
	}
	if facts.Status != storage.ScanInfected || r.At.Add(look.Limits.InfectedFor) <= look.Now {
		return Finding{}, false, nil
	}
	f, err := infectedFinding(ctx, look, r.TenantID, r.Target, facts.Signature)
	if err != nil {
		return f, false, err
	}
	told, err := look.DB.AlertedSince(ctx, ruleInfected, f.Subject, r.At)
	return f, !told, err
}

func stillInfected(ctx context.Context, db *meta.DB, tenantID, sha256 string) (meta.Blob, bool, error) {
	b, err := db.Tenant(ctx, tenantID).Blob(sha256)
	if errors.Is(err, storage.ErrNotFound) {
		return b, false, nil
	}
	return b, err == nil && b.ScanStatus == storage.ScanInfected && b.Refs > 0, err
}

func infectedFinding(ctx context.Context, look *Look, tenantID, sha256, signature string) (Finding, error) {
	names, err := look.DB.TenantNames(ctx, []string{tenantID})
	if err != nil {
		return Finding{}, err
	}
	assets, err := look.DB.Tenant(ctx, tenantID).AssetsOn(sha256)
	if err != nil {
		return Finding{}, err
	}
	const shown = 10
	return Finding{
		Subject: tenantID + "/" + sha256, TenantID: tenantID, Severity: Critical,
		Message: fmt.Sprintf("An infected file was uploaded by tenant %s: %s. It stays in quarantine and is not served.",
			nameOf(names, tenantID), signature),
		Facts: map[string]any{"sha256": sha256, "signature": signature, "assets": assets[:min(len(assets), shown)], "tenant": names[tenantID]},
	}, nil
}

// nameOf is what people call a tenant.
func nameOf(names map[string]string, id string) string {
	if n := names[id]; n != "" {
		return fmt.Sprintf("%q", n)
	}
	return id
}
