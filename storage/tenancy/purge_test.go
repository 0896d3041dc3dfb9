package tenancy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// fill gives a tenant something of everything that it can have, and returns its id.
func (w works) fill(t *testing.T, name string) string {
	t.Helper()
	id, _, err := w.Provision(ctx, name, "free")
	require.NoError(t, err)
	ledger := quota.Ledger{DB: w.DB, TTL: time.Hour}
	for i, content := range []string{"one", "two", "three"} {
		sum := sha256.Sum256([]byte(content))
		digest := hex.EncodeToString(sum[:])
		for zone, key := range map[blob.Bucket]string{
			w.Zones.Quarantine: storage.BlobKey(id, digest), w.Zones.Clean: storage.VariantKey(id, digest, "w640", "00112233aabb", "webp"),
		} {
			w.put(t, zone, key, content)
		}
		now := meta.Now()
		require.NoError(t, w.DB.InTx(ctx, func(tx *meta.Tx) error {
			tenant := tx.Tenant(id)
			if _, err := tenant.CreateBlob(&meta.Blob{
				SHA256: digest, Size: int64(len(content)), Category: storage.CategoryImage, Zone: storage.ZoneQuarantine, Refs: 1,
				ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
			}); err != nil {
				return err
			}
			if _, err := tenant.CreateVariant(&meta.Variant{SHA256: digest, Preset: "w640", Ext: "webp", Size: 2, CreatedAt: now}); err != nil {
				return err
			}
			asset := meta.Asset{ID: meta.NewID(), SHA256: digest, Name: content, State: storage.AssetQuarantined, CreatedAt: now, UpdatedAt: now}
			if err := tenant.CreateAsset(&asset); err != nil {
				return err
			}
			if _, err := tenant.Remember(fmt.Sprint("request-", i), asset.ID, digest); err != nil {
				return err
			}
			if err := tenant.Record(asset.ID, storage.EventAccepted, nil); err != nil {
				return err
			}
			if err := tx.Create(&meta.ReconcileFinding{ID: meta.NewID(), TenantID: id, Kind: storage.DriftOrphan, State: meta.FindingOpen}); err != nil {
				return err
			}
			_, err := tx.Enqueue(meta.BlobTask(storage.TaskScan, id, digest))
			return err
		}))
	}
	require.NoError(t, w.DB.InTx(ctx, func(tx *meta.Tx) error {
		if err := errors.Join(
			tx.Create(&meta.ReconcileMark{TenantID: id, Mark: "m"}),
			tx.Create(&meta.DeviceToken{ID: meta.NewID(), TenantID: id, UserID: "u", DeviceID: "d", Hash: id}),
			tx.Create(&meta.ReleaseDevice{TenantID: id, DeviceID: "d", UserID: "u"}),
			tx.Create(&meta.ReleaseRollup{Hour: 1, TenantID: id, Version: "1.0.0", Devices: 1}),
		); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE tenants SET used_bytes = 17, used_files = 3, overrides = '{}' WHERE id = ?`, id)
		return err
	}))
	_, err = ledger.Reserve(ctx, id, 5, quota.Limits{})
	require.NoError(t, err)
	w.put(t, w.Zones.Quarantine, "trash/clean/"+id+"/ab/lost", "in the trash")
	w.put(t, w.Zones.Quarantine, "trash/quarantine/"+id+"/ab/lost", "in the trash")
	return id
}

func (w works) put(t *testing.T, zone blob.Bucket, key, content string) {
	t.Helper()
	require.NoError(t, zone.Put(ctx, key, strings.NewReader(content), int64(len(content)), blob.PutOptions{}))
}

// doom makes the tenant one whose cooling-off is over.
func (w works) doom(t *testing.T, id string) {
	t.Helper()
	require.NoError(t, w.DB.InTx(ctx, func(tx *meta.Tx) error {
		row, err := tx.LockTenant(id)
		if err != nil {
			return err
		}
		return tx.MoveTenant(row, storage.TenantPendingDelete, "the contract ended", map[string]any{
			"restore_state": row.State, "delete_after": meta.Now(),
		})
	}))
}

// attempt purges as the job does: the end in the transaction that ends the task.
func (w works) attempt(id string) error {
	end, err := Purger{DB: w.DB, Zones: w.Zones, Fenced: w.DB.InTx}.Run(ctx, id)
	if err != nil || end == nil {
		return err
	}
	return w.DB.InTx(ctx, end)
}

func (w works) requirePurged(t *testing.T, id string) {
	t.Helper()
	row := w.row(t, id)
	require.Equal(t, storage.TenantDeleted, row.State)
	require.Contains(t, row.Name, "(deleted ")
	require.Empty(t, row.Overrides)
	require.Zero(t, row.UsedBytes+row.ReservedBytes+row.UsedFiles+row.ReservedFiles)
	left, err := w.DB.Tenant(ctx, id).Holdings()
	require.NoError(t, err)
	require.Empty(t, left)
	require.Zero(t, w.objects(t, id+"/"))
	require.Zero(t, w.objects(t, "trash/clean/"+id+"/")+w.objects(t, "trash/quarantine/"+id+"/"))
	_, err = w.DB.FactByName(ctx, factName(id))
	require.ErrorIs(t, err, storage.ErrNotFound)
	trail := w.audited(t, id)
	require.Equal(t, []string{"tenant.create", "key.create", "tenant.activate", "tenant.purge_begin", "tenant.purge"}, trail)
}

// account is what the last audit record of a tenant's purge says that was removed.
func (w works) account(t *testing.T, id string) Removed {
	t.Helper()
	var raw string
	require.NoError(t, w.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Scan(&raw, `SELECT data FROM audit_log WHERE tenant_id = ? AND action = 'tenant.purge'`, id)
		return err
	}))
	var data struct{ Removed Removed }
	require.NoError(t, json.Unmarshal([]byte(raw), &data))
	return data.Removed
}

var whole = map[string]int64{
	"reservations": 1, "idempotency_keys": 3, "variants": 3, "assets": 3, "blobs": 3, "events": 3, "tasks": 3, "api_keys": 1,
	"reconcile_findings": 3, "reconcile_marks": 1, "device_tokens": 1, "release_devices": 1, "release_rollups": 1,
}

func TestPurgeLeavesATombstoneTheAuditTrailAndTheNeighbours(t *testing.T) {
	onEach(t, func(t *testing.T, w works) {
		id, neighbour := w.fill(t, "acme"), w.fill(t, "neighbour")
		before, err := w.DB.Tenant(ctx, neighbour).Holdings()
		require.NoError(t, err)
		require.Equal(t, whole, before)
		require.NoError(t, w.attempt(id), "nothing happens before its time")
		require.Equal(t, storage.TenantActive, w.row(t, id).State)
		require.NoError(t, w.DB.InTx(ctx, func(tx *meta.Tx) error {
			return tx.Create(&meta.ReleaseRollup{Hour: 1, Version: "1.0.0", Devices: 2})
		}))

		w.doom(t, id)
		require.NoError(t, w.attempt(id))
		w.requirePurged(t, id)
		require.Equal(t, whole, w.account(t, id).Rows)
		totals, err := w.DB.VersionShares(ctx, 1, 1, meta.OfTrack{})
		require.NoError(t, err)
		require.Len(t, totals, 1, "what was counted of all tenants stays")
		require.EqualValues(t, 8, w.account(t, id).Objects)
		require.NoError(t, w.attempt(id), "a second one finds nothing to do")

		after, err := w.DB.Tenant(ctx, neighbour).Holdings()
		require.NoError(t, err)
		require.Equal(t, before, after)
		require.Equal(t, 6, w.objects(t, neighbour+"/"))
		require.Equal(t, 2, w.objects(t, "trash/clean/"+neighbour+"/")+w.objects(t, "trash/quarantine/"+neighbour+"/"))
		again, _, err := w.Provision(ctx, "acme", "free")
		require.NoError(t, err, "the name is free again")
		require.NotEqual(t, id, again)
	})
}

// mortal counts down with every transaction and every deletion, and dies at zero.
type mortal struct {
	blob.Bucket
	life *int
}

var errKilled = errors.New("killed")

func (m mortal) Delete(ctx context.Context, key string) error {
	if *m.life--; *m.life < 0 {
		return errKilled
	}
	return m.Bucket.Delete(ctx, key)
}

func TestPurgeThatIsKilledAnywhereGoesOn(t *testing.T) {
	w := onSQLite(t)
	for lives := 0; ; lives++ {
		id := w.fill(t, fmt.Sprint("acme-", lives))
		w.doom(t, id)
		life := lives
		zones := &blob.Zones{Quarantine: mortal{w.Zones.Quarantine, &life}, Clean: mortal{w.Zones.Clean, &life}}
		fenced := func(ctx context.Context, fn func(*meta.Tx) error) error {
			if life--; life < 0 {
				return errKilled
			}
			return w.DB.InTx(ctx, fn)
		}
		end, err := Purger{DB: w.DB, Zones: zones, Fenced: fenced}.Run(ctx, id)
		if err == nil {
			require.Greater(t, lives, 20, "it has been killed in many places")
			require.NoError(t, w.DB.InTx(ctx, end))
			return
		}
		require.ErrorIs(t, err, errKilled)
		require.Equal(t, storage.TenantPendingDelete, w.row(t, id).State)
		require.NoError(t, w.attempt(id))
		w.requirePurged(t, id)
		require.Equal(t, whole, w.account(t, id).Rows, "the count is of all attempts")
	}
}

// An upload that began before the tenant was deleted, and was held until after its purge.
func TestUploadThatOutlivesThePurgeLeavesNoRow(t *testing.T) {
	onEach(t, func(t *testing.T, w works) {
		ledger := quota.Ledger{DB: w.DB, TTL: time.Hour}
		id := w.fill(t, "acme")
		held, err := ledger.Reserve(ctx, id, 7, quota.Limits{})
		require.NoError(t, err)
		w.doom(t, id)
		require.NoError(t, w.attempt(id))

		store := func(r quota.Reservation) error {
			return w.DB.InTx(ctx, func(tx *meta.Tx) error {
				digest := strings.Repeat("ab", 32)
				if _, err := tx.Tenant(id).CreateBlob(&meta.Blob{SHA256: digest, Size: 7, Refs: 1}); err != nil {
					return err
				}
				if err := tx.Tenant(id).CreateAsset(&meta.Asset{ID: meta.NewID(), SHA256: digest, Name: "late"}); err != nil {
					return err
				}
				return ledger.Settle(tx, r, 7)
			})
		}
		require.Error(t, store(held))
		_, err = ledger.Reserve(ctx, id, 1, quota.Limits{})
		require.Error(t, err, "nothing new begins")
		w.requirePurged(t, id)
	})
}

func TestPurgeWaitsForTasksThatRan(t *testing.T) {
	w := onSQLite(t)
	id := w.fill(t, "acme")
	var task string
	require.NoError(t, w.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Scan(&task, `SELECT id FROM tasks WHERE tenant_id = ? LIMIT 1`, id)
		return err
	}))
	lease, won, err := w.DB.Claim(ctx, task, "worker", time.Minute)
	require.NoError(t, err)
	require.True(t, won)
	w.doom(t, id)
	require.ErrorIs(t, w.attempt(id), ErrBusy)
	require.ErrorIs(t, w.DB.Heartbeat(ctx, lease, time.Minute, 0), meta.ErrLeaseLost)
	require.NoError(t, w.attempt(id))
	w.requirePurged(t, id)
}

func TestWhatIsWrittenMeanwhileHoldsTheEndBack(t *testing.T) {
	w := onSQLite(t)
	id := w.fill(t, "acme")
	w.doom(t, id)
	end, err := Purger{DB: w.DB, Zones: w.Zones, Fenced: w.DB.InTx}.Run(ctx, id)
	require.NoError(t, err)
	require.NoError(t, w.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.ClaimOrphan(id, strings.Repeat("cd", 32))
		return err
	}))
	require.ErrorIs(t, w.DB.InTx(ctx, end), ErrNotEmpty)
	require.NoError(t, w.attempt(id))
	w.requirePurged(t, id)
}

// A table that comes later must be emptied too, or be one of those that stay.
func TestEveryTableOfTenantsIsWipedOrStaysOnPurpose(t *testing.T) {
	db := metatest.SQLite(t)
	var tables []string
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Scan(&tables, `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'tenant_id' WHERE m.type = 'table'`)
		return err
	}))
	require.ElementsMatch(t, append(meta.WipedTables(), "audit_log", "alerts"), tables)
}
