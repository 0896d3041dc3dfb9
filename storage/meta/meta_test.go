package meta_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func inTx(t *testing.T, db *meta.DB, fn func(*meta.Tx) error) {
	t.Helper()
	require.NoError(t, db.InTx(context.Background(), fn))
}

func newBlob(sha string) *meta.Blob {
	now := meta.Now()
	return &meta.Blob{
		SHA256: sha, Size: 4, MediaType: "text/plain", Category: storage.CategoryDocument, Zone: storage.ZoneQuarantine,
		Refs: 1, ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
	}
}

func newAsset(name, sha string) *meta.Asset {
	now := meta.Now()
	return &meta.Asset{
		ID: meta.NewID(), SHA256: sha, Name: name, Ext: "txt", Category: storage.CategoryDocument, MediaType: "text/plain",
		Size: 4, State: storage.AssetQuarantined, CreatedAt: now, UpdatedAt: now,
	}
}

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		require.NoError(t, db.SchemaCurrent(ctx))
		require.NoError(t, db.Migrate(ctx), "a second migration finds nothing to do")
		require.NoError(t, db.RollbackLast(ctx))
		require.Error(t, db.SchemaCurrent(ctx))
		var err error
		for err == nil {
			err = db.RollbackLast(ctx)
		}
		require.ErrorContains(t, err, "Could not find last run migration", "every step has a way back")
		_, err = db.Exec(ctx, "DROP TABLE migrations")
		require.NoError(t, err)
		require.ErrorContains(t, db.SchemaCurrent(ctx), "has no tables yet: run `gateway migrate`")
		require.NoError(t, db.Migrate(ctx))
		require.NoError(t, db.SchemaCurrent(ctx))
	})
}

func TestTenantsNeverMeet(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		one, two := metatest.Tenant(t, db, 1000), metatest.Tenant(t, db, 1000)
		a := newAsset("one.txt", digest)
		inTx(t, db, func(tx *meta.Tx) error {
			created, err := tx.Tenant(one).CreateBlob(newBlob(digest))
			require.True(t, created)
			require.NoError(t, err)
			require.NoError(t, tx.Tenant(one).Record(a.ID, storage.EventAccepted, nil))
			bound, err := tx.Tenant(one).Remember("k", a.ID, digest)
			require.True(t, bound)
			require.NoError(t, err)
			return tx.Tenant(one).CreateAsset(a)
		})
		own, err := db.Tenant(ctx, one).Asset(a.ID)
		require.NoError(t, err)
		require.Equal(t, digest, own.Blob.SHA256)

		other := db.Tenant(ctx, two)
		_, err = other.Asset(a.ID)
		require.ErrorIs(t, err, storage.ErrNotFound)
		_, err = other.Blob(digest)
		require.ErrorIs(t, err, storage.ErrNotFound)
		list, err := other.Assets(meta.AssetFilter{}, "", 10)
		require.NoError(t, err)
		require.Empty(t, list)
		events, err := other.Events(a.ID, 0, 10)
		require.NoError(t, err)
		require.Empty(t, events)
		_, err = other.Idempotent("k")
		require.ErrorIs(t, err, storage.ErrNotFound)
		inTx(t, db, func(tx *meta.Tx) error {
			linked, err := tx.Tenant(two).LinkBlob(digest)
			require.False(t, linked, "dedupe must not cross tenants")
			require.NoError(t, err)
			_, err = tx.Tenant(two).DeleteAsset(a.ID)
			require.ErrorIs(t, err, storage.ErrNotFound)
			return nil
		})
	})
}

func TestListIsPagedFilteredAndSearched(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		names := []string{"Größe 100%.txt", "a_b.txt", "aXb.txt", "bang!.txt", "INVOICE.txt"}
		inTx(t, db, func(tx *meta.Tx) error {
			_, err := tx.Tenant(tenant).CreateBlob(newBlob(digest))
			require.NoError(t, err)
			for _, n := range names {
				require.NoError(t, tx.Tenant(tenant).CreateAsset(newAsset(n, digest)))
			}
			return nil
		})
		h := db.Tenant(ctx, tenant)
		var seen []string
		before := ""
		for {
			page, err := h.Assets(meta.AssetFilter{}, before, 2)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			for _, v := range page {
				seen = append([]string{v.Name}, seen...)
			}
			before = page[len(page)-1].ID
		}
		require.Equal(t, names, seen)
		for query, want := range map[string]int{"größe": 1, "100%": 1, "a_b": 1, "!": 1, "invoice": 1, ".TXT": 5, "nope": 0} {
			got, err := h.Assets(meta.AssetFilter{Query: query}, "", 10)
			require.NoError(t, err)
			require.Len(t, got, want, query)
		}
		got, err := h.Assets(meta.AssetFilter{State: storage.AssetAvailable}, "", 10)
		require.NoError(t, err)
		require.Empty(t, got)
	})
}

func TestBlobIsCreatedOnceUnderARace(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		var created, linked atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				var isNew, isLink bool
				err := db.InTx(context.Background(), func(tx *meta.Tx) (err error) {
					if isLink, err = tx.Tenant(tenant).LinkBlob(digest); err != nil || isLink {
						return err
					}
					if isNew, err = tx.Tenant(tenant).CreateBlob(newBlob(digest)); err != nil || isNew {
						return err
					}
					isLink, err = tx.Tenant(tenant).LinkBlob(digest)
					return err
				})
				switch {
				case err != nil:
					t.Errorf("upload: %v", err)
				case isNew:
					created.Add(1)
				case isLink:
					linked.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, created.Load())
		require.EqualValues(t, 15, linked.Load())
		b, err := db.Tenant(context.Background(), tenant).Blob(digest)
		require.NoError(t, err)
		require.EqualValues(t, 16, b.Refs)
	})
}

func TestDeletedAssetDropsItsReferenceAndTheSweepIsExclusive(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		a := newAsset("a.txt", digest)
		inTx(t, db, func(tx *meta.Tx) error {
			_, err := tx.Tenant(tenant).CreateBlob(newBlob(digest))
			require.NoError(t, err)
			return tx.Tenant(tenant).CreateAsset(a)
		})
		inTx(t, db, func(tx *meta.Tx) error {
			_, err := tx.Tenant(tenant).DeleteAsset(a.ID)
			return err
		})
		_, err := db.Tenant(ctx, tenant).Asset(a.ID)
		require.ErrorIs(t, err, storage.ErrNotFound)
		pages := 0
		for list, err := range db.Sweepable(ctx, meta.Now(), 0, 1) {
			require.NoError(t, err)
			require.Len(t, list, 1)
			pages++
		}
		require.Equal(t, 1, pages)

		inTx(t, db, func(tx *meta.Tx) error {
			won, err := tx.BeginSweep(tenant, digest, meta.Now(), 0)
			require.True(t, won)
			return err
		})
		inTx(t, db, func(tx *meta.Tx) error {
			_, err := tx.Tenant(tenant).LinkBlob(digest)
			require.ErrorIs(t, err, meta.ErrSweeping)
			return nil
		})
		inTx(t, db, func(tx *meta.Tx) error {
			freed, err := tx.EndSweep(tenant, digest)
			require.EqualValues(t, 4, freed)
			return err
		})
		_, err = db.Tenant(ctx, tenant).Blob(digest)
		require.ErrorIs(t, err, storage.ErrNotFound)
	})
}

func TestLinkedBlobIsNotSwept(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		inTx(t, db, func(tx *meta.Tx) error {
			_, err := tx.Tenant(tenant).CreateBlob(newBlob(digest))
			require.NoError(t, err)
			won, err := tx.BeginSweep(tenant, digest, meta.Now(), 0)
			require.False(t, won)
			return err
		})
	})
}

func TestMediaStatusMovesOnlyAsTheTableSays(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		inTx(t, db, func(tx *meta.Tx) error { _, err := tx.Tenant(tenant).CreateBlob(newBlob(digest)); return err })
		all := []storage.MediaStatus{storage.MediaNone, storage.MediaPending, storage.MediaRunning, storage.MediaDone, storage.MediaFailed}
		for _, from := range all {
			for _, to := range all {
				inTx(t, db, func(tx *meta.Tx) error {
					_, err := tx.Exec(`UPDATE blobs SET media_status = ? WHERE tenant_id = ?`, from, tenant)
					require.NoError(t, err)
					b, err := tx.Tenant(tenant).Blob(digest)
					require.NoError(t, err)
					require.ErrorIs(t, tx.Tenant(tenant).SetMedia(digest, b.Revision+1, to, 0, nil), meta.ErrChanged)
					for _, move := range []func() error{
						func() error { return tx.Tenant(tenant).SetMedia(digest, b.Revision, to, 0.5, nil) },
						func() error {
							_, err := tx.Exec(`UPDATE blobs SET media_status = ?, revision = ? WHERE tenant_id = ?`, from, b.Revision, tenant)
							require.NoError(t, err)
							return tx.Tenant(tenant).SetVerdict(digest, b.Revision, storage.Verdict{Status: storage.ScanClean}, storage.ZoneClean, to)
						},
					} {
						err := move()
						if from == to || storage.CanMoveMedia(from, to) {
							require.NoError(t, err, "%s to %s", from, to)
							continue
						}
						require.ErrorContains(t, err, "may not go", "%s to %s", from, to)
						require.NotErrorIs(t, err, meta.ErrChanged)
					}
					return nil
				})
			}
		}
	})
}

func TestTaskIsClaimedOnceAndFencedByItsLease(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		inTx(t, db, func(tx *meta.Tx) error {
			for _, want := range []bool{true, false} {
				queued, err := tx.Enqueue(meta.NewTask{Kind: storage.TaskScan, TenantID: tenant, Subject: digest, Unique: true})
				require.NoError(t, err)
				require.Equal(t, want, queued)
			}
			return nil
		})
		rung, err := db.Ring(ctx, 0, 10)
		require.NoError(t, err)
		require.Len(t, rung, 1)
		again, err := db.Ring(ctx, 0, 10)
		require.NoError(t, err)
		require.Empty(t, again, "the doorbell rings once")

		var won atomic.Int64
		var first meta.Lease
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				l, ok, err := db.Claim(ctx, rung[0].ID, "w", time.Minute)
				if err == nil && ok {
					won.Add(1)
					mu.Lock()
					first = l
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, won.Load())
		require.NoError(t, db.Heartbeat(ctx, first, -time.Second, 0.5))

		requeued, err := db.Reap(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 1, requeued)
		require.ErrorIs(t, db.InTx(ctx, func(tx *meta.Tx) error { return tx.Finish(first) }), meta.ErrLeaseLost)

		second, ok, err := db.Claim(ctx, rung[0].ID, "w", time.Minute)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 2, second.Task.Attempts)
		require.ErrorIs(t, db.Heartbeat(ctx, first, time.Minute, 0), meta.ErrLeaseLost)
		inTx(t, db, func(tx *meta.Tx) error { return tx.Retry(second, meta.Now(), "scanner away", true) })
		third, ok, err := db.Claim(ctx, rung[0].ID, "w", time.Minute)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 2, third.Task.Attempts, "a free retry does not count")
		inTx(t, db, func(tx *meta.Tx) error { return tx.Finish(third) })
		inTx(t, db, func(tx *meta.Tx) error {
			queued, err := tx.Enqueue(meta.NewTask{Kind: storage.TaskScan, TenantID: tenant, Subject: digest, Unique: true})
			require.True(t, queued, "a finished task holds nothing back")
			return err
		})
	})
}

func TestAuditLogCanOnlyBeAppendedTo(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		inTx(t, db, func(tx *meta.Tx) error {
			return audit.Write(tx, audit.Entry{Actor: audit.Actor{Kind: "key", UserAgent: "x\x00\xff"}, Action: "asset.upload", Result: audit.OK})
		})
		attacks := []string{"UPDATE audit_log SET action = 'nothing'", "DELETE FROM audit_log"}
		if db.Dialect() != meta.Postgres {
			attacks = append(attacks, "REPLACE INTO audit_log SELECT * FROM audit_log")
		}
		for _, attack := range attacks {
			err := db.InTx(ctx, func(tx *meta.Tx) error { _, err := tx.Exec(attack); return err })
			require.ErrorContains(t, err, "append-only")
		}
	})
}

func TestTurnIsTakenByOne(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				ok, err := db.TakeTurn(ctx, "sweep", meta.Now().Add(-time.Hour))
				if err == nil && ok {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, won.Load())
		require.NoError(t, db.SetFact(ctx, "scanner", "a"))
		require.NoError(t, db.SetFact(ctx, "scanner", "b"))
		f, err := db.FactByName(ctx, "scanner")
		require.NoError(t, err)
		require.Equal(t, "b", f.Value)
		_, err = db.FactByName(ctx, "unknown")
		require.ErrorIs(t, err, storage.ErrNotFound)
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(meta.EncodeCursor(meta.NewID()))
	f.Add("")
	f.Add("MTo")
	f.Add("////")
	f.Fuzz(func(t *testing.T, cursor string) {
		id, err := meta.DecodeCursor(cursor)
		if err != nil {
			require.Equal(t, storage.CodeMalformedRequest, storage.CodeOf(err))
			return
		}
		require.Equal(t, cursor, meta.EncodeCursor(id), "one id has one cursor")
	})
}

func TestDatabaseThatIsAwayIsUnavailable(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
		defer cancel()
		_, err := db.Tenant(ctx, "t").Asset(meta.NewID())
		require.Equal(t, storage.CodeUnavailable, storage.CodeOf(err), "%v", err)
		err = db.InTx(ctx, func(tx *meta.Tx) error { return tx.Create(&meta.Plan{Name: "p"}) })
		require.Equal(t, storage.CodeUnavailable, storage.CodeOf(err), "%v", err)
	})
}
