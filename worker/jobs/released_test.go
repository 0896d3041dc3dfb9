package jobs_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/remedy"
)

// What a release names outlives the plan's retention, and a bulk deletion goes on behind it.
func TestFilesOfReleasesStay(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		now, named, free := meta.Now(), meta.NewID(), meta.NewID()
		b.inTx(t, func(tx *meta.Tx) error {
			if _, err := tx.CreatePlan(meta.Plan{Name: storage.PlatformPlan, StorageBytes: 1 << 30, Spec: `{"retention_days":7}`, UpdatedAt: now}); err != nil {
				return err
			}
			if _, err := tx.CreateTenant(&meta.TenantRow{ID: storage.PlatformTenant, Name: "platform", Plan: storage.PlatformPlan, State: storage.TenantActive, CreatedAt: now, UpdatedAt: now}); err != nil {
				return err
			}
			for i, id := range []string{named, free} {
				digest := strings.Repeat(string(rune('a'+i)), 64)
				row := meta.Blob{SHA256: digest, Size: 1, Category: storage.CategoryRelease, Zone: storage.ZoneClean, Refs: 1,
					ScanStatus: storage.ScanClean, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now}
				if _, err := tx.Tenant(storage.PlatformTenant).CreateBlob(&row); err != nil {
					return err
				}
				a := meta.Asset{ID: id, Name: "setup.exe", SHA256: digest, Category: storage.CategoryRelease, Size: 1, State: storage.AssetAvailable, CreatedAt: 1, UpdatedAt: now}
				if err := tx.Tenant(storage.PlatformTenant).CreateAsset(&a); err != nil {
					return err
				}
			}
			return tx.Create(&meta.ReleaseArtifact{ID: meta.NewID(), ReleaseID: meta.NewID(), Kind: "installer", Name: "setup.exe", AssetID: named, Size: 1, CreatedAt: now})
		})
		there := func() (ids []string) {
			list, err := b.db.Tenant(context.Background(), storage.PlatformTenant).Assets(meta.AssetFilter{}, "", 10)
			require.NoError(t, err)
			for _, a := range list {
				ids = append(ids, a.ID)
			}
			return ids
		}
		b.due(t, "plan retention")
		require.Equal(t, []string{named}, there())

		search := meta.AssetSearch{TenantID: storage.PlatformTenant}
		count, err := b.db.CountAssets(context.Background(), search, 10)
		require.NoError(t, err)
		var run meta.BulkRun
		b.inTx(t, func(tx *meta.Tx) (err error) {
			run, err = remedy.BeginBulk(tx, remedy.By{Actor: audit.CLI, Reason: "test"}, remedy.Delete, search, count)
			return err
		})
		a, err := b.db.Tenant(context.Background(), storage.PlatformTenant).Asset(named)
		require.NoError(t, err)
		b.inTx(t, func(tx *meta.Tx) error { return remedy.Step(tx, run, a.Asset) })
		b.inTx(t, func(tx *meta.Tx) (err error) { run, err = tx.BulkRunBy(run.ID); return err })
		require.EqualValues(t, 1, run.Failed)
		require.Contains(t, run.Problem, "A release names this file")
		require.Equal(t, []string{named}, there())
		after, err := b.db.Tenant(context.Background(), storage.PlatformTenant).Blob(a.SHA256)
		require.NoError(t, err)
		require.EqualValues(t, 1, after.Refs, "nothing of the refused deletion stays")
	})
}
