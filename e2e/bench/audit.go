package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/e2e/services"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// auditRecords is how many records the log has when uploads are measured, and how many are sealed and verified.
const auditRecords = 100_000

// benchAudit tells what the audit record costs an upload: the transaction that commits one (the statements of
// gateway/intake/store.go: blob, asset, event, audit record, scan task, settled reservation) on PostgreSQL against the same without
// the record. Then how fast records are sealed and verified.
func benchAudit(c *console) []row {
	ctx := context.Background()
	db, err := meta.Open(ctx, meta.Config{URL: services.PostgresDSN(c), MaxOpenConns: 20, MaxIdleConns: 20, ConnMaxLifetime: time.Hour})
	c.must(err)
	c.Cleanup(func() { _ = db.Close() })
	c.must(db.Migrate(ctx))
	n := max(int(auditRecords*c.share), 1000)
	_, err = db.Exec(ctx, `INSERT INTO audit_log (at, actor_kind, actor_id, actor_role, tenant_id, action, target, result, code, request_id, address, user_agent, data)
		SELECT ?::bigint + i, 'key', 'key' || i % 97, '', md5((i % 50)::text), 'asset.upload', md5(i::text), 'ok', '', md5('r' || i), '10.0.0.' || i % 256, 'curl/8',
			'{"name":"file.txt","size":1000}' FROM generate_series(1, ?::int) i`, meta.Now(), n)
	c.must(err)
	_, err = db.Exec(ctx, "VACUUM ANALYZE")
	c.must(err)
	rows := benchSealing(c, db, n)
	b := &uploadBench{c: c, db: db, ledger: quota.Ledger{DB: db, TTL: time.Hour}}
	for range 16 {
		b.tenants = append(b.tenants, metatest.Tenant(c, db, 1<<60))
	}
	for _, connections := range []int{1, 16} {
		uploads := max(int(1500*c.share), 8*connections)
		b.run(connections, uploads, true) // warms up
		// Six turns, each side first every other time: drift of the machine hits both.
		var with, without time.Duration
		for turn := range 6 {
			if turn%2 == 0 {
				without += b.run(connections, uploads, false)
				with += b.run(connections, uploads, true)
			} else {
				with += b.run(connections, uploads, true)
				without += b.run(connections, uploads, false)
			}
		}
		each := func(d time.Duration) string {
			return fmt.Sprintf("%.0f/s (%.2f ms)", float64(6*uploads)/d.Seconds(), d.Seconds()*1000*float64(connections)/float64(6*uploads))
		}
		rows = append(rows, row{
			what:     fmt.Sprintf("commit of an upload with its audit record, %d connections, PostgreSQL", connections),
			measured: each(with), reference: "without " + each(without), ratio: with.Seconds() / without.Seconds(),
		})
	}
	return rows
}

func benchSealing(c *console, db *meta.DB, n int) []row {
	ctx := context.Background()
	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: c.TempDir()})
	c.must(err)
	c.Cleanup(func() { _ = zones.Close() })
	key, err := audit.ParseKey(strings.Repeat("5a", 32))
	c.must(err)
	began := time.Now()
	c.must((&audit.Sealer{DB: db, Zone: zones.Audit, Key: key}).Finish(ctx))
	sealing := time.Since(began)
	began = time.Now()
	v, err := audit.Verifier{DB: db, Zone: zones.Audit, Public: key.Public(), Key: key}.VerifyRange(ctx, 1, 0)
	c.must(err)
	if !v.Whole || v.Records != int64(n) {
		c.Fatalf("the log is not whole: %v", v)
	}
	rate := func(d time.Duration) string { return fmt.Sprintf("%.0f/s", float64(n)/d.Seconds()) }
	return []row{
		{what: fmt.Sprintf("seal %d audit records, PostgreSQL", n), measured: rate(sealing), reference: "-"},
		{what: fmt.Sprintf("verify %d audit records, PostgreSQL", n), measured: rate(time.Since(began)), reference: "-"},
	}
}

// uploadBench commits uploads of bytes that are all new.
type uploadBench struct {
	c       *console
	db      *meta.DB
	ledger  quota.Ledger
	tenants []string
	n       int
}

// run commits so many uploads and tells how long that took; they are reserved before.
func (b *uploadBench) run(connections, uploads int, recorded bool) time.Duration {
	ctx := context.Background()
	limits := quota.Limits{MaxFiles: 1 << 40, UploadsPerMinute: 1 << 40, Concurrent: 1 << 40}
	reservations := make([]quota.Reservation, uploads)
	for i := range reservations {
		var err error
		reservations[i], err = b.ledger.Reserve(ctx, b.tenants[i%len(b.tenants)], 1000, limits)
		b.c.must(err)
	}
	first := b.n
	b.n += uploads
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range connections {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < uploads; i = int(next.Add(1)) - 1 {
				if err := b.commit(ctx, first+i, reservations[i], recorded); err != nil {
					b.c.Errorf("commit an upload: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	if b.c.failed {
		b.c.Fatal("audit failed")
	}
	return took
}

func (b *uploadBench) commit(ctx context.Context, i int, r quota.Reservation, recorded bool) error {
	sum := sha256.Sum256(fmt.Append(nil, i))
	digest, id := hex.EncodeToString(sum[:]), r.TenantID
	return b.db.InTx(ctx, func(tx *meta.Tx) error {
		now, tenant := meta.Now(), tx.Tenant(id)
		a := meta.Asset{
			ID: meta.NewID(), SHA256: digest, Name: "file.txt", Ext: "txt", Category: "document", MediaType: "text/plain", Size: 1000,
			State: storage.AssetQuarantined, CreatedAt: now, UpdatedAt: now,
		}
		if _, err := tenant.CreateBlob(&meta.Blob{
			SHA256: digest, Size: a.Size, MediaType: a.MediaType, Category: a.Category, Zone: storage.ZoneQuarantine, Refs: 1,
			ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		}); err != nil {
			return err
		}
		if err := tenant.CreateAsset(&a); err != nil {
			return err
		}
		if err := tenant.Record(a.ID, storage.EventAccepted, map[string]any{"state": a.State, "duplicate": false}); err != nil {
			return err
		}
		if recorded {
			if err := audit.Write(tx, audit.Entry{
				Actor:    audit.Actor{Kind: audit.KindKey, ID: id, RequestID: a.ID, Address: "192.0.2.7", UserAgent: "curl/8.5.0"},
				TenantID: id, Action: "asset.upload", Target: a.ID, Result: audit.OK,
				Data: map[string]any{"name": a.Name, "size": a.Size, "sha256": a.SHA256, "media_type": a.MediaType, "duplicate": false},
			}); err != nil {
				return err
			}
		}
		if _, err := tx.Enqueue(meta.BlobTask(storage.TaskScan, id, digest)); err != nil {
			return err
		}
		return b.ledger.Settle(tx, r, a.Size)
	})
}
