package quota_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// shop does to a tenant's rows what uploads, deletions, variants and the sweeper do.
type shop struct {
	quota.Ledger
	tenant string
}

func (s shop) newBlob(size int64) meta.Blob {
	now := meta.Now()
	return meta.Blob{
		SHA256: fmt.Sprintf("%064s", meta.NewID()), Size: size, MediaType: "text/plain", Category: storage.CategoryDocument,
		Zone: storage.ZoneQuarantine, Refs: 1, ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
	}
}

func asset(b meta.Blob) *meta.Asset {
	now := meta.Now()
	return &meta.Asset{
		ID: meta.NewID(), SHA256: b.SHA256, Name: "a.txt", Ext: "txt", Category: b.Category, MediaType: b.MediaType, Size: b.Size,
		State: storage.AssetQuarantined, CreatedAt: now, UpdatedAt: now,
	}
}

// upload settles a reservation with a new blob and an asset, and returns the asset.
func (s shop) upload(ctx context.Context, r quota.Reservation, size int64) (a *meta.Asset, err error) {
	b := s.newBlob(size)
	a = asset(b)
	return a, s.DB.InTx(ctx, func(tx *meta.Tx) error {
		tenant := tx.Tenant(s.tenant)
		if _, err := tenant.CreateBlob(&b); err != nil {
			return err
		}
		if err := tenant.CreateAsset(a); err != nil {
			return err
		}
		return s.Settle(tx, r, size)
	})
}

// link settles a reservation with a second asset on a blob.
func (s shop) link(ctx context.Context, r quota.Reservation, digest string) (a *meta.Asset, err error) {
	return a, s.DB.InTx(ctx, func(tx *meta.Tx) error {
		tenant := tx.Tenant(s.tenant)
		linked, err := tenant.LinkBlob(digest)
		if err != nil || !linked {
			return errors.Join(err, fmt.Errorf("linked: %v", linked))
		}
		b, err := tenant.Blob(digest)
		if err != nil {
			return err
		}
		a = asset(b)
		if err := tenant.CreateAsset(a); err != nil {
			return err
		}
		return s.Settle(tx, r, 0)
	})
}

func (s shop) remove(ctx context.Context, id string) error {
	return s.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Tenant(s.tenant).DeleteAsset(id)
		return err
	})
}

// variant charges a variant of a blob.
func (s shop) variant(ctx context.Context, digest string, size int64) error {
	return s.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Tenant(s.tenant).CreateVariant(&meta.Variant{
			SHA256: digest, Preset: meta.NewID(), Ext: "webp", MediaType: "image/webp", Size: size, Digest: digest, CreatedAt: meta.Now(),
		})
		if err != nil {
			return err
		}
		return s.Charge(tx, s.tenant, size)
	})
}

// sweep removes a blob that nobody references.
func (s shop) sweep(ctx context.Context, digest string) error {
	return s.DB.InTx(ctx, func(tx *meta.Tx) error {
		later := meta.Now().Add(time.Hour)
		if ok, err := tx.BeginSweep(s.tenant, digest, later, 0); err != nil || !ok {
			return err
		}
		bytes, err := tx.EndSweep(s.tenant, digest)
		if err != nil {
			return err
		}
		return s.Refund(tx, s.tenant, bytes)
	})
}

// round is one life of an upload, chosen at random; full is no error.
func (s shop) round(ctx context.Context, dice *rand.Rand) error {
	r, err := s.Reserve(ctx, s.tenant, dice.Int64N(50), quota.Limits{MaxFiles: 40, Concurrent: 30})
	if err != nil {
		return ignoreFull(err)
	}
	if dice.IntN(3) == 0 {
		if err := s.Grow(ctx, &r, r.Bytes+dice.Int64N(50)); err != nil {
			return errors.Join(ignoreFull(err), s.Release(ctx, r))
		}
	}
	if dice.IntN(4) == 0 {
		return s.Release(ctx, r)
	}
	a, err := s.upload(ctx, r, r.Bytes)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if dice.IntN(2) == 0 {
		if err := ignoreFull(s.variant(ctx, a.SHA256, dice.Int64N(20))); err != nil {
			return fmt.Errorf("variant: %w", err)
		}
	}
	if dice.IntN(3) == 0 {
		again, err := s.Reserve(ctx, s.tenant, 0, quota.Limits{MaxFiles: 40})
		if err != nil {
			return ignoreFull(err)
		}
		second, err := s.link(ctx, again, a.SHA256)
		if err != nil {
			return fmt.Errorf("link: %w", err)
		}
		if err := s.remove(ctx, second.ID); err != nil {
			return fmt.Errorf("remove the second: %w", err)
		}
	}
	if dice.IntN(4) == 0 {
		return nil
	}
	if err := s.remove(ctx, a.ID); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	if dice.IntN(2) == 0 {
		return s.sweep(ctx, a.SHA256)
	}
	return nil
}

func ignoreFull(err error) error {
	if c := storage.CodeOf(err); c == storage.CodeQuotaExceeded || c == storage.CodeRateLimited {
		return nil
	}
	return err
}

func TestTheLedgerIsWhatTheRowsSayAfterAnySequence(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		s := shop{quota.Ledger{DB: db, TTL: time.Minute}, metatest.Tenant(t, db, 2000)}
		seed := time.Now().UnixNano()
		dice := rand.New(rand.NewPCG(uint64(seed), 1))
		for i := range 60 {
			require.NoError(t, s.round(ctx, dice), "seed %d, round %d", seed, i)
			drift, err := db.LedgerDrift(ctx, nil)
			require.NoError(t, err)
			require.Empty(t, drift, "seed %d, round %d", seed, i)
		}
	})
}

// While uploads and deletions hammer a tenant, its ledger is broken again and again and set to the truth; the comparison
// sees no drift but the one that was made.
func TestCorrectLosesNothingThatRunsMeanwhile(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		tenant := metatest.Tenant(t, one, 2000)
		other := metatest.Tenant(t, one, 1000)
		set(t, one, `UPDATE tenants SET used_files = 3 WHERE id = ?`, other)
		var wg sync.WaitGroup
		for i := range 6 {
			s := shop{quota.Ledger{DB: []*meta.DB{one, two}[i%2], TTL: time.Minute}, tenant}
			dice := rand.New(rand.NewPCG(uint64(i), 7))
			wg.Go(func() {
				for range 20 {
					if err := s.round(context.Background(), dice); err != nil {
						t.Errorf("round: %v", err)
						return
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		l := quota.Ledger{DB: two, TTL: time.Minute}
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			drift, err := one.LedgerDrift(ctx, []string{tenant})
			require.NoError(t, err)
			require.Empty(t, drift)
			// Broken and corrected in one transaction: in between nobody may see it, or the conditions would be off.
			require.NoError(t, two.InTx(ctx, func(tx *meta.Tx) error {
				if _, err := tx.Exec(`UPDATE tenants SET used_bytes = used_bytes + 7, reserved_bytes = 0, used_files = 1, reserved_files = 99 WHERE id = ?`, tenant); err != nil {
					return err
				}
				before, after, err := l.Correct(tx, tenant)
				if err == nil && (before.ReservedFiles != 99 || after.ReservedFiles > 30) {
					return fmt.Errorf("corrected %+v to %+v", before, after)
				}
				return err
			}))
		}
		drift, err := one.LedgerDrift(ctx, nil)
		require.NoError(t, err)
		require.Len(t, drift, 1, "only the one that was made")
		require.Equal(t, other, drift[0].TenantID)
		require.Equal(t, meta.LedgerSums{UsedFiles: 3}, drift[0].Written)
		require.Equal(t, meta.LedgerSums{}, drift[0].Truth)
		require.NoError(t, two.InTx(ctx, func(tx *meta.Tx) error { _, _, err := l.Correct(tx, other); return err }))
		drift, err = one.LedgerDrift(ctx, []string{tenant, other})
		require.NoError(t, err)
		require.Empty(t, drift)
	})
}

func TestALedgerThatDriftedToZeroHoldsUpNothing(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		s := shop{quota.Ledger{DB: db, TTL: time.Minute}, metatest.Tenant(t, db, 1000)}
		r, err := s.Reserve(ctx, s.tenant, 100, quota.Limits{})
		require.NoError(t, err)
		a, err := s.upload(ctx, r, 100)
		require.NoError(t, err)
		open, err := s.Reserve(ctx, s.tenant, 100, quota.Limits{})
		require.NoError(t, err)
		set(t, db, `UPDATE tenants SET used_bytes = 0, used_files = 0, reserved_bytes = 1, reserved_files = 0 WHERE id = ?`, s.tenant)
		require.NoError(t, s.remove(ctx, a.ID))
		require.NoError(t, s.sweep(ctx, a.SHA256))
		require.NoError(t, s.Release(ctx, open))
		drift, err := db.LedgerDrift(ctx, nil)
		require.NoError(t, err)
		require.Empty(t, drift)
	})
}
