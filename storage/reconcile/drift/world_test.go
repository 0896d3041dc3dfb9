package drift

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

var ctx = context.Background()

var bothZones = []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean}

// presets of each category; all that is done has all of them.
var presets = map[storage.Category][]string{
	storage.CategoryImage: {"w320", "w640"},
	storage.CategoryVideo: {"mp4", "poster"},
}

// id is a digest of a tenant.
type id struct{ tenant, sha256 string }

func (i id) key() string { return storage.BlobKey(i.tenant, i.sha256) }

// family is what a digest was before anything drifted.
type family struct {
	id
	content  []byte
	category storage.Category
	// bad bytes are infected: what the stand-in for the scanner looks for is in them.
	bad bool
	// failed says that its variants could not be made.
	failed bool
	// hit says that a drift was about it; rows and objects of other families must not change.
	hit bool
	// lostVariant says that a variant's row is gone: nobody knows that there was one.
	lostVariant bool
}

// world is one system: rows in a database, objects in a folder.
type world struct {
	t       testing.TB
	rng     *rand.Rand
	db      *meta.DB
	zones   *blob.Zones
	root    string
	ledger  quota.Ledger
	log     *slog.Logger
	tenants []string
	fams    []*family
	rows    rows
	did     []string
}

// rows are the rows of all tables that matter.
type rows struct {
	Tenants      []meta.TenantRow
	Blobs        []meta.Blob
	Assets       []meta.Asset
	Variants     []meta.Variant
	Tasks        []meta.Task
	Reservations []meta.Reservation
}

const planName = "drift"

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// derived are the bytes of a variant; whoever makes it anew makes the same.
func derived(sha256, preset string) []byte {
	return []byte(strings.Repeat(preset+" of "+sha256[:16]+"\n", 1+len(preset)))
}

func variantOf(i id, preset string) meta.Variant {
	content := derived(i.sha256, preset)
	digest := digestOf(content)
	return meta.Variant{
		TenantID: i.tenant, SHA256: i.sha256, Preset: preset, Ext: "webp", MediaType: "image/webp", Width: 320, Height: 200,
		Size: int64(len(content)), Digest: digest, KeyTag: storage.VariantTag(digest), CreatedAt: meta.Now(),
	}
}

// file is where an object lies; drift goes past the store, as whoever damages one does.
func (w *world) file(zone storage.Zone, key string) string {
	return filepath.Join(w.root, string(zone), filepath.FromSlash(key))
}

func (w *world) put(zone storage.Zone, key string, content []byte) {
	w.t.Helper()
	name := w.file(zone, key)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(name), 0o700))
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) { // it may share its bytes with another name
		require.NoError(w.t, err)
	}
	require.NoError(w.t, os.WriteFile(name, content, 0o600))
}

func (w *world) get(zone storage.Zone, key string) ([]byte, bool) {
	w.t.Helper()
	content, err := os.ReadFile(w.file(zone, key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	require.NoError(w.t, err)
	return content, true
}

func (w *world) remove(zone storage.Zone, key string) {
	w.t.Helper()
	require.NoError(w.t, os.Remove(w.file(zone, key)))
}

// objects reads the whole store: "zone/key" to bytes.
func (w *world) objects() map[string][]byte {
	w.t.Helper()
	out := map[string][]byte{}
	for _, zone := range bothZones {
		root := filepath.Join(w.root, string(zone))
		require.NoError(w.t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			key, err := filepath.Rel(root, name)
			if err != nil || strings.HasPrefix(key, ".") {
				return err
			}
			content, err := os.ReadFile(name)
			out[string(zone)+"/"+filepath.ToSlash(key)] = content
			return err
		}))
	}
	return out
}

// read reads all rows.
func (w *world) read() rows {
	w.t.Helper()
	var r rows
	w.inTx(func(tx *meta.Tx) error {
		r = rows{}
		for _, q := range []struct {
			dest any
			sql  string
		}{
			{&r.Tenants, `SELECT * FROM tenants ORDER BY id`},
			{&r.Blobs, `SELECT * FROM blobs ORDER BY tenant_id, sha256`},
			{&r.Assets, `SELECT * FROM assets ORDER BY id`},
			{&r.Variants, `SELECT * FROM variants ORDER BY tenant_id, sha256, preset`},
			{&r.Tasks, `SELECT * FROM tasks ORDER BY id`},
			{&r.Reservations, `SELECT * FROM reservations ORDER BY id`},
		} {
			if _, err := tx.Scan(q.dest, q.sql); err != nil {
				return err
			}
		}
		return nil
	})
	return r
}

func (w *world) inTx(fn func(*meta.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, w.db.InTx(ctx, fn))
}

// found makes a system in order and writes it down.
func (w *world) found() {
	w.t.Helper()
	for range 1 + w.rng.IntN(3) {
		tenant := meta.NewID()
		w.tenants = append(w.tenants, tenant)
		now := meta.Now()
		w.rows.Tenants = append(w.rows.Tenants, meta.TenantRow{
			ID: tenant, Name: "tenant " + tenant, Plan: planName, State: storage.TenantActive, CreatedAt: now, UpdatedAt: now,
		})
		for range w.rng.IntN(3) {
			w.rows.Reservations = append(w.rows.Reservations, meta.Reservation{
				ID: meta.NewID(), TenantID: tenant, Bytes: int64(w.rng.IntN(500)), ExpiresAt: now.Add(time.Hour), CreatedAt: now,
			})
		}
		for range 3 + w.rng.IntN(10) {
			w.family(tenant)
		}
	}
	w.count()
	w.inTx(func(tx *meta.Tx) error {
		for _, list := range []any{w.rows.Tenants, w.rows.Reservations, w.rows.Blobs, w.rows.Assets, w.rows.Variants, w.rows.Tasks} {
			if err := create(tx, list); err != nil {
				return err
			}
		}
		return nil
	})
}

// create inserts rows, if there are any.
func create(tx *meta.Tx, list any) error {
	switch l := list.(type) {
	case []meta.TenantRow:
		return insert(tx, l)
	case []meta.Reservation:
		return insert(tx, l)
	case []meta.Blob:
		return insert(tx, l)
	case []meta.Asset:
		return insert(tx, l)
	case []meta.Variant:
		return insert(tx, l)
	case []meta.Task:
		return insert(tx, l)
	}
	return fmt.Errorf("no rows: %T", list)
}

func insert[T any](tx *meta.Tx, list []T) error {
	if len(list) == 0 {
		return nil
	}
	return tx.Create(&list)
}

// count writes the ledgers.
func (w *world) count() {
	for i := range w.rows.Tenants {
		t := &w.rows.Tenants[i]
		s := w.rows.sums(t.ID)
		t.UsedBytes, t.ReservedBytes, t.UsedFiles, t.ReservedFiles = s.UsedBytes, s.ReservedBytes, s.UsedFiles, s.ReservedFiles
	}
}

// sums adds up a tenant's rows.
func (r rows) sums(tenant string) (s meta.LedgerSums) {
	for _, b := range r.Blobs {
		if b.TenantID == tenant {
			s.UsedBytes += b.Size
		}
	}
	for _, v := range r.Variants {
		if v.TenantID == tenant {
			s.UsedBytes += v.Size
		}
	}
	for _, v := range r.Reservations {
		if v.TenantID == tenant {
			s.ReservedBytes += v.Bytes
			s.ReservedFiles++
		}
	}
	for _, a := range r.Assets {
		if a.TenantID == tenant && a.State != storage.AssetDeleted {
			s.UsedFiles++
		}
	}
	return s
}

// The lives of blobs that a world is made of.
const (
	lifeDocument = iota
	lifeDone
	lifeFailed
	lifeMediaPending
	lifeScanPending
	lifeInfected
	lifeUnscannable
	lifeUnreferenced
	lifeDamaged
	lives
)

// badMark is what the stand-in for the scanner finds.
const badMark = "INFECTED"

// family makes one blob with its assets, variants, tasks and objects.
func (w *world) family(tenant string) {
	life := w.rng.IntN(lives)
	if w.rng.IntN(3) == 0 {
		life = lifeDone // what most of a store is
	}
	f := &family{category: storage.CategoryImage, bad: life == lifeInfected, failed: life == lifeFailed}
	switch {
	case life == lifeDocument:
		f.category = storage.CategoryDocument
	case w.rng.IntN(4) == 0:
		f.category = storage.CategoryVideo
	}
	f.content = make([]byte, 1+w.rng.IntN(600))
	for i := range f.content {
		f.content[i] = byte(w.rng.Uint32())
	}
	if f.bad {
		f.content = append([]byte(badMark), f.content...)
	}
	f.id = id{tenant, digestOf(f.content)}
	now := meta.Now()
	b := meta.Blob{
		TenantID: tenant, SHA256: f.sha256, Size: int64(len(f.content)), MediaType: "application/octet-stream", Category: f.category,
		Zone: storage.ZoneClean, ScanStatus: storage.ScanClean, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
	}
	w.live(f, &b, life)
	w.scanned(f, &b)
	w.assets(f, &b, life)
	w.rows.Blobs = append(w.rows.Blobs, b)
	w.fams = append(w.fams, f)
}

// live gives a blob what its life has brought it.
func (w *world) live(f *family, b *meta.Blob, life int) {
	lost := false
	switch life {
	case lifeDone, lifeUnreferenced:
		w.variants(f, b)
	case lifeFailed:
		b.MediaStatus, b.MediaError, b.MediaReason = storage.MediaFailed, "It cannot be decoded.", "undecodable"
	case lifeMediaPending:
		b.MediaStatus = storage.MediaPending
		kind, _ := storage.MediaTask(f.category)
		w.task(f, kind)
	case lifeScanPending:
		b.Zone, b.ScanStatus = storage.ZoneQuarantine, storage.ScanPending
		w.task(f, storage.TaskScan)
	case lifeInfected:
		b.Zone, b.ScanStatus, b.ScanSignature = storage.ZoneQuarantine, storage.ScanInfected, "Drift.Test"
	case lifeUnscannable:
		b.Zone, b.ScanStatus, b.ScanSignature = storage.ZoneQuarantine, storage.ScanUnscannable, "Gatehouse.ScanFailed"
	case lifeDamaged:
		if w.rng.IntN(2) == 0 {
			w.variants(f, b)
		}
		b.Damage, b.DamagedAt = storage.DamageMissing, meta.Now().Add(-time.Hour)
		lost = true
	}
	if !lost {
		w.put(b.Zone, f.key(), f.content)
	}
}

func (w *world) variants(f *family, b *meta.Blob) {
	b.MediaStatus = storage.MediaDone
	for _, preset := range presets[f.category] {
		v := variantOf(f.id, preset)
		w.rows.Variants = append(w.rows.Variants, v)
		w.put(storage.ZoneClean, v.Key(), derived(f.sha256, preset))
	}
	if len(presets[f.category]) == 0 {
		b.MediaStatus = storage.MediaNone
	}
}

func (w *world) scanned(f *family, b *meta.Blob) {
	if b.ScanStatus == storage.ScanPending {
		return
	}
	b.ScanEngine, b.ScanDatabase, b.ScannedAt = "stand-in", "drift/1", meta.Now()
	b.ScanBytes, b.ScanDigest = b.Size, f.sha256
}

func (w *world) assets(f *family, b *meta.Blob, life int) {
	state, err := storage.StateOf(b.ScanStatus)
	require.NoError(w.t, err)
	live, deleted := 1+w.rng.IntN(3), w.rng.IntN(2)
	if life == lifeUnreferenced {
		live, deleted = 0, 1+deleted
		b.UnreferencedAt = meta.Now()
	}
	b.Refs = int64(live)
	for n := range live + deleted {
		now := meta.Now()
		a := meta.Asset{
			ID: meta.NewID(), TenantID: f.tenant, SHA256: f.sha256, Name: "a file", NameFolded: "a file", Ext: "bin", Category: f.category,
			MediaType: b.MediaType, Size: b.Size, State: state, Duplicate: n > 0, CreatedAt: now, UpdatedAt: now,
		}
		if n >= live {
			a.State, a.DeletedAt = storage.AssetDeleted, now
		}
		w.rows.Assets = append(w.rows.Assets, a)
	}
}

func (w *world) task(f *family, kind storage.TaskKind) {
	w.rows.Tasks = append(w.rows.Tasks, queued(f.id, kind))
}

func queued(i id, kind storage.TaskKind) meta.Task {
	now := meta.Now()
	key := string(kind) + ":" + i.tenant + ":" + i.sha256
	return meta.Task{
		ID: meta.NewID(), Kind: kind, Lane: storage.LaneOf(kind), TenantID: i.tenant, Subject: i.sha256, DedupeKey: &key,
		State: storage.TaskQueued, RunAt: now, CreatedAt: now, UpdatedAt: now,
	}
}

// clear removes what a round has left, for the next one.
func (w *world) clear() {
	w.t.Helper()
	w.inTx(func(tx *meta.Tx) error {
		for _, table := range []string{
			"assets", "blobs", "variants", "tasks", "reservations", "tenants", "events", "reconcile_findings", "reconcile_runs", "reconcile_marks",
		} {
			if _, err := tx.Exec(`DELETE FROM ` + table); err != nil {
				return err
			}
		}
		return nil
	})
	for _, zone := range bothZones {
		folder := filepath.Join(w.root, string(zone))
		list, err := os.ReadDir(folder)
		require.NoError(w.t, err)
		for _, e := range list {
			if !strings.HasPrefix(e.Name(), ".") {
				require.NoError(w.t, os.RemoveAll(filepath.Join(folder, e.Name())))
			}
		}
	}
}

func same(a, b []byte) bool { return bytes.Equal(a, b) }
