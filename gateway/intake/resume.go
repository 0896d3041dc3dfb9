package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// resume queues what a blob that is linked to still needs: a scan by the current signature database, and its variants.
func resume(tx *meta.Tx, b meta.Blob, current string) error {
	if stale(b, current) {
		if _, err := tx.Enqueue(scanTask(b.TenantID, b.SHA256)); err != nil {
			return fmt.Errorf("enqueue rescan: %w", err)
		}
	}
	return resumeMedia(tx, b)
}

// resumeMedia queues the variants of a clean blob that are still to be made: their job stopped when the last asset on
// the blob was deleted, or failed for a reason that is not the file's. A task that is open makes this a no-op.
func resumeMedia(tx *meta.Tx, b meta.Blob) error {
	kind, ok := storage.MediaTask(b.Category)
	if !ok || b.ScanStatus != storage.ScanClean {
		return nil
	}
	switch b.MediaStatus {
	case storage.MediaPending, storage.MediaRunning:
	case storage.MediaFailed:
		if !storage.MediaMayRetry(b.MediaReason) {
			return nil
		}
		if err := tx.Tenant(b.TenantID).SetMedia(b.SHA256, b.Revision, storage.MediaPending, 0, nil); err != nil {
			return fmt.Errorf("make the variants anew: %w", err)
		}
	default:
		return nil
	}
	if _, err := tx.Enqueue(meta.BlobTask(kind, b.TenantID, b.SHA256)); err != nil {
		return fmt.Errorf("enqueue the variants: %w", err)
	}
	return nil
}

func scanTask(tenantID, digest string) meta.NewTask {
	return meta.BlobTask(storage.TaskScan, tenantID, digest)
}

// currentDatabase is the signature database that the workers scan with now, "" when they cannot say.
func (in *Intake) currentDatabase(ctx context.Context) (string, error) {
	f, err := in.DB.Scanner(ctx)
	if errors.Is(err, storage.ErrNotFound) || (err == nil && f.Silent(time.Now())) {
		return "", nil
	}
	return f.Database, err
}

// stale reports whether a duplicate needs a scan of its own: the verdict it inherits is of another signature
// database, or there is none and its task may have died. An open scan task makes the request a no-op. An infected file is not
// scanned again because somebody sends it: the other database may be the older one, and set it free.
func stale(b meta.Blob, current string) bool {
	switch b.ScanStatus {
	case storage.ScanPending:
		return true
	case storage.ScanInfected:
		return false
	case storage.ScanClean, storage.ScanUnscannable:
	}
	return current != "" && b.ScanDatabase != current
}
