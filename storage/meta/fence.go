package meta

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gatehouse/storage"
)

// Fence fails with ErrLeaseLost unless the lease is still this attempt's, and locks the task's row, so that
// nobody can take the lease over before the commit. Every transaction in the middle of a task begins with it.
func (tx *Tx) Fence(l Lease) error {
	return heldOrLost(held(tx.g, l).Update("updated_at", Now()))
}

// Hold keeps every task of that kind and subject from running for as long as the lease lasts: it makes such a
// task that is held already. It reports false when one is open. The holder ends it with Finish, and nothing has run;
// a holder that dies leaves a lease that runs out, and then the task is an ordinary queued one.
func (db *DB) Hold(ctx context.Context, n NewTask, holder string, lease time.Duration) (Lease, bool, error) {
	now := Now()
	key := dedupeKey(n)
	l := Lease{Owner: holder + "/" + uuid.NewString()[:8]}
	held := false
	err := db.InTx(ctx, func(tx *Tx) error {
		l.Task = Task{
			ID: NewID(), Kind: n.Kind, Lane: storage.LaneOf(n.Kind), TenantID: n.TenantID, Subject: n.Subject, DedupeKey: &key,
			State: storage.TaskRunning, Attempts: 1, RunAt: now, LeaseOwner: l.Owner, LeaseUntil: now.Add(lease),
			CreatedAt: now, UpdatedAt: now,
		}
		var err error
		held, err = insertNew(tx.g, tx.dialect, &l.Task)
		return err
	})
	return l, held && err == nil, err
}

// dedupeKey is what two tasks for the same thing share.
func dedupeKey(n NewTask) string {
	if n.OnePerKind {
		return string(n.Kind)
	}
	return string(n.Kind) + ":" + n.TenantID + ":" + n.Subject
}
