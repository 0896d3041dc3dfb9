package remedy

import (
	"context"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// MarkDamaged writes down that the bytes of the blob are missing or wrong: from then on nobody reads them, and an upload of the
// same bytes brings them back. It reports false when the row has changed since it was read, by a scan for example, which copies
// the object before it changes the row and deletes it from the old zone afterwards: what was seen may be over.
func MarkDamaged(ctx context.Context, db *meta.DB, actor audit.Actor, b meta.Blob, damage storage.Damage) (marked bool, err error) {
	err = db.InTx(ctx, func(tx *meta.Tx) error {
		marked = false
		tenant := tx.Tenant(b.TenantID)
		now, known, err := tenant.BlobIfAny(b.SHA256)
		if err != nil || !known || now.Revision != b.Revision || now.CreatedAt != b.CreatedAt || now.Sweeping {
			return err
		}
		if err := tenant.MarkDamaged(b.SHA256, b.Revision, damage); err != nil {
			return err
		}
		marked = true
		return audit.Write(tx, audit.Entry{
			Actor: actor, TenantID: b.TenantID, Action: "blob.damage", Target: b.SHA256, Result: audit.OK,
			Data: map[string]any{"damage": damage, "zone": b.Zone, "size": b.Size},
		})
	})
	return marked, err
}
