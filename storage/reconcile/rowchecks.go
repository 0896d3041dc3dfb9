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

// pageGrowth is how many times as long as the first page of answers the others are. Where everything is in order the first
// is the only one; where a table was lost each page looks through all that is left (seconds for a million rows).
const pageGrowth = 125

// check is a question about rows alone. Each page is the answer of one statement, which sees one instant of the
// database, so nothing need be looked at twice: whoever changes rows changes counts and sums in the same transaction.
// It returns the findings behind the cursor, as many as the limit; of a check that is whole, all that there are.
type check struct {
	name  string
	whole bool
	// families is set where each asset is held against its blob: that is asked only about tenants in which they disagree.
	families bool
	page     func(r *Reconciler, ctx context.Context, tenants []string, after meta.RowDrift, limit int) ([]meta.ReconcileFinding, error)
}

// checks is THE list of what is asked of the rows alone.
func checks() []check {
	list := []check{
		{name: "tenants", whole: true, page: (*Reconciler).tenantsAlone},
		{name: "plans", page: (*Reconciler).plansAlone},
		{name: "assets", families: true, page: (*Reconciler).assetsAlone},
		{name: "references", families: true, page: (*Reconciler).references},
		{name: "reservations", page: (*Reconciler).reservations},
		{name: "ledgers", whole: true, page: (*Reconciler).ledgers},
		{name: "scans", page: stuck(storage.TaskScan)},
	}
	for _, category := range storage.MediaCategories() {
		kind, _ := storage.MediaTask(category)
		list = append(list, check{name: string(kind) + "s", page: stuck(kind)})
	}
	return append(list, check{name: "states", families: true, page: (*Reconciler).assetsDiffering},
		check{name: "ended", page: (*Reconciler).tenantsEnded})
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

// ask pages through the answers of one check about one group of tenants. They are saved in batches, each with the cursor
// behind it.
func (w *work) ask(ctx context.Context, c check, at, group int, tenants []string, after meta.RowDrift) error {
	if c.families {
		var err error
		if tenants, err = w.disagreeing(ctx, group, tenants); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if tenants != nil && len(tenants) == 0 {
			return w.saveRows(ctx, at, group+1, meta.RowDrift{}, nil)
		}
	}
	for {
		limit := w.batch(suspectBatch)
		if after != (meta.RowDrift{}) {
			limit *= pageGrowth
		}
		found, err := c.page(w.Reconciler, ctx, tenants, after, limit)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		for part := range slices.Chunk(found, w.batch(suspectBatch)) {
			after = behind(part[len(part)-1])
			if err := w.saveRows(ctx, at, group, after, part); err != nil {
				return err
			}
		}
		if c.whole || len(found) < limit {
			return w.saveRows(ctx, at, group+1, meta.RowDrift{}, nil)
		}
	}
}

// disagreeing are those of a group of tenants in which assets and blobs may contradict each other, nil for all of them. It
// asks once for all checks; what changes after that, changes as a whole.
func (w *work) disagreeing(ctx context.Context, group int, tenants []string) ([]string, error) {
	if w.disagree == nil {
		w.disagree = map[int][]string{}
	}
	if list, asked := w.disagree[group]; asked {
		return list, nil
	}
	list, known, err := w.db.Disagreeing(ctx, tenants, tenantsAtOnce)
	switch {
	case err != nil:
		return nil, err
	case !known:
		list = tenants
	case list == nil:
		list = []string{}
	}
	w.disagree[group] = list
	return list, nil
}

// saveRows writes findings about rows, and where the run goes on.
func (w *work) saveRows(ctx context.Context, at, group int, after meta.RowDrift, found []meta.ReconcileFinding) error {
	next := w.run
	next.CursorAt = fmt.Sprintf("%d %d %s %s", at, group, after.TenantID, after.SHA256)
	return w.save(ctx, next, found)
}

// behind is the cursor behind a finding about rows.
func behind(f meta.ReconcileFinding) meta.RowDrift {
	if f.Kind == storage.DriftReservation {
		return meta.RowDrift{SHA256: f.ObjectKey}
	}
	return meta.RowDrift{TenantID: f.TenantID, SHA256: f.SHA256}
}

// rowFinding is a finding about rows.
func rowFinding(kind storage.DriftKind, tenantID, sha256 string, detail facts) meta.ReconcileFinding {
	return meta.ReconcileFinding{TenantID: tenantID, SHA256: sha256, Kind: kind, Detail: detail.json(), Repair: plans[kind]}
}

// drifts turns rows into findings.
func drifts(kind storage.DriftKind, rows []meta.RowDrift, err error, detail func(meta.RowDrift) facts) ([]meta.ReconcileFinding, error) {
	var out []meta.ReconcileFinding
	for _, d := range rows {
		out = append(out, rowFinding(kind, d.TenantID, d.SHA256, detail(d)))
	}
	return out, err
}

// tenantsAlone comes at once, as ledgers do: one statement for a group of tenants.
func (r *Reconciler) tenantsAlone(ctx context.Context, tenants []string, after meta.RowDrift, _ int) ([]meta.ReconcileFinding, error) {
	list, err := r.db.TenantsAlone(ctx, tenants, after.TenantID)
	var out []meta.ReconcileFinding
	for _, l := range list {
		out = append(out, rowFinding(storage.DriftTenant, l.TenantID, "", facts{"records": l.Records}))
	}
	return out, err
}

func (r *Reconciler) plansAlone(ctx context.Context, tenants []string, after meta.RowDrift, limit int) ([]meta.ReconcileFinding, error) {
	list, err := r.db.PlansAlone(ctx, tenants, after.TenantID, limit)
	var out []meta.ReconcileFinding
	for _, t := range list {
		out = append(out, rowFinding(storage.DriftPlan, t.ID, "", facts{"tenant": t.Name, "plan": t.Plan}))
	}
	return out, err
}

func (r *Reconciler) assetsAlone(ctx context.Context, tenants []string, after meta.RowDrift, limit int) ([]meta.ReconcileFinding, error) {
	rows, err := r.db.AssetsAlone(ctx, tenants, after, limit)
	return drifts(storage.DriftAssetAlone, rows, err, func(d meta.RowDrift) facts { return facts{"asset": d.Subject, "assets": d.Truth} })
}

func (r *Reconciler) references(ctx context.Context, tenants []string, after meta.RowDrift, limit int) ([]meta.ReconcileFinding, error) {
	rows, err := r.db.WrongReferences(ctx, tenants, after, limit)
	return drifts(storage.DriftReferences, rows, err, func(d meta.RowDrift) facts { return facts{"written": d.Have, "truth": d.Truth} })
}

func stuck(kind storage.TaskKind) func(*Reconciler, context.Context, []string, meta.RowDrift, int) ([]meta.ReconcileFinding, error) {
	return func(r *Reconciler, ctx context.Context, tenants []string, after meta.RowDrift, limit int) ([]meta.ReconcileFinding, error) {
		rows, err := r.db.StrandedAfter(ctx, kind, tenants, after, limit)
		return drifts(storage.DriftStuck, rows, err, func(meta.RowDrift) facts { return facts{"task": kind} })
	}
}

func (r *Reconciler) reservations(ctx context.Context, tenants []string, after meta.RowDrift, limit int) ([]meta.ReconcileFinding, error) {
	list, err := r.db.DeadReservations(ctx, tenants, reservationGrace, after.SHA256, limit)
	var out []meta.ReconcileFinding
	for _, v := range list {
		f := rowFinding(storage.DriftReservation, v.TenantID, "", facts{"bytes": v.Bytes, "ended": v.ExpiresAt.Time()})
		f.ObjectKey = v.ID // dropReservation goes by it
		out = append(out, f)
	}
	return out, err
}

func (r *Reconciler) ledgers(ctx context.Context, tenants []string, after meta.RowDrift, _ int) ([]meta.ReconcileFinding, error) {
	list, err := r.db.LedgerDrift(ctx, tenants)
	var out []meta.ReconcileFinding
	for _, l := range list {
		if l.TenantID > after.TenantID {
			out = append(out, rowFinding(storage.DriftLedger, l.TenantID, "", ledgerFacts(l)))
		}
	}
	return out, err
}

// ledgerFacts are both ledgers. Where the records add up to less than is written, records may be lost: meta.LedgerDrop reads that.
func ledgerFacts(l meta.LedgerRow) facts {
	out := facts{"tenant": l.Tenant, "written": sums(l.Written), "truth": sums(l.Truth)}
	if n := l.Written.UsedFiles - l.Truth.UsedFiles; n > 0 {
		out["lost_files"] = n
	}
	if n := l.Written.UsedBytes - l.Truth.UsedBytes; n > 0 {
		out["lost_bytes"] = n
	}
	return out
}

func sums(s meta.LedgerSums) facts {
	return facts{"used_bytes": s.UsedBytes, "reserved_bytes": s.ReservedBytes, "used_files": s.UsedFiles, "reserved_files": s.ReservedFiles}
}
