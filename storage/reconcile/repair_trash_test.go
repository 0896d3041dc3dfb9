package reconcile

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// orphan puts an object without a row, with its finding.
func (y *yard) orphan(t testing.TB, zone storage.Zone, content string) meta.ReconcileFinding {
	t.Helper()
	key := y.object(t, zone, content)
	return y.finding(t, storage.DriftOrphan, storage.RepairTrash, meta.ReconcileFinding{Zone: zone, SHA256: digestOf(content), ObjectKey: key})
}

func (y *yard) requireTrashed(t testing.TB, f meta.ReconcileFinding, content string) {
	t.Helper()
	require.False(t, y.has(t, f.Zone, f.ObjectKey))
	digest, err := blob.Digest(ctx, y.zones.Quarantine, storage.TrashKey(f.Zone, f.ObjectKey))
	require.NoError(t, err)
	require.Equal(t, digestOf(content), digest)
}

func (y *yard) requireNoClaim(t testing.TB, digest string) {
	t.Helper()
	_, err := y.db.Tenant(ctx, y.tenant).Blob(digest)
	require.ErrorIs(t, err, storage.ErrNotFound)
}

func eachTrash(t *testing.T, test func(t *testing.T, y *yard)) {
	onEach(t, test)
	t.Run("minio", func(t *testing.T) { test(t, newYard(t, metatest.SQLite(t), s3Zones(t, services.MinIO(t)))) })
}

func TestOrphanGoesToTheTrashAndComesBackFromThere(t *testing.T) {
	for _, zone := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean} {
		t.Run(string(zone), func(t *testing.T) {
			eachTrash(t, func(t *testing.T, y *yard) {
				f := y.orphan(t, zone, "nobody knows it")
				y.mend(t, f, meta.FindingRepaired)
				y.requireTrashed(t, f, "nobody knows it")
				y.requireNoClaim(t, f.SHA256)
				y.again(t, f)
				require.Zero(t, y.dry(t).ForeignObjects, "a run leaves the trash alone")

				y.upload(t, "nobody knows it") // its row comes back, as a snapshot would bring it, and its object is lost again
				y.lose(t, storage.ZoneQuarantine, f.ObjectKey)
				y.mend(t, y.finding(t, storage.DriftMissing, storage.RepairDamaged, y.about("nobody knows it")), meta.FindingRepaired)
				b := y.blobOf(t, "nobody knows it") // a scan will end the damage
				require.Equal(t, storage.DamageMissing, b.Damage)
				require.Equal(t, storage.ZoneQuarantine, b.Zone)
				require.True(t, y.open(t, storage.TaskScan, "nobody knows it"))
				require.True(t, y.has(t, storage.ZoneQuarantine, f.ObjectKey))
			})
		})
	}
}

func TestYoungOrphanStays(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		f := y.orphan(t, storage.ZoneQuarantine, "just put")
		y.cfg.OrphanGrace = time.Hour
		y.mend(t, f, meta.FindingGone)
		require.True(t, y.has(t, storage.ZoneQuarantine, f.ObjectKey))
	})
}

// An upload of the same bytes at each step of the move: one that is acknowledged has its object.
func TestUploadWhileItsOrphanIsTrashed(t *testing.T) {
	const content = "an upload died here long ago"
	t.Run("row before the claim", func(t *testing.T) {
		onEach(t, func(t *testing.T, y *yard) {
			f := y.orphan(t, storage.ZoneQuarantine, content)
			y.meanwhile(storage.ZoneQuarantine, func() { y.upload(t, content) })
			y.mend(t, f, meta.FindingGone)
			require.True(t, y.has(t, storage.ZoneQuarantine, f.ObjectKey))
			y.requireExactRows(t)
		})
	})
	t.Run("put after the copy", func(t *testing.T) {
		onEach(t, func(t *testing.T, y *yard) {
			f := y.orphan(t, storage.ZoneQuarantine, content)
			m := &mending{Reconciler: y.Reconciler, f: f}
			c, err := m.copyToTrash(ctx, f.Zone, f.ObjectKey)
			require.NoError(t, err)
			require.NoError(t, m.claimDigest(ctx))
			c.was.ModTime, c.copy.ModTime = c.was.ModTime.Add(-time.Hour), c.copy.ModTime.Add(-time.Hour) // they were long ago
			y.object(t, storage.ZoneQuarantine, content)                                                  // the upload saw no row before the claim
			var untouched *gone
			require.ErrorAs(t, m.remove(ctx, c), &untouched)
			_, created, err := y.row(content)
			require.NoError(t, err)
			require.False(t, created, "it waits for the claim to end")
			y.inTx(t, func(tx *meta.Tx) error { return tx.EndClaim(y.tenant, f.SHA256) })
			_, created, err = y.row(content)
			require.NoError(t, err)
			require.True(t, created)
			require.True(t, y.has(t, storage.ZoneQuarantine, f.ObjectKey))
		})
	})
	t.Run("put right before the deletion", func(t *testing.T) {
		onEach(t, func(t *testing.T, y *yard) {
			f := y.orphan(t, storage.ZoneQuarantine, content)
			m := &mending{Reconciler: y.Reconciler, f: f}
			require.NoError(t, m.claimAndTrash(ctx))
			_, created, err := y.row(content)
			require.NoError(t, err)
			require.False(t, created, "the claim is still there: it settles")
			_, err = m.endClaimed(ctx)
			require.NoError(t, err)
			y.upload(t, content)
			require.True(t, y.has(t, storage.ZoneQuarantine, f.ObjectKey))
		})
	})
}

// requireExactRows holds the ledger against the rows alone.
func (y *yard) requireExactRows(t testing.TB) {
	t.Helper()
	q, err := y.db.Tenant(ctx, y.tenant).Quota()
	require.NoError(t, err)
	stored, err := y.db.Tenant(ctx, y.tenant).StoredBytes()
	require.NoError(t, err)
	require.Equal(t, stored, q.Used)
}

func TestKillAtEachStepOfAMoveLosesNothing(t *testing.T) {
	const content = "moved twice"
	die := errors.New("the worker died")
	for name, kill := range map[string]func(t *testing.T, y *yard, m *mending){
		"between copy and claim": func(t *testing.T, y *yard, m *mending) {
			_, err := m.copyToTrash(ctx, m.f.Zone, m.f.ObjectKey)
			require.NoError(t, err)
		},
		"between claim and deletion": func(t *testing.T, y *yard, m *mending) {
			_, err := m.copyToTrash(ctx, m.f.Zone, m.f.ObjectKey)
			require.NoError(t, err)
			require.NoError(t, m.claimDigest(ctx))
		},
		"between deletion and end": func(t *testing.T, y *yard, m *mending) {
			require.NoError(t, m.claimAndTrash(ctx))
		},
		"at the end": func(t *testing.T, y *yard, m *mending) {
			m.guard = func(*meta.Tx) error { return nil }
			require.NoError(t, m.claimAndTrash(ctx))
			m.guard = func(*meta.Tx) error { return die }
			_, err := m.endClaimed(ctx)
			require.ErrorIs(t, err, die)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachTrash(t, func(t *testing.T, y *yard) {
				f := y.orphan(t, storage.ZoneClean, content)
				kill(t, y, &mending{Reconciler: y.Reconciler, f: f})
				y.cfg.Takeover = time.Nanosecond
				_, err := y.repair(ctx, nil, f)
				require.NoError(t, err)
				y.requireTrashed(t, f, content)
				y.cfg.OrphanGrace = time.Hour
				y.sweep(t) // ends a claim that was left
				y.requireNoClaim(t, f.SHA256)
			})
		})
	}
}

func TestSweepThatTakesOverTheClaimOnAnOrphanLeavesItsObject(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		f := y.orphan(t, storage.ZoneClean, "claimed by somebody who died")
		m := &mending{Reconciler: y.Reconciler, f: f}
		require.NoError(t, m.claimDigest(ctx))
		require.Error(t, m.claimDigest(ctx), "it is another's")
		y.cfg.OrphanGrace, y.cfg.Takeover = time.Hour, time.Nanosecond
		y.sweep(t)
		y.requireNoClaim(t, f.SHA256)
		require.True(t, y.has(t, storage.ZoneClean, f.ObjectKey))
	})
}

func TestObjectThatAnAssetSpeaksOfStays(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "its row was dropped")
		y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Exec(`DELETE FROM blobs`); return err })
		f := y.orphan(t, storage.ZoneQuarantine, "its row was dropped")
		y.mend(t, f, meta.FindingGone)
		require.True(t, y.has(t, storage.ZoneQuarantine, f.ObjectKey))
		y.requireNoClaim(t, f.SHA256)
	})
}

func TestTrashNeverOverwritesOtherBytes(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		for _, other := range []string{"others", "shorter"} {
			f := y.orphan(t, storage.ZoneClean, "orphan")
			y.put(t, storage.ZoneQuarantine, storage.TrashKey(f.Zone, f.ObjectKey), other)
			y.mend(t, f, meta.FindingFailed)
			require.True(t, y.has(t, storage.ZoneClean, f.ObjectKey))
			y.requireNoClaim(t, f.SHA256)
		}
	})
}

func TestStrayVariantGoesToTheTrashUnlessAJobIsAtWork(t *testing.T) {
	eachTrash(t, func(t *testing.T, y *yard) {
		y.upload(t, "picture")
		y.pass(t, "picture")
		key := storage.VariantKey(y.tenant, digestOf("picture"), "w640", "", "webp")
		y.put(t, storage.ZoneClean, key, "no row")
		f := meta.ReconcileFinding{Zone: storage.ZoneClean, SHA256: digestOf("picture"), Preset: "w640", ObjectKey: key}
		task := meta.BlobTask(storage.TaskImage, y.tenant, f.SHA256)
		y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Enqueue(task); return err })
		y.mend(t, y.finding(t, storage.DriftStray, storage.RepairTrash, f), meta.FindingOpen)
		require.True(t, y.has(t, storage.ZoneClean, key))
		y.inTx(t, func(tx *meta.Tx) error { return tx.Tenant(y.tenant).CancelTasks(f.SHA256) })

		f = y.finding(t, storage.DriftStray, storage.RepairTrash, f)
		y.mend(t, f, meta.FindingRepaired)
		y.requireTrashed(t, f, "no row")
		y.again(t, f)
		kept := storage.VariantKey(y.tenant, digestOf("picture"), "w320", "", "webp")
		y.again(t, y.finding(t, storage.DriftStray, storage.RepairTrash, meta.ReconcileFinding{
			Zone: storage.ZoneClean, SHA256: f.SHA256, Preset: "w320", ObjectKey: kept,
		}))
		require.True(t, y.has(t, storage.ZoneClean, kept))
		y.inTx(t, func(tx *meta.Tx) error {
			queued, err := tx.Enqueue(task)
			require.True(t, queued, "nothing is held any more")
			return err
		})
	})
}

func TestSecondCopyGoesToTheTrashOnlyWhileTheFirstIsWhole(t *testing.T) {
	eachTrash(t, func(t *testing.T, y *yard) {
		y.upload(t, "twice")
		y.pass(t, "twice")
		f := y.about("twice")
		f.Zone = storage.ZoneQuarantine
		misplaced := func() meta.ReconcileFinding { return y.finding(t, storage.DriftZone, storage.RepairTrash, f) }
		y.object(t, storage.ZoneQuarantine, "twice")
		y.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Enqueue(meta.BlobTask(storage.TaskScan, y.tenant, f.SHA256))
			return err
		})
		y.mend(t, misplaced(), meta.FindingOpen) // a scan may be about to want it
		y.inTx(t, func(tx *meta.Tx) error { return tx.Tenant(y.tenant).CancelTasks(f.SHA256) })

		y.put(t, storage.ZoneClean, f.ObjectKey, "cut")
		y.mend(t, misplaced(), meta.FindingGone)
		y.lose(t, storage.ZoneClean, f.ObjectKey)
		y.mend(t, misplaced(), meta.FindingGone)
		y.object(t, storage.ZoneClean, "twice")
		y.inTx(t, func(tx *meta.Tx) error {
			return tx.Tenant(y.tenant).MarkDamaged(f.SHA256, y.blobOf(t, "twice").Revision, storage.DamageDigest)
		})
		y.mend(t, misplaced(), meta.FindingGone)
		require.True(t, y.has(t, storage.ZoneQuarantine, f.ObjectKey))

		y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Exec(`UPDATE blobs SET damage = ''`); return err })
		last := misplaced()
		y.mend(t, last, meta.FindingRepaired)
		y.requireTrashed(t, last, "twice")
		require.True(t, y.has(t, storage.ZoneClean, f.ObjectKey))
	})
}

func TestTrashIsPurgedWhenItsTimeIsOver(t *testing.T) {
	eachTrash(t, func(t *testing.T, y *yard) {
		var keys []string
		for n := range purgeBatch + 5 {
			key := storage.TrashKey(storage.ZoneClean, storage.BlobKey(y.tenant, digestOf(fmt.Sprint(n))))
			y.put(t, storage.ZoneQuarantine, key, "trash")
			keys = append(keys, key)
		}
		require.Zero(t, y.sweep(t).Purged)
		for n := range 5 {
			y.upload(t, fmt.Sprint(n))
		}
		original := func(content string) string { return storage.BlobKey(y.tenant, digestOf(content)) }
		y.inTx(t, func(tx *meta.Tx) error { // 0 is known to be damaged, of 1 the row is lost
			_, err := tx.Exec(`DELETE FROM blobs WHERE sha256 = ?`, digestOf("1"))
			return errors.Join(err, tx.Tenant(y.tenant).MarkDamaged(digestOf("0"), 0, storage.DamageMissing))
		})
		y.lose(t, storage.ZoneQuarantine, original("2")) // and nobody has noticed
		y.put(t, storage.ZoneQuarantine, original("3"), "cut")
		const kept = 4 // 4 is whole
		y.cfg.Trash = 0
		rep := y.sweep(t)
		require.Equal(t, len(keys)-kept, rep.Purged)
		require.EqualValues(t, 5*(len(keys)-kept), rep.PurgedBytes)
		require.EqualValues(t, len(keys)-kept, y.audited(t, "trash.purge"))
		for n, key := range keys {
			require.Equal(t, n < kept, y.has(t, storage.ZoneQuarantine, key), n)
		}
		require.Zero(t, y.sweep(t).Purged)
	})
}

func TestStoreThatIsAwayEndsTheRunAndNotTheFinding(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		f := y.orphan(t, storage.ZoneClean, "orphan")
		away := fmt.Errorf("%w: no route to it", blob.ErrUnavailable)
		y.zones.Clean = &faulty{Bucket: y.zones.Clean, ready: away, statFails: away}
		state, err := y.repair(ctx, nil, f)
		require.ErrorIs(t, err, blob.ErrUnavailable)
		require.Equal(t, meta.FindingOpen, state)
		require.Equal(t, meta.FindingOpen, y.endOf(t, f).State)
	})
}

func TestTrashIsLookedThroughOncePerTurn(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.Trash, y.cfg.PurgeEvery = time.Nanosecond, time.Hour
		y.put(t, storage.ZoneQuarantine, storage.TrashPrefix+"clean/zz/one", "one")
		require.Equal(t, 1, y.sweep(t).Purged)
		y.put(t, storage.ZoneQuarantine, storage.TrashPrefix+"clean/zz/two", "two")
		require.Zero(t, y.sweep(t).Purged)
		y.exec(t, `UPDATE facts SET updated_at = updated_at - ? WHERE name = 'turn.purge trash'`, time.Hour.Microseconds())
		require.Equal(t, 1, y.sweep(t).Purged)
	})
}

// Whoever looks at a held run may decide to bring the records back that speak of what lies in the trash.
func TestNothingIsPurgedWhileAFullRunIsNotOver(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.Trash, y.cfg.PurgeEvery = time.Nanosecond, time.Hour
		key := storage.TrashKey(storage.ZoneClean, storage.BlobKey(y.tenant, digestOf("its rows are lost")))
		y.put(t, storage.ZoneQuarantine, key, "its rows are lost")
		y.object(t, storage.ZoneClean, "an orphan")
		y.cfg.BrakeMin, y.cfg.BrakeShare = -1, 0
		held := y.reconcile(t, meta.RunFull)
		require.Equal(t, meta.RunHeld, held.State)
		for _, state := range []string{meta.RunHeld, meta.RunConfirmed, meta.RunRunning} {
			y.exec(t, `UPDATE reconcile_runs SET state = ? WHERE id = ?`, state, held.ID)
			require.Zero(t, y.sweep(t).Purged, state)
		}
		y.exec(t, `UPDATE reconcile_runs SET state = ?, kind = ? WHERE id = ?`, meta.RunRunning, meta.RunLight, held.ID)
		y.zones.Quarantine = &faulty{Bucket: y.zones.Quarantine, listing: func() { // a run begins while the trash is looked through
			y.exec(t, `UPDATE reconcile_runs SET kind = ? WHERE id = ?`, meta.RunFull, held.ID)
		}}
		require.Zero(t, y.sweep(t).Purged)
		require.True(t, y.has(t, storage.ZoneQuarantine, key))

		y.exec(t, `UPDATE reconcile_runs SET state = ?`, meta.RunCancelled)
		y.exec(t, `UPDATE facts SET updated_at = 1 WHERE name = 'turn.purge trash'`)
		require.Equal(t, 1, y.sweep(t).Purged)
	})
}
