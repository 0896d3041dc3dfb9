package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/tenancy"
	"gatehouse/worker/jobs"
)

// due does what the schedule names, now.
func (b *bench) due(t testing.TB, name string) {
	t.Helper()
	for _, p := range jobs.Schedule(b.deps) {
		if p.Name == name {
			require.NoError(t, p.Do(context.Background()))
			return
		}
	}
	t.Fatalf("nothing is scheduled as %q", name)
}

// deleteTenant makes the tenant one that is pending deletion, until the given time.
func (b *bench) deleteTenant(t testing.TB, until meta.Stamp) {
	t.Helper()
	b.inTx(t, func(tx *meta.Tx) error {
		row, err := tx.LockTenant(b.tenant)
		require.NoError(t, err)
		return tx.MoveTenant(row, storage.TenantPendingDelete, "the contract ended", map[string]any{
			"restore_state": row.State, "delete_after": until,
		})
	})
}

func (b *bench) tenantRow(t testing.TB) meta.TenantRow {
	t.Helper()
	row, err := b.db.Tenant(context.Background(), b.tenant).Row()
	require.NoError(t, err)
	return row
}

func TestTenantIsPurgedWhenItsCoolingOffIsOver(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.upload(t, harmless, storage.CategoryDocument)
		b.deleteTenant(t, meta.Now().Add(time.Hour))
		b.due(t, "purges")
		_, queued := b.open(t, storage.TaskPurge, "")
		require.False(t, queued, "it is cooling off")

		b.inTx(t, func(tx *meta.Tx) error {
			row, err := tx.LockTenant(b.tenant)
			require.NoError(t, err)
			return tx.EndCoolingOff(row)
		})
		b.due(t, "purges")
		b.due(t, "purges")
		require.NoError(t, b.attempt(t, storage.TaskPurge, ""))
		require.Equal(t, storage.TenantDeleted, b.tenantRow(t).State)
		require.Empty(t, b.objects(t, storage.ZoneQuarantine))
		require.EqualValues(t, 1, b.audited(t, "tenant.purge"))
		b.due(t, "purges")
		_, queued = b.open(t, storage.TaskPurge, "")
		require.False(t, queued, "once is enough")
	})
}

func TestPurgeOfARestoredTenantEndsQuietly(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.upload(t, harmless, storage.CategoryDocument)
		b.deleteTenant(t, meta.Now())
		b.due(t, "purges")
		b.inTx(t, func(tx *meta.Tx) error {
			row, err := tx.LockTenant(b.tenant)
			require.NoError(t, err)
			return tx.MoveTenant(row, storage.TenantActive, "", map[string]any{"restore_state": "", "delete_after": 0})
		})
		require.NoError(t, b.attempt(t, storage.TaskPurge, ""))
		require.Equal(t, storage.TenantActive, b.tenantRow(t).State)
		require.Len(t, b.objects(t, storage.ZoneQuarantine), 1)
	})
}

func TestProvisioningThatDiedIsEndedByTheClock(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		for age, want := range map[time.Duration]storage.TenantState{
			tenancy.Abandoned / 2: storage.TenantProvisioning, 2 * tenancy.Abandoned: storage.TenantFailed,
		} {
			id, made := meta.NewID(), meta.Now().Add(-age)
			b.inTx(t, func(tx *meta.Tx) error {
				return tx.Create(&meta.TenantRow{ID: id, Name: id, Plan: "free", State: storage.TenantProvisioning, CreatedAt: made, UpdatedAt: made})
			})
			b.due(t, "provisioning")
			row, err := b.db.Tenant(context.Background(), id).Row()
			require.NoError(t, err)
			require.Equal(t, want, row.State)
		}
	})
}

// A purge that dies is not queued anew every few minutes: its tasks would pile up.
func TestPurgeThatDiedRestsForAnHour(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.deleteTenant(t, meta.Now())
		b.due(t, "purges")
		died := func(at meta.Stamp) {
			b.inTx(t, func(tx *meta.Tx) error {
				_, err := tx.Exec(`UPDATE tasks SET state = 'dead', dedupe_key = NULL, finished_at = ? WHERE kind = 'purge_tenant'`, at)
				return err
			})
		}
		died(meta.Now())
		b.due(t, "purges")
		_, queued := b.open(t, storage.TaskPurge, "")
		require.False(t, queued)
		died(meta.Now().Add(-2 * time.Hour))
		b.due(t, "purges")
		_, queued = b.open(t, storage.TaskPurge, "")
		require.True(t, queued)
	})
}
