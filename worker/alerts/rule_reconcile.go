package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	full, err := look.DB.LastFullRun(ctx, look.Now.Add(clockSkew), meta.RunDone)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	if full.ID != "" {
		counts, err := look.DB.FindingsOfRuns(ctx, []string{full.ID})
		if err != nil {
			return nil, err
		}
		byTenant := notGone(counts)
		bad, err := graveOf(ctx, look, byTenant, []string{full.ID}, false)
		if err != nil {
			return nil, err
		}
		if err := bad.trashed(ctx, look, full); err != nil {
			return nil, err
		}
		if f, fires := fullFinding(full, counts, bad); fires {
			out = append(out, f)
		}
	}
	parts, counts, err := partialRunsSince(ctx, look, full.StartedAt)
	if err != nil {
		return nil, err
	}
	byTenant, last, err := partialDrift(parts, counts)
	if err != nil {
		return nil, err
	}
	if len(byTenant) == 0 {
		return out, nil
	}
	runs := make([]string, 0, len(parts))
	for _, c := range counts {
		if c.Kind == storage.DriftLedger && c.State != meta.FindingGone {
			runs = append(runs, c.RunID)
		}
	}
	slices.Sort(runs) // oldest first
	bad, err := graveOf(ctx, look, byTenant, slices.Compact(runs), true)
	if err != nil {
		return nil, err
	}
	f, err := partialFinding(ctx, look, byTenant, last, bad)
	return append(out, f), err
}

// partialReads bounds how often the runs are read anew because one ended meanwhile.
const partialReads = 5

// partialRunsSince reads the runs over some tenants with their findings. A light pass that ends between the two takes over
// what earlier ones have found, so both are read until none has.
func partialRunsSince(ctx context.Context, look *Look, since meta.Stamp) ([]meta.ReconcileRun, []meta.RunFindings, error) {
	for range partialReads {
		runs, err := look.DB.PartialRunsSince(ctx, since, partialRuns)
		if err != nil {
			return nil, nil, err
		}
		ids := make([]string, len(runs))
		for i, r := range runs {
			ids[i] = r.ID
		}
		counts, err := look.DB.FindingsOfRuns(ctx, ids)
		if err != nil {
			return nil, nil, err
		}
		now, err := look.DB.PartialRunIDs(ctx, since, partialRuns)
		if err != nil {
			return nil, nil, err
		}
		if slices.Equal(ids, now) {
			return runs, counts, nil
		}
	}
	return nil, nil, errors.New("runs end faster than they can be read")
}

// partialFinding says at which tenants records and store differ, and which run has found that: a light pass, or a full one
// that was confined.
func partialFinding(ctx context.Context, look *Look, byTenant map[string]drift, last meta.ReconcileRun, bad *grave) (Finding, error) {
	found, names, counts := total(byTenant), map[string]string{}, map[string]int64{}
	for tenant, d := range byTenant {
		counts[tenant] = d.total()
	}
	tenants := slices.Sorted(maps.Keys(byTenant))
	if err := addNames(ctx, look, names, tenants[:1]); err != nil {
		return Finding{}, err
	}
	who := fmt.Sprintf("%d tenants", len(tenants))
	if len(tenants) == 1 {
		who = tenantName(names, tenants[0])
	}
	by := "the light pass of %s over tenants that changed"
	if last.Kind == meta.RunFull {
		by = "the reconciliation of %s, which was confined to some tenants"
	}
	n := found.total()
	f := Finding{
		Subject: meta.RunLight, Severity: Warning,
		Facts: map[string]any{"run": last.ID, "findings": n, "by_kind": found, "by_tenant": most(counts, 20)},
	}
	mend, more := " The nightly run repairs what it can.", ", `worker reconcile --once` compares all and repairs now"
	if len(bad.says) > 0 {
		mend, more, f.Severity = "", "", Critical
		maps.Copy(f.Facts, bad.facts)
	}
	f.Message = fmt.Sprintf("%s found between records and store of %s: %s.%s The latest run that found some is "+by+".%s `worker reconcile findings %s` lists what was found%s.",
		plural(n, "difference was", "differences were"), who, found, bad.text(), at(last.StartedAt.Time()), mend, last.ID, more)
	return f, nil
}

// total adds up over all tenants.
func total(byTenant map[string]drift) drift {
	out := drift{}
	for _, d := range byTenant {
		out.add(d)
	}
	return out
}

// notGone is what a run found of each tenant, whatever has become of it.
func notGone(counts []meta.RunFindings) map[string]drift {
	out := map[string]drift{}
	for _, c := range counts {
		if c.State == meta.FindingGone {
			continue
		}
		if out[c.TenantID] == nil {
			out[c.TenantID] = drift{}
		}
		out[c.TenantID][c.Kind] += c.Count
	}
	return out
}

func (d drift) add(more drift) {
	for kind, n := range more {
		d[kind] += n
	}
}

// fullFinding describes a full run that found something. What it repaired is worth knowing; what it did not, and files
// that are lost most of all, is worth getting up for.
func fullFinding(run meta.ReconcileRun, counts []meta.RunFindings, signs *grave) (Finding, bool) {
	found, left, lost := drift{}, drift{}, int64(0)
	for _, c := range counts {
		switch c.State {
		case meta.FindingGone:
			continue
		case meta.FindingRepaired:
		case meta.FindingMarked:
			lost += c.Count
		default:
			left[c.Kind] += c.Count
		}
		found[c.Kind] += c.Count
	}
	n := found.total()
	head := fmt.Sprintf("The reconciliation of %s has found %s between records and store",
		at(run.StartedAt.Time()), plural(n, "difference", "differences"))
	tail := fmt.Sprintf(" `worker reconcile findings %s` lists what was found.", run.ID)
	f := Finding{
		Subject: meta.RunFull, Severity: Warning, Message: fmt.Sprintf("%s, and repaired what differed: %s.%s", head, found, tail),
		Facts: map[string]any{"run": run.ID, "findings": n, "by_kind": found, "left": left.total(), "left_by_kind": left, "marked_damaged": lost},
	}
	var bad []string
	if lost > 0 {
		bad = append(bad, plural(lost, "is a file whose bytes are lost, and is marked as damaged", "are files whose bytes are lost, and are marked as damaged"))
	}
	if left.total() > 0 {
		bad = append(bad, fmt.Sprintf("%s not repaired: %s", plural(left.total(), "is", "are"), left))
		if left.total() > left[storage.DriftTenant]+left[storage.DriftPlan] {
			tail += " `worker reconcile --once` tries again."
		}
	}
	maps.Copy(f.Facts, signs.facts)
	switch {
	case len(bad) > 0:
		f.Severity = Critical
		f.Message = fmt.Sprintf("%s; %s.%s%s", head, strings.Join(bad, "; "), signs.text(), tail)
	case len(signs.says) > 0:
		f.Severity = Critical
		f.Message = fmt.Sprintf("%s: %s.%s%s", head, found, signs.text(), tail)
	}
	return f, n > 0
}

// partialDrift adds up by tenant what runs over some tenants found last of each of them, and did not repair, with the
// latest run that found something; of what they marked as damaged tells damagedBlobs.
func partialDrift(runs []meta.ReconcileRun, counts []meta.RunFindings) (map[string]drift, meta.ReconcileRun, error) {
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
	tenants := map[string]drift{}
	var last meta.ReconcileRun
	for _, r := range runs {
		var looked []string
		if err := json.Unmarshal([]byte(r.Tenants), &looked); err != nil {
			return nil, last, fmt.Errorf("tenants of run %s: %w", r.ID, err)
		}
		for _, t := range looked {
			delete(tenants, t)
		}
		if len(byRun[r.ID]) > 0 {
			last = r
		}
		maps.Copy(tenants, byRun[r.ID])
	}
	return tenants, last, nil
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
			Message: fmt.Sprintf("The reconciliation of %[1]s is held by the brake and has changed nothing: %[2]s, %[3]s planned. %[4]s. Until somebody decides, no other full one begins. `worker reconcile findings %[5]s` lists what was found; `worker reconcile cancel %[5]s` ends the run, and `worker reconcile confirm %[5]s` does what it planned: only when that is right.",
				at(r.StartedAt.Time()), plural(r.Findings, "finding", "findings"), plural(r.Planned, "repair", "repairs"), sentence(r.Problem, 1200), r.ID),
			Facts: map[string]any{"run": r.ID, "findings": r.Findings, "planned": r.Planned, "problem": r.Problem, "started_at": r.StartedAt.Time()},
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
	names, tenants := map[string]string{}, slices.Sorted(maps.Keys(byTenant))
	if err := addNames(ctx, look, names, tenants[:1]); err != nil {
		return nil, err
	}
	full, err := lastRun(ctx, look, meta.RunDone)
	if err != nil {
		return nil, err
	}
	whose := tenantName(names, tenants[0])
	if len(tenants) > 1 {
		whose = fmt.Sprintf("%d tenants", len(tenants))
	}
	hint := "`worker reconcile --once` compares all and names them."
	if full.ID != "" {
		hint = fmt.Sprintf("`worker reconcile findings %s` names those that the last reconciliation knew.", full.ID)
	}
	return []Finding{{
		Subject: "blobs", Severity: Critical,
		Message: fmt.Sprintf("%s of %s damaged and not served (%s). %s A file heals when it is uploaded again, or when its object is back in the store and `worker reconcile --once` finds it.",
			plural(n, "stored file", "stored files"), isAre(whose, n, "is", "are"), damageWords(byDamage), hint),
		Facts: map[string]any{"count": n, "by_damage": byDamage, "tenants": len(byTenant), "by_tenant": most(byTenant, 20)},
	}}, nil
}

// damageWords says what is wrong with how many.
func damageWords(byDamage map[storage.Damage]int64) string {
	var words []string
	for _, d := range slices.Sorted(maps.Keys(byDamage)) {
		n := byDamage[d]
		switch d {
		case storage.DamageMissing:
			words = append(words, fmt.Sprintf("missing in the store: %d", n))
		case storage.DamageSize:
			words = append(words, fmt.Sprintf("of another size: %d", n))
		default: // storage.DamageDigest
			words = append(words, fmt.Sprintf("with other bytes than were uploaded: %d", n))
		}
	}
	return strings.Join(words, ", ")
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
