package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/reconcile"
)

// steps is a bucket that does something before or after a step of a move to the trash.
type steps struct {
	blob.Bucket
	at func(step string)
}

func (b steps) CopyFrom(ctx context.Context, from blob.Bucket, fromKey, key string) error {
	if s, ok := from.(steps); ok {
		from = s.Bucket
	}
	b.at("before the copy")
	err := b.Bucket.CopyFrom(ctx, from, fromKey, key)
	b.at("after the copy")
	return err
}

func (b steps) Delete(ctx context.Context, key string) error {
	b.at("before the deletion")
	err := b.Bucket.Delete(ctx, key)
	b.at("after the deletion")
	return err
}

// heldBack is a bucket whose puts wait, and say when they are done.
type heldBack struct {
	blob.Bucket
	began, proceed, put chan struct{}
}

func (b heldBack) Put(ctx context.Context, key string, r io.Reader, size int64, o blob.PutOptions) error {
	say(b.began)
	<-b.proceed
	err := b.Bucket.Put(ctx, key, r, size, o)
	say(b.put)
	return err
}

// say tells whoever waits, once.
func say(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// An object whose rows were lost lies where an upload of the same bytes wants to put its own, and a run takes it away at
// that moment. Whoever is first, an upload that is acknowledged has its bytes, and what was there is in its place or in the trash.
func TestUploadOfAnOrphanThatARunTakesAway(t *testing.T) {
	content := note(700)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	for _, step := range []string{
		"before the run", "before the copy", "after the copy", "before the deletion", "after the deletion", "put before the deletion",
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: root})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, zones.Close()) })
			h := newHouse(t, metatest.SQLite(t), 1<<20)
			h.Zones = zones
			key := storage.BlobKey(h.tenant, digest)
			require.NoError(t, zones.Quarantine.Put(t.Context(), key, bytes.NewReader(content), int64(len(content)), blob.PutOptions{}))
			age(t, root, digest)

			uploaded := make(chan error, 1)
			upload := func() { _, err := h.Receive(context.Background(), h.upload("a.txt", content)); uploaded <- err }
			reached, begun := 0, false
			held := heldBack{zones.Quarantine, make(chan struct{}, 1), make(chan struct{}), make(chan struct{}, 1)}
			at := func(now string) {
				switch {
				case step == "put before the deletion" && now == "before the copy" && !begun:
					begun = true
					h.Zones = &blob.Zones{Quarantine: held, Clean: zones.Clean}
					go upload()
					<-held.began // it has looked for rows: there is no claim yet
				case step == "put before the deletion" && now == "before the deletion" && reached == 0:
					reached++
					close(held.proceed)
					<-held.put // what is deleted now is its object
				case step == now && reached == 0:
					reached++
					if strings.HasSuffix(now, "deletion") {
						go upload() // it waits for the claim
					} else {
						upload()
					}
				}
			}
			at("before the run")
			reconciled(t, h, &blob.Zones{Quarantine: steps{zones.Quarantine, at}, Clean: steps{zones.Clean, func(string) {}}, Snapshots: zones.Snapshots, Audit: zones.Audit})
			require.Equal(t, 1, reached)
			require.NoError(t, <-uploaded)

			r, _, err := zones.Quarantine.Open(t.Context(), key, 0, -1)
			require.NoError(t, err, "the upload was acknowledged")
			stored, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.Equal(t, content, stored)
			ledger, err := h.DB.Tenant(t.Context(), h.tenant).Ledger()
			require.NoError(t, err)
			require.Equal(t, ledger.Truth, ledger.Written)
			require.EqualValues(t, len(content), ledger.Truth.UsedBytes)
			b, err := h.DB.Tenant(t.Context(), h.tenant).Blob(digest)
			require.NoError(t, err)
			require.False(t, b.Sweeping)
			require.Empty(t, b.Damage)
		})
	}
}

// age makes the object of a digest as old as one that an upload left that died.
func age(t *testing.T, root, digest string) {
	t.Helper()
	old, found := time.Now().Add(-48*time.Hour), false
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.Contains(path, digest) {
			return err
		}
		found = true
		return os.Chtimes(path, old, old)
	}))
	require.True(t, found)
}

// reconciled performs one full reconciliation.
func reconciled(t *testing.T, h house, zones *blob.Zones) {
	t.Helper()
	r := reconcile.New(reconcile.Config{
		OrphanGrace: 24 * time.Hour, DeletedGrace: time.Hour, Infected: time.Hour, TaskHistory: time.Hour, EventHistory: time.Hour, IdempotencyTTL: time.Hour,
		Trash: time.Hour, Settle: 2 * time.Second, Takeover: time.Minute, BrakeMin: 20, History: time.Hour,
	}, h.DB, zones, h.Ledger, slog.New(slog.DiscardHandler))
	ended, err := r.Once(t.Context(), reconcile.Request{Kind: meta.RunFull, By: "test", Actor: audit.CLI}, func() {}, func(meta.ReconcileRun) {})
	require.NoError(t, err)
	require.Equal(t, meta.RunDone, ended.State)
}
