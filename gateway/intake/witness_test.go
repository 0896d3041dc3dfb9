package intake

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// The store of a duplicate is another one: its disk is not mounted, its buckets were made anew. Nothing is marked, nothing
// is put there, and when the right one is back nothing has happened.
func TestDuplicateInTheWrongStoreChangesNothing(t *testing.T) {
	t.Run("disk", func(t *testing.T) {
		metatest.Each(t, func(t *testing.T, db *meta.DB) { duplicatesInTheWrongStore(t, db, diskZones(t), diskZones(t)) })
	})
	t.Run("minio", func(t *testing.T) { duplicatesInTheWrongStore(t, metatest.SQLite(t), minioZones(t), minioZones(t)) })
}

func duplicatesInTheWrongStore(t *testing.T, db *meta.DB, right, wrong *blob.Zones) {
	t.Helper()
	h := newHouse(t, db, 1<<20)
	h.Zones = right
	var assets []meta.AssetView
	for n := range 12 {
		got, err := h.Receive(t.Context(), h.upload("a.txt", note(300+n)))
		require.NoError(t, err)
		if n%3 != 0 {
			h.scannedClean(t, got.Asset)
		}
		assets = append(assets, got.Asset)
	}
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { // and this one was lost before
		b, err := tx.Tenant(h.tenant).Blob(assets[7].SHA256)
		require.NoError(t, err)
		return tx.Tenant(h.tenant).MarkDamaged(b.SHA256, b.Revision, storage.DamageMissing)
	}))
	before := h.blobs(t, assets)

	h.Zones = wrong
	fresh := 30
	for n := range fresh { // it takes in what is new, as nobody can tell
		got, err := h.Receive(t.Context(), h.upload("new.txt", note(1000+n)))
		require.NoError(t, err)
		h.scannedClean(t, got.Asset)
	}
	for n := range assets {
		_, err := h.Receive(t.Context(), h.upload("b.txt", note(300+n)))
		refusal, ok := errors.AsType[*storage.Error](err)
		require.True(t, ok, "%d: %v", n, err)
		require.Equal(t, storage.CodeUnavailable, refusal.Code)
		require.Equal(t, reasonStoreDoubtful.Slug, refusal.Reason.Slug)
	}
	require.Equal(t, before, h.blobs(t, assets))
	require.Equal(t, fresh, count(t, wrong.Clean.List(t.Context(), "", "")))
	require.Zero(t, count(t, wrong.Quarantine.List(t.Context(), "", "")))

	h.Zones = right
	for n := range assets {
		got, err := h.Receive(t.Context(), h.upload("b.txt", note(300+n)))
		require.NoError(t, err, n)
		require.True(t, got.Duplicate)
	}
	// What went into the wrong one is lost, and heals.
	got, err := h.Receive(t.Context(), h.upload("b.txt", note(1000)))
	require.NoError(t, err)
	h.requireRequarantined(t, got.Asset.SHA256)
}

// A few losses are those of files; from a half on it is the store that is doubted, until the reconciliation has marked them.
func TestWitnessesOfTheStore(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		var assets []meta.AssetView
		for n := range 9 {
			got, err := h.Receive(t.Context(), h.upload("a.txt", note(300+n)))
			require.NoError(t, err)
			h.scannedClean(t, got.Asset)
			assets = append(assets, got.Asset)
		}
		lose := func(n int) {
			require.NoError(t, h.Zones.Clean.Delete(t.Context(), storage.BlobKey(h.tenant, assets[n].SHA256)))
		}
		send := func(n int) error {
			_, err := h.Receive(t.Context(), h.upload("b.txt", note(300+n)))
			return err
		}
		for n := range 4 { // of the eight others of the last one
			lose(n)
		}
		lose(8)
		require.NoError(t, send(8))
		for n := 4; n < 8; n++ {
			lose(n)
		}
		require.Equal(t, storage.CodeUnavailable, storage.CodeOf(send(7)))
		for _, a := range assets[:8] {
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				b, err := tx.Tenant(h.tenant).Blob(a.SHA256)
				require.NoError(t, err)
				return tx.Tenant(h.tenant).MarkDamaged(a.SHA256, b.Revision, storage.DamageMissing)
			}))
		}
		require.NoError(t, send(7), "nothing is left that is missed without a mark")
	})
}

func TestWitnesses(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h, other := newHouse(t, db, 1<<20), newHouse(t, db, 1<<20)
		var assets []meta.AssetView
		for n := range 20 {
			from := h
			if n%2 == 0 {
				from = other
			}
			got, err := from.Receive(t.Context(), from.upload("a.txt", note(300+n)))
			require.NoError(t, err)
			if n >= 4 {
				from.scannedClean(t, got.Asset)
			}
			assets = append(assets, got.Asset)
		}
		ask := func(n, limit int) []string {
			b, err := db.Tenant(t.Context(), assets[n].Blob.TenantID).Blob(assets[n].SHA256)
			require.NoError(t, err)
			list, err := db.Witnesses(t.Context(), b, limit)
			require.NoError(t, err)
			out := []string{}
			for _, w := range list {
				out = append(out, w.SHA256)
			}
			return out
		}
		digests := func(from, to int) (out []string) {
			for _, a := range assets[from:to] {
				out = append(out, a.SHA256)
			}
			return out
		}
		require.ElementsMatch(t, digests(4, 19), ask(19, 100), "older ones of both tenants, from the clean zone")
		require.Len(t, ask(19, 15), 15)
		require.Len(t, ask(19, 6), 6)
		require.ElementsMatch(t, digests(0, 3), ask(3, 100), "of one in quarantine, from either zone")
		require.ElementsMatch(t, append(digests(0, 4), digests(5, 20)...), ask(4, 100), "of the first in the clean zone, any")

		_, err := db.Exec(t.Context(), `UPDATE tenants SET state = ? WHERE id = ?`, storage.TenantPendingDelete, other.tenant)
		require.NoError(t, err)
		_, err = db.Exec(t.Context(), `UPDATE blobs SET damage = 'missing' WHERE sha256 = ?`, assets[5].SHA256)
		require.NoError(t, err)
		_, err = db.Exec(t.Context(), `UPDATE blobs SET refs = 0 WHERE sha256 = ?`, assets[7].SHA256)
		require.NoError(t, err)
		require.ElementsMatch(t, []string{assets[9].SHA256, assets[11].SHA256, assets[13].SHA256, assets[15].SHA256, assets[17].SHA256}, ask(19, 100))
	})
}

// blobs are the rows of some assets, written out.
func (h house) blobs(t *testing.T, assets []meta.AssetView) (out []string) {
	t.Helper()
	for _, a := range assets {
		b, err := h.DB.Tenant(context.Background(), h.tenant).Blob(a.SHA256)
		require.NoError(t, err)
		out = append(out, fmt.Sprintf("%+v", b))
	}
	return out
}

func (h house) requireRequarantined(t *testing.T, digest string) {
	t.Helper()
	b, err := h.DB.Tenant(t.Context(), h.tenant).Blob(digest)
	require.NoError(t, err)
	require.Equal(t, storage.DamageMissing, b.Damage)
	require.Equal(t, storage.ZoneQuarantine, b.Zone)
}

func count(t *testing.T, list iter.Seq2[blob.Info, error]) (n int) {
	t.Helper()
	for _, err := range list {
		require.NoError(t, err)
		n++
	}
	return n
}
