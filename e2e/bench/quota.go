package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/e2e/services"
	"gatehouse/quota"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// quotaClients is how many uploads begin and end at once.
const quotaClients = 64

// benchQuota compares what the ledger costs an upload (reserve, settle) on PostgreSQL with one bare conditional UPDATE of
// one row by the same clients over the same connections: all on one tenant's row, then each on its own.
func benchQuota(c *console) []row {
	ctx := context.Background()
	db, err := meta.Open(ctx, meta.Config{URL: services.PostgresDSN(c), MaxOpenConns: quotaClients, MaxIdleConns: quotaClients, ConnMaxLifetime: time.Hour})
	c.must(err)
	c.Cleanup(func() { _ = db.Close() })
	c.must(db.Migrate(ctx))
	_, err = db.Exec(ctx, `CREATE TABLE bare (id bigint PRIMARY KEY, n bigint NOT NULL)`)
	c.must(err)
	ledger := quota.Ledger{DB: db, TTL: time.Hour}
	limits := quota.Limits{MaxFiles: 1 << 40, UploadsPerMinute: 1 << 40, Concurrent: 1 << 40}
	var rows []row
	for _, tenants := range []int{1, quotaClients} {
		ids := make([]string, tenants)
		for i := range ids {
			ids[i] = metatest.Tenant(c, db, 1<<60)
			_, err := db.Exec(ctx, `INSERT INTO bare VALUES (?, 0) ON CONFLICT DO NOTHING`, i)
			c.must(err)
		}
		bare := func(client int) error {
			_, err := db.Exec(ctx, `UPDATE bare SET n = n + 1 WHERE id = ? AND n + 1 <= ?`, client%tenants, int64(1<<60))
			return err
		}
		reserve := func(client int) error {
			r, err := ledger.Reserve(ctx, ids[client%tenants], 1000, limits)
			if err != nil {
				return err
			}
			return db.InTx(ctx, func(tx *meta.Tx) error { return ledger.Settle(tx, r, 1000) })
		}
		n := max(int(4000*c.share), 4*quotaClients)
		// Bare, ledger, bare, ledger: drift of the machine hits both.
		var ref, got time.Duration
		for range 2 {
			ref += clients(c, n, bare)
			got += clients(c, n, reserve)
		}
		rate := func(d time.Duration) string { return fmt.Sprintf("%.0f/s", float64(2*n)/d.Seconds()) }
		rows = append(rows, row{
			what:     fmt.Sprintf("reserve and settle, %d clients, %d tenant(s), PostgreSQL", quotaClients, tenants),
			measured: rate(got), reference: "bare UPDATE " + rate(ref), ratio: ref.Seconds() / got.Seconds(),
		})
	}
	drift, err := db.LedgerDrift(ctx, nil)
	c.must(err)
	for _, d := range drift { // the files have no assets here; everything else must be exact
		if d.Written.ReservedBytes != 0 || d.Written.ReservedFiles != 0 {
			c.Fatalf("tenant %s still has reservations: %+v", d.TenantID, d)
		}
	}
	return rows
}

// clients has work done n times by all clients at once.
func clients(c *console, n int, work func(client int) error) time.Duration {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	began := time.Now()
	for i := range quotaClients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := work(i); err != nil {
					c.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if c.failed {
		c.Fatal("quota failed")
	}
	return time.Since(began)
}
