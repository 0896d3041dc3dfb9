package assets

import (
	"context"
	"errors"
	"fmt"
	"io"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// cleanObject is an object that the rows say is in the clean zone: an original or a variant.
type cleanObject struct {
	api     *API
	asset   meta.AssetView
	variant string
	key     string
	size    int64
}

// open opens a range of it. An object of another size must not be sent under the row's length.
func (o cleanObject) open(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	r, info, err := o.api.Zones.Clean.Open(ctx, o.key, offset, length)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return nil, o.damaged(storage.DamageMissing)
	case errors.Is(err, blob.ErrRange): // ranges are checked against the row
		return nil, o.damaged(storage.DamageSize)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", o.key, err)
	case info.Size != o.size:
		return nil, errors.Join(o.damaged(storage.DamageSize), r.Close())
	}
	return r, nil
}

// look is open for those who want no bytes.
func (o cleanObject) look(ctx context.Context) error {
	info, err := o.api.Zones.Clean.Stat(ctx, o.key)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return o.damaged(storage.DamageMissing)
	case err != nil:
		return fmt.Errorf("look for %s: %w", o.key, err)
	case info.Size != o.size:
		return o.damaged(storage.DamageSize)
	}
	return nil
}

// damaged refuses what nobody has marked so far, and tells the operator. It marks nothing: a store that is mounted wrongly
// would have every file marked that somebody reads. The reconciliation looks twice, and has its brake; an upload has witnesses.
func (o cleanObject) damaged(damage storage.Damage) error {
	if o.api.lost.First(o.key) {
		o.api.Log.Error("the object of an asset is lost", "tenant", o.asset.TenantID, "asset", o.asset.ID, "key", o.key,
			"zone", storage.ZoneClean, "damage", damage)
	}
	if o.variant != "" {
		return storage.Refuse(storage.CodeAssetDamaged, storage.Details{
			"damage": string(damage), "scan_status": string(o.asset.Blob.ScanStatus), "variant": o.variant,
		}).Because(reasonVariantDamaged)
	}
	return refuseDamaged(o.asset, damage)
}

func refuseDamaged(v meta.AssetView, damage storage.Damage) error {
	return storage.Refuse(storage.CodeAssetDamaged, storage.Details{
		"damage": string(damage), "scan_status": string(v.Blob.ScanStatus),
	}).Because(reasonOriginalDamaged)
}

var (
	reasonOriginalDamaged = storage.Reason{
		Slug:    "original_damaged",
		English: "Upload the same file again and it heals.",
		Chinese: "重新上传同一文件即可修复。",
	}
	reasonVariantDamaged = storage.Reason{
		Slug:    "variant_damaged",
		English: "Only this variant is concerned: it is made anew after the next nightly check.",
		Chinese: "仅此变体受影响：将在下一次夜间检查后重新生成。",
	}
)
