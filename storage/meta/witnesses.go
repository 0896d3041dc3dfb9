package meta

import (
	"context"
	"slices"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// Witnesses lists other blobs, key and zone only, whose objects must be in the store if it is the one that had the blob's:
// at most limit, of any tenant that is served. Those count that were there before the blob, because a store that has taken
// its place since has none of them, whatever it has taken in. They are found by their digests, as good as at random; of a
// blob in the clean zone they are from there, too. If there are none, the oldest of all others have to do.
func (db *DB) Witnesses(ctx context.Context, b Blob, limit int) ([]Blob, error) {
	zones := []storage.Zone{storage.ZoneClean}
	if b.Zone == storage.ZoneQuarantine {
		zones = append(zones, storage.ZoneQuarantine)
	}
	beyond, key := beyond(db.dialect, []string{"b.tenant_id", "b.sha256"}, []any{b.TenantID, b.SHA256})
	older := func() *gorm.DB {
		return db.witnesses(ctx, b, limit).Where("b.zone IN ? AND b.created_at <= ?", zones, b.CreatedAt).Order("b.tenant_id, b.sha256")
	}
	var out, before, oldest []Blob
	if err := older().Where(beyond, key...).Find(&out).Error; err != nil || len(out) == limit {
		return out, err
	}
	if err := older().Find(&before).Error; err != nil {
		return nil, err
	}
	for _, w := range before { // where there are few, the second walk meets those of the first again
		if len(out) < limit && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return oldest, db.witnesses(ctx, b, limit).Order("b.created_at, b.tenant_id, b.sha256").Find(&oldest).Error
}

func (db *DB) witnesses(ctx context.Context, b Blob, limit int) *gorm.DB {
	return db.g.WithContext(ctx).Table("blobs b").Select("b.tenant_id, b.sha256, b.zone").Joins("JOIN tenants t ON t.id = b.tenant_id").
		Where("NOT (b.tenant_id = ? AND b.sha256 = ?)", b.TenantID, b.SHA256).
		Where("b.damage = '' AND b.sweeping = ? AND b.refs > 0 AND t.state IN ?", false,
			[]storage.TenantState{storage.TenantActive, storage.TenantSuspended}).
		Limit(limit)
}
