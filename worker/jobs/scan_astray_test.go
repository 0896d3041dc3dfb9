package jobs_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Wherever the bytes are when the scan comes: clean ones end in the clean zone and readable, infected ones in quarantine
// and unreadable, and nothing stays in the other zone.
func TestScanTakesTheBytesFromWhereTheyAre(t *testing.T) {
	harmless, infected := []byte("nothing of interest"), []byte(eicar)
	for name, test := range map[string]struct {
		content []byte
		// row is the zone that the row names, lies those where the object is; cut is one with a truncated object.
		row  storage.Zone
		lies []storage.Zone
		cut  storage.Zone
	}{
		"clean, in quarantine only":               {harmless, storage.ZoneClean, []storage.Zone{storage.ZoneQuarantine}, ""},
		"infected, in quarantine only":            {infected, storage.ZoneClean, []storage.Zone{storage.ZoneQuarantine}, ""},
		"clean, in the clean zone only":           {harmless, storage.ZoneQuarantine, []storage.Zone{storage.ZoneClean}, ""},
		"infected, in the clean zone only":        {infected, storage.ZoneQuarantine, []storage.Zone{storage.ZoneClean}, ""},
		"infected, in both zones":                 {infected, storage.ZoneQuarantine, []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean}, ""},
		"clean, whole in quarantine only":         {harmless, storage.ZoneClean, []storage.Zone{storage.ZoneQuarantine}, storage.ZoneClean},
		"infected, whole in the clean zone only":  {infected, storage.ZoneQuarantine, []storage.Zone{storage.ZoneClean}, storage.ZoneQuarantine},
		"infected, whole in quarantine and moved": {infected, storage.ZoneClean, []storage.Zone{storage.ZoneQuarantine}, storage.ZoneClean},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, b *bench) {
				asset, digest := b.upload(t, test.content, storage.CategoryDocument)
				key := storage.BlobKey(b.tenant, digest)
				ctx := context.Background()
				require.NoError(t, b.zones.Quarantine.Delete(ctx, key))
				for _, zone := range test.lies {
					b.put(t, zone, digest, test.content)
				}
				if test.cut != "" {
					b.put(t, test.cut, digest, []byte("cut"))
				}
				b.inTx(t, func(tx *meta.Tx) error {
					_, err := tx.Exec(`UPDATE blobs SET zone = ?`, test.row)
					return err
				})
				require.NoError(t, b.attempt(t, storage.TaskScan, digest))

				home, state := storage.ZoneClean, storage.AssetAvailable
				if string(test.content) == eicar {
					home, state = storage.ZoneQuarantine, storage.AssetRejected
				}
				row := b.blob(t, digest)
				require.Equal(t, home, row.Zone)
				require.Equal(t, state, b.stateOf(t, asset))
				for _, zone := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean} {
					want := []string{}
					if zone == home {
						want = []string{key}
					}
					require.Equal(t, want, b.objects(t, zone))
				}
				require.Equal(t, test.content, b.read(t, home, key))
				b.requireExactLedger(t)
			})
		})
	}
}

// The bytes of a damaged blob were brought back into quarantine; of a picture, with variants that were made before.
func TestScanOfBytesThatTurnedUpEndsTheDamage(t *testing.T) {
	for name, content := range map[string][]byte{"clean": []byte("as it was"), "infected": []byte(eicar)} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, b *bench) {
				asset, digest := b.upload(t, content, storage.CategoryImage)
				ctx := context.Background()
				variant := storage.VariantKey(b.tenant, digest, "w320", "", "webp")
				b.inTx(t, func(tx *meta.Tx) error { // it was clean once, and served
					tenant := tx.Tenant(b.tenant)
					_, err := tx.Exec(`UPDATE blobs SET zone = 'clean', scan_status = 'clean', media_status = 'done'`)
					require.NoError(t, err)
					_, err = tx.Exec(`UPDATE assets SET state = 'available'`)
					require.NoError(t, err)
					_, err = tenant.CreateVariant(&meta.Variant{SHA256: digest, Preset: "w320", Ext: "webp", Size: 4, CreatedAt: meta.Now()})
					require.NoError(t, err)
					require.NoError(t, b.ledger.Charge(tx, b.tenant, 4))
					require.NoError(t, tenant.MarkDamaged(digest, 0, storage.DamageDigest))
					return tenant.Requarantine(digest, 1)
				})
				b.put(t, storage.ZoneClean, digest, []byte("rotten")) // what was served, until it was found out
				require.NoError(t, b.zones.Clean.CopyFrom(ctx, b.zones.Clean, storage.BlobKey(b.tenant, digest), variant))
				require.NoError(t, b.attempt(t, storage.TaskScan, digest))

				row := b.blob(t, digest)
				require.Empty(t, row.Damage)
				require.NotZero(t, row.VerifiedAt)
				_, media := b.open(t, storage.TaskImage, digest)
				if name == "clean" {
					require.Equal(t, storage.ZoneClean, row.Zone)
					require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset))
					require.Equal(t, content, b.read(t, storage.ZoneClean, storage.BlobKey(b.tenant, digest)))
					require.Empty(t, b.objects(t, storage.ZoneQuarantine))
					require.True(t, media, "its variants are looked at again")
					return
				}
				require.Equal(t, storage.AssetRejected, b.stateOf(t, asset))
				require.Empty(t, b.objects(t, storage.ZoneClean), "nothing rejected stays there, and nothing made of it")
				require.False(t, media)
				b.requireExactLedger(t)
			})
		})
	}
}

func TestScanOfABlobThatIsNowhereLeavesItDamaged(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		_, digest := b.upload(t, []byte("lost"), storage.CategoryDocument)
		require.NoError(t, b.zones.Quarantine.Delete(context.Background(), storage.BlobKey(b.tenant, digest)))
		b.inTx(t, func(tx *meta.Tx) error { return tx.Tenant(b.tenant).MarkDamaged(digest, 0, storage.DamageMissing) })
		require.Error(t, b.attempt(t, storage.TaskScan, digest))
		require.Equal(t, storage.DamageMissing, b.blob(t, digest).Damage)
		require.Equal(t, storage.ScanPending, b.blob(t, digest).ScanStatus)
	})
}
