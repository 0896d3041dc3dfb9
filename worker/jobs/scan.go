package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
	"gatehouse/worker/tools/clamd"
)

// maxOddAttempts is how often a blob is looked at again whose object is missing or is not what its row says,
// before its task is dead: a store that is being repaired gets some minutes, an operator then sees it.
const maxOddAttempts = 5

// errMoved sends a job back to its beginning: somebody changed the blob while it worked.
var errMoved = errors.New("the blob was changed meanwhile")

// scan decides whether a blob may be read. It is the only job that moves blobs between zones.
type scan struct {
	db      *meta.DB
	zones   *blob.Zones
	ledger  quota.Ledger
	scanner *clamd.Scanner
}

func (s *scan) run(ctx context.Context, r *Run) (Commit, error) {
	t := r.Task()
	b, err := s.db.Tenant(ctx, t.TenantID).Blob(t.Subject)
	switch {
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return nil, fmt.Errorf("read the blob's row: %w", err)
	case !wanted(b, err):
		return stillUnwanted(t), nil
	}
	v, from, err := s.look(ctx, t, b)
	if err != nil {
		return nil, err
	}
	if err := checkEvidence(t, b, v); err != nil {
		return nil, err
	}
	if b.ScanStatus == storage.ScanInfected && v.Status == storage.ScanClean && strings.HasPrefix(v.Database, clamd.TestSignaturesPrefix) {
		// The bundled test signatures find no real threat, so they acquit nothing.
		r.Log.Warn("an infected file was scanned with nothing but the test signatures, and stays infected", "signature", b.ScanSignature)
		v = verdictOf(b)
	}
	// Copies come before the row that makes them count, deletions after it.
	to := storage.ZoneQuarantine
	if v.Status == storage.ScanClean {
		to = storage.ZoneClean
	}
	if to != from {
		if err := s.zones.Copy(ctx, from, to, storage.BlobKey(b.TenantID, b.SHA256)); err != nil {
			return nil, storeTrouble(t, "copy the blob", err)
		}
	}
	// Nothing rejected may lie in the clean zone, whatever brought it there.
	if to != from || to != b.Zone || to == storage.ZoneQuarantine {
		r.Afterwards(func(ctx context.Context) error { return s.leave(ctx, b, to) })
	}
	if v.Status != storage.ScanClean {
		r.Afterwards(func(context.Context) error {
			r.Log.Warn("a file was rejected", "status", v.Status, "signature", v.Signature, "database", v.Database)
			return nil
		})
	}
	return s.verdict(t, b, v, to), nil
}

// verdictOf is the verdict that a blob has.
func verdictOf(b meta.Blob) storage.Verdict {
	return storage.Verdict{
		Status: b.ScanStatus, Signature: b.ScanSignature, Engine: b.ScanEngine, Database: b.ScanDatabase,
		BytesScanned: b.ScanBytes, Digest: b.ScanDigest, ScannedAt: b.ScannedAt.Time(),
	}
}

// wanted reports whether somebody waits for work on the blob: it is there, referenced and not being swept.
func wanted(b meta.Blob, err error) bool { return err == nil && b.Refs > 0 && !b.Sweeping }

// stillUnwanted ends a task that has nothing to do. It looks again, after the task has ended in the same
// transaction: whoever wanted the blob in between found this task open and queued no other. The row is locked, as he may be
// about to commit.
func stillUnwanted(t meta.Task) Commit {
	return func(tx *meta.Tx) error {
		b, err := tx.Tenant(t.TenantID).LockBlob(t.Subject)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if wanted(b, err) {
			return Wait(errMoved, 0)
		}
		return nil
	}
}

// look streams the blob to the scanner, from the zone that its row names or, when it is not whole there, from the other:
// a restored store or a lost deletion leaves it so. It also returns where it found the blob.
func (s *scan) look(ctx context.Context, t meta.Task, b meta.Blob) (storage.Verdict, storage.Zone, error) {
	from := b.Zone
	body, err := s.open(ctx, b, from)
	if astray(err) {
		from = b.Zone.Other()
		other, oerr := s.open(ctx, b, from)
		switch {
		case oerr == nil:
			body, err = other, nil
		case !astray(oerr):
			err = oerr // the other zone may have it, when it can be asked again
		}
	}
	if err != nil {
		return storage.Verdict{}, from, storeTrouble(t, "open the blob", err)
	}
	v, err := s.scanner.Scan(ctx, body, b.Size)
	if err != nil && !errors.Is(err, clamd.ErrUnavailable) && !oursToMend(err) {
		err = &indigestible{err}
	}
	if cerr := body.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close the blob: %w", cerr)
	}
	switch {
	case errors.Is(err, clamd.ErrUnavailable):
		return v, from, Wait(err, waitFor(t))
	case err != nil:
		return v, from, storeTrouble(t, "scan the blob", err)
	}
	return v, from, nil
}

// open opens the blob's object in a zone, if it has the blob's size.
func (s *scan) open(ctx context.Context, b meta.Blob, zone storage.Zone) (io.ReadCloser, error) {
	body, info, err := s.zones.Of(zone).Open(ctx, storage.BlobKey(b.TenantID, b.SHA256), 0, -1)
	if err == nil && info.Size != b.Size {
		err = errors.Join(fmt.Errorf("%w: %d bytes instead of %d", blob.ErrSize, info.Size, b.Size), body.Close())
	}
	return body, err
}

// astray reports whether a zone has no such object, or not the whole of it.
func astray(err error) bool { return errors.Is(err, blob.ErrNotExist) || errors.Is(err, blob.ErrSize) }

// checkEvidence holds a verdict against the row (invariant 3). What clamd could not look into may have been cut
// off, and says nothing good about the blob in any case.
func checkEvidence(t meta.Task, b meta.Blob, v storage.Verdict) error {
	if v.Status == storage.ScanUnscannable || v.Holds(b.Size, b.SHA256) {
		return nil
	}
	err := fmt.Errorf("the %s verdict is about %d bytes with digest %s (engine %q, database %q), not about the blob of %d bytes",
		v.Status, v.BytesScanned, v.Digest, v.Engine, v.Database, b.Size)
	return odd(t, err)
}

// storeTrouble classifies an error of the store: away is waited for, missing is tried some times.
func storeTrouble(t meta.Task, what string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	switch {
	case errors.Is(err, blob.ErrUnavailable):
		return Wait(err, waitFor(t))
	case errors.Is(err, blob.ErrNotExist), errors.Is(err, blob.ErrRange), errors.Is(err, blob.ErrSize):
		return odd(t, err)
	}
	return err
}

// odd is an error that should not be possible and that time seldom mends.
func odd(t meta.Task, err error) error {
	if t.Attempts >= maxOddAttempts {
		return Permanent(err)
	}
	return err
}

// waitFor is how long to wait for something that is away: a quarter of the task's age, so that a short absence
// costs little and a long one little work.
func waitFor(t meta.Task) time.Duration {
	return min(max(time.Since(t.CreatedAt.Time())/4, time.Second), 30*time.Second)
}

// verdict writes what a scan found out, with everything that follows from it.
func (s *scan) verdict(t meta.Task, seen meta.Blob, v storage.Verdict, to storage.Zone) Commit {
	return func(tx *meta.Tx) error {
		tenant := tx.Tenant(t.TenantID)
		b, err := tenant.Blob(t.Subject)
		switch {
		case errors.Is(err, storage.ErrNotFound) || (err == nil && b.Sweeping):
			return nil // swept meanwhile; a copy of ours is an orphan
		case err != nil:
			return err
		case b.Zone != seen.Zone:
			return Wait(errMoved, 0)
		}
		media, err := mediaAfter(tenant, b, v)
		if err != nil {
			return err
		}
		if err := tenant.SetVerdict(b.SHA256, b.Revision, v, to, media); err != nil {
			return fmt.Errorf("write the verdict: %w", err)
		}
		if err := s.follow(tx, b, v, media); err != nil {
			return err
		}
		if to == storage.ZoneQuarantine {
			return s.withdraw(tx, b)
		}
		return nil
	}
}

// mediaAfter is the media status that a verdict leads to.
func mediaAfter(tenant meta.Tenant, b meta.Blob, v storage.Verdict) (storage.MediaStatus, error) {
	switch _, media := storage.MediaTask(b.Category); {
	case v.Status != storage.ScanClean:
		return storage.MediaNone, nil
	case b.Zone != storage.ZoneQuarantine || !media:
		return b.MediaStatus, nil
	}
	plan, err := quota.SpecFor(tenant)
	if err != nil || !plan.MakesVariants(b.Category) {
		return b.MediaStatus, err
	}
	return storage.MediaPending, nil
}

// follow brings assets, events, the audit log and the next task in line with the verdict.
func (s *scan) follow(tx *meta.Tx, b meta.Blob, v storage.Verdict, media storage.MediaStatus) error {
	state, err := storage.StateOf(v.Status)
	if err != nil {
		return err
	}
	facts := map[string]any{"status": v.Status, "signature": v.Signature, "engine": v.Engine, "database": v.Database}
	tenant := tx.Tenant(b.TenantID)
	event := map[string]any{"state": state, "scan": facts}
	if _, err := tenant.FollowBlob(b.SHA256, state, storage.EventScanned, event); err != nil {
		return fmt.Errorf("move the assets: %w", err)
	}
	// A blob that has come out of quarantine has no media job: one that ran when it went there has ended.
	waits := media == storage.MediaPending && (b.MediaStatus != storage.MediaPending || b.Zone == storage.ZoneQuarantine)
	if kind, ok := storage.MediaTask(b.Category); ok && waits {
		if _, err := tx.Enqueue(meta.BlobTask(kind, b.TenantID, b.SHA256)); err != nil {
			return fmt.Errorf("queue the variants: %w", err)
		}
	}
	facts["bytes_scanned"] = v.BytesScanned
	return audit.Write(tx, audit.Entry{
		Actor: audit.Worker, TenantID: b.TenantID, Action: "scan.verdict", Target: b.SHA256, Result: audit.OK, Data: facts,
	})
}

// withdraw takes back what was derived from a blob that turned out bad.
func (s *scan) withdraw(tx *meta.Tx, b meta.Blob) error {
	tenant := tx.Tenant(b.TenantID)
	if err := tenant.CancelTasks(b.SHA256); err != nil { // the media job; this task has ended by now
		return fmt.Errorf("cancel the blob's tasks: %w", err)
	}
	if err := tenant.SetMedia(b.SHA256, b.Revision+1, storage.MediaNone, 0, nil); err != nil {
		return fmt.Errorf("reset the media status: %w", err)
	}
	bytes, err := tenant.DropVariants(b.SHA256)
	if err != nil {
		return fmt.Errorf("drop the variants: %w", err)
	}
	return s.ledger.Refund(tx, b.TenantID, bytes)
}

// leave deletes what lies in the zone where the blob is not, if its row still says so.
func (s *scan) leave(ctx context.Context, b meta.Blob, to storage.Zone) error {
	now, err := s.db.Tenant(ctx, b.TenantID).Blob(b.SHA256)
	if errors.Is(err, storage.ErrNotFound) {
		return nil // the sweeper's now
	}
	if err != nil || now.Zone != to {
		return err
	}
	old := s.zones.Of(to.Other())
	err = old.Delete(ctx, storage.BlobKey(b.TenantID, b.SHA256))
	if to == storage.ZoneQuarantine {
		err = errors.Join(err, reconcile.DeleteVariants(ctx, old, b.TenantID, b.SHA256))
	}
	return err
}
