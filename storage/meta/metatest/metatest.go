// Package metatest runs a test on all three databases, each fresh (or emptied), migrated and real.
package metatest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// databases are the three kinds and how to get a fresh one of each.
var databases = []struct {
	name string
	url  func(testing.TB) string
}{
	{"sqlite", SQLiteURL},
	{"postgres", services.PostgresDSN},
	{"mysql", services.MySQLDSN},
}

// Each runs the test once a database, one after another.
func Each(t *testing.T, test func(t *testing.T, db *meta.DB)) {
	t.Helper()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			db := Open(t, d.url(t))
			require.NoError(t, db.Migrate(context.Background()))
			test(t, db)
		})
	}
}

// EachTwice is Each with two handles on the same database, as two programs have.
func EachTwice(t *testing.T, test func(t *testing.T, one, two *meta.DB)) {
	t.Helper()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			url := d.url(t)
			one, two := Open(t, url), Open(t, url)
			require.NoError(t, one.Migrate(context.Background()))
			test(t, one, two)
		})
	}
}

// SQLiteURL names a database file of this test's own.
func SQLiteURL(t testing.TB) string { return "sqlite://" + filepath.Join(t.TempDir(), "gatehouse.db") }

// SQLite opens a fresh, migrated SQLite database, for tests that need some database and not a certain one.
func SQLite(t testing.TB) *meta.DB {
	db := Open(t, SQLiteURL(t))
	require.NoError(t, db.Migrate(context.Background()))
	return db
}

// Open opens a database for the time of the test, as a program does: twice opened it is two programs.
func Open(t testing.TB, url string) *meta.DB {
	t.Helper()
	db, err := meta.Open(context.Background(), meta.Config{
		URL: url, MaxOpenConns: 20, MaxIdleConns: 20, ConnMaxLifetime: time.Hour, BusyTimeout: 30 * time.Second,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// Tenant creates an active tenant on a plan of its own with the given quota in bytes, and returns its id.
func Tenant(t testing.TB, db *meta.DB, quotaBytes int64) string {
	t.Helper()
	now, id := meta.Now(), meta.NewID()
	require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error {
		if err := tx.Create(&meta.Plan{Name: "plan-" + id, StorageBytes: quotaBytes, Spec: "{}", UpdatedAt: now}); err != nil {
			return err
		}
		return tx.Create(&meta.TenantRow{ID: id, Name: "tenant-" + id, Plan: "plan-" + id, State: storage.TenantActive, CreatedAt: now, UpdatedAt: now})
	}))
	return id
}
