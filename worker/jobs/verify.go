package jobs

import (
	"context"
	"errors"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/snapshot"
)

// verification reads a whole snapshot, whose id is the task's subject, and says whether it could be restored.
type verification struct{ store *snapshot.Store }

func (v *verification) run(ctx context.Context, r *Run) (Commit, error) {
	id := r.Task().Subject
	found, err := v.store.Verify(ctx, id)
	said := snapshot.Verdict{Damage: found.Damage, Warnings: found.Warnings, Drift: found.Drift}
	damage, damaged := errors.AsType[*snapshot.Damage](err)
	switch {
	case damaged:
		said.Damage = []string{damage.Error()}
	case errors.Is(err, snapshot.ErrNotFound), errors.Is(err, snapshot.ErrNewer):
		said.Damage = []string{err.Error()}
	case err != nil: // the store is away: another attempt
		return nil, err
	}
	r.Log.Info("snapshot verified", "snapshot", id, "damage", len(said.Damage), "warnings", len(said.Warnings))
	return func(tx *meta.Tx) error { return snapshot.RecordVerify(tx, id, said, audit.Worker) }, nil
}

func verificationDead(tx *meta.Tx, t meta.Task, cause error) error {
	return audit.Write(tx, audit.Entry{
		Actor: audit.Worker, Action: "snapshot.verify", Target: t.Subject, Result: audit.Failed, Data: map[string]any{"problem": cause.Error()},
	})
}
