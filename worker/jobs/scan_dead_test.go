package jobs_test

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
)

// attempts is how many package dispatch makes before it buries a task.
const attempts = 10

// requireDead holds that the last task about the blob is there to be seen, dead.
func (b *bench) requireDead(t testing.TB, digest string) {
	t.Helper()
	list, err := b.db.Tenant(t.Context(), b.tenant).TasksAbout(digest)
	require.NoError(t, err)
	require.NotEmpty(t, list)
	require.Equal(t, storage.TaskDead, list[0].State)
}

// chokeScanner puts a door before clamd that lets questions through and hangs up on every scan, as a clamd does
// that dies of a file.
func (b *bench) chokeScanner(t *testing.T) (mend func()) {
	t.Helper()
	b.unplugScanner(t)
	door, err := net.Listen("unix", b.link)
	require.NoError(t, err)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for {
			conn, err := door.Accept()
			if err != nil {
				return
			}
			b.passQuestion(conn)
		}
	}()
	return func() {
		require.NoError(t, door.Close()) // and with it the socket
		<-closed
		b.plugScanner(t)
	}
}

func (b *bench) passQuestion(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	if err != nil || bytes.Contains(buf[:n], []byte("FILDES")) {
		return
	}
	clamd, err := net.Dial("unix", b.socket)
	if err != nil {
		return
	}
	defer clamd.Close()
	if _, err := clamd.Write(buf[:n]); err == nil {
		_, _ = io.Copy(conn, clamd)
	}
}

func TestFileThatTheScannerCannotDigestIsRejected(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		asset, digest := b.upload(t, harmless, storage.CategoryImage)
		_, other := b.upload(t, []byte("another file, whose workers die"), storage.CategoryDocument)
		before := b.audited(t, "scan.verdict")
		mend := b.chokeScanner(t)
		for n := range attempts {
			require.Equal(t, storage.ScanPending, b.blob(t, digest).ScanStatus, "after %d attempts", n)
			err := b.attempt(t, storage.TaskScan, digest)
			require.Error(t, err)
			_, waits := jobs.WaitOf(err)
			require.False(t, waits, "a file that kills its scanner is not tried for ever")
		}
		b.requireDead(t, digest)
		row := b.blob(t, digest)
		require.Equal(t, storage.ScanUnscannable, row.ScanStatus)
		require.Equal(t, "Gatehouse.ScanFailed", row.ScanSignature)
		require.Empty(t, row.ScanDatabase, "no scanner's database is called so: a duplicate is scanned anew")
		require.Zero(t, row.ScanBytes)
		require.Empty(t, row.ScanDigest)
		require.NotZero(t, row.ScannedAt)
		require.Equal(t, storage.ZoneQuarantine, row.Zone)
		require.Equal(t, storage.AssetRejected, b.stateOf(t, asset))
		require.Equal(t, []storage.EventKind{storage.EventScanned}, b.events(t, asset))
		require.Equal(t, before+1, b.audited(t, "scan.verdict"))
		require.Empty(t, b.objects(t, storage.ZoneClean))

		// A blob that has its verdict keeps it.
		_, passed := passOnce(t, b, append([]byte("passed "), harmless...))
		b.queue(t, storage.TaskScan, passed)
		for range attempts {
			require.Error(t, b.attempt(t, storage.TaskScan, passed))
		}
		b.requireDead(t, passed)
		require.Equal(t, storage.ScanClean, b.blob(t, passed).ScanStatus)

		// What is buried for another reason stays pending.
		b.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE tasks SET attempts = ? WHERE subject = ?`, attempts, other)
			return err
		})
		require.Error(t, b.attempt(t, storage.TaskScan, other))
		b.requireDead(t, other)
		require.Equal(t, storage.ScanPending, b.blob(t, other).ScanStatus)

		mend()
		b.queue(t, storage.TaskScan, digest) // as an upload of the same bytes does
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset))
		b.requireExactLedger(t)
	})
}
