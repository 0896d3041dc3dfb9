package quota_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// freezeWindow puts the rate window where the clock cannot leave it while a test runs.
func freezeWindow(t *testing.T, db *meta.DB, tenant string) {
	t.Helper()
	q, err := db.Tenant(context.Background(), tenant).Quota()
	require.NoError(t, err)
	set(t, db, `UPDATE tenants SET rate_minute = ?, rate_count = 0 WHERE id = ?`, q.At/60+3, tenant)
}

func set(t *testing.T, db *meta.DB, sql string, args ...any) {
	t.Helper()
	n, err := db.Exec(context.Background(), sql, args...)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

func settle(ctx context.Context, l quota.Ledger, r quota.Reservation, bytes int64) error {
	return l.DB.InTx(ctx, func(tx *meta.Tx) error { return l.Settle(tx, r, bytes) })
}

// Whatever the limit is, a race for it through two programs is granted exactly as often as it allows.
func TestRacesForEveryLimitAreNeverOneOverAndNeverOneShort(t *testing.T) {
	const racers = 48
	for name, x := range map[string]struct {
		limits quota.Limits
		bytes  int64
		// hold keeps the reservation, else it is settled.
		hold    bool
		granted int64
		code    storage.Code
		reason  string
	}{
		"bytes":           {quota.Limits{}, 100, false, 10, storage.CodeQuotaExceeded, "quota_bytes"},
		"files":           {quota.Limits{MaxFiles: 13}, 1, false, 13, storage.CodeQuotaExceeded, "quota_files"},
		"files held":      {quota.Limits{MaxFiles: 13}, 1, true, 13, storage.CodeQuotaExceeded, "quota_files"},
		"concurrency":     {quota.Limits{Concurrent: 7}, 1, true, 7, storage.CodeRateLimited, "uploads_concurrent"},
		"rate":            {quota.Limits{UploadsPerMinute: 11}, 1, false, 11, storage.CodeRateLimited, "uploads_per_minute"},
		"all, files bind": {quota.Limits{MaxFiles: 5, Concurrent: 40, UploadsPerMinute: 40}, 1, false, 5, storage.CodeQuotaExceeded, "quota_files"},
	} {
		t.Run(name, func(t *testing.T) {
			metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
				ctx := context.Background()
				tenant := metatest.Tenant(t, one, 1000)
				freezeWindow(t, one, tenant)
				gateways := []quota.Ledger{{DB: one, TTL: time.Minute}, {DB: two, TTL: time.Minute}}
				var granted atomic.Int64
				var wg sync.WaitGroup
				for i := range racers {
					wg.Go(func() {
						l := gateways[i%2]
						r, err := l.Reserve(ctx, tenant, x.bytes, x.limits)
						if err != nil {
							requireCode(t, err, x.code, x.reason)
							return
						}
						granted.Add(1)
						if !x.hold {
							if err := settle(ctx, l, r, x.bytes); err != nil {
								t.Errorf("settle: %v", err)
							}
						}
					})
				}
				wg.Wait()
				require.Equal(t, x.granted, granted.Load())
				requireTruth(t, one, tenant)
			})
		})
	}
}

// requireCode may be called from any goroutine.
func requireCode(t *testing.T, err error, code storage.Code, reason string) *storage.Error {
	t.Helper()
	e, ok := errors.AsType[*storage.Error](err)
	if !ok || e.Code != code || e.Reason == nil || e.Reason.Slug != reason {
		t.Errorf("got %v, want %s (%s)", err, code, reason)
		return &storage.Error{}
	}
	return e
}

// requireTruth asserts that the ledger is what the rows say; tests without asset rows compare what they can.
func requireTruth(t *testing.T, db *meta.DB, tenant string) {
	t.Helper()
	row, err := db.Tenant(context.Background(), tenant).Ledger()
	require.NoError(t, err)
	require.Equal(t, row.Truth.ReservedBytes, row.Written.ReservedBytes)
	require.Equal(t, row.Truth.ReservedFiles, row.Written.ReservedFiles)
}

func TestTheWindowOfTheRateMovesWithTheMinute(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		l, limits := quota.Ledger{DB: db, TTL: time.Minute}, quota.Limits{UploadsPerMinute: 2}
		freezeWindow(t, db, tenant)
		for range 2 {
			_, err := l.Reserve(ctx, tenant, 1, limits)
			require.NoError(t, err)
		}
		_, err := l.Reserve(ctx, tenant, 1, limits)
		e := requireCode(t, err, storage.CodeRateLimited, "uploads_per_minute")
		require.EqualValues(t, 2, e.Details["limit"])
		require.Equal(t, "minute", e.Details["window"])
		require.Positive(t, e.Details["retry_after"])

		_, err = l.Reserve(ctx, tenant, 1, quota.Limits{})
		require.NoError(t, err, "a plan without the limit")
		// The minute is over; or it is of a clock that was far ahead.
		for _, minutes := range []int{-5, 30} {
			set(t, db, `UPDATE tenants SET rate_minute = rate_minute + ?, rate_count = 2 WHERE id = ?`, minutes, tenant)
			_, err = l.Reserve(ctx, tenant, 1, limits)
			require.NoError(t, err)
			q, err := db.Tenant(ctx, tenant).Quota()
			require.NoError(t, err)
			require.EqualValues(t, 1, q.RateCount, "a new window")
			require.InDelta(t, q.At/60, q.RateMinute, 1)
		}
	})
}

func TestATenantThatIsNotActiveTakesNothingIn(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		l := quota.Ledger{DB: db, TTL: time.Minute}
		running, err := l.Reserve(ctx, tenant, 10, quota.Limits{})
		require.NoError(t, err)
		late, err := l.Reserve(ctx, tenant, 10, quota.Limits{})
		require.NoError(t, err)
		for _, state := range []string{"suspended", "pending_delete", "deleted", "failed", "provisioning"} {
			set(t, db, `UPDATE tenants SET state = ? WHERE id = ?`, state, tenant)
			_, err := l.Reserve(ctx, tenant, 1, quota.Limits{})
			require.Equal(t, storage.CodeTenantSuspended, storage.CodeOf(err), state)
			if state == "suspended" {
				require.NoError(t, settle(ctx, l, running, 10), "what runs when the tenant is suspended may end")
				continue
			}
			require.Equal(t, storage.CodeTenantSuspended, storage.CodeOf(settle(ctx, l, late, 10)), state)
		}
		require.NoError(t, l.Release(ctx, late))
		require.Equal(t, meta.Quota{Quota: 1000, Used: 10}, ledgerOf(t, db, tenant))
		requireTruth(t, db, tenant)
	})
}

func TestARepeatedUploadNeedsNoRoomAndTakesNone(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 10)
		l := quota.Ledger{DB: db, TTL: time.Minute}
		full := quota.Limits{MaxFiles: 1}
		first, err := l.Reserve(ctx, tenant, 10, full)
		require.NoError(t, err)
		require.NoError(t, settle(ctx, l, first, 10))
		set(t, db, `UPDATE plans SET storage_bytes = 5 WHERE name = ?`, "plan-"+tenant)
		full.NoRoom = true
		again, err := l.Reserve(ctx, tenant, 0, full)
		require.NoError(t, err)
		require.Equal(t, storage.CodeUnavailable, storage.CodeOf(settle(ctx, l, again, 0)), "an asset more would be one over")
		require.NoError(t, l.Release(ctx, again))
		full.NoRoom = false
		set(t, db, `UPDATE plans SET storage_bytes = 100 WHERE name = ?`, "plan-"+tenant)
		_, err = l.Reserve(ctx, tenant, 1, full)
		e := requireCode(t, err, storage.CodeQuotaExceeded, "quota_files")
		require.Equal(t, storage.Details{
			"limit": "files", "quota": int64(1), "used": int64(1), "reserved": int64(0), "needed": int64(1), "reason": "quota_files",
		}, e.Details)
	})
}

func TestExpiryGivesBackBytesFilesAndPlaces(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 100)
		dead := quota.Ledger{DB: db, TTL: -time.Second}
		full := quota.Limits{MaxFiles: 3, Concurrent: 3}
		for range 2 {
			for range 3 {
				_, err := dead.Reserve(ctx, tenant, 33, full)
				require.NoError(t, err)
			}
			_, err := dead.Reserve(ctx, tenant, 1, quota.Limits{Concurrent: 3})
			e := requireCode(t, err, storage.CodeRateLimited, "uploads_concurrent")
			require.EqualValues(t, 3, e.Details["concurrent"])
			require.Positive(t, e.Details["retry_after"])
			n, err := dead.ExpireAbandoned(ctx, 10)
			require.NoError(t, err)
			require.Equal(t, 3, n)
			row, err := db.Tenant(ctx, tenant).Ledger()
			require.NoError(t, err)
			require.Equal(t, meta.LedgerSums{}, row.Written)
			require.Equal(t, meta.LedgerSums{}, row.Truth)
		}
	})
}

// A smaller plan stops uploads, with its own numbers, and nothing else.
func TestLoweringAPlanLosesNothing(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		s := shop{quota.Ledger{DB: db, TTL: time.Minute, Grace: time.Hour}, metatest.Tenant(t, db, 1000)}
		var kept []*meta.Asset
		for range 3 {
			r, err := s.Reserve(ctx, s.tenant, 200, quota.Limits{MaxFiles: 9})
			require.NoError(t, err)
			a, err := s.upload(ctx, r, 200)
			require.NoError(t, err)
			kept = append(kept, a)
		}
		running, err := s.Reserve(ctx, s.tenant, 200, quota.Limits{MaxFiles: 9})
		require.NoError(t, err)

		require.NoError(t, s.variant(ctx, kept[0].SHA256, 50))

		set(t, db, `UPDATE plans SET storage_bytes = 300 WHERE name = ?`, "plan-"+s.tenant)
		_, err = s.Reserve(ctx, s.tenant, 1, quota.Limits{MaxFiles: 9})
		e := requireCode(t, err, storage.CodeQuotaExceeded, "quota_bytes")
		require.Equal(t, storage.Details{
			"limit": "bytes", "quota": int64(300), "used": int64(650), "reserved": int64(200), "needed": int64(1), "reason": "quota_bytes",
		}, e.Details)
		_, err = s.Reserve(ctx, s.tenant, 0, quota.Limits{MaxFiles: 2})
		requireCode(t, err, storage.CodeQuotaExceeded, "quota_files")
		_, err = s.upload(ctx, running, 200)
		require.NoError(t, err, "what has its room keeps it")
		for _, a := range kept {
			_, err := db.Tenant(ctx, s.tenant).Asset(a.ID)
			require.NoError(t, err)
			require.NoError(t, s.remove(ctx, a.ID))
		}
		held, err := s.Releasing(db.Tenant(ctx, s.tenant))
		require.NoError(t, err)
		require.EqualValues(t, 650, held.Bytes)
		require.WithinRange(t, *held.ReleasedAt, time.Now().Add(s.Grace-10*time.Minute), time.Now().Add(s.Grace))
		_, err = s.Reserve(ctx, s.tenant, 1, quota.Limits{MaxFiles: 9})
		e = requireCode(t, err, storage.CodeQuotaExceeded, "quota_bytes")
		require.Equal(t, held.Bytes, e.Details["releasing_bytes"], "whoever has deleted is told when that helps")
		require.Equal(t, held.ReleasedAt.Format(time.RFC3339), e.Details["released_at"])
		for _, a := range kept {
			require.NoError(t, s.sweep(ctx, a.SHA256))
		}
		held, err = s.Releasing(db.Tenant(ctx, s.tenant))
		require.NoError(t, err)
		require.Equal(t, quota.Releasing{}, held)
		_, err = s.Reserve(ctx, s.tenant, 100, quota.Limits{MaxFiles: 2})
		require.NoError(t, err)
		drift, err := db.LedgerDrift(ctx, nil)
		require.NoError(t, err)
		require.Empty(t, drift)
	})
}
