package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Guard is what every transaction of a run begins with: it fences the lease of the run's task, so that a worker that
// lost it can change nothing. A nil one guards nothing.
type Guard func(*meta.Tx) error

// inTx is one transaction of a run.
func (r *Reconciler) inTx(ctx context.Context, guard Guard, fn func(*meta.Tx) error) error {
	return r.db.InTx(ctx, func(tx *meta.Tx) error {
		if guard != nil {
			if err := guard(tx); err != nil {
				return fmt.Errorf("reconcile: %w", err)
			}
		}
		return fn(tx)
	})
}

// phase is a stretch of a run. Its name and the run's cursor are saved with what it found, so that a run that was
// interrupted goes on where it was.
type phase struct {
	name string
	// light says that runs of kind light have the phase too.
	light bool
	do    func(*work, context.Context) error
}

// phases is THE list of what a run does, in this order. Everything before the brake only reads.
var phases = []phase{
	{"choose", true, (*work).choose},
	{"compare", true, (*work).compare},
	{"rows", true, (*work).rows},
	{"digests", false, (*work).digests},
	{"brake", false, (*work).brake},
	{phaseRepair, false, (*work).repairAll},
}

// phaseRepair is where a held run goes on when it is confirmed.
const phaseRepair = "repair"

// work is one attempt at a run.
type work struct {
	*Reconciler
	guard    Guard
	progress func(float64)
	run      meta.ReconcileRun
	saved    time.Time
	// tenants are those the run is confined to, in order; nil is everything.
	tenants []string
	// marks are those of tenants that were compared from beginning to end.
	marks map[string]string
	// asked is nil until a comparison begins.
	asked *asked
	// disagree are the answers of disagreeing, by group.
	disagree map[int][]string
}

// errEnough ends an attempt early: the run is held, or there is nothing to compare.
var errEnough = errors.New("nothing more is to be done now")

// Perform goes on with a run until it is done or held. A run that has ended already is no error: the worker that ended
// it died before it could end the task. guard fences every transaction; progress, which may be nil, hears how far it is.
func (r *Reconciler) Perform(ctx context.Context, id string, guard Guard, progress func(share float64)) (meta.ReconcileRun, error) {
	run, err := r.db.RunBy(ctx, id)
	if err != nil {
		return run, fmt.Errorf("reconcile: read run %s: %w", id, err)
	}
	if progress == nil {
		progress = func(float64) {}
	}
	w := &work{Reconciler: r, guard: guard, progress: progress, run: run, saved: time.Now(), marks: map[string]string{}}
	if err := json.Unmarshal([]byte(run.Tenants), &w.tenants); err != nil {
		return run, fmt.Errorf("reconcile: run %s: tenants: %w", id, err)
	}
	if len(w.tenants) == 0 {
		w.tenants = nil
	}
	if run.State != meta.RunRunning && run.State != meta.RunConfirmed {
		return run, nil
	}
	defer w.endAsking()
	err = w.perform(ctx)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return w.run, err
}

func (w *work) perform(ctx context.Context) error {
	if w.run.Phase == "" {
		if err := w.enter(ctx, phases[0]); err != nil {
			return err
		}
	}
	begun := false
	for _, p := range phases {
		begun = begun || p.name == w.run.Phase
		if !begun || w.run.Kind == meta.RunLight && !p.light {
			continue
		}
		if p.name != w.run.Phase {
			if err := w.enter(ctx, p); err != nil {
				return err
			}
		}
		if err := p.do(w, ctx); err != nil {
			return fmt.Errorf("reconcile: %s: %w", p.name, err)
		}
	}
	return w.end(ctx)
}

// enter begins a phase.
func (w *work) enter(ctx context.Context, p phase) error {
	next := w.run
	next.Phase, next.CursorAt = p.name, ""
	return w.save(ctx, next, nil)
}

// save writes findings and where the run is, in one transaction, and makes that the run's state.
func (w *work) save(ctx context.Context, next meta.ReconcileRun, found []meta.ReconcileFinding, entries ...audit.Entry) error {
	found, err := w.withoutPurged(ctx, found)
	if err != nil {
		return err
	}
	found = w.add(&next, found)
	err = w.inTx(ctx, w.guard, func(tx *meta.Tx) error {
		if err := tx.SaveRun(&next, w.run.State); err != nil {
			return err
		}
		if err := w.writeFound(tx, next.ID, found); err != nil {
			return err
		}
		for _, e := range entries {
			if err := audit.Write(tx, e); err != nil {
				return err
			}
		}
		if next.Kind != meta.RunLight || next.State != meta.RunDone {
			return nil
		}
		for part := range slices.Chunk(w.tenants, tenantsAtOnce) {
			if err := tx.SupersedeLight(next.ID, part); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save the run: %w", err)
	}
	w.run, w.saved = next, time.Now()
	return nil
}

// writeFound writes findings, and those that are new into the audit log: a light pass finds the same every half hour.
func (w *work) writeFound(tx *meta.Tx, runID string, found []meta.ReconcileFinding) error {
	known := map[int]bool{}
	if w.run.Kind == meta.RunLight {
		var err error
		if known, err = tx.FoundBefore(runID, found); err != nil {
			return err
		}
	}
	if err := tx.AddFindings(found); err != nil {
		return err
	}
	var fresh []audit.Entry
	for i, f := range found {
		if known[i] {
			continue
		}
		fresh = append(fresh, audit.Entry{
			Actor: audit.Worker, TenantID: f.TenantID, Action: "reconcile.finding", Target: runID, Result: audit.OK,
			Data: map[string]any{"kind": f.Kind, "zone": f.Zone, "sha256": f.SHA256, "object": f.ObjectKey, "planned": f.Repair},
		})
	}
	return audit.WriteAll(tx, fresh)
}

// clockSkew is how far the clocks of two workers may be apart.
const clockSkew = time.Minute

// withoutPurged leaves out tenants that are being purged, or were while this run looked: a purge takes objects before
// rows, and no claims. The question comes after the findings were made, so a purge that made one has begun.
func (w *work) withoutPurged(ctx context.Context, found []meta.ReconcileFinding) ([]meta.ReconcileFinding, error) {
	if len(found) == 0 {
		return nil, nil
	}
	purged, err := w.db.Purged(ctx, w.run.StartedAt.Add(-clockSkew))
	if err != nil || len(purged) == 0 {
		return found, err
	}
	return slices.DeleteFunc(slices.Clone(found), func(f meta.ReconcileFinding) bool { return slices.Contains(purged, f.TenantID) }), nil
}

// digests reads blobs again (verifyDigests). A digest is reported once, also when the attempt that reported it died
// before it could note that it had read the blob. A run that is confined reads none: the share of a night is one of all
// tenants, and which blobs wait longest says nothing about its own.
func (w *work) digests(ctx context.Context) error {
	const done = "done" // the budget of a run is spent once
	if w.run.CursorAt == done || w.tenants != nil {
		return nil
	}
	run := w.run
	save := func(tx *meta.Tx, share float64) error {
		w.progress(share)
		next := w.run
		next.Verified, next.VerifiedBytes, next.Problem = run.Verified, run.VerifiedBytes, run.Problem
		return tx.SaveRun(&next, w.run.State)
	}
	err := w.verifyDigests(ctx, w.guard, &run, save, func(f meta.ReconcileFinding) error {
		f.RunID = w.run.ID
		var have bool
		err := w.inTx(ctx, w.guard, func(tx *meta.Tx) error {
			var err error
			have, err = tx.HasFinding(f)
			return err
		})
		if err != nil || have {
			return err
		}
		next := w.run
		next.Verified, next.VerifiedBytes, next.Problem = run.Verified, run.VerifiedBytes, run.Problem
		return w.save(ctx, next, []meta.ReconcileFinding{f})
	})
	if err != nil {
		return err
	}
	next := w.run
	next.Verified, next.VerifiedBytes, next.CursorAt = run.Verified, run.VerifiedBytes, done
	next.Problem = run.Problem // a budget that is too small
	return w.save(ctx, next, nil)
}

// brakeSays opens what a held run says of the brake, behind what it has said before; Confirm takes it back.
const brakeSays = "The run would"

// repairedWithin is how long the repairs of other runs count with those of a run: many small runs are one large one. It is
// less than a day, so that no night counts with the one before.
const repairedWithin = 20 * time.Hour

func besides(others int64) string {
	if others == 0 {
		return ""
	}
	return fmt.Sprintf(", besides %d that other runs have repaired within %s", others, repairedWithin)
}

// brake holds a run that would touch suspiciously much, of all or of one tenant.
func (w *work) brake(ctx context.Context) error {
	if w.run.State == meta.RunConfirmed {
		return nil
	}
	lost, short, err := w.losses(ctx)
	if err != nil {
		return err
	}
	why, err := w.tenantBrake(ctx, lost)
	if err != nil {
		return err
	}
	limit := max(int64(w.cfg.BrakeMin), int64(w.cfg.BrakeShare*float64(w.run.Objects+w.run.RowCount)))
	others, err := w.db.RepairedSince(ctx, w.run.ID, meta.Now().Add(-repairedWithin))
	if err != nil {
		return err
	}
	if w.run.Planned > 0 && w.run.Planned+others > limit {
		why = strings.TrimSpace(fmt.Sprintf(brakeSays+" touch %d objects and rows%s, and the brake allows %d: the larger of %d and %.4g %% of the %d objects and %d rows that were compared. %s",
			w.run.Planned, besides(others), limit, w.cfg.BrakeMin, 100*w.cfg.BrakeShare, w.run.Objects, w.run.RowCount, why))
	}
	if why == "" {
		return nil
	}
	means, err := w.likely(ctx, short)
	if err != nil {
		return err
	}
	next := w.run
	next.State = meta.RunHeld
	next.Problem = strings.TrimSpace(strings.TrimSpace(next.Problem+" "+why) + " Nothing was changed. " + means)
	if err := w.save(ctx, next, nil, entry(audit.Worker, "reconcile.hold", next, map[string]any{"planned": next.Planned, "allowed": limit, "problem": next.Problem})); err != nil {
		return err
	}
	w.log.Error("reconciliation is held: look at its findings, then confirm or cancel it", "run", next.ID, "planned", next.Planned, "problem", next.Problem)
	return errEnough
}

// end ends a run well.
func (w *work) end(ctx context.Context) error {
	if w.run.Kind == meta.RunLight {
		if err := w.noteMarks(ctx); err != nil {
			return err
		}
	}
	counts, err := w.db.FindingCounts(ctx, w.run.ID)
	if err != nil {
		return err
	}
	next, marked := w.run, meta.CountIn(counts, meta.FindingMarked)
	next.State, next.FinishedAt = meta.RunDone, meta.Now()
	w.log.Info("reconciled", "run", next.ID, "kind", next.Kind, "objects", next.Objects, "rows", next.RowCount,
		"findings", next.Findings, "repaired", next.Repaired, "marked_damaged", marked, "failed", next.Failed, "foreign", next.ForeignObjects)
	return w.save(ctx, next, nil, entry(audit.Worker, "reconcile.end", next, summary(next, marked)))
}

func summary(r meta.ReconcileRun, marked int64) map[string]any {
	return map[string]any{
		"kind": r.Kind, "objects": r.Objects, "rows": r.RowCount, "findings": r.Findings, "planned": r.Planned,
		"repaired": r.Repaired, "marked_damaged": marked, "failed": r.Failed, "foreign": r.ForeignObjects,
	}
}

func entry(who audit.Actor, action string, run meta.ReconcileRun, data map[string]any) audit.Entry {
	return audit.Entry{Actor: who, Action: action, Target: run.ID, Result: audit.OK, Data: data}
}

// Failed writes down that a run is given up, in the transaction that buries its task.
func Failed(tx *meta.Tx, id string, cause error) error {
	run, err := tx.Run(id)
	if err != nil || run.State != meta.RunRunning && run.State != meta.RunConfirmed {
		if errors.Is(err, storage.ErrNotFound) {
			err = nil
		}
		return err
	}
	from := run.State
	run.State, run.Problem, run.FinishedAt = meta.RunFailed, cause.Error(), meta.Now()
	if err := tx.SaveRun(&run, from); err != nil {
		return err
	}
	return audit.Write(tx, entry(audit.Worker, "reconcile.fail", run, map[string]any{"error": run.Problem}))
}
