package quota_test

import (
	"context"
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

func ledgerOf(t *testing.T, db *meta.DB, tenant string) meta.Quota {
	t.Helper()
	q, err := db.Tenant(context.Background(), tenant).Quota()
	require.NoError(t, err)
	return meta.Quota{Quota: q.Quota, Used: q.Used, Reserved: q.Reserved}
}

func TestReservationsNeverExceedTheQuotaAcrossTwoGateways(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, one, 1000)
		gateways := []quota.Ledger{{DB: one, TTL: time.Minute}, {DB: two, TTL: time.Minute}}
		var granted, refused atomic.Int64
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				l := gateways[i%2]
				r, err := l.Reserve(ctx, tenant, 100, quota.Limits{})
				switch {
				case err == nil:
					if l.DB.InTx(ctx, func(tx *meta.Tx) error { return l.Settle(tx, r, 100) }) == nil {
						granted.Add(1)
					}
				case storage.CodeOf(err) == storage.CodeQuotaExceeded:
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 10, granted.Load())
		require.EqualValues(t, 54, refused.Load())
		require.Equal(t, meta.Quota{Quota: 1000, Used: 1000}, ledgerOf(t, one, tenant))
	})
}

func TestLedgerKeepsCountThroughEveryStep(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		l := quota.Ledger{DB: db, TTL: time.Minute}

		r, err := l.Reserve(ctx, tenant, 400, quota.Limits{})
		require.NoError(t, err)
		require.NoError(t, l.Grow(ctx, &r, 900))
		require.Equal(t, meta.Quota{Quota: 1000, Reserved: 900}, ledgerOf(t, db, tenant))
		err = l.Grow(ctx, &r, 1001)
		require.Equal(t, storage.CodeQuotaExceeded, storage.CodeOf(err))
		require.Equal(t, meta.Quota{Quota: 1000, Reserved: 900}, ledgerOf(t, db, tenant), "a refused growth leaves the reservation as it was")

		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error { return l.Settle(tx, r, 850) }))
		require.Equal(t, meta.Quota{Quota: 1000, Used: 850}, ledgerOf(t, db, tenant))
		require.Error(t, db.InTx(ctx, func(tx *meta.Tx) error { return l.Settle(tx, r, 1) }), "settled twice")
		require.NoError(t, l.Release(ctx, r), "released after it was settled")

		err = db.InTx(ctx, func(tx *meta.Tx) error { return l.Charge(tx, tenant, 151) })
		require.Equal(t, storage.CodeQuotaExceeded, storage.CodeOf(err))
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error { return l.Charge(tx, tenant, 150) }))
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error { return l.Refund(tx, tenant, 1000) }))
		require.Equal(t, meta.Quota{Quota: 1000}, ledgerOf(t, db, tenant))
	})
}

func TestLedgerHoldsWhenACallerDoesNotKnowOfItsOwnGrowth(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		l := quota.Ledger{DB: db, TTL: -time.Second}
		r, err := l.Reserve(ctx, tenant, 100, quota.Limits{})
		require.NoError(t, err)
		grown := r
		require.NoError(t, l.Grow(ctx, &grown, 300))
		require.Error(t, db.InTx(ctx, func(tx *meta.Tx) error { return l.Settle(tx, r, 100) }))
		require.NoError(t, l.Release(ctx, r))
		require.Equal(t, meta.Quota{Quota: 1000, Reserved: 300}, ledgerOf(t, db, tenant))
		_, err = l.ExpireAbandoned(ctx, 10)
		require.NoError(t, err)
		require.Equal(t, meta.Quota{Quota: 1000}, ledgerOf(t, db, tenant))
	})
}

func TestAbandonedReservationsExpireAndRenewedOnesDoNot(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		gone := quota.Ledger{DB: db, TTL: -time.Second}
		alive := quota.Ledger{DB: db, TTL: time.Minute}

		lost, err := gone.Reserve(ctx, tenant, 300, quota.Limits{})
		require.NoError(t, err)
		kept, err := gone.Reserve(ctx, tenant, 200, quota.Limits{})
		require.NoError(t, err)
		require.NoError(t, alive.Renew(ctx, kept))

		n, err := alive.ExpireAbandoned(ctx, 100)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, meta.Quota{Quota: 1000, Reserved: 200}, ledgerOf(t, db, tenant))
		err = db.InTx(ctx, func(tx *meta.Tx) error { return alive.Settle(tx, lost, 300) })
		require.Equal(t, storage.CodeUnavailable, storage.CodeOf(err), "an upload that lost its reservation is asked to try again")
		require.NoError(t, alive.Release(ctx, kept))
		require.Equal(t, meta.Quota{Quota: 1000}, ledgerOf(t, db, tenant))
	})
}

// TestReservationsLiveByTheDatabasesClock: a gateway whose clock is behind that of the worker would lose its uploads.
func TestReservationsLiveByTheDatabasesClock(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		l := quota.Ledger{DB: db, TTL: time.Hour}
		r, err := l.Reserve(ctx, metatest.Tenant(t, db, 1000), 100, quota.Limits{})
		require.NoError(t, err)
		byTheDatabase := func() {
			var left, expires int64
			require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
				if _, err := tx.Scan(&expires, "SELECT expires_at FROM reservations"); err != nil {
					return err
				}
				_, err := tx.Scan(&left, "SELECT ? - ("+db.Dialect().Epoch()+")", expires/1e6)
				return err
			}))
			require.Zero(t, expires%1e6, "the database's clock counts whole seconds here")
			require.LessOrEqual(t, left, int64(3600))
		}
		byTheDatabase()
		require.NoError(t, l.Renew(ctx, r))
		byTheDatabase()
		require.NoError(t, l.Grow(ctx, &r, 200))
		byTheDatabase()
	})
}

func TestPlanNarrowsThePolicy(t *testing.T) {
	base := storage.Policy{Categories: map[storage.Category]storage.CategoryPolicy{
		storage.CategoryImage: {MaxBytes: 100}, storage.CategoryVideo: {MaxBytes: 1000},
	}}
	spec, err := quota.SpecOf(`{"categories":["image"],"max_bytes":{"image":50},"duplicates":"reject"}`, "")
	require.NoError(t, err)
	p := quota.PolicyFor(base, spec)
	require.Equal(t, map[storage.Category]storage.CategoryPolicy{storage.CategoryImage: {MaxBytes: 50}}, p.Categories)
	require.True(t, p.RejectDuplicates)
	require.Len(t, base.Categories, 2, "the base is not changed")
	wide := quota.PolicyFor(base, quota.Spec{MaxBytes: map[storage.Category]int64{storage.CategoryImage: 500}})
	require.EqualValues(t, 100, wide.Categories[storage.CategoryImage].MaxBytes, "a plan never raises a limit")
}
