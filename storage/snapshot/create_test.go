package snapshot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// hooked is a zone with something before every put.
type hooked struct {
	blob.Bucket
	put func(key string) error
}

func (h hooked) Put(ctx context.Context, key string, r io.Reader, size int64, o blob.PutOptions) error {
	if err := h.put(key); err != nil {
		return err
	}
	return h.Bucket.Put(ctx, key, r, size, o)
}

// keysIn lists the whole zone.
func keysIn(t testing.TB, zone blob.Bucket) (out []string) {
	for info, err := range zone.List(t.Context(), "", "") {
		require.NoError(t, err)
		out = append(out, info.Key)
	}
	return out
}

// TestCreateBesideWriters: uploads go on while a snapshot is taken, and in it the sums are those of its rows.
func TestCreateBesideWriters(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			url := kind.url(t)
			db, other := open(t, url, true), open(t, url, false)
			tenantWith(t, db, "t", 20)
			var commits atomic.Int64
			ctx, stop := context.WithCancel(t.Context())
			var writers errgroup.Group
			for w := range 3 {
				writers.Go(func() error {
					for i := 1000 * (w + 1); ctx.Err() == nil; i++ {
						err := other.InTx(context.Background(), func(tx *meta.Tx) error {
							for _, row := range []any{cleanBlob("t", i), cleanAsset("t", i)} {
								if err := tx.Create(row); err != nil {
									return err
								}
							}
							_, err := tx.Exec("UPDATE tenants SET used_bytes = used_bytes + 10, used_files = used_files + 1 WHERE id = 't'")
							return err
						})
						if err != nil {
							return err
						}
						commits.Add(1)
					}
					return nil
				})
			}
			// Between any two parts some uploads are committed: nobody waits for the snapshot.
			zone := hooked{zonesOf(t).Snapshots, func(string) error {
				for until := commits.Load() + 3; commits.Load() < until && ctx.Err() == nil; {
					time.Sleep(time.Millisecond)
				}
				return nil
			}}
			m, err := storeOf(t, db, zone).Create(t.Context(), ReasonManual)
			stop()
			require.NoError(t, writers.Wait())
			require.NoError(t, err)
			v, err := storeOf(t, db, zone).Verify(t.Context(), m.ID)
			require.NoError(t, err)
			require.Empty(t, v.Damage)
			require.Empty(t, v.Drift)
			requireExact(t, db)
			require.Greater(t, commits.Load(), int64(3*len(m.Tables[3].Parts)))
		})
	}
}

// TestCreateFails: whatever part cannot be written, nothing is listed and nothing is left.
func TestCreateFails(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	fillOdd(t, db)
	plain := zonesOf(t).Snapshots
	broken := errors.New("broken store")
	puts := 0
	_, err := storeOf(t, db, hooked{plain, func(string) error { puts++; return nil }}).Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	all := keysIn(t, plain)
	require.Greater(t, puts, 20)
	for n := 1; n <= puts; n += puts / 5 {
		left := n
		zone := hooked{plain, func(key string) error {
			if left--; left == 0 || strings.HasSuffix(key, manifestName) {
				return broken
			}
			return nil
		}}
		_, err := storeOf(t, db, zone).Create(t.Context(), ReasonManual)
		require.ErrorIs(t, err, broken)
		require.Equal(t, all, keysIn(t, plain))
	}
	ctx, cancel := context.WithCancel(t.Context())
	zone := hooked{plain, func(string) error { cancel(); return nil }}
	_, err = storeOf(t, db, zone).Create(ctx, ReasonManual)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, all, keysIn(t, plain))
}

// TestCreateKilled: what a killed process leaves is no snapshot, and goes after a day.
func TestCreateKilled(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	root := filepath.Join(t.TempDir(), "store")
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: root})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	s := storeOf(t, db, zones.Snapshots)
	_, err = s.Manifest(t.Context(), Latest)
	require.ErrorIs(t, err, ErrNotFound)
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	killed := newID(time.Now().Add(time.Hour))
	require.NoError(t, s.Zone.Put(t.Context(), killed+"/plans.00001.jsonl.zst", strings.NewReader("x"), 1, blob.PutOptions{}))
	list, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	latest, err := s.Manifest(t.Context(), Latest)
	require.NoError(t, err)
	require.Equal(t, m.ID, latest.ID)
	for _, id := range []string{killed, "nothing", "../x", ""} {
		_, err = s.Manifest(t.Context(), id)
		require.ErrorIs(t, err, ErrNotFound, id)
	}
	removed, err := s.Prune(t.Context(), time.Now().Add(25*time.Hour))
	require.NoError(t, err)
	require.Empty(t, removed, "it may be under way, and our clock be ahead")
	require.NoError(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.Contains(path, killed) {
			err = os.Chtimes(path, time.Time{}, time.Now().Add(-25*time.Hour))
		}
		return err
	}))
	removed, err = s.Prune(t.Context(), time.Now())
	require.NoError(t, err)
	require.Equal(t, []string{killed}, removed)
	for _, key := range keysIn(t, s.Zone) {
		require.True(t, strings.HasPrefix(key, m.ID+"/"))
	}
}

// TestLatestIsNotOfTheFuture: what was taken while a clock was ahead is there by its id, and is not the latest for years.
func TestLatestIsNotOfTheFuture(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	put := func(at time.Time) Manifest {
		m := Manifest{Format: Format, ID: newID(at), CreatedAt: at, Reason: ReasonDaily}
		file, err := seal(m)
		require.NoError(t, err)
		require.NoError(t, s.Zone.Put(t.Context(), m.ID+"/"+manifestName, bytes.NewReader(file), int64(len(file)), blob.PutOptions{}))
		return m
	}
	ahead := put(time.Now().Add(24 * time.Hour))
	_, err := s.Manifest(t.Context(), Latest)
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorContains(t, err, "of the future")
	m := put(time.Now().Add(-time.Hour))
	for id, want := range map[string]string{Latest: m.ID, ahead.ID: ahead.ID} {
		got, err := s.Manifest(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, want, got.ID)
	}
}

// TestPartsAreBounded: a large table comes in many parts, and a row larger than a part in one of its own.
func TestPartsAreBounded(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	tenantWith(t, db, "t", 100)
	exec(t, db, "UPDATE plans SET spec = '"+strings.Repeat("y", 10_000)+"'")
	s := storeOf(t, db, zonesOf(t).Snapshots)
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	var rows int64
	for _, table := range m.Tables {
		for _, p := range table.Parts {
			rows += p.Rows
			require.LessOrEqual(t, p.Rows, int64(20), p.Name)
		}
	}
	require.Equal(t, m.Rows(), rows)
	require.Greater(t, len(m.Tables[3].Parts), 10)
	require.Len(t, m.Tables[0].Parts, 1)
	require.Empty(t, m.Tables[6].Parts, "an empty table has no parts")
	entries, err := filesIn(s.SpoolDir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestRecord: what other programs learn of a snapshot.
func TestRecord(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	m, err := s.Create(t.Context(), ReasonDaily)
	require.NoError(t, err)
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { return Record(tx, m, audit.Worker) }))
	last, err := LastTaken(t.Context(), db)
	require.NoError(t, err)
	require.Equal(t, Last{ID: m.ID, Time: m.CreatedAt, Bytes: m.Bytes(), Rows: m.Rows()}, last)
	require.Contains(t, lines(dump(t, db, false)["audit_log"]), `"action":"snapshot.create"`)
	require.True(t, bytes.HasPrefix([]byte(m.ID), []byte(m.CreatedAt.Format("20060102T"))))
}
