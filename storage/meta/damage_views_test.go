package meta_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func TestAssetWhoseBlobHasNoRowIsListedAsDamaged(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		whole, alone := meta.NewID(), meta.NewID()
		inTx(t, db, func(tx *meta.Tx) error {
			_, err := tx.Tenant(tenant).CreateBlob(newBlob(digest))
			require.NoError(t, err)
			for id, sha := range map[string]string{whole: digest, alone: digest[:63] + "f"} {
				require.NoError(t, tx.Tenant(tenant).CreateAsset(&meta.Asset{
					ID: id, SHA256: sha, Name: "n", Ext: "png", Category: storage.CategoryImage, MediaType: "image/png", Size: 5,
					State: storage.AssetAvailable, CreatedAt: meta.Now(), UpdatedAt: meta.Now(),
				}))
			}
			return nil
		})
		list, err := db.Tenant(context.Background(), tenant).Assets(meta.AssetFilter{}, "", 10)
		require.NoError(t, err)
		require.Len(t, list, 2)
		for _, v := range list {
			require.Equal(t, v.ID == alone, v.Blob.Damage == storage.DamageMissing)
		}
	})
}
