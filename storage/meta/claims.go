package meta

import "gatehouse/storage"

// EndClaim removes a row that was made to claim an orphan, and nothing else.
func (tx *Tx) EndClaim(tenantID, sha256 string) error {
	return tx.g.Where("tenant_id = ? AND sha256 = ? AND sweeping = ? AND category = ''", tenantID, sha256, true).Delete(&Blob{}).Error
}

// EndClaims removes all rows that were made to claim orphans. Nobody may be at work who made one.
func (tx *Tx) EndClaims() error {
	return tx.g.Where("sweeping = ? AND category = ''", true).Delete(&Blob{}).Error
}

// TakeOverClaim makes a claim on an orphan the caller's when its owner has died: it is older than the stamp.
func (tx *Tx) TakeOverClaim(tenantID, sha256 string, abandoned Stamp) (bool, error) {
	r := tx.g.Model(&Blob{}).Where("tenant_id = ? AND sha256 = ? AND sweeping = ? AND category = '' AND updated_at <= ?", tenantID, sha256, true, abandoned).
		Updates(map[string]any{"revision": revisionUp, "updated_at": Now()})
	return r.RowsAffected == 1, r.Error
}

// OnlyClaim reports whether a row was made to claim an orphan, and speaks of no blob.
func (b Blob) OnlyClaim() bool { return b.Sweeping && b.Category == "" }

// ClaimOrphan puts a sweeping row where there is no row, so that an upload of the same bytes waits until the
// stray object is gone. It reports false when there is a row.
func (tx *Tx) ClaimOrphan(tenantID, sha256 string) (bool, error) {
	now := Now()
	return insertNew(tx.g, tx.dialect, &Blob{
		TenantID: tenantID, SHA256: sha256, Zone: storage.ZoneQuarantine, Sweeping: true, UnreferencedAt: now,
		ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
	})
}
