package meta_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// A page of releases has no manifests, of which each may have 256 KiB.
func TestListedReleasesHaveNoManifest(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		key := "stable/win32/x64"
		row := meta.ClientRelease{
			ID: meta.NewID(), Channel: "stable", Platform: "win32", Arch: "x64", Version: "1.0.0", State: "published", PublishedKey: &key,
			Percentage: 100, Notes: "# New", Manifest: "version: 1.0.0", CreatedAt: meta.Now(), UpdatedAt: meta.Now(),
		}
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error { return tx.CreateRelease(&row) }))
		list, err := db.Releases(ctx, meta.ReleaseFilter{State: "published"}, "", 10)
		require.NoError(t, err)
		without := row
		without.Manifest = ""
		require.Equal(t, []meta.ClientRelease{without}, list)
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			one, err := tx.Release(row.ID)
			require.Equal(t, row, one)
			return err
		}))
	})
}
