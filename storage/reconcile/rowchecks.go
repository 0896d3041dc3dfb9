package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// reservationGrace is how long after its end a reservation is no finding: the schedule drops ended ones every minute.
const reservationGrace = 5 * time.Minute

// tenantsAtOnce is how many tenants one statement is confined to.
const tenantsAtOnce = 500

// check is a question about rows alone. Each page is the answer of one statement, which sees one instant of the
// database, so nothing need be looked at twice: whoever changes rows changes counts and sums in the same transaction.
// It returns the findings behind the cursor, and the cursor behind them; no findings mean that there are no more.
type check struct {
	name string
	page func(r *Reconciler, ctx context.Context, tenants []string, after meta.RowDrift) ([]meta.ReconcileFinding, meta.RowDrift, error)
}

// checks is THE list of what is asked of the rows alone.
func checks() []check {
	list := []check{
		{"tenants", (*Reconciler).tenantsAlone},
		{"plans", (*Reconciler).plansAlone},
		{"assets", (*Reconciler).assetsAlone},
		{"references", (*Reconciler).references},
		{"reservations", (*Reconciler).reservations},
		{"ledgers", (*Reconciler).ledgers},
		{"scans", stuck(storage.TaskScan)},
	}
	for _, category := range storage.MediaCategories() {
		kind, _ := storage.MediaTask(category)
		list = append(list, check{string(kind) + "s", stuck(kind)})
	}
	return list
}

// rows asks the checks, one after another, in pages; the cursor says which and from where on.
func (w *work) rows(ctx context.Context) error {
	groups := [][]string{nil}
	if w.tenants != nil {
		groups = slices.Collect(slices.Chunk(w.tenants, tenantsAtOnce))
	}
	list := checks()
	at, group, after, err := w.rowsCursor()
	if err != nil {
		return err
	}
	for ; at < len(list); at++ {
		if w.answered(list[at]) {
			continue
		}
		for ; group < len(groups); group++ {
			if err := w.ask(ctx, list[at], at, group, groups[group], after); err != nil {
				return err
			}
			after = meta.RowDrift{}
		}
		group = 0
	}
	return nil
}

// rowsCursor reads "check group tenant subject".
func (w *work) rowsCursor() (at, group int, after meta.RowDrift, err error) {
	part := strings.Split(w.run.CursorAt, " ")
	if len(part) != 4 {
		return 0, 0, after, nil
	}
	at, errAt := strconv.Atoi(part[0])
	group, errGroup := strconv.Atoi(part[1])
	if err := errors.Join(errAt, errGroup); err != nil {
		return 0, 0, after, fmt.Errorf("the cursor %q: %w", w.run.CursorAt, err)
	}
	return at, group, meta.RowDrift{TenantID: part[2], SHA256: part[3]}, nil
}

// ask pages through the answers of one check about one group of tenants.
func (w *work) ask(ctx context.Context, c check, at, group int, tenants []string, after meta.RowDrift) error {
	for {
		found, last, err := c.page(w.Reconciler, ctx, tenants, after)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		next := w.run
		if after = last; len(found) == 0 {
			group, after = group+1, meta.RowDrift{}
		}
		next.CursorAt = fmt.Sprintf("%d %d %s %s", at, group, after.TenantID, after.SHA256)
		if err := w.save(ctx, next, found); err != nil || len(found) == 0 {
			return err
		}
	}
}

// rowFinding is a finding about rows.
func rowFinding(kind storage.DriftKind, tenantID, sha256 string, detail facts) meta.ReconcileFinding {
	return meta.ReconcileFinding{TenantID: tenantID, SHA256: sha256, Kind: kind, Detail: detail.json(), Repair: plans[kind]}
}

// drifts turns rows into findings; the last one is the cursor.
func drifts(kind storage.DriftKind, rows []meta.RowDrift, err error, detail func(meta.RowDrift) facts) ([]meta.ReconcileFinding, meta.RowDrift, error) {
	var out []meta.ReconcileFinding
	var last meta.RowDrift
	for _, d := range rows {
		out, last = append(out, rowFinding(kind, d.TenantID, d.SHA256, detail(d))), d
	}
	return out, last, err
}

// tenantsAlone and plansAlone come at once, as ledgers do: few are lost, or all of a table is.
func (r *Reconciler) tenantsAlone(ctx context.Context, tenants []string, after meta.RowDrift) ([]meta.ReconcileFinding, meta.RowDrift, error) {
	list, err := r.db.TenantsAlone(ctx, tenants, after.TenantID)
	var out []meta.ReconcileFinding
	for _, l := range list {
		out = append(out, rowFinding(storage.DriftTenant, l.TenantID, "", facts{"records": l.Records}))
		after = meta.RowDrift{TenantID: l.TenantID}
		if len(out) == r.batch(suspectBatch) {
			break
		}
	}
	return out, after, err
}

func (r *Reconciler) plansAlone(ctx context.Context, tenants []string, after meta.RowDrift) ([]meta.ReconcileFinding, meta.RowDrift, error) {
	list, err := r.db.PlansAlone(ctx, tenants, after.TenantID, r.batch(suspectBatch))
	var out []meta.ReconcileFinding
	for _, t := range list {
		out = append(out, rowFinding(storage.DriftPlan, t.ID, "", facts{"tenant": t.Name, "plan": t.Plan}))
		after = meta.RowDrift{TenantID: t.ID}
	}
	return out, after, err
}

func (r *Reconciler) assetsAlone(ctx context.Context, tenants []string, after meta.RowDrift) ([]meta.ReconcileFinding, meta.RowDrift, error) {
	rows, err := r.db.AssetsAlone(ctx, tenants, after, r.batch(suspectBatch))
	return drifts(storage.DriftAssetAlone, rows, err, func(d meta.RowDrift) facts { return facts{"asset": d.Subject, "assets": d.Truth} })
}

func (r *Reconciler) references(ctx context.Context, tenants []string, after meta.RowDrift) ([]meta.ReconcileFinding, meta.RowDrift, error) {
	rows, err := r.db.WrongReferences(ctx, tenants, after, r.batch(suspectBatch))
	return drifts(storage.DriftReferences, rows, err, func(d meta.RowDrift) facts { return facts{"written": d.Have, "truth": d.Truth} })
}

func stuck(kind storage.TaskKind) func(*Reconciler, context.Context, []string, meta.RowDrift) ([]meta.ReconcileFinding, meta.RowDrift, error) {
	return func(r *Reconciler, ctx context.Context, tenants []string, after meta.RowDrift) ([]meta.ReconcileFinding, meta.RowDrift, error) {
		rows, err := r.db.StrandedAfter(ctx, kind, tenants, after, r.batch(suspectBatch))
		return drifts(storage.DriftStuck, rows, err, func(meta.RowDrift) facts { return facts{"task": kind} })
	}
}

func (r *Reconciler) reservations(ctx context.Context, tenants []string, after meta.RowDrift) ([]meta.ReconcileFinding, meta.RowDrift, error) {
	list, err := r.db.DeadReservations(ctx, tenants, meta.Now().Add(-reservationGrace), after.SHA256, r.batch(suspectBatch))
	var out []meta.ReconcileFinding
	for _, v := range list {
		f := rowFinding(storage.DriftReservation, v.TenantID, "", facts{"bytes": v.Bytes, "ended": v.ExpiresAt.Time()})
		f.ObjectKey = v.ID // dropReservation goes by it
		out = append(out, f)
		after = meta.RowDrift{SHA256: v.ID}
	}
	return out, after, err
}

// ledgers come at once, one statement for a group of tenants; the cursor only ends them.
func (r *Reconciler) ledgers(ctx context.Context, tenants []string, after meta.RowDrift) ([]meta.ReconcileFinding, meta.RowDrift, error) {
	list, err := r.db.LedgerDrift(ctx, tenants)
	var out []meta.ReconcileFinding
	for _, l := range list {
		if l.TenantID <= after.TenantID {
			continue
		}
		out = append(out, rowFinding(storage.DriftLedger, l.TenantID, "", facts{"tenant": l.Tenant, "written": sums(l.Written), "truth": sums(l.Truth)}))
		after = meta.RowDrift{TenantID: l.TenantID}
		if len(out) == r.batch(suspectBatch) {
			break
		}
	}
	return out, after, err
}

func sums(s meta.LedgerSums) facts {
	return facts{"used_bytes": s.UsedBytes, "reserved_bytes": s.ReservedBytes, "used_files": s.UsedFiles, "reserved_files": s.ReservedFiles}
}
