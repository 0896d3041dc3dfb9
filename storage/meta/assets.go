package meta

import (
	"cmp"
	"encoding/json"
	"strings"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// AssetView is an asset with the facts of its blob and its variants, as callers see it.
type AssetView struct {
	Asset
	Blob     Blob
	Variants []Variant
}

// CreateAsset inserts an asset.
func (t Tenant) CreateAsset(a *Asset) error {
	a.TenantID = t.id
	a.NameFolded = foldName(a.Name)
	return t.g.Create(a).Error
}

// Asset reads one asset that is not deleted.
func (t Tenant) Asset(id string) (AssetView, error) {
	var a Asset
	if err := t.rows(&Asset{}).Where("id = ? AND state <> ?", id, storage.AssetDeleted).Take(&a).Error; err != nil {
		return AssetView{}, notFound(err)
	}
	views, err := t.views([]Asset{a})
	if err != nil {
		return AssetView{}, err
	}
	return views[0], nil
}

// AssetFilter narrows a list; zero fields do not.
type AssetFilter struct {
	State    storage.AssetState
	Category storage.Category
	// Query is looked for anywhere in the name, whatever its case.
	Query string
}

// Assets lists assets that are not deleted, newest first, at most limit of those older than the cursor
// (before = an asset's id, empty for the first page).
func (t Tenant) Assets(f AssetFilter, before string, limit int) ([]AssetView, error) {
	q := t.rows(&Asset{}).Where("state <> ?", storage.AssetDeleted)
	if f.State != "" {
		q = q.Where("state = ?", f.State)
	}
	if f.Category != "" {
		q = q.Where("category = ?", f.Category)
	}
	if f.Query != "" {
		q = q.Where("name_folded LIKE ? ESCAPE '!'", "%"+escapeLike(foldName(f.Query))+"%")
	}
	if before != "" {
		q = q.Where("id < ?", before)
	}
	var list []Asset
	if err := q.Order("id DESC").Limit(limit).Find(&list).Error; err != nil {
		return nil, err
	}
	return t.views(list)
}

// views joins blobs and variants to assets, in two queries whatever the length of the list.
func (t Tenant) views(list []Asset) ([]AssetView, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var digests []string
	for _, a := range list {
		digests = append(digests, a.SHA256)
	}
	var blobs []Blob
	if err := t.rows(&Blob{}).Where("sha256 IN ?", digests).Find(&blobs).Error; err != nil {
		return nil, err
	}
	byDigest := make(map[string]Blob, len(blobs))
	var withMedia []string
	for _, b := range blobs {
		byDigest[b.SHA256] = b
		if b.MediaStatus != storage.MediaNone {
			withMedia = append(withMedia, b.SHA256)
		}
	}
	variants := map[string][]Variant{}
	if len(withMedia) > 0 {
		var vs []Variant
		if err := t.rows(&Variant{}).Where("sha256 IN ?", withMedia).Order("width, preset").Find(&vs).Error; err != nil {
			return nil, err
		}
		for _, v := range vs {
			variants[v.SHA256] = append(variants[v.SHA256], v)
		}
	}
	views := make([]AssetView, 0, len(list))
	for _, a := range list {
		b, ok := byDigest[a.SHA256]
		if !ok {
			b = lost(a)
		}
		views = append(views, AssetView{Asset: a, Blob: b, Variants: variants[a.SHA256]})
	}
	return views, nil
}

// FollowBlob moves every asset on a blob to the state its verdict gives and records an event for each. It
// returns how many moved. A state that the table of moves does not allow is left alone.
func (t Tenant) FollowBlob(sha256 string, to storage.AssetState, kind storage.EventKind, data map[string]any) (int64, error) {
	from := storage.SourcesOf(to)
	r := t.rows(&Asset{}).Where("sha256 = ? AND state IN ?", sha256, from).
		Updates(map[string]any{"state": to, "revision": revisionUp, "updated_at": Now()})
	if r.Error != nil {
		return 0, r.Error
	}
	return r.RowsAffected, t.RecordForBlob(sha256, kind, data)
}

// DeleteAsset ends an asset: it becomes deleted by compare-and-set, its blob loses one reference, the event is
// recorded, the tenant has one file less. The blob itself is the sweeper's, after its grace time. An asset that a release
// names is refused with ErrInRelease, before anything is written.
func (t Tenant) DeleteAsset(id string) (Asset, error) { return t.deleteAsset(id, true) }

// EndInfected is DeleteAsset for files that were infected: those end even if a release names them, since none can serve them.
func (t Tenant) EndInfected(id string) (Asset, error) { return t.deleteAsset(id, false) }

func (t Tenant) deleteAsset(id string, keepReleased bool) (Asset, error) {
	var a Asset
	if err := t.rows(&Asset{}).Where("id = ? AND state <> ?", id, storage.AssetDeleted).Take(&a).Error; err != nil {
		return a, notFound(err)
	}
	if keepReleased {
		if named, err := t.inRelease(id); err != nil || named {
			return a, cmp.Or(err, error(ErrInRelease))
		}
	}
	now := Now()
	// The blob's row before the asset's, as verdicts and links lock them: the other way round they deadlock.
	if err := t.dropReference(a.SHA256, now); err != nil {
		return a, err
	}
	if keepReleased { // whoever names an asset locks its blob: from here on nobody does
		if named, err := t.inRelease(id); err != nil || named {
			return a, cmp.Or(err, ErrChanged)
		}
	}
	r := t.rows(&Asset{}).Where("id = ? AND revision = ?", id, a.Revision).Updates(map[string]any{
		"state": storage.AssetDeleted, "deleted_at": now, "updated_at": now, "revision": revisionUp,
	})
	if r.Error != nil {
		return a, r.Error
	}
	if r.RowsAffected == 0 {
		return a, ErrChanged
	}
	if err := t.Record(id, storage.EventDeleted, nil); err != nil {
		return a, err
	}
	// The tenant's row comes last: everything that the tenant does contends for it.
	return a, t.countDeleted(now)
}

// UsageRow counts assets that are not deleted, and their bytes as the tenant sees them.
type UsageRow struct {
	Category storage.Category
	State    storage.AssetState
	Count    int64
	Bytes    int64
}

// Usage counts the tenant's assets per category and state.
func (t Tenant) Usage() ([]UsageRow, error) {
	var out []UsageRow
	err := t.rows(&Asset{}).Where("state <> ?", storage.AssetDeleted).
		Select("category, state, COUNT(*) AS count, SUM(size) AS bytes").
		Group("category, state").Order("category, state").Scan(&out).Error
	return out, err
}

// Record writes an asset's event. It is the one place where events come from.
func (t Tenant) Record(assetID string, kind storage.EventKind, data map[string]any) error {
	body, err := eventData(data)
	if err != nil {
		return err
	}
	return t.g.Create(&Event{TenantID: t.id, AssetID: assetID, Kind: kind, Data: body, At: Now()}).Error
}

// RecordForBlob writes the event for every asset on a blob that is not deleted.
func (t Tenant) RecordForBlob(sha256 string, kind storage.EventKind, data map[string]any) error {
	body, err := eventData(data)
	if err != nil {
		return err
	}
	return t.g.Exec(`INSERT INTO events (tenant_id, asset_id, kind, data, at)
		SELECT tenant_id, id, ?, ?, ? FROM assets WHERE tenant_id = ? AND sha256 = ? AND state <> ?`,
		kind, body, Now(), t.id, sha256, storage.AssetDeleted).Error
}

func eventData(data map[string]any) (string, error) {
	if data == nil {
		return "{}", nil
	}
	b, err := json.Marshal(data)
	return string(b), err
}

// Events lists an asset's events after the given id, oldest first.
func (t Tenant) Events(assetID string, after int64, limit int) ([]Event, error) {
	var out []Event
	err := t.rows(&Event{}).Where("asset_id = ? AND id > ?", assetID, after).Order("id").Limit(limit).Find(&out).Error
	return out, err
}

// Idempotent reads what an Idempotency-Key made before.
func (t Tenant) Idempotent(key string) (IdempotencyKey, error) {
	var k IdempotencyKey
	err := t.rows(&IdempotencyKey{}).Where("idem_key = ?", key).Take(&k).Error
	return k, notFound(err)
}

// Remember binds an Idempotency-Key to an asset; it reports false when the key is bound already.
func (t Tenant) Remember(key, assetID, sha256 string) (bool, error) {
	return insertNew(t.g, t.dialect, &IdempotencyKey{TenantID: t.id, Key: key, AssetID: assetID, SHA256: sha256, CreatedAt: Now()})
}

func foldName(s string) string { return strings.ToLower(s) }

// escapeLike escapes with '!', which unlike the backslash means the same on all three databases.
func escapeLike(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}

// OldestAssets lists assets in a state in the order in which they were made, at most limit of those after an id.
func (t Tenant) OldestAssets(state storage.AssetState, after string, limit int) ([]Asset, error) {
	var out []Asset
	err := t.rows(&Asset{}).Where("state = ? AND id > ?", state, after).Order("id").Limit(limit).Find(&out).Error
	return out, err
}

// AssetsMadeBefore counts the tenant's assets that were made before a moment and are not deleted.
func (t Tenant) AssetsMadeBefore(made Stamp) (int64, error) {
	var n int64
	err := t.rows(&Asset{}).Where("state <> ? AND created_at < ?", storage.AssetDeleted, made).Count(&n).Error
	return n, err
}

// countDeleted takes one asset off the tenant's files. A ledger that has drifted to zero must not hold up a deletion.
func (t Tenant) countDeleted(now Stamp) error {
	return t.g.Model(&TenantRow{}).Where("id = ?", t.id).Updates(map[string]any{
		"used_files": gorm.Expr("CASE WHEN used_files > 0 THEN used_files - 1 ELSE 0 END"), "updated_at": now,
	}).Error
}

// LiveAsset reads one asset on a digest that is not deleted, the oldest; storage.ErrNotFound when there is none.
func (t Tenant) LiveAsset(sha256 string) (Asset, error) {
	var a Asset
	r := t.rows(&Asset{}).Where("sha256 = ? AND state <> ?", sha256, storage.AssetDeleted).Order("id").Limit(1).Find(&a)
	if r.Error == nil && r.RowsAffected == 0 {
		return a, storage.ErrNotFound
	}
	return a, r.Error
}

// References counts the assets on a digest that are not deleted.
func (t Tenant) References(sha256 string) (int64, error) {
	var n int64
	return n, t.rows(&Asset{}).Where("sha256 = ? AND state <> ?", sha256, storage.AssetDeleted).Count(&n).Error
}

// AssetName is an asset as a person knows it.
type AssetName struct {
	ID, Name string
}

// NamedAssets are the first assets of a blob by id, and how many there are.
type NamedAssets struct {
	First []AssetName
	Count int64
}

// AssetNames names the assets of blobs that are not deleted, by digest, at most so many of each.
func (t Tenant) AssetNames(digests []string, most int) (map[string]NamedAssets, error) {
	var list []struct {
		AssetName
		SHA256 string `gorm:"column:sha256"`
		Count  int64  `gorm:"column:n"`
	}
	numbered := t.rows(&Asset{}).Where("sha256 IN ? AND state <> ?", digests, storage.AssetDeleted).
		Select("id, name, sha256, ROW_NUMBER() OVER (PARTITION BY sha256 ORDER BY id) AS nth, COUNT(*) OVER (PARTITION BY sha256) AS n")
	err := t.g.Table("(?) AS numbered", numbered).Where("nth <= ?", most).Order("sha256, id").Scan(&list).Error
	out := map[string]NamedAssets{}
	for _, a := range list {
		out[a.SHA256] = NamedAssets{append(out[a.SHA256].First, a.AssetName), a.Count}
	}
	return out, err
}

// AssetsOn lists the ids of a blob's assets that are not deleted.
func (t Tenant) AssetsOn(sha256 string) ([]string, error) {
	var out []string
	err := t.rows(&Asset{}).Where("sha256 = ? AND state <> ?", sha256, storage.AssetDeleted).Pluck("id", &out).Error
	return out, err
}

// ManifestAfter lists all assets of the tenant, deleted ones too, in the order in which they were made: at most limit after an id.
func (t Tenant) ManifestAfter(after string, limit int) ([]Asset, error) {
	var out []Asset
	return out, t.rows(&Asset{}).Where("id > ?", after).Order("id").Limit(limit).Find(&out).Error
}

// AnyAsset reads an asset of whatever tenant, also one that is deleted.
func (tx *Tx) AnyAsset(id string) (Asset, error) {
	var a Asset
	err := tx.g.Take(&a, "id = ?", id).Error
	return a, notFound(err)
}
