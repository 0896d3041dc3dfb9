package jobs

import (
	"context"
	"time"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/snapshot"
)

// snapshotTimeout bounds one attempt: exporting a million rows takes a minute, and the database keeps old versions of
// rows for as long.
const snapshotTimeout = 2 * time.Hour

// snapshots takes the daily snapshot and removes what the rule no longer keeps; or takes the one that somebody asked for.
type snapshots struct {
	store *snapshot.Store
	// after, if set, is called in the transaction that ends the task, well or badly.
	after func(tx *meta.Tx, t meta.Task) error
}

// A store that is away is an ordinary failure here: a night without a snapshot must end, because the reconciliation of
// the night comes after it.
func (s *snapshots) run(ctx context.Context, r *Run) (Commit, error) {
	asked := r.Task().Subject == snapshot.Asked
	reason := snapshot.ReasonDaily
	if asked {
		reason = snapshot.ReasonManual
	}
	m, err := s.store.Create(ctx, reason)
	if err != nil {
		return nil, err
	}
	var removed []string
	if !asked {
		if removed, err = s.store.Prune(ctx, time.Now()); err != nil { // the snapshot is there; what could not be removed goes another night
			r.Log.Warn("remove old snapshots", "error", err)
		}
	}
	r.Log.Info("snapshot taken", "snapshot", m.ID, "rows", m.Rows(), "bytes", m.Bytes(), "removed", len(removed))
	return func(tx *meta.Tx) error {
		if err := snapshot.Record(tx, m, audit.Worker); err != nil {
			return err
		}
		if err := snapshot.RecordPrune(tx, removed, audit.Worker); err != nil {
			return err
		}
		return s.goOn(tx, r.Task())
	}, nil
}

func (s *snapshots) dead(tx *meta.Tx, t meta.Task, cause error) error {
	err := audit.Write(tx, audit.Entry{
		Actor: audit.Worker, Action: "snapshot.create", Result: audit.Failed, Data: map[string]any{"problem": cause.Error()},
	})
	if err != nil {
		return err
	}
	return s.goOn(tx, t)
}

func (s *snapshots) goOn(tx *meta.Tx, t meta.Task) error {
	if s.after == nil {
		return nil
	}
	return s.after(tx, t)
}
