package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Digests is how much is read again to see that the bytes are still those that were uploaded. Zero fields have defaults.
type Digests struct {
	// Days is in how many days every blob is to be read (30).
	Days int
	// BytesPerNight is the budget of one run; 0 means what Days needs.
	BytesPerNight int64
	// Rate bounds the reading, in bytes a second (32 MiB), so that it is no burden.
	Rate int64
}

func (d Digests) orDefaults() Digests {
	if d.Days <= 0 {
		d.Days = 30
	}
	if d.Rate <= 0 {
		d.Rate = 32 << 20
	}
	return d
}

// budget is how many bytes a run reads, and what is to be said when they are too few.
func (d Digests) budget(stored int64) (int64, string) {
	needed := (stored + int64(d.Days) - 1) / int64(d.Days)
	if d.BytesPerNight == 0 {
		return needed, ""
	}
	if d.BytesPerNight >= needed {
		return d.BytesPerNight, ""
	}
	return d.BytesPerNight, fmt.Sprintf("reconcile.digest_bytes_per_night allows %d bytes a night; to read all %d bytes within %d days takes %d.",
		d.BytesPerNight, stored, d.Days, needed)
}

// verifyPage is how many blobs are read before it is written down that they were.
const verifyPage = 100

// verifyTime is how long after the last time it is written down at the latest, between two blobs.
const verifyTime = time.Minute

// verifyDigests reads blobs again whose digest was not verified for long, with their variants, within the budget of a run,
// and reports those that differ. What it verified it counts in the run; there it also says when the budget is too small.
// At least one blob is read, however small the budget, so that even the largest one gets its turn. save writes the run in
// the transactions that note what was verified, and hears the share of the budget that is spent: an attempt that takes
// over from one that died spends what that one left.
func (r *Reconciler) verifyDigests(ctx context.Context, guard Guard, run *meta.ReconcileRun, save func(tx *meta.Tx, share float64) error, report func(meta.ReconcileFinding) error) error {
	stored, err := r.db.StoredBytes(ctx)
	if err != nil {
		return fmt.Errorf("add up what is stored: %w", err)
	}
	digests := r.cfg.Digests.orDefaults()
	budget, problem := digests.budget(stored)
	if problem != "" {
		run.Problem = problem
		r.log.Warn("reconcile: " + problem)
	}
	v := verifying{Reconciler: r, pace: pace{rate: digests.Rate, begun: time.Now()}, report: report}
	saved := run.VerifiedBytes
	note := func(whole []meta.Blob) error {
		if len(whole) == 0 && run.VerifiedBytes == saved {
			return nil
		}
		saved = run.VerifiedBytes
		return r.noteVerified(ctx, guard, whole, func(tx *meta.Tx) error {
			return save(tx, min(float64(run.VerifiedBytes)/float64(max(budget, 1)), 1))
		})
	}
	var last meta.Blob
	noted := time.Now()
	for {
		page, err := r.db.Unverified(ctx, run.StartedAt, last, verifyPage)
		if err != nil || len(page) == 0 {
			return err
		}
		last = page[len(page)-1]
		var whole []meta.Blob
		spent := false
		for _, b := range page {
			if spent = run.Verified > 0 && run.VerifiedBytes >= budget; spent {
				break
			}
			n, ok, err := v.blob(ctx, b)
			if err != nil {
				return errors.Join(err, note(whole))
			}
			run.Verified++
			run.VerifiedBytes += n
			if ok {
				whole = append(whole, b)
			}
			if time.Since(noted) > verifyTime {
				if err := note(whole); err != nil {
					return err
				}
				whole, noted = nil, time.Now()
			}
		}
		if err := note(whole); err != nil || spent {
			return err
		}
		noted = time.Now()
	}
}

// noteVerified writes down which blobs were read and are whole, and the run with them. It moves no revision: it says
// nothing new about them.
func (r *Reconciler) noteVerified(ctx context.Context, guard Guard, whole []meta.Blob, save func(*meta.Tx) error) error {
	return r.inTx(context.WithoutCancel(ctx), guard, func(tx *meta.Tx) error {
		now := meta.Now()
		for _, b := range whole {
			if err := tx.Tenant(b.TenantID).SetVerified(b.SHA256, now); err != nil {
				return fmt.Errorf("note a verified digest: %w", err)
			}
		}
		return save(tx)
	})
}

// verifying is one pass over the blobs that wait longest.
type verifying struct {
	*Reconciler
	pace   pace
	report func(meta.ReconcileFinding) error
}

// blob reads a blob and its variants. It returns how many bytes it read and whether all were as they should be; what is
// missing or has another size is found by the comparison, every night.
func (v *verifying) blob(ctx context.Context, b meta.Blob) (read int64, whole bool, err error) {
	variants, err := v.db.Tenant(ctx, b.TenantID).Variants(b.SHA256)
	if err != nil {
		return 0, false, fmt.Errorf("read the variants' rows: %w", err)
	}
	f := meta.ReconcileFinding{
		TenantID: b.TenantID, SHA256: b.SHA256, Kind: storage.DriftDigest, Zone: b.Zone,
		ObjectKey: storage.BlobKey(b.TenantID, b.SHA256), Repair: storage.RepairDamaged, State: meta.FindingOpen,
	}
	read, whole, err = v.object(ctx, f, b.Size, b.SHA256)
	for _, x := range variants {
		if err != nil {
			break
		}
		if x.Digest == "" {
			continue
		}
		f.Zone, f.ObjectKey, f.Preset, f.Repair = storage.ZoneClean, x.Key(), x.Preset, storage.RepairVariants
		var n int64
		var ok bool
		n, ok, err = v.object(ctx, f, x.Size, x.Digest)
		read, whole = read+n, whole && ok
	}
	return read, whole, err
}

// object reads one object, and once more when it cannot be read or its digest is not the one: a bad read is not a bad
// disk, and a scan or a job may have replaced it meanwhile. The repair looks a third time, and fails with its reason where
// that cannot read it either: such bytes may come back, so they are named each night and not marked.
func (v *verifying) object(ctx context.Context, f meta.ReconcileFinding, size int64, want string) (read int64, whole bool, err error) {
	detail := facts{"expected": want, "size": size}
	for range 2 {
		n, got, err := v.read(ctx, f.Zone, f.ObjectKey, size)
		read += n
		switch {
		case errors.Is(err, blob.ErrNotExist) || errors.Is(err, blob.ErrSize):
			return read, false, nil
		case err != nil && (ctx.Err() != nil || v.away(ctx, err)):
			return read, false, fmt.Errorf("read %s: %w", f.ObjectKey, err)
		case err != nil:
			detail["problem"] = "It cannot be read: " + err.Error()
		case got == want:
			return read, true, nil
		default:
			detail["digest"] = got
		}
	}
	f.Detail = detail.json()
	return read, false, v.report(f)
}

func (v *verifying) read(ctx context.Context, zone storage.Zone, key string, size int64) (int64, string, error) {
	body, info, err := v.zones.Of(zone).Open(ctx, key, 0, -1)
	if err != nil {
		return 0, "", err
	}
	if info.Size != size {
		return 0, "", errors.Join(blob.ErrSize, body.Close())
	}
	digest, err := blob.DigestOf(&paced{ctx: ctx, r: body, pace: &v.pace})
	return size, digest, errors.Join(err, body.Close())
}

// pace holds reading to a rate.
type pace struct {
	rate  int64
	begun time.Time
	read  int64
}

// paceTick is the least wait worth one.
const paceTick = 20 * time.Millisecond

// wait counts bytes and waits until the rate allows more.
func (p *pace) wait(ctx context.Context, n int) error {
	p.read += int64(n)
	ahead := time.Duration(float64(p.read)/float64(p.rate)*float64(time.Second)) - time.Since(p.begun)
	if ahead < paceTick {
		return ctx.Err()
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

type paced struct {
	ctx  context.Context
	r    io.Reader
	pace *pace
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if werr := p.pace.wait(p.ctx, n); err == nil {
		err = werr
	}
	return n, err
}
