package intake

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// witnesses is how many other objects are asked for when one is missed. Half of them must be there.
const witnesses = 15

var reasonStoreDoubtful = storage.Reason{
	Slug:    "store_doubtful",
	English: "The server has lost sight of files that it stores and takes this one again only when that is cleared up; try again later.",
	Chinese: "服务器暂时找不到已存储的文件，需先查明原因才能重新接收此文件；请稍后重试。",
}

// trustStore refuses with UNAVAILABLE what must not happen in the wrong store: a folder whose disk is not mounted, an empty
// bucket under the right name. An object that is lost is an accident of one file; where most others are missing too,
// the store is doubted, not they. What was really lost in such numbers is marked by the reconciliation, behind its brake, and
// heals then. A blob without another beside it has nobody to speak for the store, and is believed.
func (in *Intake) trustStore(ctx context.Context, b meta.Blob) error {
	others, err := in.DB.Witnesses(ctx, b, witnesses)
	if err != nil {
		return fmt.Errorf("look for witnesses of the store: %w", err)
	}
	there := 0
	for _, o := range others {
		if 2*there >= len(others) {
			return nil
		}
		_, err := in.Zones.Of(o.Zone).Stat(ctx, storage.BlobKey(o.TenantID, o.SHA256))
		switch {
		case err == nil:
			there++
		case !errors.Is(err, blob.ErrNotExist):
			return fmt.Errorf("look for a witness of the store: %w", err)
		}
	}
	if 2*there >= len(others) {
		return nil
	}
	in.Log.Error("files are missing in the store: is it the right one? Look at its mount or its buckets. No lost file is taken again meanwhile",
		"key", storage.BlobKey(b.TenantID, b.SHA256), "looked_for", len(others), "there", there)
	return storage.Refuse(storage.CodeUnavailable, nil).Because(reasonStoreDoubtful).
		CausedBy(fmt.Errorf("%d of %d other objects are in the store", there, len(others)))
}
