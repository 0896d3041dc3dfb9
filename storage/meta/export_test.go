package meta_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// columnsQuery lists all columns of all tables of a database.
var columnsQuery = map[meta.Dialect]string{
	meta.SQLite:   `SELECT m.name AS t, p.name AS c FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table'`,
	meta.Postgres: `SELECT table_name AS t, column_name AS c FROM information_schema.columns WHERE table_schema = current_schema()`,
	meta.MySQL:    `SELECT table_name AS t, column_name AS c FROM information_schema.columns WHERE table_schema = database()`,
}

// TestExportIsComplete: a table or a column that an export forgets is lost with the next disaster.
func TestExportIsComplete(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		var list []struct{ T, C string }
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			_, err := tx.Scan(&list, columnsQuery[db.Dialect()])
			return err
		}))
		there := map[string][]string{}
		for _, at := range list {
			if at.T != "migrations" && !strings.HasPrefix(at.T, "sqlite_") {
				there[at.T] = append(there[at.T], at.C)
			}
		}
		tables, err := meta.Tables()
		require.NoError(t, err)
		exported := map[string][]string{}
		for _, table := range tables {
			exported[table.Name] = table.Columns()
		}
		require.Len(t, exported, len(tables), "a table stands twice")
		for name, columns := range there {
			require.ElementsMatch(t, columns, exported[name], "columns of %s: the model does not have them all, or THE list not the table", name)
		}
		require.Len(t, exported, len(there))
	})
}

// odd fills a row with values that are easily spoilt; n tells rows apart.
func odd(row any, n int) {
	v := reflect.ValueOf(row).Elem()
	texts := []string{"", "it's \"quoted\" \\ back", "\U0001F600 表 <&>\u2028", strings.Repeat("x", 30), "NULL", " lead"}
	for i := range v.NumField() {
		f := v.Field(i)
		switch f.Kind() {
		case reflect.String:
			f.SetString(texts[(i+n)%len(texts)])
		case reflect.Int64, reflect.Int:
			f.SetInt([]int64{0, math.MaxInt32, 1<<31 - 2, 7}[(i+n)%4])
		case reflect.Float64:
			f.SetFloat([]float64{0, 0.1, 29.97002997, 1}[(i+n)%4])
		case reflect.Bool:
			f.SetBool((i+n)%2 == 0)
		}
	}
}

// TestEncodeRows: what is written down comes back exactly, whatever the texts hold.
func TestEncodeRows(t *testing.T) {
	tables, err := meta.Tables()
	require.NoError(t, err)
	for _, table := range tables {
		for n := range 6 {
			row := table.New()
			odd(row, n)
			if tenant, ok := row.(*meta.TenantRow); ok {
				largest := int64(math.MaxInt64)
				tenant.QuotaOverride, tenant.UsedBytes, tenant.Name = &largest, math.MaxInt64, "bytes \xff\x00\xc3("
			}
			line, err := table.Encode(row)
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(line), "\n"))
			back, err := table.Decode(line, true)
			require.NoError(t, err, "%s", line)
			require.Equal(t, row, back)
		}
	}
	_, err = tables[0].Decode([]byte(`{"name":"a","stranger":1}`), true)
	require.ErrorContains(t, err, "stranger")
	_, err = tables[0].Decode([]byte(`{"_raw":{"name":"/w=="},"name":"a","stranger":1}`), true)
	require.ErrorContains(t, err, "stranger")
	got, err := tables[0].Decode([]byte(`{"name":"a","stranger":1}`), false)
	require.NoError(t, err)
	require.Equal(t, &meta.Plan{Name: "a"}, got)
	for _, bad := range []string{"", "{", `{"name":5}`, `{"name":"a"} {}`, `{"storage_bytes":1.5}`,
		`{"_raw":`, `{"_raw":5,"name":"a"}`, `{"_raw":{"name":"/w=="}}`, `{"storage_bytes":9223372036854775808}`} {
		_, err := tables[0].Decode([]byte(bad), true)
		require.Error(t, err, bad)
	}
}

// TestReadAllPages: each row once, over tables larger than a page and keys of one, two and three columns, all of the
// instant at which reading began.
func TestReadAllPages(t *testing.T) {
	const tenants, rows = 3, 421 // 1263 rows: two whole pages and a part
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		byName := map[string]meta.Table{}
		tables, err := meta.Tables()
		require.NoError(t, err)
		for _, table := range tables {
			byName[table.Name] = table
		}
		blobs, variants, events := byName["blobs"], byName["variants"], byName["events"]
		require.NoError(t, db.Exclusive(t.Context(), func(tx *meta.Tx) error {
			for i := range tenants {
				var b, v, e []any
				for j := range rows {
					tenant, digest := fmt.Sprint("tenant", i), fmt.Sprintf("%064d", j)
					b = append(b, &meta.Blob{TenantID: tenant, SHA256: digest, CreatedAt: 1, UpdatedAt: 1})
					v = append(v, &meta.Variant{TenantID: tenant, SHA256: fmt.Sprintf("%064d", j/3), Preset: fmt.Sprint("p", j%3), CreatedAt: 1})
					e = append(e, &meta.Event{ID: int64(1000 + i*rows + j), TenantID: tenant})
				}
				for table, list := range map[string][]any{"blobs": b, "variants": v, "events": e} {
					if err := tx.InsertRows(byName[table], list); err != nil {
						return err
					}
				}
			}
			return tx.RaiseSerials()
		}))
		require.NoError(t, db.ReadAll(t.Context(), func(r *meta.Reader) error {
			n, err := r.Count(blobs)
			require.NoError(t, err)
			require.EqualValues(t, tenants*rows, n)
			// A writer in between neither waits nor is seen.
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				return tx.Create(&meta.Blob{TenantID: "tenant1", SHA256: "late", CreatedAt: 1, UpdatedAt: 1})
			}))
			for _, table := range []meta.Table{blobs, variants, events} {
				seen := map[string]bool{}
				require.NoError(t, r.Each(table, func(row any) error {
					require.False(t, seen[table.KeyText(row)], "twice")
					seen[table.KeyText(row)] = true
					return nil
				}))
				require.Len(t, seen, tenants*rows, table.Name)
			}
			return nil
		}))
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			next := &meta.Event{}
			require.NoError(t, tx.Create(next))
			require.EqualValues(t, 1000+tenants*rows, next.ID, "numbers go on after the inserted ones")
			found, err := tx.Existing(variants, []any{&meta.Variant{TenantID: "tenant1", SHA256: fmt.Sprintf("%064d", 5), Preset: "p2"}, &meta.Variant{TenantID: "nobody"}})
			require.NoError(t, err)
			require.Len(t, found, 3, "all presets of the one blob")
			return nil
		}))
	})
}

// TestExclusive: nobody writes beside it, and what was written before is seen.
func TestExclusive(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		written := make(chan error, 1)
		order := make(chan string, 2)
		require.NoError(t, one.Exclusive(t.Context(), func(tx *meta.Tx) error {
			go func() {
				err := two.SetFact(context.Background(), "beside", "x")
				order <- "writer"
				written <- err
			}()
			for range 200 { // time for the writer to get through, were there nothing that holds it back
				n := 0
				if _, err := tx.Scan(&n, "SELECT COUNT(*) FROM facts"); err != nil {
					return err
				}
				require.Zero(t, n)
			}
			order <- "exclusive"
			return nil
		}))
		require.NoError(t, <-written)
		require.Equal(t, "exclusive", <-order)
	})
}

func TestKeepAlive(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		alive, err := db.Alive(t.Context())
		require.NoError(t, err)
		require.Empty(t, alive)
		stop, err := db.KeepAlive(t.Context(), "worker", log)
		require.NoError(t, err)
		alive, err = db.Alive(t.Context())
		require.NoError(t, err)
		require.Len(t, alive, 1)
		name := alive[0]
		require.True(t, strings.HasPrefix(name, "worker."))
		stopOther, err := db.KeepAlive(t.Context(), "worker", log)
		require.NoError(t, err)
		alive, err = db.Alive(t.Context())
		require.NoError(t, err)
		require.Len(t, alive, 2, "one of the same host and process id has a sign of its own")
		stopOther()
		alive, err = db.Alive(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{name}, alive)
		sign, err := db.FactByName(t.Context(), "alive."+name)
		require.NoError(t, err)
		var epoch int64
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			_, err := tx.Scan(&epoch, "SELECT "+db.Dialect().Epoch())
			return err
		}))
		require.Zero(t, sign.UpdatedAt%1e6, "of the database's clock, which counts whole seconds here")
		require.LessOrEqual(t, int64(sign.UpdatedAt), epoch*1e6)
		_, err = db.Exec(t.Context(), "UPDATE facts SET updated_at = updated_at - 36000000")
		require.NoError(t, err)
		alive, err = db.Alive(t.Context())
		require.NoError(t, err)
		require.Empty(t, alive, "silent for 36 seconds")
		stop()
		_, err = db.FactByName(t.Context(), "alive."+name)
		require.ErrorIs(t, err, storage.ErrNotFound, "taken back")
	})
	fresh := metatest.Open(t, metatest.SQLiteURL(t))
	alive, err := fresh.Alive(t.Context())
	require.NoError(t, err, "a database without tables")
	require.Empty(t, alive)
}
