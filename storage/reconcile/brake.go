package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// What tells of records that are lost: a digest is counted once, whatever was found about it. A file whose object alone is
// missing does not count here: it is marked, stays named, and heals when its object is back.
var (
	lossKinds   = []storage.DriftKind{storage.DriftOrphan, storage.DriftAssetAlone, storage.DriftReferences}
	lossRepairs = []storage.Repair{storage.RepairTrash, storage.RepairRow, storage.RepairReferences}
)

// losses are how many files of each tenant a run would write off: those that findings are about, or the files that its
// records are short of by its ledger when these are more. Both are of the same files.
func (w *work) losses(ctx context.Context) (map[string]int64, int64, error) {
	found, err := w.db.FilesFound(ctx, w.run.ID, meta.FindingOpen, lossKinds, lossRepairs)
	if err != nil {
		return nil, 0, err
	}
	drops, err := w.db.LedgerDrops(ctx, w.run.ID)
	if err != nil {
		return nil, 0, err
	}
	out, short := map[string]int64{}, int64(0)
	for _, f := range found {
		out[f.TenantID] = f.Files
	}
	for _, d := range drops {
		out[d.TenantID] = max(out[d.TenantID], d.LostFiles)
		short += d.LostFiles
	}
	return out, short, nil
}

// tenantBrake says why the run is held for the sake of one tenant, the one of which it would write off most; "" is not.
// What is little of a large system may be all that a tenant has.
func (w *work) tenantBrake(ctx context.Context, lost map[string]int64) (string, error) {
	for _, id := range slices.SortedFunc(maps.Keys(lost), func(a, b string) int { return int(lost[b] - lost[a]) }) {
		n := lost[id]
		if n <= int64(w.cfg.BrakeTenantMin) {
			return "", nil
		}
		ledger, err := w.db.Tenant(ctx, id).Ledger()
		if err != nil && !errors.Is(err, storage.ErrNotFound) { // of a tenant that has no row all is lost
			return "", err
		}
		files := max(ledger.Written.UsedFiles, ledger.Truth.UsedFiles)
		limit := max(int64(w.cfg.BrakeTenantMin), int64(w.cfg.BrakeTenantShare*float64(files)))
		if n <= limit {
			continue
		}
		who := "tenant " + id
		if ledger.Tenant != "" {
			who = fmt.Sprintf("tenant %q (%s)", ledger.Tenant, id)
		}
		return fmt.Sprintf("%s write off %d files of %s, whose ledger counts %d and records %d, and the brake allows %d for one tenant: the larger of %d and %.4g %%.",
			brakeSays, n, who, ledger.Written.UsedFiles, ledger.Truth.UsedFiles, limit, w.cfg.BrakeTenantMin, 100*w.cfg.BrakeTenantShare), nil
	}
	return "", nil
}

// likely says what the findings of a held run probably mean, and what to do about that; short is how many files all
// tenants' records are short of.
func (w *work) likely(ctx context.Context, short int64) (string, error) {
	counts, err := w.db.FindingCounts(ctx, w.run.ID)
	if err != nil {
		return "", err
	}
	var records, objects, others int64
	for _, c := range counts {
		switch {
		case c.Repair == "" || c.Kind == storage.DriftLedger:
		case slices.Contains([]storage.DriftKind{storage.DriftOrphan, storage.DriftAssetAlone, storage.DriftVariantAlone}, c.Kind):
			records += c.Count
		case c.Repair == storage.RepairDamaged || c.Kind == storage.DriftVariantMissing:
			objects += c.Count
		default:
			others += c.Count
		}
	}
	switch records = max(records, short); {
	case records > 0 && records >= max(objects, others):
		return "Probably records were lost: restore a snapshot from before (`worker snapshot list`, `worker snapshot restore ID --fill`), then cancel this run if that has not.", nil
	case objects > 0 && objects >= others:
		return "Probably objects were lost, or the store is another one: look whether bucket or mount is the right one, then cancel this run.", nil
	}
	return "", nil
}
