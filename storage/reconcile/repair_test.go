package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// finding writes an open finding about a digest.
func (y *yard) finding(t testing.TB, kind storage.DriftKind, repair storage.Repair, f meta.ReconcileFinding) meta.ReconcileFinding {
	t.Helper()
	f.ID, f.RunID, f.Kind, f.Repair = meta.NewID(), meta.NewID(), kind, repair
	f.TenantID, f.Detail, f.State, f.FoundAt = y.tenant, "{}", meta.FindingOpen, meta.Now()
	y.inTx(t, func(tx *meta.Tx) error { return tx.AddFindings([]meta.ReconcileFinding{f}) })
	return f
}

func (y *yard) about(content string) meta.ReconcileFinding {
	return meta.ReconcileFinding{SHA256: digestOf(content), ObjectKey: storage.BlobKey(y.tenant, digestOf(content))}
}

// mend repairs and requires the state, in the answer and in the row, and that what was repaired is audited once.
func (y *yard) mend(t testing.TB, f meta.ReconcileFinding, want string) meta.ReconcileFinding {
	t.Helper()
	before := y.audited(t, "reconcile."+string(f.Repair))
	state, err := y.repair(ctx, nil, f)
	require.NoError(t, err)
	got := y.endOf(t, f)
	require.Equal(t, want, state, got.Problem)
	require.Equal(t, want, got.State)
	require.Equal(t, want == meta.FindingOpen, got.EndedAt == 0)
	wrote := 1
	if want == meta.FindingGone || want == meta.FindingOpen {
		wrote = 0
	}
	require.EqualValues(t, wrote, y.audited(t, "reconcile."+string(f.Repair))-before)
	return got
}

func (y *yard) endOf(t testing.TB, f meta.ReconcileFinding) meta.ReconcileFinding {
	t.Helper()
	list, err := y.db.Findings(ctx, f.RunID, meta.FindingFilter{}, "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	return list[0]
}

// again repairs a new finding of the same: there is nothing left to do.
func (y *yard) again(t testing.TB, f meta.ReconcileFinding) {
	t.Helper()
	y.mend(t, y.finding(t, f.Kind, f.Repair, f), meta.FindingGone)
}

func (y *yard) audited(t testing.TB, action string) (n int64) {
	t.Helper()
	y.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Scan(&n, `SELECT COUNT(*) FROM audit_log WHERE action = ?`, action)
		return err
	})
	return n
}

func (y *yard) blobOf(t testing.TB, content string) meta.Blob {
	t.Helper()
	b, err := y.db.Tenant(ctx, y.tenant).Blob(digestOf(content))
	require.NoError(t, err)
	return b
}

func (y *yard) lose(t testing.TB, zone storage.Zone, key string) {
	t.Helper()
	require.NoError(t, y.zones.Of(zone).Delete(ctx, key))
}

func (y *yard) events(t testing.TB, asset string) (out []storage.EventKind) {
	t.Helper()
	list, err := y.db.Tenant(ctx, y.tenant).Events(asset, 0, 100)
	require.NoError(t, err)
	for _, e := range list {
		out = append(out, e.Kind)
	}
	return out
}

// open reports whether a task of that kind is queued.
func (y *yard) open(t testing.TB, kind storage.TaskKind, content string) bool {
	t.Helper()
	list, err := y.db.Tenant(ctx, y.tenant).TasksAbout(digestOf(content))
	require.NoError(t, err)
	for _, task := range list {
		if task.Kind == kind && task.State == storage.TaskQueued {
			return true
		}
	}
	return false
}

// meanwhile lets something happen between a repair's look at the rows and its first look at an object of the zone.
func (y *yard) meanwhile(zone storage.Zone, do func()) {
	bucket := &y.zones.Quarantine
	if zone == storage.ZoneClean {
		bucket = &y.zones.Clean
	}
	watched := &faulty{Bucket: *bucket}
	watched.stat = func() {
		watched.stat = nil
		*bucket = watched.Bucket
		do()
	}
	*bucket = watched
}

func TestLostAndWrongBytesAreMarkedOnce(t *testing.T) {
	for name, test := range map[string]struct {
		kind  storage.DriftKind
		spoil func(t *testing.T, y *yard, key string)
		want  storage.Damage
	}{
		"missing": {storage.DriftMissing, func(t *testing.T, y *yard, key string) { y.lose(t, storage.ZoneClean, key) }, storage.DamageMissing},
		"size":    {storage.DriftSize, func(t *testing.T, y *yard, key string) { y.put(t, storage.ZoneClean, key, "cut") }, storage.DamageSize},
		"digest":  {storage.DriftDigest, func(t *testing.T, y *yard, key string) { y.put(t, storage.ZoneClean, key, "PRECIOUS") }, storage.DamageDigest},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, y *yard) {
				asset := y.upload(t, "precious")
				y.pass(t, "precious")
				f := y.finding(t, test.kind, storage.RepairDamaged, y.about("precious"))
				f2 := y.finding(t, test.kind, storage.RepairDamaged, y.about("precious"))
				y.mend(t, f2, meta.FindingGone)
				before := y.blobOf(t, "precious")

				test.spoil(t, y, f.ObjectKey)
				y.mend(t, f, meta.FindingMarked)
				b := y.blobOf(t, "precious")
				require.Equal(t, test.want, b.Damage)
				require.NotZero(t, b.DamagedAt)
				require.Equal(t, before.ScanStatus, b.ScanStatus, "the row loses nothing")
				require.Equal(t, before.Refs, b.Refs)
				require.Contains(t, y.events(t, asset), storage.EventDamaged)
				y.again(t, f)
				require.Len(t, y.events(t, asset), 2, "scanned and damaged, once")
			})
		})
	}
}

func TestRepairOfAFindingThatHasEndedChangesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "precious")
		f := y.finding(t, storage.DriftMissing, storage.RepairDamaged, y.about("precious"))
		y.lose(t, storage.ZoneQuarantine, f.ObjectKey)
		y.mend(t, f, meta.FindingMarked)
		revision := y.blobOf(t, "precious").Revision
		state, err := y.repair(ctx, nil, f)
		require.NoError(t, err)
		require.Equal(t, meta.FindingMarked, state)
		require.Equal(t, revision, y.blobOf(t, "precious").Revision)
		require.EqualValues(t, 1, y.audited(t, "reconcile.mark_damaged"))
	})
}

func TestRepairWithoutTheRunsLeaseChangesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "precious")
		f := y.finding(t, storage.DriftMissing, storage.RepairDamaged, y.about("precious"))
		y.lose(t, storage.ZoneQuarantine, f.ObjectKey)
		state, err := y.repair(ctx, func(*meta.Tx) error { return meta.ErrLeaseLost }, f)
		require.ErrorIs(t, err, meta.ErrLeaseLost)
		require.Equal(t, meta.FindingOpen, state)
		require.Empty(t, y.blobOf(t, "precious").Damage)
		require.Equal(t, meta.FindingOpen, y.endOf(t, f).State)
	})
}

func TestUnknownRepairFails(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.mend(t, y.finding(t, storage.DriftMissing, "magic", y.about("x")), meta.FindingFailed)
	})
}

// Between the look at the store and the row's change, somebody changes the row.
func TestLinkWhileABlobIsMarkedKeepsBoth(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "precious")
		f := y.finding(t, storage.DriftMissing, storage.RepairDamaged, y.about("precious"))
		y.lose(t, storage.ZoneQuarantine, f.ObjectKey)
		y.meanwhile(storage.ZoneQuarantine, func() {
			y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Tenant(y.tenant).LinkBlob(f.SHA256); return err })
		})
		y.mend(t, f, meta.FindingMarked)
		b := y.blobOf(t, "precious")
		require.EqualValues(t, 2, b.Refs)
		require.Equal(t, storage.DamageMissing, b.Damage)
	})
}

func TestScanThatMovesABlobWhileItIsJudgedLeavesItUnmarked(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "moves")
		f := y.finding(t, storage.DriftMissing, storage.RepairDamaged, y.about("moves"))
		// The row was read; before the look into its zone the scan finishes.
		y.meanwhile(storage.ZoneQuarantine, func() { y.pass(t, "moves") })
		y.mend(t, f, meta.FindingGone)
		require.Empty(t, y.blobOf(t, "moves").Damage)
	})
}

func TestDeletionAndSweepWhileABlobIsMarked(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		asset := y.upload(t, "precious")
		f := y.finding(t, storage.DriftMissing, storage.RepairDamaged, y.about("precious"))
		y.lose(t, storage.ZoneQuarantine, f.ObjectKey)
		y.meanwhile(storage.ZoneQuarantine, func() {
			y.delete(t, asset)
			now := meta.Now()
			list := y.sweepable(t, now)
			_, _, err := y.claimAndDelete(ctx, &Report{}, y.due(t, list), now, 0)
			require.NoError(t, err)
		})
		y.mend(t, f, meta.FindingGone)
		require.True(t, y.blobOf(t, "precious").Sweeping)
	})
}

func TestBytesThatTurnUpHealTheBlobByAScan(t *testing.T) {
	const content = "precious"
	for name, place := range map[string]func(y *yard) (storage.Zone, string){
		"from the trash of the clean zone": func(y *yard) (storage.Zone, string) {
			return storage.ZoneQuarantine, storage.TrashKey(storage.ZoneClean, storage.BlobKey(y.tenant, digestOf(content)))
		},
		"from the trash of quarantine": func(y *yard) (storage.Zone, string) {
			return storage.ZoneQuarantine, storage.TrashKey(storage.ZoneQuarantine, storage.BlobKey(y.tenant, digestOf(content)))
		},
		"in the clean zone": func(y *yard) (storage.Zone, string) {
			return storage.ZoneClean, storage.BlobKey(y.tenant, digestOf(content))
		},
		"in quarantine": func(y *yard) (storage.Zone, string) {
			return storage.ZoneQuarantine, storage.BlobKey(y.tenant, digestOf(content))
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, y *yard) {
				y.upload(t, content)
				y.pass(t, content)
				f := y.finding(t, storage.DriftMissing, storage.RepairDamaged, y.about(content))
				y.lose(t, storage.ZoneClean, f.ObjectKey)
				y.mend(t, f, meta.FindingMarked)
				up := func() bool {
					up, err := y.turnedUp(ctx, y.blobOf(t, content))
					require.NoError(t, err)
					return up
				}
				require.False(t, up())
				y.mend(t, y.finding(t, storage.DriftMissing, storage.RepairHeal, y.about(content)), meta.FindingOpen)

				zone, key := place(y)
				y.put(t, zone, key, "PRECIOUS")
				require.True(t, up(), "the right size is worth a try")
				y.mend(t, y.finding(t, storage.DriftMissing, storage.RepairHeal, y.about(content)), meta.FindingOpen)
				y.put(t, zone, key, content)
				heal := y.finding(t, storage.DriftMissing, storage.RepairHeal, y.about(content))
				y.mend(t, heal, meta.FindingRepaired)

				b := y.blobOf(t, content)
				require.Equal(t, storage.DamageMissing, b.Damage, "only a verdict ends it")
				require.Equal(t, storage.ScanPending, b.ScanStatus)
				require.Equal(t, storage.ZoneQuarantine, b.Zone)
				require.True(t, y.has(t, storage.ZoneQuarantine, f.ObjectKey))
				require.True(t, y.open(t, storage.TaskScan, content))
				require.False(t, up(), "its scan is under way")
			})
		})
	}
}

func TestDeletedBlobIsNotHealed(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		asset := y.upload(t, "precious")
		f := y.finding(t, storage.DriftMissing, storage.RepairDamaged, y.about("precious"))
		y.lose(t, storage.ZoneQuarantine, f.ObjectKey)
		y.mend(t, f, meta.FindingMarked)
		y.object(t, storage.ZoneQuarantine, "precious")
		y.meanwhile(storage.ZoneQuarantine, func() { y.delete(t, asset) })
		y.mend(t, y.finding(t, storage.DriftMissing, storage.RepairHeal, y.about("precious")), meta.FindingGone)
		require.False(t, y.open(t, storage.TaskScan, "precious"))
	})
}

func TestBlobInTheOtherZoneIsScannedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "astray")
		y.pass(t, "astray")
		f := y.finding(t, storage.DriftZone, storage.RepairRescan, y.about("astray"))
		y.again(t, f)
		require.NoError(t, y.zones.Quarantine.CopyFrom(ctx, y.zones.Clean, f.ObjectKey, f.ObjectKey))
		y.lose(t, storage.ZoneClean, f.ObjectKey)
		y.mend(t, f, meta.FindingRepaired)
		require.True(t, y.open(t, storage.TaskScan, "astray"))
		y.again(t, f)
		y.lose(t, storage.ZoneQuarantine, f.ObjectKey)
		y.mend(t, y.finding(t, storage.DriftZone, storage.RepairRescan, y.about("astray")), meta.FindingMarked)
		require.Equal(t, storage.DamageMissing, y.blobOf(t, "astray").Damage)
	})
}

func TestRowIsMadeAnewFromItsAsset(t *testing.T) {
	for name, test := range map[string]struct {
		zone storage.Zone
		key  func(key string) string
		none bool
	}{
		"object in the clean zone": {zone: storage.ZoneClean},
		"object in quarantine":     {zone: storage.ZoneQuarantine},
		"object in the trash":      {zone: storage.ZoneQuarantine, key: func(key string) string { return storage.TrashKey(storage.ZoneClean, key) }},
		"no object":                {none: true},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, y *yard) {
				asset := y.upload(t, "row lost")
				y.inTx(t, func(tx *meta.Tx) error {
					_, err := tx.Exec(`DELETE FROM blobs`)
					return err
				})
				f := y.about("row lost")
				y.lose(t, storage.ZoneQuarantine, f.ObjectKey)
				if !test.none {
					key := f.ObjectKey
					if test.key != nil {
						key = test.key(key)
					}
					y.put(t, test.zone, key, "row lost")
				}
				f.ObjectKey = ""
				f = y.finding(t, storage.DriftAssetAlone, storage.RepairRow, f)
				want := meta.FindingRepaired
				if test.none {
					want = meta.FindingMarked
				}
				y.mend(t, f, want)
				b := y.blobOf(t, "row lost")
				require.EqualValues(t, 1, b.Refs)
				require.Zero(t, b.UnreferencedAt)
				require.EqualValues(t, len("row lost"), b.Size)
				require.Equal(t, storage.CategoryImage, b.Category)
				require.Equal(t, storage.ZoneQuarantine, b.Zone)
				require.Equal(t, storage.ScanPending, b.ScanStatus)
				require.Equal(t, test.none, b.Damage == storage.DamageMissing)
				require.Equal(t, !test.none, y.open(t, storage.TaskScan, "row lost"))
				require.Equal(t, !test.none, y.has(t, storage.ZoneQuarantine, storage.BlobKey(y.tenant, b.SHA256)))
				q, err := y.db.Tenant(ctx, y.tenant).Quota()
				require.NoError(t, err)
				require.EqualValues(t, b.Size, q.Used)
				y.again(t, f)

				y.delete(t, asset)
				y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Exec(`DELETE FROM blobs`); return err })
				y.again(t, f)
			})
		})
	}
}

func TestUploadOfTheSameBytesWhileTheirRowIsMadeAnew(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "row lost")
		y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Exec(`DELETE FROM blobs`); return err })
		f := y.about("row lost")
		f = y.finding(t, storage.DriftAssetAlone, storage.RepairRow, f)
		y.meanwhile(storage.ZoneQuarantine, func() {
			_, created, err := y.row("row lost")
			require.NoError(t, err)
			require.True(t, created)
		})
		y.mend(t, f, meta.FindingGone)
		refs := y.finding(t, storage.DriftReferences, storage.RepairReferences, y.about("row lost"))
		y.mend(t, refs, meta.FindingRepaired)
		require.EqualValues(t, 2, y.blobOf(t, "row lost").Refs)
	})
}

func TestLostVariantIsMadeAnew(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		asset := y.upload(t, "picture")
		y.pass(t, "picture")
		key := storage.VariantKey(y.tenant, digestOf("picture"), "w320", "", "webp")
		f := meta.ReconcileFinding{SHA256: digestOf("picture"), Preset: "w320", ObjectKey: key, Zone: storage.ZoneClean}
		f = y.finding(t, storage.DriftVariantMissing, storage.RepairVariants, f)
		y.again(t, f)
		y.lose(t, storage.ZoneClean, key)

		// A job that is at work on the variants does it by itself.
		lease, held, err := y.db.Hold(ctx, meta.BlobTask(storage.TaskImage, y.tenant, f.SHA256), "w", time.Minute)
		require.NoError(t, err)
		require.True(t, held)
		got := y.mend(t, y.finding(t, f.Kind, f.Repair, f), meta.FindingOpen) // and should it not, the loss is named
		require.Contains(t, got.Problem, "task of kind image")
		y.inTx(t, func(tx *meta.Tx) error { return tx.Finish(lease) })

		y.mend(t, f, meta.FindingRepaired)
		require.Equal(t, storage.MediaPending, y.blobOf(t, "picture").MediaStatus)
		require.True(t, y.open(t, storage.TaskImage, "picture"))
		require.Contains(t, y.events(t, asset), storage.EventMedia)
		y.requireExact(t)
		y.again(t, f)
	})
}

// The job that the first repair queues keeps all others from their hold, so they are made together.
func TestAllLostVariantsOfABlobAreMadeAnewByOneRun(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "picture")
		y.upload(t, "another")
		y.pass(t, "picture")
		y.pass(t, "another")
		digest := digestOf("picture")
		for _, preset := range []string{"w640", "w1280"} {
			y.put(t, storage.ZoneClean, storage.VariantKey(y.tenant, digest, preset, "", "webp"), "webp")
			y.inTx(t, func(tx *meta.Tx) error {
				v := meta.Variant{SHA256: digest, Preset: preset, Ext: "webp", Size: 4, Digest: digestOf("right"), CreatedAt: meta.Now()}
				_, err := tx.Tenant(y.tenant).CreateVariant(&v)
				require.NoError(t, err)
				return y.ledger.Charge(tx, y.tenant, 4)
			})
		}
		y.fitLedger(t)
		y.lose(t, storage.ZoneClean, storage.VariantKey(y.tenant, digest, "w320", "", "webp"))
		y.lose(t, storage.ZoneClean, storage.VariantKey(y.tenant, digestOf("another"), "w320", "", "webp"))

		run := y.reconcile(t, meta.RunFull)
		require.ElementsMatch(t, []string{
			"variant_row_without_object clean w320 -> remake_variants", "variant_row_without_object clean w320 -> remake_variants",
			"digest_differs clean w640 -> remake_variants", "digest_differs clean w1280 -> remake_variants",
		}, y.found(t, run))
		require.EqualValues(t, 4, run.Repaired)
		require.EqualValues(t, 4, y.audited(t, "reconcile."+string(storage.RepairVariants)))
		for _, content := range []string{"picture", "another"} {
			list, err := y.db.Tenant(ctx, y.tenant).Variants(digestOf(content))
			require.NoError(t, err)
			require.Empty(t, list)
			require.Equal(t, storage.MediaPending, y.blobOf(t, content).MediaStatus)
			require.True(t, y.open(t, storage.TaskImage, content))
		}
		q, err := y.db.Tenant(ctx, y.tenant).Quota()
		require.NoError(t, err)
		require.EqualValues(t, len("picture")+len("another"), q.Used, "what the wrong objects took is given back; the job overwrites them")
	})
}

func TestVariantWithoutOriginalGoesWithItsObjectAndItsBytes(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		asset := y.upload(t, "picture")
		y.pass(t, "picture")
		key := storage.VariantKey(y.tenant, digestOf("picture"), "w320", "", "webp")
		f := meta.ReconcileFinding{SHA256: digestOf("picture"), Preset: "w320", ObjectKey: key, Zone: storage.ZoneClean}
		y.again(t, y.finding(t, storage.DriftVariantAlone, storage.RepairDropVariant, f))
		y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Exec(`DELETE FROM blobs`); return err })
		y.again(t, y.finding(t, storage.DriftVariantAlone, storage.RepairDropVariant, f)) // its asset gets the row back first
		y.delete(t, asset)

		f = y.finding(t, storage.DriftVariantAlone, storage.RepairDropVariant, f)
		y.mend(t, f, meta.FindingRepaired)
		require.False(t, y.has(t, storage.ZoneClean, key))
		require.True(t, y.has(t, storage.ZoneQuarantine, storage.TrashKey(storage.ZoneClean, key)))
		q, err := y.db.Tenant(ctx, y.tenant).Quota()
		require.NoError(t, err)
		require.Zero(t, q.Used)
		_, err = y.db.Tenant(ctx, y.tenant).Blob(f.SHA256)
		require.ErrorIs(t, err, storage.ErrNotFound, "no claim stays behind")
		y.again(t, f)
	})
}

func TestSumsAndCountsAreSetToTheTruth(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		asset := y.upload(t, "counted")
		ledger := y.finding(t, storage.DriftLedger, storage.RepairLedger, meta.ReconcileFinding{})
		refs := y.finding(t, storage.DriftReferences, storage.RepairReferences, y.about("counted"))
		y.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE tenants SET used_bytes = 3, used_files = 9`)
			require.NoError(t, err)
			_, err = tx.Exec(`UPDATE blobs SET refs = 5`)
			return err
		})
		y.mend(t, ledger, meta.FindingRepaired)
		y.mend(t, refs, meta.FindingRepaired)
		y.requireExact(t)
		require.EqualValues(t, 1, y.blobOf(t, "counted").Refs)
		y.again(t, ledger)
		y.again(t, refs)

		y.delete(t, asset)
		for _, wrong := range []string{`refs = 1, unreferenced_at = 0`, `unreferenced_at = 0`} {
			y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Exec(`UPDATE blobs SET ` + wrong); return err })
			y.mend(t, y.finding(t, storage.DriftReferences, storage.RepairReferences, y.about("counted")), meta.FindingRepaired)
			require.Zero(t, y.blobOf(t, "counted").Refs, wrong)
			require.NotZero(t, y.blobOf(t, "counted").UnreferencedAt, wrong)
		}
		require.Equal(t, 1, y.sweep(t).Blobs, "nobody references it since now")
	})
}

func TestLostTaskIsQueuedOnce(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		asset := y.upload(t, "waits")
		f := y.finding(t, storage.DriftStuck, storage.RepairTask, y.about("waits"))
		y.mend(t, f, meta.FindingRepaired)
		require.True(t, y.open(t, storage.TaskScan, "waits"))
		y.again(t, f)
		y.pass(t, "waits")
		y.inTx(t, func(tx *meta.Tx) error { return tx.Tenant(y.tenant).CancelTasks(f.SHA256) })
		y.again(t, f)
		y.verdict(t, "waits", storage.ScanClean, storage.ZoneClean, storage.MediaPending)
		damage := func(d storage.Damage) {
			y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Exec(`UPDATE blobs SET damage = ?`, d); return err })
		}
		damage(storage.DamageMissing) // there is nothing to work on
		y.again(t, f)
		damage("")
		y.mend(t, y.finding(t, storage.DriftStuck, storage.RepairTask, y.about("waits")), meta.FindingRepaired)
		require.True(t, y.open(t, storage.TaskImage, "waits"))
		y.delete(t, asset)
		y.again(t, f)
	})
}

func TestReservationIsDroppedWhenItsTimeIsOver(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		id := meta.NewID()
		y.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE tenants SET reserved_bytes = 7, reserved_files = 1`)
			require.NoError(t, err)
			return tx.Create(&meta.Reservation{ID: id, TenantID: y.tenant, Bytes: 7, ExpiresAt: meta.Now().Add(time.Hour), CreatedAt: meta.Now()})
		})
		f := meta.ReconcileFinding{ObjectKey: id}
		y.again(t, y.finding(t, storage.DriftReservation, storage.RepairReservation, f))
		y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Exec(`UPDATE reservations SET expires_at = 1`); return err })
		f = y.finding(t, storage.DriftReservation, storage.RepairReservation, f)
		y.mend(t, f, meta.FindingRepaired)
		q, err := y.db.Tenant(ctx, y.tenant).Quota()
		require.NoError(t, err)
		require.Zero(t, q.Reserved)
		y.again(t, f)
	})
}
