package jobs

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage/meta"
)

const (
	// rollupsEvery is how often the audit log is counted, as far as it is sealed.
	rollupsEvery = 5 * time.Second
	// rollupBatch is how many records one transaction counts: others wait for it on SQLite.
	rollupBatch = 2000
)

// rollUp counts what the audit log has got since the last time. What it does not manage in its time the next turn goes on with.
func rollUp(ctx context.Context, db *meta.DB) error {
	for ctx.Err() == nil {
		n, err := db.RollUp(ctx, rollupBatch)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("count the audit log: %w", err)
		}
		if n < rollupBatch {
			break
		}
	}
	return nil
}
