package drift

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// state is what there is at one moment: all rows, all bytes.
type state struct {
	rows
	objects map[string][]byte
}

func (w *world) now() state { return state{w.read(), w.objects()} }

func (s state) blob(i id) (meta.Blob, bool) {
	n := slices.IndexFunc(s.Blobs, func(b meta.Blob) bool { return b.TenantID == i.tenant && b.SHA256 == i.sha256 })
	if n < 0 {
		return meta.Blob{}, false
	}
	return s.Blobs[n], true
}

// live are the assets on a digest that are not deleted.
func (s state) live(i id) (out []meta.Asset) {
	for _, a := range s.Assets {
		if a.TenantID == i.tenant && a.SHA256 == i.sha256 && a.State != storage.AssetDeleted {
			out = append(out, a)
		}
	}
	return out
}

func (s state) variants(i id) (out []meta.Variant) {
	for _, v := range s.Variants {
		if v.TenantID == i.tenant && v.SHA256 == i.sha256 {
			out = append(out, v)
		}
	}
	return out
}

func (s state) at(zone storage.Zone, key string) ([]byte, bool) {
	content, there := s.objects[string(zone)+"/"+key]
	return content, there
}

// inZones reports whether a digest's bytes are right in one of the zones, inTrash in the trash.
func (s state) inZones(f *family) bool { return s.right(f, f.key()) }

func (s state) inTrash(f *family) bool {
	return s.right(f, trashed(storage.ZoneQuarantine, f.key())) || s.right(f, trashed(storage.ZoneClean, f.key()))
}

func (s state) right(f *family, key string) bool {
	for _, zone := range bothZones {
		if content, there := s.at(zone, key); there && same(content, f.content) {
			return true
		}
	}
	return false
}

// fate is what has to become of a digest.
type fate string

const (
	// whole: somebody has the file, and its bytes are there.
	whole fate = "whole"
	// lost: somebody has the file, and its bytes are nowhere.
	lost fate = "lost"
	// unwanted: nobody has the file, its row waits for the sweeper.
	unwanted fate = "unwanted"
	// unknown: no row speaks of it, its objects go to the trash.
	unknown fate = "unknown"
)

// fates say what has to become of each digest, from what there was after the drift. They are the oracle: nothing of the
// code under test is asked.
func (s state) fates(fams []*family) map[id]fate {
	out := map[id]fate{}
	for _, f := range fams {
		_, row := s.blob(f.id)
		switch live := len(s.live(f.id)) > 0; {
		case live && (s.inZones(f) || s.inTrash(f)):
			out[f.id] = whole
		case live:
			out[f.id] = lost
		case row:
			out[f.id] = unwanted
		default:
			out[f.id] = unknown
		}
	}
	return out
}

// damages are the kinds of damage that are true of a lost blob.
func (s state) damages(f *family) []storage.Damage {
	var out []storage.Damage
	b, known := s.blob(f.id)
	if known && b.Damage != "" {
		out = append(out, b.Damage)
	}
	home := b.Zone
	if !known {
		home = storage.ZoneQuarantine
		out = append(out, storage.DamageMissing) // nothing is known but that the right bytes are not there
	}
	if _, there := s.at(home, f.key()); !there {
		out = append(out, storage.DamageMissing)
	}
	for _, zone := range bothZones {
		content, there := s.at(zone, f.key())
		switch {
		case there && len(content) != len(f.content):
			out = append(out, storage.DamageSize)
		case there:
			out = append(out, storage.DamageDigest)
		}
	}
	return out
}

// requireConsistent holds a state against what there was when the drift was over.
func (w *world) requireConsistent(before, after state) {
	w.t.Helper()
	fates := before.fates(w.fams)
	for _, f := range w.fams {
		w.requireFate(fates[f.id], f, before, after)
	}
	w.requireRowsKept(fates, before, after)
	w.requireBytesKept(fates, before, after)
	w.requireNothingLiesAbout(fates, after)
	for _, t := range after.Tenants {
		require.Equal(w.t, after.sums(t.ID), meta.LedgerSums{
			UsedBytes: t.UsedBytes, ReservedBytes: t.ReservedBytes, UsedFiles: t.UsedFiles, ReservedFiles: t.ReservedFiles,
		}, "ledger of %s", t.ID)
	}
	for _, t := range after.Tasks {
		f := w.familyOf(storage.BlobKey(t.TenantID, t.Subject))
		require.NotNil(w.t, f, t.Subject)
		open := t.State == storage.TaskQueued || t.State == storage.TaskRunning
		require.False(w.t, open || t.State == storage.TaskDead && fates[f.id] != lost, "task %s of %s is %s: %s", t.Kind, f.key(), t.State, t.LastError)
	}
}

func (w *world) requireFate(is fate, f *family, before, after state) {
	w.t.Helper()
	b, known := after.blob(f.id)
	what := fmt.Sprintf("%s, %s", f.key(), is)
	switch is {
	case whole:
		require.True(w.t, known, what)
		w.requireWhole(f, b, after)
	case lost:
		require.True(w.t, known, what)
		require.Contains(w.t, before.damages(f), b.Damage, what)
		require.EqualValues(w.t, len(after.live(f.id)), b.Refs, what)
	case unwanted:
		require.True(w.t, known, what)
		require.Zero(w.t, b.Refs, what)
		require.NotZero(w.t, b.UnreferencedAt, what)
	case unknown:
		require.False(w.t, known, what)
		require.Empty(w.t, after.variants(f.id), what)
	}
}

// requireWhole: the asset is what it should be, byte by byte.
func (w *world) requireWhole(f *family, b meta.Blob, after state) {
	w.t.Helper()
	require.Empty(w.t, b.Damage, f.key())
	require.False(w.t, b.Sweeping, f.key())
	live := after.live(f.id)
	require.EqualValues(w.t, len(live), b.Refs, f.key())
	require.NotEqual(w.t, storage.ScanPending, b.ScanStatus, f.key())
	state, err := storage.StateOf(b.ScanStatus)
	require.NoError(w.t, err)
	for _, a := range live {
		require.Equal(w.t, state, a.State, f.key())
	}
	home := storage.ZoneQuarantine
	if b.ScanStatus == storage.ScanClean {
		home = storage.ZoneClean
	}
	require.Equal(w.t, f.bad, b.ScanStatus == storage.ScanInfected, f.key())
	require.Equal(w.t, home, b.Zone, f.key())
	content, there := after.at(home, f.key())
	require.True(w.t, there && same(content, f.content), "%s: its bytes in %s", f.key(), home)
	_, there = after.at(other(home), f.key())
	require.False(w.t, there, "%s: a second copy", f.key())
	w.requireVariants(f, b, after)
}

func (w *world) requireVariants(f *family, b meta.Blob, after state) {
	w.t.Helper()
	have := map[string]bool{}
	for _, v := range after.variants(f.id) {
		content, there := after.at(storage.ZoneClean, v.Key())
		require.True(w.t, there && same(content, derived(f.sha256, v.Preset)), "variant %s", v.Key())
		have[v.Preset] = true
	}
	_, makes := storage.MediaTask(f.category)
	switch {
	case b.ScanStatus != storage.ScanClean || !makes:
		require.Equal(w.t, storage.MediaNone, b.MediaStatus, f.key())
		require.Empty(w.t, have, f.key())
	case b.MediaStatus == storage.MediaNone: // made before its plan had variants
		require.Empty(w.t, have, f.key())
	case b.MediaStatus == storage.MediaFailed:
		require.True(w.t, f.failed, f.key())
	default:
		require.Equal(w.t, storage.MediaDone, b.MediaStatus, f.key())
		if !f.lostVariant {
			require.Len(w.t, have, len(presets[f.category]), f.key())
		}
	}
}

// requireRowsKept: no job deletes what people have, nor makes it up.
func (w *world) requireRowsKept(fates map[id]fate, before, after state) {
	w.t.Helper()
	ids := func(s state) (out []string) {
		for _, a := range s.Assets {
			out = append(out, a.ID)
		}
		return out
	}
	require.Equal(w.t, ids(before), ids(after), "assets")
	for _, b := range before.Blobs {
		_, there := after.blob(id{b.TenantID, b.SHA256})
		require.True(w.t, there, "the row of %s/%s is gone", b.TenantID, b.SHA256)
	}
	for _, b := range after.Blobs {
		require.NotEqual(w.t, unknown, fates[id{b.TenantID, b.SHA256}])
	}
	var held []string
	for _, r := range before.Reservations {
		if r.ExpiresAt > meta.Now() {
			held = append(held, r.ID)
		}
	}
	var still []string
	for _, r := range after.Reservations {
		still = append(still, r.ID)
	}
	require.Equal(w.t, held, still, "reservations")
}

// requireBytesKept: whatever bytes there were are in a zone or in the trash still. Only wrong ones may have made room for
// right ones.
func (w *world) requireBytesKept(fates map[id]fate, before, after state) {
	w.t.Helper()
	for at, content := range before.objects {
		zone, key, _ := strings.Cut(at, "/")
		key = strings.TrimPrefix(strings.TrimPrefix(key, "trash/quarantine/"), "trash/clean/")
		kept := slices.ContainsFunc([]string{
			"quarantine/" + key, "clean/" + key, "quarantine/" + trashed(storage.ZoneQuarantine, key), "quarantine/" + trashed(storage.ZoneClean, key),
		}, func(where string) bool {
			now, there := after.objects[where]
			return there && same(now, content)
		})
		if kept {
			continue
		}
		f := w.familyOf(key)
		require.NotNil(w.t, f, "%s is gone from %s", key, zone)
		wrong := !same(content, w.shouldBe(f, key))
		require.True(w.t, wrong && fates[f.id] == whole, "%s (%s) is gone from %s", key, fates[f.id], zone)
	}
}

// shouldBe are the bytes that belong under a key of the family.
func (w *world) shouldBe(f *family, key string) []byte {
	for _, preset := range presets[f.category] {
		if variantOf(f.id, preset).Key() == key {
			return derived(f.sha256, preset)
		}
	}
	return f.content
}

func (w *world) familyOf(key string) *family {
	n := slices.IndexFunc(w.fams, func(f *family) bool { return key == f.key() || strings.HasPrefix(key, f.key()+".") })
	if n < 0 {
		return nil
	}
	return w.fams[n]
}

// requireNothingLiesAbout: outside the trash there is nothing without a row, apart from what is left of lost blobs and
// what the sweeper will take with a blob that nobody wants.
func (w *world) requireNothingLiesAbout(fates map[id]fate, after state) {
	w.t.Helper()
	rows := map[string]bool{}
	for _, b := range after.Blobs {
		rows[string(b.Zone)+"/"+storage.BlobKey(b.TenantID, b.SHA256)] = true
	}
	for _, v := range after.Variants {
		rows["clean/"+v.Key()] = true
	}
	for at := range after.objects {
		_, key, _ := strings.Cut(at, "/")
		if rows[at] || strings.HasPrefix(key, "trash/") {
			continue
		}
		f := w.familyOf(key)
		require.NotNil(w.t, f, at)
		require.Contains(w.t, []fate{lost, unwanted}, fates[f.id], "%s lies about", at)
	}
}
