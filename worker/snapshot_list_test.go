package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/snapshot"
)

// storeWith makes a store of snapshots over a database with a tenant and some files.
func storeWith(t *testing.T, files int) *snapshot.Store {
	t.Helper()
	db := metatest.Open(t, metatest.SQLiteURL(t))
	require.NoError(t, db.Migrate(t.Context()))
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		rows := []any{
			&meta.Plan{Name: "p", Spec: "{}"},
			&meta.TenantRow{ID: "t", Name: "t", Plan: "p", State: storage.TenantActive, UsedFiles: int64(files), UsedBytes: int64(files)},
		}
		for i := range files {
			digest := strings.Repeat(string(rune('a'+i)), 64)
			rows = append(rows, &meta.Blob{TenantID: "t", SHA256: digest, Size: 1, Refs: 1, Zone: storage.ZoneClean, ScanStatus: storage.ScanClean},
				&meta.Asset{ID: digest[:8], TenantID: "t", SHA256: digest, Size: 1, State: storage.AssetAvailable})
		}
		for _, row := range rows {
			if err := tx.Create(row); err != nil {
				return err
			}
		}
		return nil
	}))
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: filepath.Join(t.TempDir(), "store")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	return &snapshot.Store{DB: db, Zone: zones.Snapshots, SpoolDir: t.TempDir(), Keep: snapshot.Keep{Daily: 30, Monthly: 12}}
}

// A snapshot from after a loss can be told from one before it, and what is no snapshot is not passed over in silence.
func TestSnapshotListTells(t *testing.T) {
	store := storeWith(t, 5)
	good, err := store.Create(t.Context(), snapshot.ReasonDaily)
	require.NoError(t, err)
	_, err = store.DB.Exec(t.Context(), "DELETE FROM assets WHERE id < 'd'")
	require.NoError(t, err)
	after, err := store.Create(t.Context(), snapshot.ReasonManual)
	require.NoError(t, err)
	cut := strings.Replace(after.ID, after.ID[:4], "9999", 1)
	require.NoError(t, store.Zone.Put(t.Context(), cut+"/plans.00001.jsonl.zst", strings.NewReader("x"), 1, blob.PutOptions{}))
	require.NoError(t, store.Zone.Put(t.Context(), "zzz/notes", strings.NewReader("x"), 1, blob.PutOptions{}))
	list, err := store.Folders(t.Context())
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, tellList(&b, list))
	rows := strings.Split(b.String(), "\n")
	utc := good.CreatedAt.Format(time.RFC3339)
	require.Regexp(t, `^ID +TAKEN +REASON +FROM +SCHEMA +TENANTS +FILES +ROWS +SIZE +PROBLEM$`, rows[0])
	require.Regexp(t, `^`+good.ID+` +`+utc+` +daily +sqlite +\S+ +1 +5 +\d+ +[\d.]+ \S+ +$`, rows[1])
	require.Regexp(t, `^`+after.ID+` +\S+Z +manual +sqlite +\S+ +1 +2 .* rows had been lost when it was taken \(3 signs of it\)$`, rows[2])
	require.Regexp(t, `^`+cut+` .* no manifest: it is being taken, or has been unfinished since \S+Z$`, rows[3])

	id, err := named(t.Context(), store, snapshot.Latest, false)
	require.NoError(t, err)
	require.Equal(t, after.ID, id)
	_, err = named(t.Context(), store, snapshot.Latest, true)
	require.ErrorContains(t, err, cut)
	require.ErrorContains(t, err, "worker snapshot restore "+after.ID+" --replace")
	require.NotContains(t, err.Error(), "zzz")
	id, err = named(t.Context(), store, after.ID, true)
	require.NoError(t, err)
	require.Equal(t, after.ID, id)

	// One from after the loss has nothing to fill with, and that is said, with where there is more.
	done, err := store.Restore(t.Context(), after.ID, snapshot.Options{Mode: snapshot.Fill, Actor: audit.CLI})
	require.NoError(t, err)
	require.True(t, done.Nothing())
	err = nothingMissing(t.Context(), store, done)
	require.ErrorIs(t, err, errNothing)
	require.ErrorContains(t, err, "nothing was missing that this snapshot has, and it has 2 files")
	require.ErrorContains(t, err, good.ID+", taken "+utc+" (daily): 5 files")
	require.NotContains(t, err.Error(), done.Before)
	done, err = store.Restore(t.Context(), good.ID, snapshot.Options{Mode: snapshot.Fill, Actor: audit.CLI})
	require.NoError(t, err)
	require.False(t, done.Nothing())

	gone, err := store.Surplus(t.Context(), time.Now())
	require.NoError(t, err)
	require.Empty(t, gone)
}
