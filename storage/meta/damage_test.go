package meta_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func TestDamageEndsWithAVerdictAboutTheVeryBytes(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		row := newBlob(digest)
		inTx(t, db, func(tx *meta.Tx) error { _, err := tx.Tenant(tenant).CreateBlob(row); return err })
		now := func() meta.Blob {
			b, err := db.Tenant(context.Background(), tenant).Blob(digest)
			require.NoError(t, err)
			return b
		}
		inTx(t, db, func(tx *meta.Tx) error {
			require.ErrorIs(t, tx.Tenant(tenant).MarkDamaged(digest, 7, storage.DamageSize), meta.ErrChanged)
			return tx.Tenant(tenant).MarkDamaged(digest, 0, storage.DamageSize)
		})
		require.Equal(t, storage.DamageSize, now().Damage)
		require.NotZero(t, now().DamagedAt)
		verdict := func(v storage.Verdict) {
			v.ScannedAt = time.Now()
			inTx(t, db, func(tx *meta.Tx) error {
				return tx.Tenant(tenant).SetVerdict(digest, now().Revision, v, storage.ZoneQuarantine, storage.MediaNone)
			})
		}
		verdict(storage.Verdict{Status: storage.ScanUnscannable})
		require.Equal(t, storage.DamageSize, now().Damage, "a verdict without evidence says nothing about the bytes")
		verdict(storage.Verdict{Status: storage.ScanInfected, Digest: digest})
		require.Empty(t, now().Damage)
		require.Zero(t, now().DamagedAt)
		require.NotZero(t, now().VerifiedAt)
	})
}

func TestSweepNeverTakesABlobThatAnAssetSpeaksOf(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		row := newBlob(digest)
		row.Refs, row.UnreferencedAt = 0, 1
		inTx(t, db, func(tx *meta.Tx) error {
			_, err := tx.Tenant(tenant).CreateBlob(row)
			require.NoError(t, err)
			require.NoError(t, tx.Tenant(tenant).CreateAsset(&meta.Asset{
				ID: meta.NewID(), SHA256: digest, Name: "n", Ext: "png", State: storage.AssetAvailable, CreatedAt: 1, UpdatedAt: 1,
			}))
			claimed, err := tx.BeginSweep(tenant, digest, meta.Now(), 0)
			require.NoError(t, err)
			require.False(t, claimed)
			_, err = tx.Exec(`UPDATE assets SET state = ?`, storage.AssetDeleted)
			require.NoError(t, err)
			claimed, err = tx.BeginSweep(tenant, digest, meta.Now(), 0)
			require.NoError(t, err)
			require.True(t, claimed)
			return nil
		})
	})
}
