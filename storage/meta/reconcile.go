package meta

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// CreateRun inserts a run.
func (tx *Tx) CreateRun(r *ReconcileRun) error { return tx.g.Create(r).Error }

// factRuns is the row that LockRuns locks.
const factRuns = "reconcile.runs"

// LockRuns makes whoever decides whether a run may begin wait for everybody else who does, to the end of the
// transaction: two that only looked would both see that nothing is in the way.
func (tx *Tx) LockRuns() error {
	for range 2 {
		u := tx.g.Model(&Fact{}).Where("name = ?", factRuns).Update("updated_at", Now())
		if u.Error != nil || u.RowsAffected > 0 {
			return u.Error
		}
		created, err := insertNew(tx.g, tx.dialect, &Fact{Name: factRuns, UpdatedAt: Now()})
		if err != nil || created {
			return err
		}
	}
	return ErrChanged // somebody made the row and took it away: the transaction is tried again
}

// SaveRun writes a run as it is now, without its tenants, if its state is still `from`; ErrRunMoved otherwise: somebody
// cancelled it.
func (tx *Tx) SaveRun(r *ReconcileRun, from string) error {
	r.UpdatedAt = Now()
	u := tx.g.Model(&ReconcileRun{}).Where("id = ? AND state = ?", r.ID, from).Select("*").Omit("tenants").Updates(r)
	if u.Error == nil && u.RowsAffected == 0 {
		return ErrRunMoved
	}
	return u.Error
}

// ChooseTenants writes the tenants that a light run has chosen: a long list, which stays as it is.
func (tx *Tx) ChooseTenants(runID, tenants string) error {
	return tx.g.Model(&ReconcileRun{}).Where("id = ?", runID).UpdateColumn("tenants", tenants).Error
}

// Run reads a run inside a transaction.
func (tx *Tx) Run(id string) (ReconcileRun, error) {
	var r ReconcileRun
	err := tx.g.Take(&r, "id = ?", id).Error
	return r, notFound(err)
}

// RunBy reads a run.
func (db *DB) RunBy(ctx context.Context, id string) (ReconcileRun, error) {
	var r ReconcileRun
	err := db.g.WithContext(ctx).Take(&r, "id = ?", id).Error
	return r, notFound(err)
}

// Runs lists the runs of a kind ("" is any) in one of the states (none is any), newest first.
func (db *DB) Runs(ctx context.Context, kind string, limit int, states ...string) ([]ReconcileRun, error) {
	return runs(db.g.WithContext(ctx), kind, limit, states)
}

// Runs is DB.Runs inside a transaction.
func (tx *Tx) Runs(kind string, limit int, states ...string) ([]ReconcileRun, error) {
	return runs(tx.g, kind, limit, states)
}

func runs(g *gorm.DB, kind string, limit int, states []string) ([]ReconcileRun, error) {
	if kind != "" {
		g = g.Where("kind = ?", kind)
	}
	if len(states) > 0 {
		g = g.Where("state IN ?", states)
	}
	var out []ReconcileRun
	return out, g.Order("id DESC").Limit(limit).Find(&out).Error
}

// RunsBefore lists the runs of a kind ("" is any) in one of the states (none is any) that began before the one with the given
// id, newest first.
func (db *DB) RunsBefore(ctx context.Context, kind string, states []string, before string, limit int) ([]ReconcileRun, error) {
	q := db.g.WithContext(ctx)
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return runs(q, kind, limit, states)
}

// AddFindings writes what a run found.
func (tx *Tx) AddFindings(list []ReconcileFinding) error {
	if len(list) == 0 {
		return nil
	}
	return tx.g.CreateInBatches(list, 100).Error
}

// HasFinding reports whether a run has that finding already.
func (tx *Tx) HasFinding(f ReconcileFinding) (bool, error) {
	var n int64
	err := tx.g.Model(&ReconcileFinding{}).
		Where("run_id = ? AND tenant_id = ? AND sha256 = ? AND kind = ? AND zone = ? AND object_key = ?",
			f.RunID, f.TenantID, f.SHA256, f.Kind, f.Zone, f.ObjectKey).Count(&n).Error
	return n > 0, err
}

// EndFinding writes what became of an open finding; it reports false when it is not open any more.
func (tx *Tx) EndFinding(id, state, problem string) (bool, error) {
	r := tx.g.Model(&ReconcileFinding{}).Where("id = ? AND state = ?", id, FindingOpen).
		Updates(map[string]any{"state": state, "problem": problem, "ended_at": Now()})
	return r.RowsAffected == 1, r.Error
}

// FindingFilter narrows a list; zero fields do not.
type FindingFilter struct {
	Kind   storage.DriftKind
	Repair storage.Repair
	State  string
}

// Findings lists a run's findings in the order in which they were found, those after the given id.
func (db *DB) Findings(ctx context.Context, runID string, f FindingFilter, after string, limit int) ([]ReconcileFinding, error) {
	var out []ReconcileFinding
	err := db.planned(ctx, func(g *gorm.DB) error { return f.on(g, runID, after).Order("id").Limit(limit).Find(&out).Error })
	return out, err
}

func (f FindingFilter) on(g *gorm.DB, runID, after string) *gorm.DB {
	q := g.Where("run_id = ? AND id > ?", runID, after)
	if f.Kind != "" {
		q = q.Where("kind = ?", f.Kind)
	}
	if f.Repair != "" {
		q = q.Where("repair = ?", f.Repair)
	}
	if f.State != "" {
		q = q.Where("state = ?", f.State)
	}
	return q
}

// FindingCount is how many findings of a kind a run has in a state.
type FindingCount struct {
	Kind   storage.DriftKind
	Repair storage.Repair
	State  string
	Count  int64
}

// FindingCounts counts a run's findings.
func (db *DB) FindingCounts(ctx context.Context, runID string) ([]FindingCount, error) {
	var out []FindingCount
	err := db.g.WithContext(ctx).Model(&ReconcileFinding{}).Where("run_id = ?", runID).
		Select("kind, repair, state, COUNT(*) AS count").Group("kind, repair, state").Order("kind, repair, state").Scan(&out).Error
	return out, err
}

// FindingsIn counts the findings of runs that are in a state, by run.
func (db *DB) FindingsIn(ctx context.Context, state string, runs []string) (map[string]int64, error) {
	var list []struct {
		RunID string
		N     int64
	}
	out := map[string]int64{}
	if len(runs) == 0 {
		return out, nil
	}
	err := db.g.WithContext(ctx).Model(&ReconcileFinding{}).Where("run_id IN ? AND state = ?", runs, state).
		Select("run_id, COUNT(*) AS n").Group("run_id").Scan(&list).Error
	for _, r := range list {
		out[r.RunID] = r.N
	}
	return out, err
}

// CountIn adds up the findings in a state.
func CountIn(counts []FindingCount, state string) (n int64) {
	for _, c := range counts {
		if c.State == state {
			n += c.Count
		}
	}
	return n
}

// DriftedTenants lists the tenants of which a run has findings other than damage that is known: what is planned to be
// repaired, and what only people can mend.
func (db *DB) DriftedTenants(ctx context.Context, runID string) ([]string, error) {
	var out []string
	err := db.g.WithContext(ctx).Model(&ReconcileFinding{}).Where("run_id = ? AND (repair <> '' OR kind NOT IN ?)", runID,
		[]storage.DriftKind{storage.DriftMissing, storage.DriftSize, storage.DriftDigest}).
		Distinct("tenant_id").Pluck("tenant_id", &out).Error
	return out, err
}

// ForgetRuns removes runs that ended before the stamp, with their findings, and older findings of no run.
func (db *DB) ForgetRuns(ctx context.Context, before Stamp) error {
	for {
		var ids []string
		err := db.g.WithContext(ctx).Model(&ReconcileRun{}).Where("finished_at > 0 AND finished_at < ?", before).
			Order("id").Limit(10).Pluck("id", &ids).Error
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return db.forgetFoundAlone(ctx, before)
		}
		for _, id := range ids {
			if err := forget[string](ctx, db, &ReconcileFinding{}, "id", "run_id = ?", id); err != nil {
				return fmt.Errorf("findings of run %s: %w", id, err)
			}
		}
		err = db.InTx(ctx, func(tx *Tx) error { return tx.g.Where("id IN ?", ids).Delete(&ReconcileRun{}).Error })
		if err != nil {
			return fmt.Errorf("runs: %w", err)
		}
	}
}

// RunState is how many runs of a kind are in a state.
type RunState struct {
	Kind  string
	State string
	Count int64
}

// RunStates counts the runs.
func (db *DB) RunStates(ctx context.Context) ([]RunState, error) {
	var out []RunState
	err := db.g.WithContext(ctx).Model(&ReconcileRun{}).Select("kind, state, COUNT(*) AS count").Group("kind, state").Scan(&out).Error
	return out, err
}

// LastRun is the reconciliation of a kind that ended last; storage.ErrNotFound when none has.
func (db *DB) LastRun(ctx context.Context, kind string) (ReconcileRun, error) {
	var r ReconcileRun
	q := db.g.WithContext(ctx).Omit("tenants").Where("kind = ? AND finished_at > 0", kind).Order("id DESC").Limit(1).Find(&r)
	if q.Error == nil && q.RowsAffected == 0 {
		return r, storage.ErrNotFound
	}
	return r, q.Error
}
