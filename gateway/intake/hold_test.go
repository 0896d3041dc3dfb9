package intake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// expiry reads when the only reservation expires; 0 when there is none.
func (h house) expiry(t testing.TB) meta.Stamp {
	var list []meta.Reservation
	err := h.DB.InTx(context.Background(), func(tx *meta.Tx) error {
		list = nil
		_, err := tx.Scan(&list, `SELECT * FROM reservations`)
		return err
	})
	if err != nil || len(list) > 1 {
		t.Errorf("reservations: %v %v", list, err)
	}
	if len(list) == 0 {
		return 0
	}
	return list[0].ExpiresAt
}

// renewed waits until the reservation has been renewed twice.
func (h house) renewed(t testing.TB) {
	for range 2 {
		for was := h.expiry(t); h.expiry(t) == was; {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// slowBody does something before its last byte.
type slowBody struct {
	r     io.Reader
	pause func()
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.pause != nil {
		b.pause()
		b.pause = nil
	}
	return b.r.Read(p)
}

// slowBucket does something before it puts.
type slowBucket struct {
	blob.Bucket
	pause func()
}

func (b slowBucket) Put(ctx context.Context, key string, r io.Reader, size int64, o blob.PutOptions) error {
	b.pause()
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.Bucket.Put(ctx, key, r, size, o)
}

func TestReservationIsRenewedWhateverTheUploadWaitsFor(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		h.Ledger.TTL = 300 * time.Millisecond // nobody expires it here
		h.Zones = &blob.Zones{Quarantine: slowBucket{h.Zones.Quarantine, func() { h.renewed(t) }}, Clean: h.Zones.Clean}
		up := h.upload("a.txt", note(500))
		up.Body = io.MultiReader(bytes.NewReader(note(500)[:100]), &slowBody{bytes.NewReader(note(500)[100:]), func() { h.renewed(t) }})
		_, err := h.Receive(context.Background(), up)
		require.NoError(t, err)
		require.Zero(t, h.expiry(t))
	})
}

// lose takes the reservation away, as the periodic task does with one that was not renewed in time, and waits until the
// upload knows.
func (h house) lose(t testing.TB) {
	late := quota.Ledger{DB: h.DB}
	if err := h.DB.InTx(context.Background(), func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE reservations SET expires_at = 1`)
		return err
	}); err != nil {
		t.Error(err)
	}
	if n, err := late.ExpireAbandoned(context.Background(), 10); err != nil || n != 1 {
		t.Errorf("expired %d: %v", n, err)
	}
}

func TestUploadThatLostItsReservationLeavesNothing(t *testing.T) {
	for name, slow := range map[string]func(h *house, up *Upload, t testing.TB){
		"while it arrives": func(h *house, up *Upload, t testing.TB) {
			up.Body = io.MultiReader(bytes.NewReader(note(500)[:100]), &slowBody{bytes.NewReader(note(500)[100:]), func() { h.lose(t) }})
		},
		"while it is stored": func(h *house, up *Upload, t testing.TB) {
			h.Zones = &blob.Zones{Quarantine: slowBucket{h.Zones.Quarantine, func() { h.lose(t) }}, Clean: h.Zones.Clean}
		},
	} {
		t.Run(name, func(t *testing.T) {
			metatest.Each(t, func(t *testing.T, db *meta.DB) {
				h := newHouse(t, db, 1<<20)
				h.Ledger.TTL = time.Minute // renewals come too late to notice: the settling does
				up := h.upload("a.txt", note(500))
				slow(&h, &up, t)
				_, err := h.Receive(context.Background(), up)
				require.ErrorIs(t, err, quota.ErrExpired)
				require.Equal(t, storage.CodeUnavailable, storage.CodeOf(err))
				h.nothingLeft(t)
			})
		})
	}
}

// A renewal that finds nothing ends what the upload waits for.
func TestLossOfTheReservationEndsTheWaiting(t *testing.T) {
	h := newHouse(t, metatest.SQLite(t), 1<<20)
	h.Ledger.TTL = 300 * time.Millisecond
	h.Log = slog.New(slog.DiscardHandler)
	h.Zones = &blob.Zones{Quarantine: stuckBucket{h.Zones.Quarantine, func() { h.lose(t) }}, Clean: h.Zones.Clean}
	_, err := h.Receive(context.Background(), h.upload("a.txt", note(500)))
	require.ErrorIs(t, err, quota.ErrExpired)
	h.nothingLeft(t)
}

// stuckBucket puts until its context ends.
type stuckBucket struct {
	blob.Bucket
	pause func()
}

func (b stuckBucket) Put(ctx context.Context, _ string, _ io.Reader, _ int64, _ blob.PutOptions) error {
	b.pause()
	<-ctx.Done()
	return errors.New("the put was given up")
}

func TestLimitsOfThePlanHoldInUploads(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		ctx := context.Background()
		first := h.upload("a.txt", note(500))
		first.IdempotencyKey, first.Limits = "once", quota.Limits{MaxFiles: 2}
		got, err := h.Receive(ctx, first)
		require.NoError(t, err)
		linked := h.upload("b.txt", note(500))
		linked.Limits = first.Limits
		second, err := h.Receive(ctx, linked)
		require.NoError(t, err)
		require.True(t, second.Duplicate)

		third := h.upload("c.txt", note(500))
		third.Limits = first.Limits
		_, err = h.Receive(ctx, third)
		e, ok := errors.AsType[*storage.Error](err)
		require.True(t, ok)
		require.Equal(t, "quota_files", e.Reason.Slug)
		require.Contains(t, e.Details, "upgrade_url")
		_, err = h.Preflight(ctx, h.tenant, third.Policy, third.Limits, "c.txt", 1)
		require.Equal(t, storage.CodeQuotaExceeded, storage.CodeOf(err))

		again := h.upload("a.txt", note(500))
		again.IdempotencyKey, again.Limits = "once", first.Limits
		repeated, err := h.Receive(ctx, again)
		require.NoError(t, err)
		require.True(t, repeated.Replayed)
		require.Equal(t, got.Asset.ID, repeated.Asset.ID)

		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			_, err := tx.Tenant(h.tenant).DeleteAsset(second.Asset.ID)
			return err
		}))
		third.Body = bytes.NewReader(note(500))
		_, err = h.Receive(ctx, third)
		require.NoError(t, err)
		drift, err := db.LedgerDrift(ctx, nil)
		require.NoError(t, err)
		require.Empty(t, drift)
	})
}
