package intake

import (
	"errors"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// repeated answers an upload whose Idempotency-Key was used before; false when it was not.
func repeated(tenant meta.Tenant, up Upload, digest string) (Receipt, bool, error) {
	if up.IdempotencyKey == "" {
		return Receipt{}, false, nil
	}
	before, err := tenant.Idempotent(up.IdempotencyKey)
	if errors.Is(err, storage.ErrNotFound) {
		return Receipt{}, false, nil
	}
	if err != nil {
		return Receipt{}, false, err
	}
	receipt, err := replay(tenant, before, digest)
	return receipt, err == nil, err
}

// replay answers a repeated Idempotency-Key: the same bytes give the same asset, other bytes a CONFLICT.
func replay(tenant meta.Tenant, before meta.IdempotencyKey, digest string) (Receipt, error) {
	if before.SHA256 != digest {
		return Receipt{}, storage.Refuse(storage.CodeConflict, nil).Because(reasonKeyReused)
	}
	view, err := tenant.Asset(before.AssetID)
	if errors.Is(err, storage.ErrNotFound) {
		return Receipt{}, storage.Refuse(storage.CodeConflict, nil).Because(reasonKeyOfDeleted)
	}
	return Receipt{Asset: view, Duplicate: view.Duplicate, Replayed: true}, err
}

var (
	reasonKeyReused = storage.Reason{
		Slug:    "idempotency_key_reused",
		English: "This Idempotency-Key was used for a file with other content; use a new key for a new file.",
		Chinese: "此 Idempotency-Key 已用于内容不同的文件；新文件请使用新的键。",
	}
	reasonKeyOfDeleted = storage.Reason{
		Slug:    "idempotency_key_spent",
		English: "The asset that this Idempotency-Key made has been deleted; use a new key to upload again.",
		Chinese: "此 Idempotency-Key 创建的资源已被删除；如需重新上传请使用新的键。",
	}
)
