package tenancy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

var ctx = context.Background()

// works is a provisioner over a real database and store, and a way to look at what it leaves.
type works struct {
	Provisioner
}

func onEach(t *testing.T, test func(t *testing.T, w works)) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) { test(t, newWorks(t, db, onDisk(t))) })
}

func onSQLite(t *testing.T) works { return newWorks(t, metatest.SQLite(t), onDisk(t)) }

func onDisk(t *testing.T) *blob.Zones {
	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	return zones
}

func newWorks(t *testing.T, db *meta.DB, zones *blob.Zones) works {
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		return tx.Create(&meta.Plan{Name: "free", StorageBytes: 1 << 20, Spec: "{}", UpdatedAt: meta.Now()})
	}))
	return works{Provisioner{
		DB: db, Zones: zones, Actor: audit.CLI, Scopes: "read,write",
		NewKey: func() (string, string) { id := meta.NewID(); return "key-" + id, "hash-" + id },
	}}
}

func (w works) row(t *testing.T, id string) meta.TenantRow {
	t.Helper()
	row, err := w.DB.Tenant(ctx, id).Row()
	require.NoError(t, err)
	return row
}

func (w works) keys(t *testing.T, id string) int {
	t.Helper()
	keys, err := w.DB.Tenant(ctx, id).Keys()
	require.NoError(t, err)
	return len(keys)
}

func (w works) objects(t *testing.T, prefix string) int {
	t.Helper()
	n := 0
	for _, b := range []blob.Bucket{w.Zones.Quarantine, w.Zones.Clean} {
		for _, err := range b.List(ctx, prefix, "") {
			require.NoError(t, err)
			n++
		}
	}
	return n
}

func (w works) audited(t *testing.T, id string) []string {
	t.Helper()
	var out []string
	require.NoError(t, w.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Scan(&out, `SELECT action FROM audit_log WHERE tenant_id = ? ORDER BY id`, id)
		return err
	}))
	return out
}

func (w works) requireFailed(t *testing.T, id, reason string) {
	t.Helper()
	row := w.row(t, id)
	require.Equal(t, storage.TenantFailed, row.State)
	require.Contains(t, row.StateReason, reason)
	require.Equal(t, FormerName("acme", "failed", id), row.Name)
	require.Zero(t, w.keys(t, id), "no key")
	require.Zero(t, w.objects(t, id+"/"), "no object")
	require.Equal(t, "tenant.fail", w.audited(t, id)[len(w.audited(t, id))-1])
	_, err := w.DB.TenantByName(ctx, "acme")
	require.ErrorIs(t, err, storage.ErrNotFound, "its name is free")
}

func TestProvisionedTenantIsActiveAndHasAKey(t *testing.T) {
	onEach(t, func(t *testing.T, w works) {
		id, key, err := w.Provision(ctx, "acme", "free")
		require.NoError(t, err)
		row := w.row(t, id)
		require.Equal(t, storage.TenantActive, row.State)
		require.Equal(t, "acme", row.Name)
		require.Empty(t, row.StateReason)
		keys, err := w.DB.Tenant(ctx, id).Keys()
		require.NoError(t, err)
		require.Len(t, keys, 1)
		require.Equal(t, strings.Replace(key, "key-", "hash-", 1), keys[0].Hash)
		require.Zero(t, w.objects(t, id+"/"), "the probes are gone")
		require.Equal(t, []string{"tenant.create", "key.create", "tenant.activate"}, w.audited(t, id))
	})
}

// A step fails before it did anything, or after it did everything.
func TestFailureAtEveryStepLeavesAFailedTenantOnly(t *testing.T) {
	onEach(t, func(t *testing.T, w works) {
		broken := errors.New("broken on purpose")
		steps := w.steps()
		for i := range steps {
			for _, late := range []bool{false, true} {
				name := fmt.Sprintf("%s, late %v", steps[i].name, late)
				faulty := w.steps()
				do := faulty[i].do
				faulty[i].do = func(ctx context.Context, d *draft) error {
					if late {
						require.NoError(t, do(ctx, d))
					}
					return broken
				}
				d := &draft{id: meta.NewID(), name: "acme", plan: "free"}
				err := w.run(ctx, faulty, d)
				switch {
				case steps[i].name == "activate" && late:
					require.NoError(t, err, "only the answer was lost: %s", name)
					require.Equal(t, storage.TenantActive, w.row(t, d.id).State)
					continue
				case steps[i].name == "row" && !late:
					require.ErrorIs(t, err, broken)
					_, err := w.DB.Tenant(ctx, d.id).Row()
					require.ErrorIs(t, err, storage.ErrNotFound)
					continue
				}
				require.ErrorIs(t, err, broken, name)
				require.ErrorContains(t, err, steps[i].name)
				w.requireFailed(t, d.id, steps[i].name+": broken on purpose")
			}
		}
	})
}

// The program dies between two steps, or in the middle of taking them back.
func TestDeathBetweenStepsIsCleanedUpByTheNextOne(t *testing.T) {
	onEach(t, func(t *testing.T, w works) {
		for n := 1; n < len(w.steps()); n++ {
			d := &draft{id: meta.NewID(), name: "acme", plan: "free"}
			for _, s := range w.steps()[:n] {
				require.NoError(t, s.do(ctx, d))
			}
			require.NoError(t, w.Zones.Clean.Put(ctx, probeKey(d.id), strings.NewReader("half a probe"), 12, blob.PutOptions{}))

			ended, err := w.FailAbandoned(ctx, meta.Now().Add(-time.Hour))
			require.NoError(t, err)
			require.Zero(t, ended, "it may still be at work")
			ended, err = w.FailAbandoned(ctx, meta.Now().Add(time.Minute))
			require.NoError(t, err)
			require.Equal(t, 1, ended)
			w.requireFailed(t, d.id, reasonDied)

			for _, s := range w.steps()[n:] {
				if s.name != "zone check" {
					require.Error(t, s.do(ctx, d), "who was only slow must not go on with %s", s.name)
				}
			}
			require.Zero(t, w.keys(t, d.id))
			require.NoError(t, w.Zones.Clean.Put(ctx, probeKey(d.id), strings.NewReader("a late probe"), 12, blob.PutOptions{}))
			made, err := w.giveUp(ctx, w.steps(), d.id, "too late")
			require.NoError(t, err)
			require.False(t, made)
			w.requireFailed(t, d.id, reasonDied)
		}
		for n := range w.steps() {
			d := &draft{id: meta.NewID(), name: "acme", plan: "free"}
			for _, s := range w.steps()[:3] {
				require.NoError(t, s.do(ctx, d))
			}
			dying := w.steps()
			dying[n].undo = func(context.Context, string) error { return errors.New("died") }
			_, err := w.giveUp(ctx, dying, d.id, "the store is full")
			require.ErrorContains(t, err, "died")
			require.Equal(t, storage.TenantProvisioning, w.row(t, d.id).State)
			require.Error(t, w.activate(ctx, d), "what is being taken back does not go on")

			ended, err := w.FailAbandoned(ctx, 0)
			require.NoError(t, err)
			require.Equal(t, 1, ended, "what is being taken back needs no age")
			w.requireFailed(t, d.id, "the store is full")
		}
	})
}

// The answer to the last step was lost, and an operator was quicker than the provisioner.
func TestTenantThatWasMadeIsNotTakenBackWhateverBecameOfIt(t *testing.T) {
	w := onSQLite(t)
	for _, to := range []storage.TenantState{storage.TenantSuspended, storage.TenantPendingDelete} {
		id, _, err := w.Provision(ctx, "acme "+string(to), "free")
		require.NoError(t, err)
		require.NoError(t, w.DB.InTx(ctx, func(tx *meta.Tx) error {
			return tx.MoveTenant(w.row(t, id), to, "an operator", map[string]any{"restore_state": storage.TenantActive})
		}))
		made, err := w.giveUp(ctx, w.steps(), id, "the answer was lost")
		require.NoError(t, err)
		require.True(t, made)
		require.Equal(t, to, w.row(t, id).State)
		require.Equal(t, 1, w.keys(t, id), "its key is its own")
	}
}

func TestProvisioningThatIsCutOffCleansUpAllTheSame(t *testing.T) {
	w := onSQLite(t)
	gone, cancel := context.WithCancel(ctx)
	faulty := w.steps()
	faulty[2].do = func(ctx context.Context, _ *draft) error { cancel(); return context.Cause(gone) }
	d := &draft{id: meta.NewID(), name: "acme", plan: "free"}
	require.ErrorIs(t, w.run(gone, faulty, d), context.Canceled)
	w.requireFailed(t, d.id, "default key")
}

func TestStoreThatGivesBackOtherBytesFailsTheZoneCheck(t *testing.T) {
	w := onSQLite(t)
	w.Zones.Clean = forgetful{w.Zones.Clean}
	_, _, err := w.Provision(ctx, "acme", "free")
	require.ErrorContains(t, err, "zone check: zone clean")
	require.ErrorIs(t, err, blob.ErrNotExist)
}

// forgetful is a zone that loses what it was given.
type forgetful struct{ blob.Bucket }

func (forgetful) Open(context.Context, string, int64, int64) (io.ReadCloser, blob.Info, error) {
	return nil, blob.Info{}, blob.ErrNotExist
}

func TestTenantComesToAndLeavesAnObjectStore(t *testing.T) {
	server := services.MinIO(t)
	name := "tenancy-" + meta.NewID()[24:]
	zones, err := blob.Open(ctx, blob.Config{
		Driver: blob.DriverS3, Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: server.SecretKey, PathStyle: true,
		QuarantineBucket: name + "-q", CleanBucket: name + "-c", SnapshotBucket: name + "-s", AuditBucket: name + "-a",
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	client, err := minio.New(server.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, "")})
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, zone := range []string{"-q", "-c", "-s"} {
			require.NoError(t, client.RemoveBucket(ctx, name+zone))
		}
	})
	w := newWorks(t, metatest.SQLite(t), zones)
	id := w.fill(t, "acme")
	require.Equal(t, storage.TenantActive, w.row(t, id).State)
	require.Equal(t, 8, w.objects(t, ""), "the probes are gone, what it has is there")
	w.doom(t, id)
	require.NoError(t, w.attempt(id))
	w.requirePurged(t, id)
	require.Zero(t, w.objects(t, ""))
}

func TestFormerNamesFitTheirColumn(t *testing.T) {
	id := "0192d3c4-0000-7000-8000-0000deadbeef"
	require.Equal(t, "acme (failed deadbeef)", FormerName("acme", "failed", id))
	long := FormerName(strings.Repeat("名", 63), "deleted", id)
	require.LessOrEqual(t, len(long), MaxName)
	require.Contains(t, long, "名 (deleted deadbeef)")
}
