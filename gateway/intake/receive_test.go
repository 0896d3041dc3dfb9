package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// house is an intake on a real database and a real disk store.
type house struct {
	*Intake
	tenant string
	spool  string
}

func newHouse(t *testing.T, db *meta.DB, quotaBytes int64) house {
	t.Helper()
	zones, err := blob.Open(context.Background(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	spool := t.TempDir()
	return house{tenant: metatest.Tenant(t, db, quotaBytes), spool: spool, Intake: &Intake{
		DB: db, Zones: zones, Ledger: quota.Ledger{DB: db, TTL: time.Minute}, Log: slog.New(slog.DiscardHandler),
		Spool: Spool{Dir: spool, MemoryBytes: 1 << 10}, Refused: func(string, storage.Code) {},
	}}
}

func (h house) upload(name string, content []byte) Upload {
	return Upload{
		TenantID: h.tenant, Name: name, DeclaredSize: int64(len(content)), Body: bytes.NewReader(content),
		Policy: storage.Policy{
			Categories: map[storage.Category]storage.CategoryPolicy{
				storage.CategoryDocument: {Extensions: []string{"txt"}, MaxBytes: 100_000},
			},
			Limits: storage.Limits{MaxNameBytes: 255},
		},
	}
}

// nothingLeft asserts that a refused or failed upload left nothing behind.
func (h house) nothingLeft(t *testing.T) {
	t.Helper()
	tenant := h.DB.Tenant(context.Background(), h.tenant)
	q, err := tenant.Quota()
	require.NoError(t, err)
	require.Zero(t, q.Used)
	require.Zero(t, q.Reserved)
	list, err := tenant.Assets(meta.AssetFilter{}, "", 10)
	require.NoError(t, err)
	require.Empty(t, list)
	for info, err := range h.Zones.Quarantine.List(context.Background(), "", "") {
		require.NoError(t, err)
		t.Errorf("object left: %s", info.Key)
	}
	files, err := os.ReadDir(h.spool)
	require.NoError(t, err)
	require.Empty(t, files, "spool files have no name")
}

func note(n int) []byte { return bytes.Repeat([]byte("gatehouse "), n/10+1)[:n] }

func TestAcceptedUploadIsDurable(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		ctx := context.Background()
		for _, size := range []int{1, 1 << 10, 1<<10 + 1, HeadBytes, HeadBytes + 1, 90_000} {
			content := note(size)
			got, err := h.Receive(ctx, h.upload("a.txt", content))
			require.NoError(t, err, size)
			require.False(t, got.Duplicate)
			sum := sha256.Sum256(content)
			require.Equal(t, hex.EncodeToString(sum[:]), got.Asset.SHA256)

			r, info, err := h.Zones.Quarantine.Open(ctx, storage.BlobKey(h.tenant, got.Asset.SHA256), 0, -1)
			require.NoError(t, err)
			stored, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.Equal(t, content, stored)
			require.EqualValues(t, size, info.Size)
			tasks, err := db.Tenant(ctx, h.tenant).TasksAbout(got.Asset.SHA256)
			require.NoError(t, err)
			require.Len(t, tasks, 1)
			require.Equal(t, storage.TaskScan, tasks[0].Kind)
		}
		q, err := db.Tenant(ctx, h.tenant).Quota()
		require.NoError(t, err)
		stored, err := db.Tenant(ctx, h.tenant).StoredBytes()
		require.NoError(t, err)
		require.Equal(t, stored, q.Used)
		require.Zero(t, q.Reserved)
	})
}

func TestRefusedUploadLeavesNothing(t *testing.T) {
	broken := errors.New("the line broke")
	for name, change := range map[string]func(*Upload){
		"name":          func(u *Upload) { u.Name = "../a.txt" },
		"extension":     func(u *Upload) { u.Name = "a.exe" },
		"declared size": func(u *Upload) { u.DeclaredSize = 100_001 },
		"counted size":  func(u *Upload) { u.DeclaredSize = -1; u.Body = bytes.NewReader(note(100_001)) },
		"lied size":     func(u *Upload) { u.DeclaredSize = 10; u.Body = bytes.NewReader(note(100_001)) },
		"empty":         func(u *Upload) { u.DeclaredSize = -1; u.Body = strings.NewReader("") },
		"not text":      func(u *Upload) { u.Body = bytes.NewReader(append(note(500), 0)) },
		"quota":         func(u *Upload) { u.DeclaredSize = 60_000 },
		"grown quota":   func(u *Upload) { u.DeclaredSize = 1; u.Body = bytes.NewReader(note(60_000)) },
		"body":          func(u *Upload) { u.Body = io.MultiReader(bytes.NewReader(note(20_000)), failing{broken}) },
		"body at once":  func(u *Upload) { u.Body = failing{broken} },
		"completion":    func(u *Upload) { u.Complete = func() error { return broken } },
		"digest":        func(u *Upload) { u.Digests = []Digest{{DigestSHA256, make([]byte, 32)}} },
		"digest 512":    func(u *Upload) { u.Digests = []Digest{{DigestSHA512, make([]byte, 64)}} },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, metatest.SQLite(t), 50_000)
			up := h.upload("a.txt", note(2000))
			change(&up)
			_, err := h.Receive(context.Background(), up)
			require.Error(t, err)
			h.nothingLeft(t)
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestStoreThatFailsLeavesNoReservation(t *testing.T) {
	h := newHouse(t, metatest.SQLite(t), 1<<20)
	h.Zones = &blob.Zones{Quarantine: brokenBucket{h.Zones.Quarantine}, Clean: h.Zones.Clean}
	_, err := h.Receive(context.Background(), h.upload("a.txt", note(100)))
	require.Error(t, err)
	h.nothingLeft(t)
}

type brokenBucket struct{ blob.Bucket }

func (brokenBucket) Put(context.Context, string, io.Reader, int64, blob.PutOptions) error {
	return blob.ErrUnavailable
}

func TestSameBytesAtOnceAreStoredOnce(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		content := note(5000)
		var wg sync.WaitGroup
		var mu sync.Mutex
		fresh := 0
		for range 16 {
			wg.Go(func() {
				got, err := h.Receive(context.Background(), h.upload("a.txt", content))
				if err != nil {
					t.Errorf("receive: %v", err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if !got.Duplicate {
					fresh++
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, fresh)
		q, err := db.Tenant(context.Background(), h.tenant).Quota()
		require.NoError(t, err)
		require.EqualValues(t, len(content), q.Used, "sixteen assets, one blob, charged once")
		require.Zero(t, q.Reserved)
	})
}

func TestIdempotencyKeyUnderARaceMakesOneAsset(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		ids := make(chan string, 8)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				up := h.upload("a.txt", note(3000))
				up.IdempotencyKey = "once"
				got, err := h.Receive(context.Background(), up)
				if err != nil {
					t.Errorf("receive: %v", err)
					return
				}
				ids <- got.Asset.ID
			})
		}
		wg.Wait()
		close(ids)
		seen := map[string]bool{}
		for id := range ids {
			seen[id] = true
		}
		require.Len(t, seen, 1)
		up := h.upload("b.txt", note(3001))
		up.IdempotencyKey = "once"
		_, err := h.Receive(context.Background(), up)
		require.Equal(t, storage.CodeConflict, storage.CodeOf(err))
	})
}

func TestIdempotencyKeyUnderARaceOfOtherBytesIsAConflict(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		var accepted, conflicts atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				up := h.upload("a.txt", note(3000+i))
				up.IdempotencyKey = "once"
				_, err := h.Receive(context.Background(), up)
				switch {
				case err == nil:
					accepted.Add(1)
				case storage.CodeOf(err) == storage.CodeConflict:
					conflicts.Add(1)
				default:
					t.Errorf("receive: %v", err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, accepted.Load())
		require.EqualValues(t, 7, conflicts.Load())
		q, err := db.Tenant(context.Background(), h.tenant).Quota()
		require.NoError(t, err)
		require.Zero(t, q.Reserved)
		objects := 0
		for _, err := range h.Zones.Quarantine.List(context.Background(), "", "") {
			require.NoError(t, err)
			objects++
		}
		require.Equal(t, 1, objects, "what was refused is not kept outside the ledger")
	})
}

func TestRepeatedUploadNeedsNoRoom(t *testing.T) {
	h := newHouse(t, metatest.SQLite(t), 5000)
	up := h.upload("a.txt", note(5000))
	up.IdempotencyKey = "once"
	first, err := h.Receive(context.Background(), up)
	require.NoError(t, err)
	again := h.upload("a.txt", note(5000))
	again.IdempotencyKey = "once"
	second, err := h.Receive(context.Background(), again)
	require.NoError(t, err)
	require.True(t, second.Replayed)
	require.Equal(t, first.Asset.ID, second.Asset.ID)
	other := h.upload("a.txt", note(4999))
	other.IdempotencyKey = "once"
	_, err = h.Receive(context.Background(), other)
	require.Equal(t, storage.CodeConflict, storage.CodeOf(err))
}

func TestPlanMayRejectDuplicates(t *testing.T) {
	h := newHouse(t, metatest.SQLite(t), 1<<20)
	first, err := h.Receive(context.Background(), h.upload("a.txt", note(100)))
	require.NoError(t, err)
	again := h.upload("b.txt", note(100))
	again.Policy.RejectDuplicates = true
	_, err = h.Receive(context.Background(), again)
	refusal, ok := errors.AsType[*storage.Error](err)
	require.True(t, ok)
	require.Equal(t, storage.CodeDuplicateFile, refusal.Code)
	require.Equal(t, first.Asset.ID, refusal.Details["asset_id"])
}

func TestUploadWaitsForASweepOfTheSameBytes(t *testing.T) {
	db := metatest.SQLite(t)
	h := newHouse(t, db, 1<<20)
	ctx := context.Background()
	content := note(700)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.ClaimOrphan(h.tenant, digest)
		return err
	}))
	done := make(chan error, 1)
	go func() {
		_, err := h.Receive(ctx, h.upload("a.txt", content))
		done <- err
	}()
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.EndSweep(h.tenant, digest)
		return err
	}))
	require.NoError(t, <-done)
	_, err := h.Zones.Quarantine.Stat(ctx, storage.BlobKey(h.tenant, digest))
	require.NoError(t, err, "the bytes were put after the sweep had ended")
}

func TestDuplicateOfAnOldVerdictIsScannedAgain(t *testing.T) {
	db := metatest.SQLite(t)
	h := newHouse(t, db, 1<<20)
	ctx := context.Background()
	first, err := h.Receive(ctx, h.upload("a.txt", note(100)))
	require.NoError(t, err)
	open := func() int {
		tasks, err := db.Tenant(ctx, h.tenant).TasksAbout(first.Asset.SHA256)
		require.NoError(t, err)
		n := 0
		for _, x := range tasks {
			if x.State == storage.TaskQueued {
				n++
			}
		}
		return n
	}
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		tenant := tx.Tenant(h.tenant)
		if err := tenant.CancelTasks(first.Asset.SHA256); err != nil {
			return err
		}
		return tenant.SetVerdict(first.Asset.SHA256, 0, storage.Verdict{
			Status: storage.ScanClean, Engine: "e", Database: "monday", BytesScanned: 100, Digest: first.Asset.SHA256, ScannedAt: time.Now(),
		}, storage.ZoneClean, storage.MediaNone)
	}))
	require.NoError(t, h.Zones.Promote(ctx, storage.BlobKey(h.tenant, first.Asset.SHA256)))
	require.NoError(t, db.SetScanner(ctx, meta.ScannerFact{Ready: true, Database: "monday", CheckedAt: meta.Now()}))
	dup, err := h.Receive(ctx, h.upload("b.txt", note(100)))
	require.NoError(t, err)
	require.Equal(t, storage.AssetAvailable, dup.Asset.State)
	require.Zero(t, open(), "the verdict is of the current database")

	require.NoError(t, db.SetScanner(ctx, meta.ScannerFact{Ready: true, Database: "tuesday", CheckedAt: meta.Now()}))
	_, err = h.Receive(ctx, h.upload("c.txt", note(100)))
	require.NoError(t, err)
	require.Equal(t, 1, open())
}
