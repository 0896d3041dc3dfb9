package meta

import (
	"context"
	"fmt"

	"gatehouse/storage"
)

// assetStates are the states of blobs that their assets follow (storage.StateOf). One that waits for a scan says nothing:
// its assets may be older than that, and the verdict moves them.
var assetStates = []struct {
	scan  storage.ScanStatus
	asset storage.AssetState
}{
	{storage.ScanClean, storage.AssetAvailable}, {storage.ScanInfected, storage.AssetRejected}, {storage.ScanUnscannable, storage.AssetRejected},
}

// stateNumbers tell the states apart that follow a verdict; any other has 0, as a blob has that waits for one.
var stateNumbers = map[storage.AssetState]int{storage.AssetAvailable: 1, storage.AssetRejected: 2}

// AssetsDiffering lists blobs with assets that have another state (Have) or another size (Truth) than their blob gives
// them. The size of a damaged one is in doubt.
func (db *DB) AssetsDiffering(ctx context.Context, tenants []string, after RowDrift, limit int) ([]RowDrift, error) {
	state, sized := "", "a.size <> b.size AND b.damage = ''"
	for i, s := range assetStates {
		if i > 0 {
			state += " OR "
		}
		state += fmt.Sprintf("b.scan_status = '%s' AND a.state <> '%s'", s.scan, s.asset)
	}
	q := fmt.Sprintf(`SELECT a.tenant_id, a.sha256, MIN(a.id) AS subject, SUM(CASE WHEN %[1]s THEN 1 ELSE 0 END) AS have,
		SUM(CASE WHEN %[2]s THEN 1 ELSE 0 END) AS truth FROM assets a JOIN blobs b ON b.tenant_id = a.tenant_id AND b.sha256 = a.sha256
		WHERE a.state <> 'deleted' AND b.sweeping = ? AND (%[1]s OR %[2]s)`, state, sized)
	scope, more := inTenants("a.", tenants)
	return db.rowDrift(ctx, q+scope, append([]any{false}, more...), "a.tenant_id", "a.sha256", after, limit, "GROUP BY a.tenant_id, a.sha256")
}

// SetAssets gives the assets on a blob whose row the caller has locked what its row says, with an event for each whose
// state that changes; the size only if that is asked for. It returns how many it changed of each.
func (t Tenant) SetAssets(b Blob, size bool) (states, sizes int64, err error) {
	state, err := storage.StateOf(b.ScanStatus)
	if err != nil {
		return 0, 0, err
	}
	now, keep := Now(), []storage.AssetState{state, storage.AssetDeleted} // from all other states there is a move (storage.SourcesOf)
	if b.ScanStatus != storage.ScanPending {
		data, err := eventData(map[string]any{"state": state, "scan": map[string]any{
			"status": b.ScanStatus, "signature": b.ScanSignature, "engine": b.ScanEngine, "database": b.ScanDatabase,
		}})
		if err != nil {
			return 0, 0, err
		}
		err = t.g.Exec(`INSERT INTO events (tenant_id, asset_id, kind, data, at) SELECT tenant_id, id, ?, ?, ? FROM assets
			WHERE tenant_id = ? AND sha256 = ? AND state NOT IN ?`, storage.EventScanned, data, now, t.id, b.SHA256, keep).Error
		if err != nil {
			return 0, 0, err
		}
		r := t.rows(&Asset{}).Where("sha256 = ? AND state NOT IN ?", b.SHA256, keep).
			Updates(map[string]any{"state": state, "revision": revisionUp, "updated_at": now})
		if r.Error != nil {
			return 0, 0, r.Error
		}
		states = r.RowsAffected
	}
	if !size {
		return states, 0, nil
	}
	r := t.rows(&Asset{}).Where("sha256 = ? AND state <> ? AND size <> ?", b.SHA256, storage.AssetDeleted, b.Size).
		Updates(map[string]any{"size": b.Size, "revision": revisionUp, "updated_at": now})
	return states, r.RowsAffected, r.Error
}

// TenantsEnded lists the tenants behind an id whose row says that they are over although they have files. A purge writes
// that last, when nothing is left, and a tenant that failed never had any.
func (db *DB) TenantsEnded(ctx context.Context, tenants []string, after string, limit int) ([]TenantEnded, error) {
	scope, more := inTenants("", tenants)
	q := `SELECT * FROM (SELECT t.id AS tenant_id, t.state,
			(SELECT COUNT(*) FROM assets a WHERE a.tenant_id = t.id AND a.state <> 'deleted') AS assets,
			(SELECT COUNT(*) FROM blobs b WHERE b.tenant_id = t.id AND b.category <> '') AS blobs
		FROM tenants t WHERE t.state IN ? AND t.id > ?) x WHERE (assets > 0 OR blobs > 0)` + scope + ` ORDER BY tenant_id LIMIT ?`
	args := append([]any{[]storage.TenantState{storage.TenantDeleted, storage.TenantFailed}, after}, more...)
	var out []TenantEnded
	return out, db.g.WithContext(ctx).Raw(q, append(args, limit)...).Scan(&out).Error
}

// TenantEnded is a tenant that is over and has files.
type TenantEnded struct {
	TenantID      string
	State         storage.TenantState
	Assets, Blobs int64
}
