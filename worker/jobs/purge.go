package jobs

import (
	"context"
	"errors"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/tenancy"
)

// purge runs package tenancy as a task about one tenant.
type purge struct {
	db    *meta.DB
	zones *blob.Zones
}

// purgePause is how long a purge waits for workers to notice that their tasks are cancelled, and for a store that is
// away: longer than a lease.
const purgePause = 90 * time.Second

func (p *purge) run(ctx context.Context, r *Run) (Commit, error) {
	end, err := tenancy.Purger{DB: p.db, Zones: p.zones, Fenced: r.InTx}.Run(ctx, r.Task().TenantID)
	switch {
	case errors.Is(err, blob.ErrUnavailable), errors.Is(err, tenancy.ErrBusy):
		return nil, Wait(err, purgePause)
	case err != nil || end == nil: // nil: restored, or purged before
		return nil, err
	}
	return func(tx *meta.Tx) error {
		err := end(tx)
		if errors.Is(err, tenancy.ErrNotEmpty) {
			return Wait(err, purgePause)
		}
		return err
	}, nil
}

// purgeAgain is how long a purge that died rests before it is tried again: it died of something that an alert tells a
// person, and each dead task stays until then.
const purgeAgain = time.Hour

// queuePurges queues the purge of every tenant whose cooling-off is over.
func queuePurges(ctx context.Context, db *meta.DB) error {
	const batch = 100
	due, err := db.PurgeDue(ctx, meta.Now(), batch)
	if err != nil {
		return err
	}
	return db.InTx(ctx, func(tx *meta.Tx) error {
		for _, t := range due {
			var died int64
			_, err := tx.Scan(&died, `SELECT COUNT(*) FROM tasks WHERE kind = ? AND tenant_id = ? AND state = ? AND finished_at > ?`,
				storage.TaskPurge, t.ID, storage.TaskDead, meta.Now().Add(-purgeAgain))
			if err != nil {
				return err
			}
			if died > 0 {
				continue
			}
			if _, err := tx.Enqueue(meta.PurgeTask(t.ID)); err != nil {
				return err
			}
		}
		return nil
	})
}

// failAbandoned cleans up after tenants whose provisioning has died.
func failAbandoned(ctx context.Context, d Deps) error {
	p := tenancy.Provisioner{DB: d.DB, Zones: d.Zones, Actor: audit.Worker}
	_, err := p.FailAbandoned(ctx, meta.Now().Add(-tenancy.Abandoned))
	return err
}
