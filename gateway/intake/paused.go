package intake

import (
	"context"
	"fmt"

	"gatehouse/storage"
)

// paused refuses uploads while operators have said so. When that cannot be read the last word known holds, and without one
// uploads are accepted: it is no safeguard, and without the database no upload comes to its end anyway.
func (in *Intake) paused(ctx context.Context) error {
	if in.Settings == nil {
		return nil
	}
	v := in.Settings.Now(ctx)
	if v.UploadsAccept {
		return nil
	}
	english, chinese := "Uploads are paused by the operators at the moment; try again later.", "运维人员已暂停上传；请稍后重试。"
	if v.UploadsMessage == "" {
		return storage.Refuse(storage.CodeUnavailable, nil).Because(storage.Reason{Slug: "uploads_paused", English: english, Chinese: chinese})
	}
	return storage.Refuse(storage.CodeUnavailable, storage.Details{"message": v.UploadsMessage}).Because(storage.Reason{
		Slug: "uploads_paused", English: fmt.Sprintf("%s They say: %s", english, v.UploadsMessage), Chinese: fmt.Sprintf("%s运维说明：%s", chinese, v.UploadsMessage),
	})
}

// Fits says, before a byte of it was read, whether an upload of at least so many bytes (-1: unknown) would be let in.
func (in *Intake) Fits(bytes int64) error {
	if err := in.paused(context.Background()); err != nil {
		return err
	}
	return in.Room.Fits(bytes)
}
