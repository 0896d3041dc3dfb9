package hammer

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/gateway/intake"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
	"gatehouse/worker/dispatch"
	"gatehouse/worker/jobs"
	"gatehouse/worker/tools/clamd"
)

var ctx = context.Background()

// yard is a gateway's intake and a worker on one database and one store.
type yard struct {
	db         *meta.DB
	zones      *blob.Zones
	ledger     quota.Ledger
	intake     *intake.Intake
	reconciler *reconcile.Reconciler
	log        *slog.Logger
}

// settle outlasts the time from the end of an upload's put to its rows, also on a busy machine.
const settle = time.Second

func newYard(t *testing.T, db *meta.DB, zones *blob.Zones) *yard {
	y := &yard{db: db, zones: zones, ledger: quota.Ledger{DB: db, TTL: time.Hour}, log: slog.New(slog.DiscardHandler)}
	y.intake = &intake.Intake{
		DB: db, Zones: zones, Ledger: y.ledger, Log: y.log, Spool: intake.Spool{Dir: t.TempDir(), MemoryBytes: 64 << 10},
		Refused: func(string, storage.Code) {},
	}
	y.reconciler = reconcile.New(reconcile.Config{
		OrphanGrace: time.Minute, Infected: time.Hour, TaskHistory: time.Hour, EventHistory: time.Hour, IdempotencyTTL: time.Hour, Settle: settle,
		Digests: reconcile.Digests{Days: 1, BytesPerNight: 1 << 40, Rate: 1 << 40}, // all of them, in each full run
	}, db, zones, y.ledger, y.log)
	y.work(t)
	return y
}

// work runs a worker: the real scan with the real scanner, and for pictures a job that puts bytes where variants would
// be, by the same protocol: the decoder is not what is tested here.
func (y *yard) work(t *testing.T) {
	scanner, err := clamd.New(clamd.Config{
		Address: "unix://" + services.ClamdSocket(t), TempDir: t.TempDir(), Timeout: time.Minute,
		Fingerprint: func(context.Context) (string, error) { return "local:test", nil },
	})
	require.NoError(t, err)
	list := []jobs.Job{{Kind: storage.TaskImage, Timeout: time.Minute, Run: y.variants}}
	for _, j := range jobs.List(jobs.Deps{DB: y.db, Zones: y.zones, Ledger: y.ledger, Scanner: scanner, ScanTimeout: time.Minute, Log: y.log}) {
		if j.Kind == storage.TaskScan {
			list = append(list, j)
		}
	}
	d, err := dispatch.New(dispatch.Config{
		Worker: "hammered", PollInterval: 20 * time.Millisecond, Lanes: map[storage.Lane]int{storage.LaneScan: 2, storage.LaneImage: 2},
		BackoffMin: 50 * time.Millisecond,
	}, y.db, dispatch.NewLocal(), list, nil, prometheus.NewRegistry(), y.log)
	require.NoError(t, err)
	work, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(work) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
}

// variants makes the variants of a picture.
func (y *yard) variants(ctx context.Context, r *jobs.Run) (jobs.Commit, error) {
	t := r.Task()
	b, known, err := y.db.Tenant(ctx, t.TenantID).BlobIfAny(t.Subject)
	if err != nil || !known || !wanted(b) || b.MediaStatus == storage.MediaDone {
		return end(t, storage.MediaNone), err
	}
	for _, preset := range []string{"w320", "w640"} {
		content := []byte(preset + " of " + t.Subject)
		v := meta.Variant{
			SHA256: t.Subject, Preset: preset, Ext: "webp", MediaType: "image/webp", Width: 1, Height: 1, Size: int64(len(content)),
			Digest: digestOf(content), KeyTag: storage.VariantTag(digestOf(content)), CreatedAt: meta.Now(),
		}
		key := storage.VariantKey(t.TenantID, t.Subject, preset, v.KeyTag, v.Ext)
		if err := y.zones.Clean.Put(ctx, key, bytes.NewReader(content), v.Size, blob.PutOptions{}); err != nil {
			return nil, err
		}
		err := r.InTx(ctx, func(tx *meta.Tx) error { return y.register(tx, t, v) })
		if storage.CodeOf(err) == storage.CodeQuotaExceeded {
			return end(t, storage.MediaFailed), y.zones.Clean.Delete(ctx, key)
		}
		if err != nil {
			return nil, err
		}
	}
	return end(t, storage.MediaDone), nil
}

func (y *yard) register(tx *meta.Tx, t meta.Task, v meta.Variant) error {
	tenant := tx.Tenant(t.TenantID)
	b, known, err := tenant.BlobIfAny(t.Subject)
	if err != nil || !known || !wanted(b) {
		return err
	}
	row := v
	created, err := tenant.CreateVariant(&row)
	if err != nil || !created {
		return err
	}
	if err := tenant.SetMedia(b.SHA256, b.Revision, storage.MediaRunning, 0.5, nil); err != nil {
		return err
	}
	return y.ledger.Charge(tx, t.TenantID, v.Size)
}

func wanted(b meta.Blob) bool {
	return b.Refs > 0 && !b.Sweeping && b.Zone == storage.ZoneClean && b.ScanStatus == storage.ScanClean
}

// end ends the task with that media status, or with none when there was nothing to do. If somebody wants the variants by
// now after all, it waits for its next turn.
func end(t meta.Task, status storage.MediaStatus) jobs.Commit {
	return func(tx *meta.Tx) error {
		tenant := tx.Tenant(t.TenantID)
		b, err := tenant.LockBlob(t.Subject)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil || !wanted(b) || b.MediaStatus == storage.MediaDone {
			return err
		}
		if status == storage.MediaNone || status == storage.MediaDone && b.MediaStatus == storage.MediaPending {
			return jobs.Wait(errors.New("deleted and uploaded anew meanwhile"), 0)
		}
		return tenant.SetMedia(b.SHA256, b.Revision, status, 1, nil)
	}
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// file is the n-th of the files that are uploaded again and again: a text or a picture.
func file(t testing.TB, n int) (name string, content []byte) {
	if n%2 == 0 {
		return "note.txt", bytes.Repeat(fmt.Appendf(nil, "note %d\n", n), 1+n%50)
	}
	var out bytes.Buffer
	m := image.NewGray(image.Rect(0, 0, 16, 16))
	for i := range m.Pix {
		m.Pix[i] = byte(i*n + n>>8)
	}
	m.Pix[0], m.Pix[1] = byte(n), byte(n>>8)
	if err := png.Encode(&out, m); err != nil {
		t.Error(err)
	}
	return "picture.png", out.Bytes()
}

func upload(tenant, name string, content []byte) intake.Upload {
	return intake.Upload{
		TenantID: tenant, Name: name, DeclaredSize: int64(len(content)), Body: bytes.NewReader(content),
		Policy: storage.Policy{
			Categories: map[storage.Category]storage.CategoryPolicy{
				storage.CategoryDocument: {Extensions: []string{"txt"}, MaxBytes: 1 << 20},
				storage.CategoryImage:    {Extensions: []string{"png"}, MaxBytes: 1 << 20},
			},
			Limits: storage.Limits{MaxNameBytes: 255, MaxPixels: 1 << 20, MaxDimension: 2000, MaxFrames: 10},
		},
	}
}

func (y *yard) read(zone storage.Zone, key string) ([]byte, error) {
	body, _, err := y.zones.Of(zone).Open(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(body)
}

// s3Zones makes buckets of the test's own and removes them when it ends.
func s3Zones(t *testing.T) *blob.Zones {
	s := services.MinIO(t)
	name := "hammer-" + strings.ToLower(rand.Text())
	zones, err := blob.Open(ctx, blob.Config{
		Driver: blob.DriverS3, Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey, PathStyle: true,
		QuarantineBucket: name + "-q", CleanBucket: name + "-c", SnapshotBucket: name + "-s", AuditBucket: name + "-a",
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		client, err := minio.New(s.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")})
		require.NoError(t, err)
		for end, zone := range map[string]blob.Bucket{"-q": zones.Quarantine, "-c": zones.Clean, "-s": zones.Snapshots, "-a": zones.Audit} {
			for info, err := range zone.List(ctx, "", "") {
				require.NoError(t, err)
				require.NoError(t, zone.Delete(ctx, info.Key))
			}
			require.NoError(t, client.RemoveBucket(ctx, name+end))
		}
		require.NoError(t, zones.Close())
	})
	return zones
}

func diskZones(t *testing.T) *blob.Zones {
	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	return zones
}
