package hammer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/reconcile"
)

// How much is done: enough that several sweeps and runs fall into it.
const (
	hands      = 8
	operations = 80 // by each hand
	files      = 60 // that are uploaded again and again
	tenants    = 2
	roomFrom   = 3_000 // bytes: little, so that uploads and variants are refused too
	roomTo     = 12_000
)

func TestNothingIsFoundWhileASystemIsHammered(t *testing.T) {
	t.Run("sqlite and disk", func(t *testing.T) { hammerOn(t, newYard(t, metatest.SQLite(t), diskZones(t))) })
	t.Run("postgres and minio", func(t *testing.T) {
		db := metatest.Open(t, services.PostgresDSN(t))
		require.NoError(t, db.Migrate(ctx))
		hammerOn(t, newYard(t, db, s3Zones(t)))
	})
}

// hammered is what the hands have done so far.
type hammered struct {
	*yard
	t       *testing.T
	tenants []string
	// kept are the assets that were acknowledged and not deleted, with their digests.
	mu   sync.Mutex
	kept map[string]asset

	uploads, refusals, deletions, changes, samples, sweeps atomic.Int64
}

type asset struct{ id, tenant, sha256 string }

func hammerOn(t *testing.T, y *yard) {
	h := &hammered{yard: y, t: t, kept: map[string]asset{}}
	for range tenants {
		h.tenants = append(h.tenants, metatest.Tenant(t, y.db, roomTo))
	}
	var work, aside sync.WaitGroup
	for n := range hands {
		work.Go(func() { h.hand(rand.New(rand.NewPCG(uint64(n), 7))) })
	}
	done := make(chan struct{})
	aside.Go(func() { h.sweepUntil(done) })
	aside.Go(func() { h.sampleUntil(done) })
	idle := make(chan struct{})
	go func() { work.Wait(); close(idle) }()
	runs := h.runUntil(idle)
	close(done)
	aside.Wait()
	if t.Failed() {
		return
	}
	h.settleDown()
	h.requireInOrder()
	t.Logf("%d uploads, %d refused, %d deletions, %d changes of quota, %d samples, %d sweeps, %d runs", h.uploads.Load(), h.refusals.Load(),
		h.deletions.Load(), h.changes.Load(), h.samples.Load(), h.sweeps.Load(), runs)
}

// hand does operations at random. What fails fails the test, and the other hands go on.
func (h *hammered) hand(rng *rand.Rand) {
	for range operations {
		var err error
		switch n := rng.IntN(10); {
		case n < 6:
			err = h.upload(rng)
		case n < 9:
			err = h.delete(rng)
		default:
			err = h.requota(rng)
		}
		if err != nil {
			h.t.Errorf("a hand: %v", err)
			return
		}
	}
}

func (h *hammered) upload(rng *rand.Rand) error {
	tenant := h.tenants[rng.IntN(tenants)]
	name, content := file(h.t, rng.IntN(files))
	got, err := h.intake.Receive(ctx, upload(tenant, name, content))
	switch {
	case storage.CodeOf(err) == storage.CodeQuotaExceeded:
		h.refusals.Add(1)
		return nil
	case err != nil:
		return fmt.Errorf("upload: %w", err)
	}
	h.uploads.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept[got.Asset.ID] = asset{got.Asset.ID, tenant, digestOf(content)}
	return nil
}

// delete ends an asset, whoever uploaded it.
func (h *hammered) delete(rng *rand.Rand) error {
	h.mu.Lock()
	var a asset
	at := rng.IntN(len(h.kept) + 1)
	for _, k := range h.kept {
		if at--; at < 0 {
			a = k
			delete(h.kept, k.id)
			break
		}
	}
	h.mu.Unlock()
	if a.id == "" {
		return nil
	}
	h.deletions.Add(1)
	return h.db.InTx(ctx, func(tx *meta.Tx) error { _, err := tx.Tenant(a.tenant).DeleteAsset(a.id); return err })
}

// requota gives a tenant more or less room, never less than it has taken: to that, only operators go, and then the sum is
// larger than the quota by right.
func (h *hammered) requota(rng *rand.Rand) error {
	h.changes.Add(1)
	room := roomFrom + rng.Int64N(roomTo-roomFrom)
	_, err := h.db.Exec(ctx, `UPDATE tenants SET quota_override = ? WHERE id = ? AND used_bytes + reserved_bytes <= ?`,
		room, h.tenants[rng.IntN(tenants)], room)
	return err
}

func (h *hammered) sweepUntil(done <-chan struct{}) {
	for !ended(done) {
		rep, err := h.reconciler.Sweep(ctx)
		if err != nil || rep.Failed > 0 {
			h.t.Errorf("sweep: %+v, %v", rep, err)
			return
		}
		h.sweeps.Add(1)
	}
}

// sampleUntil looks at the ledger again and again.
func (h *hammered) sampleUntil(done <-chan struct{}) {
	for !ended(done) {
		for _, tenant := range h.tenants {
			q, err := h.db.Tenant(ctx, tenant).Quota()
			if err != nil || q.Used+q.Reserved > q.Quota || q.Used < 0 || q.Reserved < 0 {
				h.t.Errorf("the ledger of %s: %+v, %v", tenant, q, err)
				return
			}
			h.samples.Add(1)
		}
		drift, err := h.db.LedgerDrift(ctx, nil)
		if err != nil || len(drift) > 0 {
			h.t.Errorf("ledgers: %+v, %v", drift, err)
			return
		}
	}
}

func ended(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// runUntil makes full and light runs in turn, at least two of each, and returns how many.
func (h *hammered) runUntil(idle <-chan struct{}) int {
	n := 0
	for ; (n < 4 || !ended(idle)) && !h.t.Failed(); n++ {
		h.run([]string{meta.RunFull, meta.RunLight}[n%2])
	}
	<-idle
	return n
}

// run makes one run, which must find nothing.
func (h *hammered) run(kind string) {
	var run meta.ReconcileRun
	err := h.db.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		run, err = reconcile.Begin(tx, reconcile.Request{Kind: kind, By: "hammer", Actor: audit.CLI})
		return err
	})
	if err == nil {
		run, err = h.reconciler.Perform(ctx, run.ID, nil, nil)
	}
	if err != nil || run.State != meta.RunDone {
		h.t.Errorf("%s run: %s %s, %v", kind, run.State, run.Problem, err)
		return
	}
	list, err := h.db.Findings(ctx, run.ID, meta.FindingFilter{}, "", 100)
	if err != nil {
		h.t.Errorf("findings: %v", err)
	}
	for _, f := range list {
		h.t.Errorf("a %s run finds what is not so: %s %s/%s %s %s: %s (%s, %s)", kind, f.Kind, f.TenantID, f.SHA256, f.Zone, f.Preset, f.Detail, f.State, f.Problem)
	}
}

// settleDown waits until all tasks have ended, then sweeps what is left.
func (h *hammered) settleDown() {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		depths, err := h.db.Depths(ctx)
		require.NoError(h.t, err)
		return len(depths) == 0
	}, 2*time.Minute, 50*time.Millisecond, "the tasks come to an end, and none is dead")
	_, err := h.reconciler.Sweep(ctx)
	require.NoError(h.t, err)
	h.run(meta.RunFull)
}

// requireInOrder: what was accepted and not deleted is there, byte by byte, and the ledgers are exact.
func (h *hammered) requireInOrder() {
	h.t.Helper()
	for _, tenant := range h.tenants {
		list, err := h.db.Tenant(ctx, tenant).Assets(meta.AssetFilter{}, "", 100_000)
		require.NoError(h.t, err)
		var ids, want []string
		for _, a := range list {
			ids = append(ids, a.ID)
			require.Equal(h.t, storage.AssetAvailable, a.State)
			content, err := h.read(storage.ZoneClean, storage.BlobKey(tenant, a.SHA256))
			require.NoError(h.t, err)
			require.Equal(h.t, a.SHA256, digestOf(content))
		}
		for _, k := range h.kept {
			if k.tenant == tenant {
				want = append(want, k.id)
			}
		}
		slices.Sort(ids)
		slices.Sort(want)
		require.Equal(h.t, want, ids, "the assets that were acknowledged")
		q, err := h.db.Tenant(ctx, tenant).Quota()
		require.NoError(h.t, err)
		require.Zero(h.t, q.Reserved)
	}
	drift, err := h.db.LedgerDrift(ctx, nil)
	require.NoError(h.t, err)
	require.Empty(h.t, drift)
}
