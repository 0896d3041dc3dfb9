package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// drift is what a reconciliation found, by kind.
type drift map[storage.DriftKind]int64

func (d drift) total() (n int64) {
	for _, c := range d {
		n += c
	}
	return n
}

func (d drift) String() string {
	var words []string
	for _, kind := range slices.Sorted(maps.Keys(d)) {
		words = append(words, fmt.Sprintf("%d %s", d[kind], kind))
	}
	return strings.Join(words, ", ")
}

// partialRuns bounds how many runs over some tenants are read: the light passes of a week.
const partialRuns = 400

// reconcileFindings tells what the last full run has found, and what runs over some tenants since have, light passes
// mostly: a tenant's last one says how it is, and the next full run says it anew for all.
func reconcileFindings(ctx context.Context, look *Look) ([]Finding, error) {
	var out []Finding
	full, err := look.DB.LastFullRun(ctx, meta.RunDone)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	if full.ID != "" {
		counts, err := look.DB.FindingsOfRuns(ctx, []string{full.ID})
		if err != nil {
			return nil, err
		}
		if f, fires := fullFinding(full, counts); fires {
			out = append(out, f)
		}
	}
	parts, counts, err := partialRunsSince(ctx, look, full.StartedAt)
	if err != nil {
		return nil, err
	}
	found, last, err := partialDrift(parts, counts)
	if err != nil {
		return nil, err
	}
	if n := found.total(); n > 0 {
		out = append(out, Finding{
			Subject: meta.RunLight, Severity: Warning,
			Message: fmt.Sprintf("A light pass over records and store has found %d differences: %s. The nightly run judges them; worker reconcile shows them.", n, found),
			Facts:   map[string]any{"run": last, "findings": n, "by_kind": found},
		})
	}
	return out, nil
}

// partialReads bounds how often the runs are read anew because one ended meanwhile.
const partialReads = 5

// partialRunsSince reads the runs over some tenants with their findings. A light pass that ends between the two takes over
// what earlier ones have found, so both are read until none has.
func partialRunsSince(ctx context.Context, look *Look, since meta.Stamp) ([]meta.ReconcileRun, []meta.RunFindings, error) {
	runs, err := look.DB.PartialRunsSince(ctx, since, partialRuns)
	for range partialReads {
		if err != nil {
			return nil, nil, err
		}
		counts, err := look.DB.FindingsOfRuns(ctx, runIDs(runs))
		if err != nil {
			return nil, nil, err
		}
		now, err := look.DB.PartialRunsSince(ctx, since, partialRuns)
		if err != nil {
			return nil, nil, err
		}
		if slices.Equal(runIDs(runs), runIDs(now)) {
			return runs, counts, nil
		}
		runs = now
	}
	return nil, nil, errors.New("runs end faster than they can be read")
}

// fullFinding describes a full run that found something. What it repaired is worth knowing; what it did not is worth
// getting up for, and so are files that are lost.
func fullFinding(run meta.ReconcileRun, counts []meta.RunFindings) (Finding, bool) {
	found, left, lost := drift{}, drift{}, int64(0)
	for _, c := range counts {
		if c.State == meta.FindingGone {
			continue
		}
		found[c.Kind] += c.Count
		switch c.State {
		case meta.FindingRepaired:
		case meta.FindingMarked:
			lost += c.Count
		default:
			left[c.Kind] += c.Count
		}
	}
	f := Finding{
		Subject: meta.RunFull, Severity: Warning,
		Message: fmt.Sprintf("The reconciliation of %s has found %d differences between records and store, and repaired them: %s.",
			run.StartedAt.Time().Format(time.RFC3339), found.total(), found),
		Facts: map[string]any{"run": run.ID, "findings": found.total(), "by_kind": found, "left": left.total(), "left_by_kind": left, "marked_damaged": lost},
	}
	var bad []string
	if lost > 0 {
		bad = append(bad, fmt.Sprintf("%d are files whose bytes are lost, and are marked as damaged", lost))
	}
	if n := left.total(); n > 0 {
		bad = append(bad, fmt.Sprintf("%d are not repaired: %s", n, left))
	}
	if len(bad) > 0 {
		f.Severity = Critical
		f.Message = fmt.Sprintf("The reconciliation of %s has found %d differences between records and store; %s.",
			run.StartedAt.Time().Format(time.RFC3339), found.total(), strings.Join(bad, "; "))
	}
	return f, found.total() > 0
}

// partialDrift adds up what runs over some tenants found last of each of them, and did not repair; of what they marked as
// damaged tells damagedBlobs.
func partialDrift(runs []meta.ReconcileRun, counts []meta.RunFindings) (drift, string, error) {
	byRun := map[string]map[string]drift{}
	for _, c := range counts {
		if c.State == meta.FindingGone || c.State == meta.FindingRepaired || c.State == meta.FindingMarked {
			continue
		}
		if byRun[c.RunID] == nil {
			byRun[c.RunID] = map[string]drift{}
		}
		if byRun[c.RunID][c.TenantID] == nil {
			byRun[c.RunID][c.TenantID] = drift{}
		}
		byRun[c.RunID][c.TenantID][c.Kind] += c.Count
	}
	tenants, last := map[string]drift{}, ""
	for _, r := range runs {
		var looked []string
		if err := json.Unmarshal([]byte(r.Tenants), &looked); err != nil {
			return nil, "", fmt.Errorf("tenants of run %s: %w", r.ID, err)
		}
		if len(looked) == 0 { // all of them
			clear(tenants)
		}
		for _, t := range looked {
			delete(tenants, t)
		}
		if len(byRun[r.ID]) > 0 {
			last = r.ID
		}
		maps.Copy(tenants, byRun[r.ID])
	}
	sum := drift{}
	for _, d := range tenants {
		for kind, n := range d {
			sum[kind] += n
		}
	}
	return sum, last, nil
}

func runIDs(runs []meta.ReconcileRun) []string {
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	return ids
}

// reconcileHeld tells of runs that the brake holds: they wait for a person.
func reconcileHeld(ctx context.Context, look *Look) ([]Finding, error) {
	runs, err := look.DB.HeldRuns(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, r := range runs {
		out = append(out, Finding{
			Subject: r.ID, Severity: Critical,
			Message: fmt.Sprintf("The reconciliation of %s is held by the brake and has changed nothing: %d findings, %d repairs planned. %s Look at it, then confirm or cancel it with worker reconcile.",
				r.StartedAt.Time().Format(time.RFC3339), r.Findings, r.Planned, clip(r.Problem, 300)),
			Facts: map[string]any{"run": r.ID, "findings": r.Findings, "planned": r.Planned, "problem": r.Problem},
		})
	}
	return out, nil
}

// damagedBlobs tells how many files cannot be served because their bytes are lost or wrong.
func damagedBlobs(ctx context.Context, look *Look) ([]Finding, error) {
	list, err := look.DB.CountDamaged(ctx)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	byTenant, byDamage := map[string]int64{}, map[storage.Damage]int64{}
	var n int64
	for _, d := range list {
		n += d.Count
		byTenant[d.TenantID] += d.Count
		byDamage[d.Damage] += d.Count
	}
	return []Finding{{
		Subject: "blobs", Severity: Critical,
		Message: fmt.Sprintf("%d files of %d tenants are damaged: their bytes are missing or not what was uploaded. They heal when the bytes turn up again; see snapshots and trash.", n, len(byTenant)),
		Facts:   map[string]any{"count": n, "by_damage": byDamage, "by_tenant": most(byTenant, 20)},
	}}, nil
}

// most keeps the n largest entries: facts stay small.
func most(m map[string]int64, n int) map[string]int64 {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return int(m[b] - m[a]) })
	out := map[string]int64{}
	for _, k := range keys[:min(len(keys), n)] {
		out[k] = m[k]
	}
	return out
}
