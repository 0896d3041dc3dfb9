package meta_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// released makes the platform's tenant with a file that a release of that state names.
func released(t *testing.T, db *meta.DB, state string, published meta.Stamp) (assetID string) {
	t.Helper()
	now, digest := meta.Now(), strings.Repeat("a", 64)
	assetID = meta.NewID()
	r := meta.ClientRelease{ID: meta.NewID(), Channel: "stable", Platform: "win32", Arch: "x64", Version: "1.0.0", State: state,
		CreatedAt: now, UpdatedAt: now, PublishedAt: published}
	require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error {
		tenant := tx.Tenant(storage.PlatformTenant)
		if _, err := tx.CreateTenant(&meta.TenantRow{ID: tenant.ID(), Name: "platform", Plan: "none", State: storage.TenantActive, CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
		b := meta.Blob{SHA256: digest, Size: 1, Category: storage.CategoryRelease, Zone: storage.ZoneClean, Refs: 1,
			ScanStatus: storage.ScanClean, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now}
		if _, err := tenant.CreateBlob(&b); err != nil {
			return err
		}
		a := meta.Asset{ID: assetID, Name: "setup.exe", SHA256: digest, Category: storage.CategoryRelease, Size: 1,
			State: storage.AssetAvailable, CreatedAt: now, UpdatedAt: now}
		if err := tenant.CreateAsset(&a); err != nil {
			return err
		}
		if err := tx.Create(&r); err != nil {
			return err
		}
		return tx.Create(&meta.ReleaseArtifact{ID: meta.NewID(), ReleaseID: r.ID, Kind: "installer", Name: "setup.exe", AssetID: assetID, SHA256: digest, Size: 1, CreatedAt: now})
	}))
	return assetID
}

func TestFileOfAReleaseStays(t *testing.T) {
	for name, tt := range map[string]struct {
		state     string
		published meta.Stamp
		stays     bool
	}{
		"draft": {"draft", 0, true}, "published": {"published", 1, true}, "superseded": {"superseded", 1, true},
		"archived": {"archived", 1, true}, "archived draft": {"archived", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			metatest.Each(t, func(t *testing.T, db *meta.DB) {
				id := released(t, db, tt.state, tt.published)
				remove := func(end func(meta.Tenant) (meta.Asset, error)) error {
					return db.InTx(t.Context(), func(tx *meta.Tx) error { _, err := end(tx.Tenant(storage.PlatformTenant)); return err })
				}
				err := remove(func(t meta.Tenant) (meta.Asset, error) { return t.DeleteAsset(id) })
				if !tt.stays {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, meta.ErrInRelease)
				v, err := db.Tenant(t.Context(), storage.PlatformTenant).Asset(id)
				require.NoError(t, err)
				require.EqualValues(t, 1, v.Blob.Refs, "nothing was written")
				require.NoError(t, remove(func(t meta.Tenant) (meta.Asset, error) { return t.EndInfected(id) }))
			})
		})
	}
}
