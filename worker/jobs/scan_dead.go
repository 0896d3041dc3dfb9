package jobs

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// signatureScanFailed stands in a verdict where the scanner named nothing, because it never came to an end.
const signatureScanFailed = "Gatehouse.ScanFailed"

// indigestible is an error of the scanner over a blob that was there: it hung up, answered nonsense or took too
// long, while it scans other files.
type indigestible struct{ err error }

func (e *indigestible) Error() string { return e.err.Error() }
func (e *indigestible) Unwrap() error { return e.err }

// oursToMend reports whether a scan failed for a reason that lies on our side: the store, or a disk of this machine.
func oursToMend(err error) bool {
	for _, fault := range []error{blob.ErrUnavailable, blob.ErrNotExist, blob.ErrRange, blob.ErrSize} {
		if errors.Is(err, fault) {
			return true
		}
	}
	_, file := errors.AsType[*fs.PathError](err)
	return file
}

// dead ends the wait of a file that the scanner cannot digest: nothing is known about it, so it is unscannable. The
// verdict names no database, which is no database's fingerprint: an upload of the same bytes has them scanned anew.
//
// Everything else leaves the blob pending under its dead task, for an operator: a missing or wrong object is our
// damage and says nothing about the file. So does a blob that has a verdict; that verdict stays as good as it was.
func (s *scan) dead(tx *meta.Tx, t meta.Task, cause error) error {
	if _, ok := errors.AsType[*indigestible](cause); !ok {
		return nil
	}
	tenant := tx.Tenant(t.TenantID)
	b, err := tenant.Blob(t.Subject)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		return err
	case b.Sweeping || b.ScanStatus != storage.ScanPending:
		return nil
	}
	v := storage.Verdict{Status: storage.ScanUnscannable, Signature: signatureScanFailed, ScannedAt: time.Now()}
	if err := tenant.SetVerdict(b.SHA256, b.Revision, v, b.Zone, storage.MediaNone); err != nil {
		return fmt.Errorf("write the verdict: %w", err)
	}
	if err := s.follow(tx, b, v, storage.MediaNone); err != nil {
		return err
	}
	return s.withdraw(tx, b)
}
