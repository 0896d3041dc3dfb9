package snapshot

import (
	"context"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
)

// filled is THE list of the tables that Fill adds to, in an order in which the living assets are known before the
// blobs, and the blobs before their variants.
func filled() []string {
	return []string{"plans", "tenants", "api_keys", "assets", "blobs", "variants"}
}

// fill adds the rows that are missing.
func (r *restore) fill(ctx context.Context, actor audit.Actor) error {
	byName := map[string]Table{}
	for _, t := range r.m.Tables {
		byName[t.Name] = t
	}
	if r.alone { // whoever claimed an orphan has died, and its claim would keep the records of these bytes away
		if err := r.tx.EndClaims(); err != nil {
			return fmt.Errorf("end claims on orphans: %w", err)
		}
	}
	f := &filler{restore: r, present: map[string]bool{}}
	for _, name := range filled() {
		if t, ok := byName[name]; ok {
			if err := r.each(ctx, t, f.add); err != nil {
				return err
			}
		}
	}
	// Only of tenants that got rows are the sums computed anew.
	r.tenants = f.touched
	for id := range f.touched {
		if err := r.tx.Tenant(id).CountReferences(); err != nil {
			return fmt.Errorf("references of tenant %s: %w", id, err)
		}
	}
	return r.cancelRuns(actor)
}

// cancelRuns ends the reconciliations that are not over when rows came back: what they found and planned is of the time
// before, and one that is held keeps others from beginning.
func (r *restore) cancelRuns(actor audit.Actor) error {
	if r.out.Nothing() {
		return nil
	}
	open, err := r.tx.Runs("", 100, meta.RunRunning, meta.RunHeld, meta.RunConfirmed)
	if err != nil {
		return fmt.Errorf("look for reconciliations: %w", err)
	}
	for _, run := range open {
		cancelled, err := reconcile.Cancel(r.tx, run.ID, actor, "")
		if err == nil {
			cancelled.Problem = runEnded
			err = r.tx.SaveRun(&cancelled, meta.RunCancelled)
		}
		if err != nil {
			return fmt.Errorf("cancel run %s: %w", run.ID, err)
		}
		r.out.Cancelled = append(r.out.Cancelled, fmt.Sprintf("%s (%s, %s)", run.ID, run.Kind, run.State))
	}
	return nil
}

// filler decides which rows are wanted.
type filler struct {
	*restore
	// present are the tenants of the snapshot that may get rows; touched have got some.
	present map[string]bool
	touched map[string]bool
}

// add inserts those of the rows that are missing and wanted.
func (f *filler) add(t meta.Table, rows []any) (added, there int64, err error) {
	if f.touched == nil {
		f.touched = map[string]bool{}
	}
	existing, err := f.tx.Existing(t, rows)
	if err != nil {
		return 0, 0, err
	}
	var missing []any
	for _, row := range rows {
		if have, ok := existing[t.KeyText(row)]; !ok {
			missing = append(missing, row)
		} else if tenant, ok := have.(*meta.TenantRow); ok {
			f.meet(*tenant, *row.(*meta.TenantRow))
		}
	}
	wanted, err := f.wanted(t, missing)
	if err != nil {
		return 0, 0, err
	}
	for _, row := range wanted {
		if id := tenantOf(row); id != "" {
			f.touched[id] = true
		}
	}
	return int64(len(wanted)), int64(len(rows) - len(missing)), f.insert(t, wanted)
}

// meet looks at a tenant that is there: nothing comes back to one that is over, or whose purge has begun. Of one that was
// so in the snapshot already nothing is left out.
func (f *filler) meet(t, was meta.TenantRow) {
	if t.State.Over() || t.Purging() {
		if was.State.Over() || was.Purging() {
			return
		}
		f.out.Tenants = append(f.out.Tenants, fmt.Sprintf("%s (%s): it was deleted after the snapshot", t.ID, t.Name))
		return
	}
	f.present[t.ID] = true
}

// wanted chooses among missing rows.
func (f *filler) wanted(t meta.Table, missing []any) ([]any, error) {
	if t.Name == "plans" {
		return missing, nil
	}
	if t.Name == "tenants" {
		return f.tenantsWanted(missing)
	}
	byTenant := map[string][]any{}
	for _, row := range missing {
		if id := tenantOf(row); f.present[id] {
			byTenant[id] = append(byTenant[id], row)
		}
	}
	var out []any
	for id, rows := range byTenant {
		chosen, err := f.ofTenant(id, t, rows)
		if err != nil {
			return nil, err
		}
		out = append(out, chosen...)
	}
	return out, nil
}

// tenantsWanted leaves out tenants whose name somebody else has now.
func (f *filler) tenantsWanted(missing []any) ([]any, error) {
	var out []any
	for _, row := range missing {
		tenant := row.(*meta.TenantRow)
		var taken int
		if _, err := f.tx.Scan(&taken, "SELECT COUNT(*) FROM tenants WHERE name = ?", tenant.Name); err != nil {
			return nil, err
		}
		if taken > 0 {
			f.out.Tenants = append(f.out.Tenants, fmt.Sprintf("%s (%s): another tenant has its name now", tenant.ID, tenant.Name))
			continue
		}
		f.present[tenant.ID] = true
		out = append(out, row)
	}
	return out, nil
}

// ofTenant chooses among the missing rows of one tenant.
func (f *filler) ofTenant(id string, t meta.Table, rows []any) ([]any, error) {
	if t.Name == "api_keys" {
		return rows, nil
	}
	var digests []string
	for _, row := range rows {
		digests = append(digests, digestOf(row))
	}
	if t.Name == "blobs" {
		return f.blobsWanted(id, digests, rows)
	}
	blobs, err := f.tx.Tenant(id).BlobsIn(digests)
	if err != nil {
		return nil, err
	}
	var out []any
	for _, row := range rows {
		blob, there := blobs[digestOf(row)]
		switch r := row.(type) {
		case *meta.Variant:
			// Of a blob that was found bad since the variants were withdrawn; of a clean one they may come back even if their
			// objects do not: the reconciliation makes such anew.
			if !there || blob.Sweeping || blob.Zone != storage.ZoneClean {
				continue
			}
		case *meta.Asset:
			if there && blob.Sweeping { // its bytes are on their way out
				f.out.Removing++
				continue
			}
			if there && r.State != storage.AssetDeleted { // the blob may have been scanned since the snapshot
				if r.State, err = storage.StateOf(blob.ScanStatus); err != nil {
					return nil, fmt.Errorf("asset %s: %w", r.ID, err)
				}
			}
		}
		out = append(out, row)
	}
	return out, nil
}

func digestOf(row any) string {
	switch r := row.(type) {
	case *meta.Asset:
		return r.SHA256
	case *meta.Blob:
		return r.SHA256
	case *meta.Variant:
		return r.SHA256
	}
	return ""
}

// blobsWanted leaves out blobs without a living asset: nobody would miss them, and the sweeper would take them.
func (f *filler) blobsWanted(tenantID string, digests []string, rows []any) ([]any, error) {
	var living []string
	_, err := f.tx.Scan(&living, "SELECT DISTINCT sha256 FROM assets WHERE tenant_id = ? AND sha256 IN ? AND state <> ?",
		tenantID, digests, storage.AssetDeleted)
	if err != nil {
		return nil, err
	}
	lives := map[string]bool{}
	for _, digest := range living {
		lives[digest] = true
	}
	var out []any
	for _, row := range rows {
		if lives[digestOf(row)] {
			out = append(out, row)
		}
	}
	return out, nil
}
