package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Config is how long things are kept. Zero means "not at all", except where a default is named.
type Config struct {
	// OrphanGrace is the age at which an object without a row is an orphan: longer than any upload or job takes
	// from its first object to its last row.
	OrphanGrace time.Duration
	// DeletedGrace is how long a blob without references stays.
	DeletedGrace time.Duration
	// Infected is how long infected and unscannable assets stay in quarantine.
	Infected time.Duration
	// TaskHistory, EventHistory and IdempotencyTTL are how long those rows stay.
	TaskHistory    time.Duration
	EventHistory   time.Duration
	IdempotencyTTL time.Duration
	// Trash is how long objects stay in the trash (30 days).
	Trash time.Duration
	// PurgeEvery is how often the trash is looked through for what has been there long enough; 0 is in every sweep.
	PurgeEvery time.Duration
	// Settle is how long a claim outlives the last deletion under it; longer than an upload takes from the end of
	// its put to its rows, shorter than uploads wait for a sweep (3 s).
	Settle time.Duration
	// Takeover is the age at which another sweeper's claim counts as abandoned (1 min); see batchTime.
	Takeover time.Duration
	// A run that would touch more than BrakeMin findings (20), and more than BrakeShare of all objects and rows
	// (0.01), is held.
	BrakeMin   int
	BrakeShare float64
	// So is one that would write off more than BrakeTenantMin files (2) of one tenant, and more than BrakeTenantShare (0.1)
	// of its files.
	BrakeTenantMin   int
	BrakeTenantShare float64
	// Digests is how much is read again.
	Digests Digests
	// History is how long runs and their findings stay (90 days).
	History time.Duration

	// batch, when a test sets it, makes the batches of a run that small.
	batch int
}

// How much is done at once. Uploads of bytes that are being swept wait for the whole batch, so it is small.
const (
	claimBatch = 100
	listBatch  = 500
	// sweepPage is how many blobs are listed at once: where the rows of a million assets were lost, each page looks through all.
	sweepPage = 10000
)

// batchTime cuts the deletions of one batch off, and nothing more is claimed once half of it is over: a slow store
// makes small batches. It must stay far below Takeover, because a sweeper must not delete what another one took over
// and has finished.
const batchTime = 20 * time.Second

// Reconciler sweeps. It is safe for concurrent use, also by several programs.
type Reconciler struct {
	cfg    Config
	db     *meta.DB
	zones  *blob.Zones
	ledger quota.Ledger
	log    *slog.Logger
}

// New makes a Reconciler.
func New(cfg Config, db *meta.DB, zones *blob.Zones, ledger quota.Ledger, log *slog.Logger) *Reconciler {
	cfg.Settle = cmp.Or(cfg.Settle, 3*time.Second)
	cfg.Trash = cmp.Or(cfg.Trash, 30*24*time.Hour)
	cfg.Takeover = cmp.Or(cfg.Takeover, time.Minute)
	cfg.BrakeMin = cmp.Or(cfg.BrakeMin, 20)
	cfg.BrakeShare = cmp.Or(cfg.BrakeShare, 0.01)
	cfg.BrakeTenantMin = cmp.Or(cfg.BrakeTenantMin, 2)
	cfg.BrakeTenantShare = cmp.Or(cfg.BrakeTenantShare, 0.1)
	cfg.History = cmp.Or(cfg.History, 90*24*time.Hour)
	return &Reconciler{cfg: cfg, db: db, zones: zones, ledger: ledger, log: log}
}

// Report counts what one sweep did.
type Report struct {
	// Reservations that were abandoned and dropped.
	Reservations int `json:"reservations"`
	// Expired assets whose infected blob was kept long enough.
	Expired int `json:"expired"`
	// Blobs removed because nobody referenced them, and their bytes, variants included.
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
	// Purged objects whose time in the trash was over, and their bytes.
	Purged      int   `json:"purged"`
	PurgedBytes int64 `json:"purged_bytes"`
	// Requeued blobs that waited for a scan or variants without a task.
	Requeued int `json:"requeued"`
	// Failed steps; the log says which. The next sweep tries again.
	Failed int `json:"failed"`
}

// Empty reports whether there was nothing to do.
func (r Report) Empty() bool { return r == Report{} }

// Sweep sweeps once. What goes wrong is logged, counted and left for the next one, and the rest goes on;
// only when ctx is at its end, or store or database are away, there is no point in going on. All errors of steps are
// in the one returned.
func (r *Reconciler) Sweep(ctx context.Context) (Report, error) {
	var rep Report
	var errs []error
	for _, step := range []struct {
		name string
		do   func(context.Context, *Report) error
	}{
		{"expire reservations", r.expireReservations},
		{"queue lost work", r.requeueStranded},
		{"end infected assets", r.endInfected},
		{"remove unreferenced blobs", r.removeUnreferenced},
		{"forget old rows", r.forget},
		{"purge the trash", r.purgeTrash},
	} {
		err := step.do(ctx, &rep)
		if err == nil {
			continue
		}
		errs = append(errs, fmt.Errorf("sweep: %s: %w", step.name, err))
		if ctx.Err() != nil || r.away(ctx, err) {
			break
		}
		rep.Failed++
		r.log.Error("sweep: "+step.name, "error", err)
	}
	return rep, errors.Join(append(errs, r.record(ctx, rep))...)
}

// record says what was done, unless it was nothing.
func (r *Reconciler) record(ctx context.Context, rep Report) error {
	if rep.Empty() {
		return nil
	}
	r.log.Info("swept", "reservations", rep.Reservations, "expired", rep.Expired, "blobs", rep.Blobs, "bytes", rep.Bytes,
		"purged", rep.Purged, "requeued", rep.Requeued, "failed", rep.Failed)
	return r.db.InTx(ctx, func(tx *meta.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: audit.Worker, Action: "sweep", Result: audit.OK, Data: map[string]any{"report": rep}})
	})
}

// failed notes something that went wrong; it returns the error when there is no point in going on.
func (r *Reconciler) failed(ctx context.Context, rep *Report, what string, err error, args ...any) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	rep.Failed++
	r.log.Error("sweep: "+what, append(args, "error", err)...)
	if r.away(ctx, err) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// away reports whether an error means that store or database are away, so that whatever comes next would fail too.
// It asks them: one object on a bad sector, or one batch that ran out of its time, looks the same.
func (r *Reconciler) away(ctx context.Context, err error) bool {
	if !errors.Is(err, blob.ErrUnavailable) && storage.CodeOf(err) != storage.CodeUnavailable {
		return false
	}
	return r.db.Ping(ctx) != nil || r.zones.Ready(ctx) != nil
}
