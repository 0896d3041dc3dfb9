package release

import (
	"context"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/remedy"
)

// markTime bounds marking a file, which goes on when the client that met the damage has left.
const markTime = 10 * time.Second

// condemn is for a file whose object is there and is not what was published: somebody has changed the store, or it fails. The
// file is marked, so that its release is offered to nobody any more, and the operator is told.
func (f *file) condemn(ctx context.Context, damage storage.Damage) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTime)
	defer cancel()
	log := f.api.Log.With("key", f.key(), "release", f.row.ReleaseID, "artifact", f.row.ID, "damage", damage)
	marked, err := remedy.MarkDamaged(ctx, f.api.DB, f.reader, f.row.Blob(), damage)
	if err != nil {
		log.Error("the file of a release is not what was published, and cannot be marked", "error", err)
	} else if marked { // others may have met it at the same time
		log.Error("the file of a release is not what was published; its release is not offered any more")
		f.api.forget()
	}
	return damaged(damage)
}

// missing is for a file whose object is not there. Nothing is marked: a store that is mounted wrongly would have every file marked that
// somebody reads. The reconciliation looks twice, and has its brake.
func (f *file) missing() error {
	if f.api.lost.First(f.key()) {
		f.api.Log.Error("the object of a release's file is lost", "key", f.key(), "release", f.row.ReleaseID, "artifact", f.row.ID)
	}
	return damaged(storage.DamageMissing)
}

func damaged(d storage.Damage) error {
	return storage.Refuse(storage.CodeAssetDamaged, storage.Details{"damage": string(d)}).Because(storage.Reason{
		Slug:    "artifact_damaged",
		English: "Ask the feed again: it offers only files that are whole.",
		Chinese: "请重新查询更新源：它只提供完好的文件。",
	})
}
