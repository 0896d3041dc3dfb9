package drift

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/reconcile"
)

// defaultRounds keep `make test` short, where the race detector makes them five times as long; `make drift` makes a thousand.
const defaultRounds = 10

// defaultSeed is the same every time, so that `make test` says the same of the same code; `make drift` begins with the time.
const defaultSeed = 1

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	require.NoError(t, err, name)
	return n
}

// TestDrift: after one run, its confirmation if it is held, and the work that it queued, the system is in order, or
// exactly what is lost is named, and nothing was lost by it. A second run finds what is
// lost, what the first had to leave to it (requireOnlyKnown), and nothing else; after it the system is in order.
func TestDrift(t *testing.T) {
	rounds := setting(t, "GATEHOUSE_DRIFT_ROUNDS", defaultRounds)
	seed := setting(t, "GATEHOUSE_DRIFT_SEED", defaultSeed)
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		root := t.TempDir()
		zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: root})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, zones.Close()) })
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			return tx.Create(&meta.Plan{Name: planName, StorageBytes: 1 << 40, Spec: `{"transcoding": true}`, UpdatedAt: meta.Now()})
		}))
		began := time.Now()
		for n := range rounds {
			w := &world{
				t: t, rng: rand.New(rand.NewPCG(seed+n, 0)), db: db, zones: zones, root: root,
				ledger: quota.Ledger{DB: db, TTL: time.Hour}, log: slog.New(slog.DiscardHandler),
			}
			w.round(seed + n)
			if t.Failed() {
				return
			}
		}
		t.Logf("%d rounds from seed %d in %.1f s", rounds, seed, time.Since(began).Seconds())
	})
}

// round makes a system, lets it drift, reconciles it twice.
func (w *world) round(seed uint64) {
	w.t.Helper()
	defer func() {
		if w.t.Failed() {
			w.t.Logf("GATEHOUSE_DRIFT_SEED=%d GATEHOUSE_DRIFT_ROUNDS=1", seed)
			for _, what := range w.did {
				w.t.Log(what)
			}
			w.tell()
		}
	}()
	w.found()
	w.strike()
	before := w.now()

	if w.rng.IntN(4) == 0 {
		w.lightRun(before)
	}
	if w.rng.IntN(4) == 0 { // sweeps come every hour, runs every night
		_, err := w.reconciler(false).Sweep(ctx)
		require.NoError(w.t, err)
	}
	ready := w.now() // a sweep queues work that was lost
	first := w.fullRun(ready)
	w.work()
	w.requireNamed(before, first)
	w.work()
	second := w.fullRun(w.now())
	w.work()
	w.sweep()
	w.requireConsistent(before, w.now())
	w.requireOnlyKnown(before, ready, first, second)
	w.clear()
}

// tell shows what the runs of a failed round found.
func (w *world) tell() {
	runs, err := w.db.Runs(ctx, "", 10)
	if err != nil {
		w.t.Log(err)
	}
	for _, run := range runs {
		w.t.Logf("%s run, %s in %s: %s", run.Kind, run.State, run.Phase, run.Problem)
		list, err := w.db.Findings(ctx, run.ID, meta.FindingFilter{}, "", 1000)
		if err != nil {
			w.t.Log(err)
		}
		for _, f := range list {
			w.t.Logf("  %s %s %s/%s %s %s: %s: %s %s", f.Kind, f.Repair, f.TenantID, f.SHA256, f.Zone, f.Preset, f.Detail, f.State, f.Problem)
		}
	}
}

// sweep takes over the claims of workers that died, and finds nothing to remove but those.
func (w *world) sweep() {
	w.t.Helper()
	rep, err := w.reconciler(false).Sweep(ctx)
	require.NoError(w.t, err)
	rep.Blobs = 0
	require.True(w.t, rep.Empty(), "the sweep after it: %+v", rep)
}

// errDies stands for a worker that loses its lease, or dies.
var errDies = errors.New("the worker dies here")

// reconciler makes one whose grace times are over at once; by a small brake every run that plans something is held.
func (w *world) reconciler(brake bool) *reconcile.Reconciler {
	cfg := reconcile.Config{
		Settle: time.Microsecond, Takeover: time.Nanosecond, BrakeMin: 1 << 30, BrakeTenantMin: 1 << 30,
		DeletedGrace: time.Hour, Infected: time.Hour, TaskHistory: time.Hour, EventHistory: time.Hour, IdempotencyTTL: time.Hour,
		Digests: reconcile.Digests{Days: 1, BytesPerNight: 1 << 40, Rate: 1 << 40}, // all of them
	}
	if brake {
		cfg.BrakeMin, cfg.BrakeShare = -1, 1e-9
	}
	return reconcile.New(cfg, w.db, w.zones, w.ledger, w.log)
}

func (w *world) begin(kind string) meta.ReconcileRun {
	w.t.Helper()
	var run meta.ReconcileRun
	w.inTx(func(tx *meta.Tx) error {
		var err error
		run, err = reconcile.Begin(tx, reconcile.Request{Kind: kind, By: "drift", Actor: audit.CLI})
		return err
	})
	return run
}

// perform goes on with a run until it ends; in some rounds the worker dies now and then.
func (w *world) perform(r *reconcile.Reconciler, run meta.ReconcileRun, deaths int64) meta.ReconcileRun {
	w.t.Helper()
	var died atomic.Int64
	guard := func(*meta.Tx) error { // called by several repairs at once: when it dies no seed can say
		if deaths > 0 && rand.IntN(10) == 0 && died.Add(1) <= deaths {
			return errDies
		}
		return nil
	}
	for {
		out, err := r.Perform(ctx, run.ID, guard, nil)
		if errors.Is(err, errDies) {
			continue
		}
		require.NoError(w.t, err)
		return out
	}
}

// fullRun makes a full run, with its confirmation when it is held: until then nothing may have changed.
func (w *world) fullRun(before state) meta.ReconcileRun {
	w.t.Helper()
	brake, deaths := w.rng.IntN(3) == 0, int64(0)
	if w.rng.IntN(3) == 0 {
		deaths = 3
	}
	r := w.reconciler(brake)
	run := w.perform(r, w.begin(meta.RunFull), deaths)
	if brake && run.Planned > 0 {
		require.Equal(w.t, meta.RunHeld, run.State)
		require.NotEmpty(w.t, run.Problem)
	}
	if run.State == meta.RunHeld {
		w.requireUnchanged(before)
		w.inTx(func(tx *meta.Tx) error { _, err := reconcile.Confirm(tx, run.ID, audit.CLI, "drift", ""); return err })
		run = w.perform(r, run, deaths)
	}
	require.Equal(w.t, meta.RunDone, run.State)
	return run
}

// lightRun reports and repairs nothing.
func (w *world) lightRun(before state) {
	w.t.Helper()
	run := w.perform(w.reconciler(false), w.begin(meta.RunLight), 0)
	require.Equal(w.t, meta.RunDone, run.State)
	w.requireUnchanged(before)
	w.requireNoneFalse(before, w.findings(run))
}

// requireUnchanged: rows and bytes are what they were, apart from when a blob was last verified.
func (w *world) requireUnchanged(before state) {
	w.t.Helper()
	now := w.now()
	for _, s := range []*state{&before, &now} {
		blobs := make([]meta.Blob, len(s.Blobs))
		for i, b := range s.Blobs {
			b.VerifiedAt = 0
			blobs[i] = b
		}
		s.Blobs = blobs
	}
	require.Equal(w.t, before.rows, now.rows)
	require.Equal(w.t, before.objects, now.objects)
}

func (w *world) findings(run meta.ReconcileRun) []meta.ReconcileFinding {
	w.t.Helper()
	list, err := w.db.Findings(ctx, run.ID, meta.FindingFilter{}, "", 100_000)
	require.NoError(w.t, err)
	require.Len(w.t, list, int(run.Findings))
	return list
}

// requireNoneFalse: each finding is about something that a drift was about, or about what was known to be damaged.
func (w *world) requireNoneFalse(before state, list []meta.ReconcileFinding) {
	w.t.Helper()
	for _, f := range list {
		what := fmt.Sprintf("%s: %s/%s %s", f.Kind, f.TenantID, f.SHA256, f.Detail)
		switch f.Kind {
		case storage.DriftLedger:
			wrong := false
			for _, t := range before.Tenants {
				written := meta.LedgerSums{UsedBytes: t.UsedBytes, ReservedBytes: t.ReservedBytes, UsedFiles: t.UsedFiles, ReservedFiles: t.ReservedFiles}
				wrong = wrong || t.ID == f.TenantID && written != before.sums(t.ID)
			}
			require.True(w.t, wrong, what)
		case storage.DriftReservation:
			ended := false
			for _, r := range before.Reservations {
				ended = ended || r.TenantID == f.TenantID && r.ExpiresAt < meta.Now()
			}
			require.True(w.t, ended, what)
		default:
			fam := w.familyOf(w.keyOf(f))
			require.NotNil(w.t, fam, what)
			b, _ := before.blob(fam.id)
			require.True(w.t, fam.hit || b.Damage != "", what)
		}
	}
}

// named are the kinds of finding that say that bytes are lost.
var named = map[storage.DriftKind]bool{
	storage.DriftMissing: true, storage.DriftSize: true, storage.DriftDigest: true,
	storage.DriftZone:       true, // the wrong bytes, in the wrong zone
	storage.DriftAssetAlone: true, // of a blob's row that had to be made anew; it is marked at once when the bytes are gone too
}

// requireNamed: the first run's findings name each lost blob, are all dealt with, and are in the audit log.
func (w *world) requireNamed(before state, run meta.ReconcileRun) {
	w.t.Helper()
	list := w.findings(run)
	w.requireNoneFalse(before, list)
	said := map[id]bool{}
	for _, f := range list {
		what := fmt.Sprintf("%s %s: %s/%s %s %s", f.Kind, f.Repair, f.TenantID, f.SHA256, f.Detail, f.Problem)
		switch {
		case f.Repair == storage.RepairNone:
			require.Equal(w.t, meta.FindingOpen, f.State, what)
		case f.State == meta.FindingOpen: // nothing could be done now, and it says why
			require.NotEmpty(w.t, f.Problem, what)
		default:
			require.Contains(w.t, []string{meta.FindingRepaired, meta.FindingMarked, meta.FindingGone}, f.State, what)
		}
		if named[f.Kind] && f.Preset == "" {
			said[id{f.TenantID, f.SHA256}] = true
		}
	}
	for i, is := range before.fates(w.fams) {
		if b, _ := before.blob(i); is == lost && b.Damage != storage.DamageDigest {
			require.True(w.t, said[i], "nobody says that %s is lost", i.key())
		}
	}
	var audited int64
	w.inTx(func(tx *meta.Tx) error {
		_, err := tx.Scan(&audited, `SELECT COUNT(*) FROM audit_log WHERE action = 'reconcile.finding' AND target = ?`, run.ID)
		return err
	})
	require.Equal(w.t, run.Findings, audited, "findings in the audit log")
}

// tried reports whether a run found the same and left it, because a task about the blob was open by then.
func (w *world) tried(first meta.ReconcileRun, f meta.ReconcileFinding) bool {
	return slices.ContainsFunc(w.findings(first), func(g meta.ReconcileFinding) bool {
		return g.Kind == f.Kind && g.Zone == f.Zone && g.ObjectKey == f.ObjectKey && (g.State == meta.FindingOpen || g.State == meta.FindingGone) && strings.Contains(g.Problem, "task")
	})
}

// requireOnlyKnown: a second run finds what is lost and what the first left to it, and nothing else. before is the state that drifted, ready the one that the first run met.
func (w *world) requireOnlyKnown(before, ready state, first, run meta.ReconcileRun) {
	w.t.Helper()
	fates := before.fates(w.fams)
	for _, f := range w.findings(run) {
		if w.tried(first, f) {
			continue
		}
		fam := w.familyOf(w.keyOf(f))
		known := fam != nil && (fates[fam.id] == lost && (named[f.Kind] || left[f.Kind]) ||
			(before.busy(fam) || ready.busy(fam)) && left[f.Kind] || before.rowless(fam) && f.Preset != "" ||
			w.healed(first, f))
		require.True(w.t, known, "the second run finds %s (%s): %s/%s %s", f.Kind, f.Repair, f.TenantID, f.SHA256, f.Detail)
	}
}

// left are the kinds of finding that a run leaves to the next one while a task is at work on the blob, which may be about
// to move or make these objects. Of a lost blob no variants are made anew, so that what lay under their keys stays behind.
var left = map[storage.DriftKind]bool{storage.DriftZone: true, storage.DriftStray: true, storage.DriftVariantMissing: true}

// rowless reports whether the blob's row was lost while an asset speaks of it: it is made anew first, and then its variants
// are looked at.
func (s state) rowless(f *family) bool {
	_, there := s.blob(f.id)
	return !there && len(s.live(f.id)) > 0
}

// healed reports whether the first run found the blob's own object gone, or marked as gone, and mended that: what else is
// wrong with such a blob, a copy in the other zone or a variant's bytes, is looked at when the blob is whole.
func (w *world) healed(first meta.ReconcileRun, f meta.ReconcileFinding) bool {
	return slices.ContainsFunc(w.findings(first), func(g meta.ReconcileFinding) bool {
		return g.TenantID == f.TenantID && g.SHA256 == f.SHA256 && g.Kind == storage.DriftMissing && g.Repair != "" &&
			(g.State == meta.FindingRepaired || g.State == meta.FindingGone)
	})
}

// busy reports whether a task about the digest was open.
func (s state) busy(f *family) bool {
	return slices.ContainsFunc(s.Tasks, func(t meta.Task) bool { return t.TenantID == f.tenant && t.Subject == f.sha256 })
}

// keyOf is the key of the blob that a finding is about; "" when it is about none.
func (w *world) keyOf(f meta.ReconcileFinding) string {
	if f.SHA256 == "" {
		return ""
	}
	return storage.BlobKey(f.TenantID, f.SHA256)
}
