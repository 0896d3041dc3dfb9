package reconcile

import (
	"context"
	"errors"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// takeBack brings the bytes of an infected blob from the clean zone back into quarantine, without a scan that might acquit
// it, and puts those in the clean zone into the trash.
func (m *mending) takeBack(ctx context.Context, b meta.Blob) (string, error) {
	_, found, err := m.bring(ctx, b.SHA256, b.Size)
	switch {
	case err != nil:
		return "", err
	case !found:
		return "", errMoved
	}
	return m.leaveOther(ctx, b)
}

// leaveOther puts what lies of a blob in the zone that its row does not name into the trash, however young it is: bringing
// the bytes back may have made it so.
func (m *mending) leaveOther(ctx context.Context, b meta.Blob) (string, error) {
	_, other := m.zonePlaces(b)
	c := copied{zone: other.zone, key: other.key}
	var err error
	if c.was, err = m.zones.Of(c.zone).Stat(ctx, c.key); err == nil {
		c, err = m.copyOver(ctx, c)
	}
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return "", errInOrder
	case err != nil:
		return "", err
	}
	return m.removeHeld(ctx, meta.BlobTask(storage.TaskScan, b.TenantID, b.SHA256), c, func(ctx context.Context) error {
		return m.unwantedCopy(ctx, c.zone, c.key)
	})
}
