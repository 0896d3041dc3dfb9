package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

var ctx = context.Background()

// office is an Admin over a real database and store.
type office struct{ admin.Admin }

func onEach(t *testing.T, test func(t *testing.T, o office)) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) { test(t, newOffice(t, db)) })
}

func onSQLite(t *testing.T) office { return newOffice(t, metatest.SQLite(t)) }

func newOffice(t *testing.T, db *meta.DB) office {
	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		for name, bytes := range map[string]int64{"free": 1 << 20, "pro": 1 << 30} {
			if err := tx.Create(&meta.Plan{Name: name, StorageBytes: bytes, Spec: "{}", UpdatedAt: meta.Now()}); err != nil {
				return err
			}
		}
		return nil
	}))
	return office{admin.Admin{DB: db, Zones: zones, Actor: audit.CLI, CoolingOff: 24 * time.Hour}}
}

// tenant makes an active tenant on the plan free and returns its id.
func (o office) tenant(t *testing.T, name string) string {
	t.Helper()
	made, err := o.CreateTenant(ctx, name, "free")
	require.NoError(t, err)
	return made.TenantID
}

// put brings a tenant into a state by force.
func (o office) put(t *testing.T, id string, s storage.TenantState) {
	t.Helper()
	restore := storage.TenantState("")
	if s == storage.TenantPendingDelete {
		restore = storage.TenantSuspended
	}
	require.NoError(t, o.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE tenants SET state = ?, restore_state = ?, delete_after = 0 WHERE id = ?`, s, restore, id)
		return err
	}))
}

func (o office) row(t *testing.T, id string) meta.TenantRow {
	t.Helper()
	row, err := o.DB.Tenant(ctx, id).Row()
	require.NoError(t, err)
	return row
}

// record is what the audit log holds about the last action of that name.
func (o office) record(t *testing.T, action string) map[string]any {
	t.Helper()
	var raw string
	require.NoError(t, o.DB.InTx(ctx, func(tx *meta.Tx) error {
		n, err := tx.Scan(&raw, `SELECT data FROM audit_log WHERE action = ? ORDER BY id DESC LIMIT 1`, action)
		require.EqualValues(t, 1, n, "no record of %s", action)
		return err
	}))
	var data map[string]any
	require.NoError(t, json.Unmarshal([]byte(raw), &data))
	return data
}

func (o office) records(t *testing.T) (n int64) {
	t.Helper()
	require.NoError(t, o.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Scan(&n, `SELECT COUNT(*) FROM audit_log`)
		return err
	}))
	return n
}

// requireRefused checks a refusal: its code, its slug, and that it has sentences for people.
func requireRefused(t *testing.T, err error, code storage.Code, slug string) *storage.Error {
	t.Helper()
	var refusal *storage.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, code, refusal.Code, "%v", err)
	require.NotNil(t, refusal.Reason)
	require.Equal(t, slug, refusal.Reason.Slug)
	require.Regexp(t, `^[A-Z].*\.$`, refusal.Reason.English)
	require.Regexp(t, `。$`, refusal.Reason.Chinese)
	return refusal
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

var putOptions blob.PutOptions

func slug(err error) string {
	if e, ok := errors.AsType[*storage.Error](err); ok && e.Reason != nil {
		return e.Reason.Slug
	}
	return ""
}
