package snapshot

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// kinds of database, each fresh and migrated.
var kinds = []struct {
	name string
	url  func(testing.TB) string
}{{"sqlite", metatest.SQLiteURL}, {"postgres", services.PostgresDSN}, {"mysql", services.MySQLDSN}}

// zonesOf opens a store in a folder of the test's own.
func zonesOf(t testing.TB) *blob.Zones {
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: filepath.Join(t.TempDir(), "store")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	return zones
}

// storeOf makes a store of snapshots with small parts.
func storeOf(t testing.TB, db *meta.DB, zone blob.Bucket) *Store {
	return &Store{DB: db, Zone: zone, SpoolDir: t.TempDir(), Version: "test", PartBytes: 2000, Keep: Keep{Daily: 30, Monthly: 12}}
}

// odd sets every field of a row to something that is easily spoilt and that every column holds; n varies it.
func odd(row any, n int) {
	v := reflect.ValueOf(row).Elem()
	texts := []string{"", "it's", `"q\"`, "\U0001F600表", "NULL", " <&> ", "\t\n\r", "%_%"}
	for i := range v.NumField() {
		f := v.Field(i)
		switch f.Kind() {
		case reflect.String:
			f.SetString(texts[(i+n)%len(texts)])
		case reflect.Int64:
			f.SetInt([]int64{0, math.MaxInt64, 1, 1 << 53, 1<<53 + 1}[(i+n)%5])
		case reflect.Int:
			f.SetInt([]int64{0, math.MaxInt32}[(i+n)%2])
		case reflect.Float64:
			f.SetFloat([]float64{0, 0.1, 29.97002997, 1e-9}[(i+n)%4])
		case reflect.Bool:
			f.SetBool((i+n)%2 == 0)
		}
	}
}

const (
	oddTenants = 3
	oddRows    = 12 // of each tenant and table
)

func digestNo(i int) string { return fmt.Sprintf("%064x", i+1) }

// oddRow makes row i of a table: odd, but consistent with the others.
func oddRow(t meta.Table, i int) any {
	row := t.New()
	odd(row, i)
	tenant := fmt.Sprint("tenant-", i%oddTenants)
	digest := digestNo(i / oddTenants)
	unique := fmt.Sprintf("%s-%d é\U0001F600", t.Name, i)
	switch r := row.(type) {
	case *meta.Plan:
		r.Name, r.Spec = "plan "+unique, strings.Repeat("long ", 10_000)
	case *meta.TenantRow:
		r.ID, r.Name, r.Plan = tenant, unique, "plan plans-0 é\U0001F600"
		if largest := int64(math.MaxInt64); i > 0 {
			r.QuotaOverride = &largest
		}
		r.UsedBytes, r.UsedFiles = oddRows*(10+1), oddRows
		r.ReservedBytes, r.ReservedFiles = oddRows*5, oddRows
	case *meta.APIKey:
		r.ID, r.TenantID, r.Hash = unique, tenant, digestNo(i)
	case *meta.Reservation:
		r.ID, r.TenantID, r.Bytes = unique, tenant, 5
	case *meta.Blob:
		r.TenantID, r.SHA256, r.Size, r.Refs, r.Sweeping, r.ScanStatus = tenant, digest, 10, 1, false, storage.ScanClean
	case *meta.Asset:
		r.ID, r.TenantID, r.SHA256, r.State = unique, tenant, digest, storage.AssetAvailable
	case *meta.Variant:
		r.TenantID, r.SHA256, r.Preset, r.Size = tenant, digest, "w640", 1
	case *meta.Task:
		r.ID, r.TenantID, r.LastError = unique, tenant, strings.Repeat("why\n", 1000)
		r.State = []storage.TaskState{storage.TaskRunning, storage.TaskQueued, storage.TaskDead}[i%3]
		if i%2 == 0 {
			r.DedupeKey = &unique
		}
	case *meta.Event:
		r.ID, r.TenantID = int64(1000+i), tenant
	case *meta.AuditRecord:
		r.ID, r.TenantID = int64(2000+i), tenant
	case *meta.AuditSeal:
		r.Seq, r.RecordID, r.Hash, r.MAC = int64(1+i), int64(2000+i), digestNo(i), "mac"
	case *meta.AuditCheckpoint:
		r.Seq, r.Hash = int64(1+i), digestNo(i)
	case *meta.AuditArchive:
		r.FirstSeq, r.LastSeq, r.SHA256, r.Hash = int64(10_000+i), int64(10_000+i), digestNo(i), digestNo(i)
	case *meta.AuditChain:
		r.ChainID, r.PrevHash = fmt.Sprint("chain-", i), digestNo(i)
	case *meta.AuditState:
		r.ID, r.ChainID, r.Hash = int64(1+i), "chain-0", digestNo(i)
	case *meta.IdempotencyKey:
		r.TenantID, r.Key = tenant, unique
	case *meta.Fact:
		r.Name = []string{"turn.", "scanner.", "alive.", "other."}[i%4] + unique
		r.UpdatedAt = meta.Stamp(i) // long ago: no program lives
	case *meta.ReconcileRun:
		r.ID = unique
	case *meta.ReconcileFinding:
		r.ID = unique
	case *meta.ReconcileMark:
		r.TenantID = unique
	case *meta.Alert:
		r.ID = unique
		if i%2 == 0 {
			r.OpenKey = &unique
		}
	case *meta.Notice:
		r.ID, r.AlertID = unique, fmt.Sprint("alerts-", i)
	case *meta.Operator:
		r.ID, r.Name = unique, unique
	case *meta.OperatorPassword:
		r.ID = unique
	case *meta.RecoveryCode:
		r.ID = unique
	case *meta.OperatorLink:
		r.ID, r.Hash = unique, digestNo(i)
	case *meta.OperatorSession:
		r.ID, r.Hash = unique, digestNo(i)
	case *meta.OperatorToken:
		r.ID, r.Hash = unique, digestNo(i)
	case *meta.OperatorAttempt:
		r.Subject = unique
	case *meta.OperatorNetwork:
		r.ID, r.CIDR = unique, unique
	case *meta.TaskAttempt:
		r.ID, r.TenantID = unique, tenant
	case *meta.LanePause:
		r.Name = storage.Lane(unique)
	case *meta.BulkRun:
		r.ID = unique
	case *meta.StatHour:
		r.Metric = unique
	case *meta.TenantDay:
		r.TenantID, r.Day = tenant, int64(i)
	case *meta.TenantActivity:
		r.TenantID = unique
	case *meta.Setting:
		r.Name = unique
	case *meta.OperatorAddress:
		r.Actor, r.Address = unique, fmt.Sprint("2001:db8::", i)
	case *meta.ClientRelease:
		r.ID = unique
		if i%2 == 0 {
			r.VersionKey, r.PublishedKey = &unique, &unique
		}
	case *meta.ReleaseArtifact:
		r.ID, r.Name = unique, unique
	case *meta.ReleaseDigests:
		r.SHA256 = digestNo(i)
	case *meta.DeviceToken:
		r.ID, r.TenantID, r.Hash = unique, tenant, digestNo(i)
	case *meta.ReleaseDevice:
		r.TenantID, r.DeviceID = tenant, unique
	case *meta.ReleaseRollup:
		r.TenantID, r.Hour = tenant, int64(i)
		if i%2 == 0 {
			r.TenantID = "" // a total
		}
	default:
		panic(fmt.Sprintf("a table without odd rows: %T", row))
	}
	return row
}

// fillOdd fills every table.
func fillOdd(t testing.TB, db *meta.DB) {
	tables, err := meta.Tables()
	require.NoError(t, err)
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		for _, table := range tables {
			n := oddTenants * oddRows
			if table.Name == "tenants" {
				n = oddTenants
			}
			for i := range n {
				if err := tx.InsertRows(table, []any{oddRow(table, i)}); err != nil {
					return err
				}
			}
		}
		return tx.RaiseSerials()
	}))
	requireExact(t, db)
}

// requireExact: the ledger of every tenant is what its rows are.
func requireExact(t testing.TB, db *meta.DB) {
	t.Helper()
	drift, err := db.LedgerDrift(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, drift)
}

// dump writes down a whole database, table by table, sorted. settled leaves out and changes what a restore does.
func dump(t testing.TB, db *meta.DB, settled bool) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	tables, err := meta.Tables()
	require.NoError(t, err)
	require.NoError(t, db.ReadAll(t.Context(), func(r *meta.Reader) error {
		for _, table := range tables {
			lines := []string{}
			err := r.Each(table, func(row any) error {
				if settled && !(settling{}).row(row) {
					return nil
				}
				line, err := table.Encode(row)
				lines = append(lines, string(line))
				return err
			})
			if err != nil {
				return err
			}
			slices.Sort(lines)
			out[table.Name] = lines
		}
		return nil
	}))
	return out
}

// without drops the lines that a restore adds of its own: the fact of the last snapshot, and its audit records.
func without(lines map[string][]string) map[string][]string {
	for table, mark := range map[string]string{"facts": FactLast, "audit_log": `"action":"snapshot.`} {
		lines[table] = slices.DeleteFunc(lines[table], func(line string) bool { return strings.Contains(line, mark) })
	}
	return lines
}

func open(t testing.TB, url string, migrated bool) *meta.DB {
	db := metatest.Open(t, url)
	if migrated {
		require.NoError(t, db.Migrate(t.Context()))
	}
	return db
}

// filesIn lists what is left in a folder.
func filesIn(dir string) (out []string, err error) {
	list, err := os.ReadDir(dir)
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out, err
}
