package disk

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// smallDisk is a file system of its own, of 4 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a disk")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m,nr_inodes=100"), "tests run as root")
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

func TestMeasure(t *testing.T) {
	dir := smallDisk(t)
	before, err := Measure(dir)
	require.NoError(t, err)
	require.EqualValues(t, 4<<20, before.Total)
	require.EqualValues(t, 4<<20, before.Used+before.Free)
	require.EqualValues(t, 100, before.Files)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), make([]byte, 1<<20), 0o600))
	after, err := Measure(dir)
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, after.Used-before.Used)
	require.EqualValues(t, 1<<20, before.Free-after.Free)
	require.EqualValues(t, 1, before.FilesFree-after.FilesFree)
	_, err = Measure(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestPlacesAreNamedByMount(t *testing.T) {
	dir, other := smallDisk(t), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "deep"), 0o700))
	link := filepath.Join(other, "link")
	require.NoError(t, os.Symlink(filepath.Join(dir, "deep"), link))
	db := metatest.SQLite(t)
	r := Reporter{DB: db, Program: "worker", Log: slog.New(slog.DiscardHandler), Places: []Place{
		{"store", filepath.Join(dir, "deep")}, {"data", dir}, {"database", link}, {"spool", filepath.Join(dir, "gone")},
	}}
	require.NoError(t, r.Tell(t.Context(), "host-1"))
	require.NoError(t, r.Tell(t.Context(), "host-1"))
	facts, err := db.Disks(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, facts, 1, "the same program tells it anew")
	require.Equal(t, "host-1", facts[0].Host)
	require.Len(t, facts[0].Disks, 1)
	require.Equal(t, []string{"store", "data", "database"}, facts[0].Disks[0].Uses)
	require.Equal(t, dir, facts[0].Disks[0].Mount)

	facts, err = db.Disks(t.Context(), meta.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Empty(t, facts)
}

func TestMounts(t *testing.T) {
	m, err := parseMounts(strings.NewReader(`24 1 254:0 / / rw - ext4 /dev/vda rw
25 24 0:21 / /srv rw,nosuid shared:9 - tmpfs tmpfs rw
26 25 0:22 / /srv/a\040b rw - tmpfs tmpfs rw
`))
	require.NoError(t, err)
	for path, want := range map[string]string{
		"/srv": "/srv", "/srv/x": "/srv", "/srv/a b/c": "/srv/a b", "/srvx": "/", "/": "/", "/srv/a bc": "/srv",
	} {
		require.Equal(t, want, m.of(path), path)
	}
	require.Equal(t, "/somewhere", mounts(nil).of("/somewhere"))
}
