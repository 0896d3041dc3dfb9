package reconcile

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func (y *yard) begin(t testing.TB, kind string, tenants ...string) meta.ReconcileRun {
	t.Helper()
	var run meta.ReconcileRun
	y.inTx(t, func(tx *meta.Tx) error {
		var err error
		run, err = Begin(tx, Request{Kind: kind, Tenants: tenants, By: "test", Actor: audit.CLI})
		return err
	})
	return run
}

// reconcile makes a whole run.
func (y *yard) reconcile(t testing.TB, kind string, tenants ...string) meta.ReconcileRun {
	t.Helper()
	run, err := y.Perform(ctx, y.begin(t, kind, tenants...).ID, nil, nil)
	require.NoError(t, err)
	return run
}

// dry makes a run that changes nothing: the brake holds it, and then it is cancelled.
func (y *yard) dry(t testing.TB, tenants ...string) meta.ReconcileRun {
	t.Helper()
	defer func(n int, share float64) { y.cfg.BrakeMin, y.cfg.BrakeShare = n, share }(y.cfg.BrakeMin, y.cfg.BrakeShare)
	y.cfg.BrakeMin, y.cfg.BrakeShare = -1, 0
	run := y.reconcile(t, meta.RunFull, tenants...)
	if run.State == meta.RunHeld {
		y.inTx(t, func(tx *meta.Tx) error { _, err := Cancel(tx, run.ID, audit.CLI, ""); return err })
	}
	return run
}

// found lists a run's findings as short lines.
func (y *yard) found(t testing.TB, run meta.ReconcileRun) []string {
	t.Helper()
	list, err := y.db.Findings(ctx, run.ID, meta.FindingFilter{}, "", 10_000)
	require.NoError(t, err)
	require.EqualValues(t, len(list), run.Findings)
	out := []string{}
	for _, f := range list {
		line := string(f.Kind)
		if f.Zone != "" {
			line += " " + string(f.Zone)
		}
		if f.Preset != "" {
			line += " " + f.Preset
		}
		out = append(out, line+" -> "+string(f.Repair))
	}
	slices.Sort(out)
	return out
}

func (y *yard) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	n, err := y.db.Exec(ctx, sql, args...)
	require.NoError(t, err)
	require.NotZero(t, n, "the row is there")
}

// whole is a blob of a tenant as it should be: clean, with one variant.
func (y *yard) whole(t testing.TB, content string) (digest, key, variant string) {
	t.Helper()
	y.upload(t, content)
	y.pass(t, content)
	digest = digestOf(content)
	return digest, storage.BlobKey(y.tenant, digest), storage.VariantKey(y.tenant, digest, "w320", "", "webp")
}

func TestEachKindOfDriftIsFoundAndNothingElse(t *testing.T) {
	type drift struct {
		name string
		make func(t *testing.T, y *yard, digest, key, variant string)
		want []string
	}
	drifts := []drift{
		{"nothing", func(*testing.T, *yard, string, string, string) {}, nil},
		{"an object without a row", func(t *testing.T, y *yard, _, _, _ string) {
			y.object(t, storage.ZoneClean, "nobody's")
			y.object(t, storage.ZoneQuarantine, "nobody's")
			y.put(t, storage.ZoneClean, storage.VariantKey(meta.NewID(), digestOf("of no tenant"), "w320", "", "webp"), "x")
		}, []string{"object_without_row clean -> trash", "object_without_row clean w320 -> trash", "object_without_row quarantine -> trash"}},
		{"a variant's object without a row", func(t *testing.T, y *yard, digest, _, _ string) {
			y.put(t, storage.ZoneClean, storage.VariantKey(y.tenant, digest, "w640", "", "webp"), "x")
		}, []string{"variant_object_without_row clean w640 -> trash"}},
		{"a row without object", func(t *testing.T, y *yard, _, key, _ string) {
			require.NoError(t, y.zones.Clean.Delete(ctx, key))
		}, []string{"row_without_object clean -> mark_damaged"}},
		{"a row without object that is known", func(t *testing.T, y *yard, digest, key, _ string) {
			require.NoError(t, y.zones.Clean.Delete(ctx, key))
			y.exec(t, `UPDATE blobs SET damage = 'missing' WHERE sha256 = ?`, digest)
		}, []string{"row_without_object clean -> "}},
		{"bytes that are there again", func(t *testing.T, y *yard, digest, _, _ string) {
			y.exec(t, `UPDATE blobs SET damage = 'missing' WHERE sha256 = ?`, digest)
		}, []string{"row_without_object clean -> heal"}},
		{"a variant's row without object", func(t *testing.T, y *yard, _, _, variant string) {
			require.NoError(t, y.zones.Clean.Delete(ctx, variant))
		}, []string{"variant_row_without_object clean w320 -> remake_variants"}},
		{"a size that differs", func(t *testing.T, y *yard, _, key, variant string) {
			y.put(t, storage.ZoneClean, key, "longer than it was")
			y.put(t, storage.ZoneClean, variant, "longer than it was")
		}, []string{"size_differs clean -> mark_damaged", "size_differs clean w320 -> remake_variants"}},
		{"an object in the wrong zone", func(t *testing.T, y *yard, _, key, _ string) {
			require.NoError(t, y.zones.Copy(ctx, storage.ZoneClean, storage.ZoneQuarantine, key))
			require.NoError(t, y.zones.Clean.Delete(ctx, key))
		}, []string{"wrong_zone quarantine -> rescan"}},
		{"a second copy, also of a variant, in the wrong zone", func(t *testing.T, y *yard, _, key, variant string) {
			require.NoError(t, y.zones.Copy(ctx, storage.ZoneClean, storage.ZoneQuarantine, key))
			require.NoError(t, y.zones.Copy(ctx, storage.ZoneClean, storage.ZoneQuarantine, variant))
		}, []string{"wrong_zone quarantine -> trash", "wrong_zone quarantine w320 -> trash"}},
		{"a blob's row lost", func(t *testing.T, y *yard, digest, _, _ string) {
			y.exec(t, `DELETE FROM blobs WHERE sha256 = ?`, digest)
		}, []string{"asset_without_blob -> remake_row", "ledger_drift -> set_ledger", "variant_without_original clean w320 -> drop_variant_row"}},
		{"all rows lost", func(t *testing.T, y *yard, digest, _, _ string) {
			for _, table := range []string{"assets", "blobs", "variants"} {
				y.exec(t, `DELETE FROM `+table+` WHERE sha256 = ?`, digest)
			}
		}, []string{"ledger_drift -> set_ledger", "object_without_row clean -> trash", "object_without_row clean w320 -> trash"}},
		{"an asset's row lost", func(t *testing.T, y *yard, digest, _, _ string) {
			y.exec(t, `DELETE FROM assets WHERE sha256 = ?`, digest)
		}, []string{"ledger_drift -> set_ledger", "reference_count_wrong -> set_references"}},
		{"a ledger", func(t *testing.T, y *yard, _, _, _ string) {
			y.exec(t, `UPDATE tenants SET used_bytes = used_bytes + 1 WHERE id = ?`, y.tenant)
		}, []string{"ledger_drift -> set_ledger"}},
		{"references", func(t *testing.T, y *yard, digest, _, _ string) {
			y.exec(t, `UPDATE blobs SET refs = 3 WHERE sha256 = ?`, digest)
		}, []string{"reference_count_wrong -> set_references"}},
		{"references lost, and the object too", func(t *testing.T, y *yard, digest, key, _ string) {
			y.exec(t, `UPDATE blobs SET refs = 0 WHERE sha256 = ?`, digest)
			require.NoError(t, y.zones.Clean.Delete(ctx, key))
		}, []string{"reference_count_wrong -> set_references", "row_without_object clean -> mark_damaged"}},
		{"an object of another size in the wrong zone", func(t *testing.T, y *yard, _, key, _ string) {
			y.put(t, storage.ZoneQuarantine, key, "longer than it was")
			require.NoError(t, y.zones.Clean.Delete(ctx, key))
		}, []string{"row_without_object clean -> mark_damaged"}},
		{"a blob's row lost that nobody refers to", func(t *testing.T, y *yard, digest, _, _ string) {
			y.exec(t, `DELETE FROM assets WHERE sha256 = ?`, digest)
			y.exec(t, `DELETE FROM blobs WHERE sha256 = ?`, digest)
		}, []string{"ledger_drift -> set_ledger", "object_without_row clean -> trash", "variant_without_original clean w320 -> drop_variant_row"}},
		{"a blob that nobody refers to since never", func(t *testing.T, y *yard, digest, _, _ string) {
			y.exec(t, `UPDATE assets SET state = 'deleted' WHERE sha256 = ?`, digest)
			y.exec(t, `UPDATE blobs SET refs = 0 WHERE sha256 = ?`, digest)
			y.exec(t, `UPDATE tenants SET used_files = used_files - 1 WHERE id = ?`, y.tenant)
		}, []string{"reference_count_wrong -> set_references"}},
		{"lost tasks", func(t *testing.T, y *yard, digest, _, _ string) {
			y.exec(t, `UPDATE blobs SET media_status = 'pending' WHERE sha256 = ?`, digest)
			y.upload(t, "no scan")
			y.fitLedger(t)
		}, []string{"stuck_without_task -> queue_task", "stuck_without_task -> queue_task"}},
		{"a reservation that ended", func(t *testing.T, y *yard, _, _, _ string) {
			past := meta.Now().Add(-time.Hour)
			y.inTx(t, func(tx *meta.Tx) error {
				return tx.Create(&meta.Reservation{ID: meta.NewID(), TenantID: y.tenant, Bytes: 5, ExpiresAt: past, CreatedAt: past})
			})
			y.exec(t, `UPDATE tenants SET reserved_bytes = reserved_bytes + 5, reserved_files = reserved_files + 1 WHERE id = ?`, y.tenant)
		}, []string{"reservation_without_upload -> drop_reservation"}},
	}
	onEach(t, func(t *testing.T, y *yard) {
		for _, d := range drifts {
			t.Run(d.name, func(t *testing.T) {
				z := newYard(t, y.db, diskZones(t)) // a neighbour is in order
				defer z.dispose(t)
				z.whole(t, "another one of "+d.name)
				digest, key, variant := z.whole(t, d.name)
				z.fitLedger(t)
				d.make(t, z, digest, key, variant)
				run := z.dry(t)
				require.Equal(t, append([]string{}, d.want...), z.found(t, run))
			})
		}
	})
}

// fitLedger counts the tenant's files, which the rows of this test do not.
func (y *yard) fitLedger(t testing.TB) {
	t.Helper()
	y.exec(t, `UPDATE tenants SET used_files = (SELECT COUNT(*) FROM assets WHERE tenant_id = ? AND state <> 'deleted') WHERE id = ?`, y.tenant, y.tenant)
}

// dispose removes the tenant's rows, so that the next part of a test begins with none.
func (y *yard) dispose(t testing.TB) {
	t.Helper()
	for _, table := range []string{"assets", "blobs", "variants", "reservations", "tasks"} {
		_, err := y.db.Exec(ctx, `DELETE FROM `+table)
		require.NoError(t, err)
	}
	_, err := y.db.Exec(ctx, `DELETE FROM tenants`)
	require.NoError(t, err)
}

func TestRowsArePagedInTheOrderOfBytes(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		var want []string
		for n := range 40 {
			y.whole(t, fmt.Sprint("blob ", n))
			want = append(want, storage.BlobKey(y.tenant, digestOf(fmt.Sprint("blob ", n))))
		}
		y.tenant = metatest.Tenant(t, y.db, 1<<20)
		for n := range 3 {
			y.whole(t, fmt.Sprint("blob ", n))
			want = append(want, storage.BlobKey(y.tenant, digestOf(fmt.Sprint("blob ", n))))
		}
		slices.Sort(want)
		var blobs, variants []string
		a := meta.RowsAfter{}
		for {
			page, err := y.db.BlobLines(ctx, a, 7)
			require.NoError(t, err)
			for _, b := range page {
				blobs = append(blobs, storage.BlobKey(b.TenantID, b.SHA256))
				a = meta.AfterFamily(b.TenantID, b.SHA256)
			}
			if len(page) < 7 {
				break
			}
		}
		require.Equal(t, want, blobs)
		a = meta.RowsAfter{Tenant: y.tenant, Only: true}
		for {
			page, err := y.db.VariantLines(ctx, a, 1)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			variants = append(variants, storage.BlobKey(page[0].TenantID, page[0].SHA256))
			a.SHA256, a.Preset = page[0].SHA256, page[0].Preset
		}
		require.Equal(t, want[40:], variants)
	})
}
