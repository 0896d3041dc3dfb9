package alerts

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

const (
	// factFeed keeps how far the rule has read the audit log.
	factFeed = "alerts.audit"
	// feedSpan bounds how many records one look goes through; after a long silence the next ones go on.
	feedSpan = 1_000_000
)

// feed is what the audit log says behind the cursor, counted by tenant.
type feed struct {
	meta.VerdictRange
	after, settled int64
	counts         []meta.InfectedCount
}

// readFeed counts the verdicts behind the cursor, and moves it once their alerts are written. The newest part of the log
// is read again in the next look (see audit.Settles).
func readFeed(ctx context.Context, look *Look) (feed, error) {
	since := look.Now.Add(-look.Limits.InfectedFor) // what is older would be over already
	cursor, err := feedCursor(ctx, look, since)
	if err != nil {
		return feed{}, err
	}
	settled, err := audit.Settled(ctx, look.DB, look.Now)
	if err != nil {
		return feed{}, err
	}
	last, err := look.DB.LastAudit(ctx)
	if err != nil {
		return feed{}, err
	}
	f := feed{VerdictRange: meta.VerdictRange{After: cursor, UpTo: min(last, cursor+feedSpan), Since: since}, after: cursor}
	f.settled = max(cursor, min(settled, f.UpTo))
	if f.settled > cursor {
		look.Afterwards(func(ctx context.Context) error {
			return look.DB.SetFact(ctx, factFeed, strconv.FormatInt(f.settled, 10))
		})
	}
	f.counts, err = look.DB.CountInfected(ctx, f.VerdictRange, "", f.settled)
	return f, err
}

func feedCursor(ctx context.Context, look *Look, since meta.Stamp) (int64, error) {
	fact, err := look.DB.FactByName(ctx, factFeed)
	if errors.Is(err, storage.ErrNotFound) {
		return look.DB.LastAuditBefore(ctx, since)
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
