package jobs

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

const (
	// rollupsEvery is how often the audit log is counted.
	rollupsEvery = time.Minute
	// rollupBatch is how many records one transaction counts: others wait for it on SQLite.
	rollupBatch = 2000
)

// rollUp counts what the audit log has got since the last time. What it does not manage in its time the next turn goes on with.
func rollUp(ctx context.Context, db *meta.DB) error {
	until, err := audit.Settled(ctx, db, meta.Now())
	if err != nil {
		return fmt.Errorf("look how far the audit log is complete: %w", err)
	}
	for ctx.Err() == nil {
		n, err := db.RollUp(ctx, until, rollupBatch)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("count the audit log: %w", err)
		}
		if n < rollupBatch {
			break
		}
	}
	return nil
}
