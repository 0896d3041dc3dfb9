package meta

import (
	"fmt"
	"slices"
)

// A light pass comes every half hour and finds the same for as long as a drift stays. Its findings are all written, so that
// its counts are whole; those of the pass before it that it has found again are removed when it is done, and the others are
// over. So there is one row for each open difference, however long it stays.

// notFoundAgain is the problem of a finding of an earlier light pass that a later one has not found.
const notFoundAgain = "a later light pass has not found it any more"

// subjectOf is what two findings about the same share.
type subjectOf struct{ tenant, kind, zone, sha256, preset, key string }

func (f ReconcileFinding) subject() subjectOf {
	return subjectOf{f.TenantID, string(f.Kind), string(f.Zone), f.SHA256, f.Preset, f.ObjectKey}
}

// FoundBefore tells which of a light run's findings are open since an earlier light run or the last full one, by their
// place in the list, and notes that they are found again.
func (tx *Tx) FoundBefore(runID string, found []ReconcileFinding) (map[int]bool, error) {
	known := map[int]bool{}
	if len(found) == 0 {
		return known, nil
	}
	var tenants, digests []string
	for _, f := range found {
		tenants, digests = append(tenants, f.TenantID), append(digests, f.SHA256)
	}
	slices.Sort(tenants)
	slices.Sort(digests)
	var full []string
	err := tx.g.Model(&ReconcileRun{}).Where("kind = ? AND tenants = '[]' AND state = ?", RunFull, RunDone).
		Order("started_at DESC, id DESC").Limit(1).Pluck("id", &full).Error
	if err != nil {
		return nil, err
	}
	var before []struct {
		ReconcileFinding
		Light bool
	}
	err = tx.g.Model(&ReconcileFinding{}).Joins("JOIN reconcile_runs r ON r.id = run_id").
		Select("reconcile_findings.*, CASE WHEN r.kind = ? THEN 1 ELSE 0 END AS light", RunLight).
		Where("reconcile_findings.tenant_id IN ? AND reconcile_findings.sha256 IN ?", slices.Compact(tenants), slices.Compact(digests)).
		Where("r.kind = ? AND r.state = ? AND r.id <> ? AND reconcile_findings.state = ? OR r.id IN ? AND reconcile_findings.state IN ?",
			RunLight, RunDone, runID, FindingOpen, append(full, ""), []string{FindingOpen, FindingFailed}).
		Scan(&before).Error
	if err != nil {
		return nil, fmt.Errorf("look for what was found before: %w", err)
	}
	at := map[subjectOf]int{}
	for i, f := range found {
		at[f.subject()] = i
	}
	var again []string
	for _, b := range before {
		i, ok := at[b.subject()]
		if !ok {
			continue
		}
		known[i] = true
		if b.Light {
			again = append(again, b.ID)
		}
	}
	if len(again) == 0 {
		return known, nil
	}
	return known, tx.g.Model(&ReconcileFinding{}).Where("id IN ? AND state = ?", again, FindingOpen).
		UpdateColumn("found_again", runID).Error
}

// SupersedeLight belongs into the transaction in which a light run is done: what earlier ones have found of the tenants that
// it looked at is removed where it has found it again, and gone where it has not.
func (tx *Tx) SupersedeLight(runID string, tenants []string) error {
	earlier := tx.g.Model(&ReconcileRun{}).Select("id").Where("kind = ? AND state = ? AND id <> ?", RunLight, RunDone, runID)
	err := tx.g.Where("tenant_id IN ? AND state = ? AND found_again = ?", tenants, FindingOpen, runID).
		Delete(&ReconcileFinding{}).Error
	if err != nil {
		return fmt.Errorf("remove what is found again: %w", err)
	}
	err = tx.g.Model(&ReconcileFinding{}).Where("tenant_id IN ? AND state = ? AND run_id IN (?)", tenants, FindingOpen, earlier).
		UpdateColumns(map[string]any{"state": FindingGone, "problem": notFoundAgain, "ended_at": Now()}).Error
	if err != nil {
		return fmt.Errorf("end what is not found again: %w", err)
	}
	return nil
}
