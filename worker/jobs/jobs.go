package jobs

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
	"gatehouse/storage/snapshot"
	"gatehouse/worker/tools/clamd"
	"gatehouse/worker/tools/ffmpeg"
	"gatehouse/worker/tools/vips"
)

// Deps are what the jobs work with.
type Deps struct {
	DB         *meta.DB
	Zones      *blob.Zones
	Ledger     quota.Ledger
	Scanner    *clamd.Scanner
	Pictures   *vips.Runner
	Videos     *ffmpeg.Runner
	Reconciler *reconcile.Reconciler
	Snapshots  *snapshot.Store
	Sealer     *audit.Sealer
	// TellAudit tells people the last checkpoint of the audit log, every TellAuditEvery; zero is never.
	TellAudit      func(ctx context.Context, c audit.Checkpoint) error
	TellAuditEvery time.Duration
	// Presets are the variants of a picture, VideoPresets those of a video, of which a plan may leave some out; Poster is
	// the still picture of every video, and its Name is storage.PresetPoster.
	Presets      []vips.Preset
	VideoPresets []ffmpeg.Preset
	Poster       vips.Preset
	// ScanTimeout bounds one scan, the transfer from the store included.
	ScanTimeout time.Duration
	// ImageTimeout bounds making and storing all variants of one picture, the wait for a decoder included.
	ImageTimeout time.Duration
	// VideoTimeout is the same for one video: its poster and all of its variants, one after another.
	VideoTimeout time.Duration
	// SweepEvery is how often the sweeper runs (10 min).
	SweepEvery time.Duration
	// ReconcileAt is the time of day of the run that compares everything ("02:00"), LightEvery how often tenants that
	// changed are looked at (30 min). Empty and zero mean never.
	ReconcileAt string
	LightEvery  time.Duration
	// AfterSnapshot is called in the transaction that ends a snapshot's task, well or badly (AfterSnapshot).
	AfterSnapshot func(tx *meta.Tx, t meta.Task) error
	// Log is for what is due by the clock; tasks have their own.
	Log *slog.Logger
}

// sweepTimeout bounds one sweep, and one attempt at a purge: deleting some million objects takes about that long.
const sweepTimeout = 6 * time.Hour

// videoPatience outlasts a restart of the store or the database, which costs less than a transcode.
const videoPatience = 5 * time.Minute

// List is THE list of jobs.
func List(d Deps) []Job {
	scan := &scan{db: d.DB, zones: d.Zones, ledger: d.Ledger, scanner: d.Scanner}
	makes := media{db: d.DB, zones: d.Zones, ledger: d.Ledger}
	image := &image{media: makes, runner: d.Pictures, presets: d.Presets}
	makes.patience = videoPatience
	video := &video{media: makes, runner: d.Videos, presets: d.VideoPresets, posters: d.Pictures, poster: d.Poster}
	sweep := &sweep{reconciler: d.Reconciler}
	runs := &reconciliation{reconciler: d.Reconciler}
	snapshots := &snapshots{store: d.Snapshots, after: d.AfterSnapshot}
	bulks := &bulk{db: d.DB}
	return []Job{
		{Kind: storage.TaskScan, Timeout: d.ScanTimeout, Run: scan.run, Dead: scan.dead},
		{Kind: storage.TaskImage, Timeout: d.ImageTimeout, Run: image.run, Dead: image.dead},
		{Kind: storage.TaskVideo, Timeout: d.VideoTimeout, Run: video.run, Dead: video.dead},
		{Kind: storage.TaskSweep, Timeout: sweepTimeout, Run: sweep.run},
		{Kind: storage.TaskReconcile, Timeout: runTimeout, Run: runs.run, Dead: runs.dead},
		{Kind: storage.TaskSnapshot, Timeout: snapshotTimeout, Run: snapshots.run, Dead: snapshots.dead},
		{Kind: storage.TaskVerify, Timeout: snapshotTimeout, Run: (&verification{store: d.Snapshots}).run, Dead: verificationDead},
		{Kind: storage.TaskPurge, Timeout: sweepTimeout, Run: (&purge{db: d.DB, zones: d.Zones}).run},
		{Kind: storage.TaskBulk, Timeout: bulkTimeout, Run: bulks.run, Dead: bulks.dead},
	}
}

// Schedule is THE list of what is due by the clock.
func Schedule(d Deps) []Periodic {
	return append(slices.Concat(reconciliations(d), auditing(d), releaseRollups(d.DB)), []Periodic{
		{Name: "sweep", Every: d.SweepEvery, Do: func(ctx context.Context) error {
			return d.DB.InTx(ctx, func(tx *meta.Tx) error {
				_, err := tx.Enqueue(meta.NewTask{Kind: storage.TaskSweep, Unique: true})
				return err
			})
		}},
		{Name: "reservations", Every: time.Minute, Do: func(ctx context.Context) error {
			_, err := d.Ledger.ExpireAbandoned(ctx, 500)
			return err
		}},
		{Name: "purges", Every: 5 * time.Minute, Do: func(ctx context.Context) error { return queuePurges(ctx, d.DB) }},
		{Name: "provisioning", Every: time.Minute, Do: func(ctx context.Context) error { return failAbandoned(ctx, d) }},
		{Name: "plan retention", Every: time.Hour, Do: func(ctx context.Context) error { return endOldAssets(ctx, d.DB) }},
		{Name: "rollups", Every: rollupsEvery, Do: func(ctx context.Context) error { return rollUp(ctx, d.DB) }},
		{Name: "old rollups", Every: 24 * time.Hour, Do: func(ctx context.Context) error { return d.DB.ForgetRollups(ctx, meta.Now()) }},
	}...)
}
