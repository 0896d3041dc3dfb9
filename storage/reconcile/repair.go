package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// repairs is THE table of what is done about a finding. Each looks again under the right locks before it changes
// anything, and none of them loses bytes.
var repairs = map[storage.Repair]func(context.Context, *mending) (string, error){
	storage.RepairTrash:       trash,
	storage.RepairDamaged:     markDamaged,
	storage.RepairHeal:        heal,
	storage.RepairRescan:      rescan,
	storage.RepairRow:         remakeRow,
	storage.RepairVariants:    remakeVariant,
	storage.RepairDropVariant: dropVariantRow,
	storage.RepairLedger:      setLedger,
	storage.RepairReferences:  setReferences,
	storage.RepairAssets:      setAssets,
	storage.RepairTask:        queueTask,
	storage.RepairReservation: dropReservation,
}

// mending is the repair of one finding.
type mending struct {
	*Reconciler
	guard Guard
	f     meta.ReconcileFinding
	// beside are findings about the same digest that have the same repair and come after this one.
	beside []meta.ReconcileFinding
}

// mendAttempts bounds how often a repair looks anew because somebody changed the row under it.
const mendAttempts = 10

// errMoved sends a repair back to its beginning: the row is not what it was when the repair looked.
var errMoved = errors.New("the row was changed meanwhile")

// errEnded says that the finding has been ended already.
var errEnded = errors.New("the finding has been ended already")

// gone ends a finding of which nothing is left to repair.
type gone struct{ why string }

func (g *gone) Error() string { return g.why }

// left says why a finding is as it was: what it tells of is not repaired, and a later run looks again.
type left struct{ why string }

func (l *left) Error() string { return l.why }

// fenced is the error of the run's guard.
type fenced struct{ err error }

func (f *fenced) Error() string { return f.err.Error() }
func (f *fenced) Unwrap() error { return f.err }

// repair looks at one finding again under the right locks, repairs it if it is still so, and writes what became of it
// and the audit record in one transaction. It returns the finding's state. An error ends the run, not the finding: the
// run's lease is lost, or store or database are away.
func (r *Reconciler) repair(ctx context.Context, guard Guard, f meta.ReconcileFinding, beside ...meta.ReconcileFinding) (state string, err error) {
	m := &mending{Reconciler: r, guard: guard, f: f, beside: beside}
	do, ok := repairs[f.Repair]
	if !ok {
		return m.close(ctx, fmt.Errorf("there is no repair %q", f.Repair))
	}
	if err = m.outlived(m.tenant(ctx)); err == nil {
		for range mendAttempts {
			if state, err = do(ctx, m); !errors.Is(err, errMoved) {
				break
			}
		}
	}
	if err == nil {
		return state, nil
	}
	return m.close(ctx, err)
}

// close writes why a finding was not repaired. It ends but for one that is left.
func (m *mending) close(ctx context.Context, problem error) (string, error) {
	state, why := meta.FindingFailed, problem.Error()
	fence, isFenced := errors.AsType[*fenced](problem)
	nothing, isGone := errors.AsType[*gone](problem)
	_, isLeft := errors.AsType[*left](problem)
	switch {
	case isFenced:
		return meta.FindingOpen, fence
	case ctx.Err() != nil:
		return meta.FindingOpen, problem
	case errors.Is(problem, errEnded):
		return m.recorded(ctx)
	case isGone:
		state, why = meta.FindingGone, nothing.why
	case isLeft:
		state = meta.FindingOpen
	case m.away(ctx, problem):
		return meta.FindingOpen, problem
	}
	err := m.inTx(ctx, func(tx *meta.Tx) error {
		if isLeft {
			return m.note(tx, why)
		}
		return m.end(tx, state, why, nil)
	})
	switch {
	case errors.Is(err, errEnded):
		return m.recorded(ctx)
	case err != nil:
		return meta.FindingOpen, errors.Join(problem, err)
	case state == meta.FindingFailed:
		m.log.Error("reconcile: a repair failed", "repair", m.f.Repair, "kind", m.f.Kind, "tenant", m.f.TenantID, "sha256", m.f.SHA256,
			"key", m.f.ObjectKey, "error", problem)
	}
	return state, nil
}

// recorded is the state that the finding has by now.
func (m *mending) recorded(ctx context.Context) (state string, err error) {
	err = m.inTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Scan(&state, `SELECT state FROM reconcile_findings WHERE id = ?`, m.f.ID)
		return err
	})
	return state, err
}

// inTx is a transaction of the repair. It begins with the guard of the run.
func (m *mending) inTx(ctx context.Context, fn func(*meta.Tx) error) error {
	return m.db.InTx(ctx, func(tx *meta.Tx) error {
		if m.guard != nil {
			if err := m.guard(tx); err != nil {
				return &fenced{fmt.Errorf("reconcile: %w", err)}
			}
		}
		return fn(tx)
	})
}

// commit is the last transaction of a repair: what fn changes, the finding's end, the audit record.
func (m *mending) commit(ctx context.Context, data map[string]any, fn func(*meta.Tx) error) (string, error) {
	return m.commitAs(ctx, meta.FindingRepaired, data, fn)
}

// commitAs is commit for what ends in that state.
func (m *mending) commitAs(ctx context.Context, state string, data map[string]any, fn func(*meta.Tx) error) (string, error) {
	err := m.inTx(ctx, func(tx *meta.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		// Once more: the purge may have begun meanwhile. What makes rows has locked the tenant's, as the purge does last.
		if err := m.outlived(tx.Tenant(m.f.TenantID)); err != nil {
			return err
		}
		return m.end(tx, state, "", data)
	})
	return state, err
}

// note writes into an open finding why it is as it was.
func (m *mending) note(tx *meta.Tx, why string) error {
	_, err := tx.Exec(`UPDATE reconcile_findings SET problem = ? WHERE id = ? AND state = ?`, why, m.f.ID, meta.FindingOpen)
	return err
}

// end writes what became of the finding; what was changed or tried is also in the audit log.
func (m *mending) end(tx *meta.Tx, state, why string, data map[string]any) error {
	open, err := tx.EndFinding(m.f.ID, state, why)
	if err != nil {
		return fmt.Errorf("end the finding: %w", err)
	}
	if !open {
		return errEnded
	}
	if state == meta.FindingGone {
		return nil
	}
	all := map[string]any{"run": m.f.RunID, "finding": m.f.ID, "kind": m.f.Kind}
	for name, value := range map[string]string{
		"zone": string(m.f.Zone), "preset": m.f.Preset, "key": m.f.ObjectKey, "problem": why,
	} {
		if value != "" {
			all[name] = value
		}
	}
	for name, value := range data {
		all[name] = value
	}
	result := audit.OK
	if state == meta.FindingFailed {
		result = audit.Failed
	}
	return audit.Write(tx, audit.Entry{
		Actor: audit.Worker, TenantID: m.f.TenantID, Action: "reconcile." + string(m.f.Repair), Result: result, Data: all,
		Target: cmp.Or(m.f.SHA256, m.f.ObjectKey, m.f.TenantID),
	})
}

// whileHeld does something while no task of that kind can run about that blob, and then commits.
func (m *mending) whileHeld(ctx context.Context, n meta.NewTask, do func(context.Context) error, data map[string]any, fn func(*meta.Tx) error) (string, error) {
	lease, held, err := m.db.Hold(ctx, n, "reconcile", holdLease)
	if err != nil {
		return "", err
	}
	if !held {
		return "", &left{fmt.Sprintf("a task of kind %s about the blob is open: what it leaves is for the next run", n.Kind)}
	}
	dctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	var state string
	if err = do(dctx); err == nil {
		state, err = m.commit(ctx, data, func(tx *meta.Tx) error {
			if err := tx.Finish(lease); err != nil {
				return fmt.Errorf("end the hold of the blob's task: %w", err)
			}
			return fn(tx)
		})
	}
	if err == nil {
		return state, nil
	}
	// One that cannot be ended now is an ordinary task when its lease has run out.
	ferr := m.db.InTx(context.WithoutCancel(ctx), func(tx *meta.Tx) error { return tx.Finish(lease) })
	if ferr != nil && !errors.Is(ferr, meta.ErrLeaseLost) {
		m.log.Warn("reconcile: end the hold of a task; its lease runs out", "kind", n.Kind, "sha256", n.Subject, "error", ferr)
	}
	return "", err
}

// outlived is a *gone when the tenant's purge has begun, and when it is over also for repairs that do more than take away
// what is left: nothing may come where a purge has been.
func (m *mending) outlived(tenant meta.Tenant) error {
	row, err := tenant.Row()
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil // nobody's: it was never here
	case err != nil:
		return fmt.Errorf("look at the tenant: %w", err)
	case row.Purging():
		return &gone{"the tenant is being purged"}
	case row.State == storage.TenantDeleted && !slices.Contains(buries, m.f.Repair):
		return &gone{"the tenant is deleted"}
	}
	return nil
}

// buries are the repairs that are done for a tenant that is deleted.
var buries = []storage.Repair{storage.RepairTrash, storage.RepairDropVariant, storage.RepairReservation, storage.RepairLedger}

// tenant reads outside of a transaction.
func (m *mending) tenant(ctx context.Context) meta.Tenant { return m.db.Tenant(ctx, m.f.TenantID) }

// blob reads the finding's blob; a *gone when it has no row, or is being removed.
func (m *mending) blob(tenant meta.Tenant) (meta.Blob, error) {
	b, known, err := tenant.BlobIfAny(m.f.SHA256)
	switch {
	case err != nil:
		return b, err
	case !known || b.OnlyClaim():
		return b, &gone{"the blob has no row any more"}
	case b.Sweeping:
		return b, &gone{"the blob is being removed"}
	}
	return b, nil
}

// same reads the blob's row in the last transaction; errMoved when it is not what the repair looked at.
func (m *mending) same(tx *meta.Tx, seen meta.Blob) (meta.Tenant, error) {
	tenant := tx.Tenant(m.f.TenantID)
	b, err := m.blob(tenant)
	if err == nil && b.Revision != seen.Revision {
		err = errMoved
	}
	return tenant, err
}
