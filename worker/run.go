package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gatehouse/boot"
	"gatehouse/configs"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
	"gatehouse/worker/dispatch"
	"gatehouse/worker/jobs"
	"gatehouse/worker/tools/clamd"
)

type runCmd struct{}

// sweepEvery is how often the sweeper runs: some queries when nothing is due, and nothing is in a hurry: grace times are hours.
const sweepEvery = 10 * time.Minute

// purgeEvery is how often the trash is looked through: what is in it stays for days.
const purgeEvery = 24 * time.Hour

// Run works until ctx ends.
func (runCmd) Run(ctx context.Context, c *cli) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	log := boot.Logger(cfg)
	if err := checkWalls(cfg, log); err != nil {
		return err
	}
	db, zones, closeStore, err := openBoth(ctx, cfg, boot.Zones, log)
	if err != nil {
		return err
	}
	defer closeStore()
	scanner, closeScanner, err := openScanner(cfg, log)
	if err != nil {
		return err
	}
	defer closeScanner()
	bell, err := doorbell(cfg, log)
	if err != nil {
		return err
	}
	defer logged(log, "close the doorbell", bell.Close)

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		jobs.ReconcileMetrics{DB: db, Log: log})
	deps, err := jobDeps(cfg, db, zones, scanner, log)
	if err != nil {
		return err
	}
	defer deps.Pictures.Close()
	registry.MustRegister(jobs.AuditMetrics{DB: db, Sealer: deps.Sealer, Log: log})
	alerting, err := newAlerting(cfg, db, deps.Snapshots, registry, log)
	if err != nil {
		return err
	}
	deps.TellAudit, deps.TellAuditEvery = alerting.tellCheckpoint, cfg.Audit.TellEvery
	if err := alerting.tell(ctx); err != nil {
		return err
	}
	schedule := append(jobs.Schedule(deps), alerting.job)
	d, err := dispatch.New(dispatchConfig(cfg), db, bell, jobs.List(deps), schedule, registry, log)
	if err != nil {
		return err
	}
	scannerWatch := jobs.NewScannerWatch(db, scanner, cfg.Scanner.ReadyInterval, log)
	stopStatus, err := serveStatus(cfg, db, zones, scannerWatch, registry, log)
	if err != nil {
		return err
	}
	defer stopStatus()

	sayDead, err := db.KeepAlive(ctx, "worker", log)
	if err != nil {
		return err
	}
	defer sayDead()
	var watch sync.WaitGroup
	watch.Go(func() { scannerWatch.Run(ctx) })
	watch.Go(func() { alerting.run(ctx) })
	defer watch.Wait()
	log.Info("worker is working", "version", version, "database", db.Dialect(), "store", cfg.Store.Driver,
		"broker", cfg.Broker.URL != "", "scanner", cfg.Scanner.Address)
	err = d.Run(ctx)
	finishAudit(deps.Sealer, log)
	log.Info("worker has stopped")
	return err
}

// finishTime bounds the last checkpoint of a worker that stops.
const finishTime = 5 * time.Second

// finishAudit seals what is there and makes a checkpoint of it; the next worker would do it otherwise.
func finishAudit(s *audit.Sealer, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), finishTime)
	defer cancel()
	logged(log, "make the last checkpoint", func() error { return s.Finish(ctx) })
}

// opener opens the store: boot.Zones for the program, which makes what is missing, boot.ExistingZones for commands.
type opener func(context.Context, *configs.Config) (*blob.Zones, error)

// openStore opens the two places where everything durable is for a command, which makes neither. The function closes both.
func openStore(ctx context.Context, cfg *configs.Config, log *slog.Logger) (*meta.DB, *blob.Zones, func(), error) {
	return openBoth(ctx, cfg, boot.ExistingZones, log)
}

// openBoth is openStore with a choice. The database must be there: `gateway migrate` makes it.
func openBoth(ctx context.Context, cfg *configs.Config, zonesOf opener, log *slog.Logger) (*meta.DB, *blob.Zones, func(), error) {
	db, err := boot.ExistingDatabase(ctx, cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	closeDB := func() { logged(log, "close the database", db.Close) }
	if err := db.SchemaCurrent(ctx); err != nil {
		closeDB()
		return nil, nil, nil, err
	}
	zones, err := zonesOf(ctx, cfg)
	if err != nil {
		closeDB()
		return nil, nil, nil, err
	}
	return db, zones, func() {
		logged(log, "close the store", zones.Close)
		closeDB()
	}, nil
}

// openScanner connects to the configured clamd, or starts one of the worker's own.
func openScanner(cfg *configs.Config, log *slog.Logger) (*clamd.Scanner, func(), error) {
	config := clamd.Config{
		Address: cfg.Scanner.Address, TempDir: cfg.WorkDir(), Timeout: cfg.Scanner.Timeout, MaxFileBytes: int64(cfg.Scanner.MaxFileBytes),
	}
	if err := os.MkdirAll(cfg.WorkDir(), 0o700); err != nil {
		return nil, nil, fmt.Errorf("data_dir: %w", err)
	}
	stop := func() {}
	switch {
	case cfg.Scanner.Address == "":
		// Its own context: clamd is stopped after the jobs that use it, not by the same signal.
		daemon, err := clamd.StartDaemon(context.Background(), clamd.DaemonConfig{
			Dir: cfg.ClamdDir(), Databases: cfg.Scanner.DatabaseDir, MaxFileBytes: int64(cfg.Scanner.MaxFileBytes), Log: log,
		})
		if err != nil {
			return nil, nil, fmt.Errorf("start clamd (or set scanner.address to one that runs): %w", err)
		}
		config.Address, config.Fingerprint = daemon.Address(), daemon.Fingerprint
		stop = func() { logged(log, "stop clamd", daemon.Close) }
	case cfg.Scanner.DatabaseDir != "":
		config.Fingerprint = clamd.FolderFingerprint(cfg.Scanner.DatabaseDir)
	}
	scanner, err := clamd.New(config)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return scanner, stop, nil
}

// doorbell is the broker, or without one the process itself.
func doorbell(cfg *configs.Config, log *slog.Logger) (dispatch.Doorbell, error) {
	if cfg.Broker.URL == "" {
		return dispatch.NewLocal(), nil
	}
	return dispatch.NewBroker(dispatch.BrokerConfig{
		URL: cfg.Broker.URL.Reveal(), Prefix: cfg.Broker.Prefix, PublishTimeout: cfg.Broker.PublishTimeout,
	}, log)
}

func jobDeps(cfg *configs.Config, db *meta.DB, zones *blob.Zones, scanner *clamd.Scanner, log *slog.Logger) (jobs.Deps, error) {
	key, err := boot.AuditKey(cfg)
	if err != nil {
		return jobs.Deps{}, err
	}
	deps := jobs.Deps{
		DB: db, Zones: zones, Ledger: boot.Ledger(cfg, db), Scanner: scanner,
		Reconciler: reconciler(cfg, db, zones, log), SweepEvery: sweepEvery, Snapshots: snapshots(cfg, db, zones),
		Sealer:      &audit.Sealer{DB: db, Zone: zones.Audit, Key: key, Online: cfg.Audit.Online, SpoolDir: cfg.WorkDir(), Log: log},
		ReconcileAt: cfg.Reconcile.At, LightEvery: cfg.Reconcile.LightEvery, AfterSnapshot: jobs.AfterSnapshot(log), Log: log,
		// Twice what the tool itself may take: the transfer from and to the store comes on top.
		ScanTimeout: 2 * cfg.Scanner.Timeout,
	}
	return deps, addMedia(cfg, &deps, log)
}

func reconciler(cfg *configs.Config, db *meta.DB, zones *blob.Zones, log *slog.Logger) *reconcile.Reconciler {
	r := cfg.Retention
	return reconcile.New(reconcile.Config{
		OrphanGrace: r.OrphanGrace, DeletedGrace: r.DeletedGrace, Infected: r.Infected,
		TaskHistory: r.TaskHistory, EventHistory: r.EventHistory, IdempotencyTTL: r.IdempotencyTTL,
		Digests: reconcile.Digests{
			Days: cfg.Reconcile.DigestDays, BytesPerNight: int64(cfg.Reconcile.DigestBytesPerNight), Rate: int64(cfg.Reconcile.DigestRate),
		},
		Trash: cfg.Reconcile.Trash, PurgeEvery: purgeEvery, BrakeMin: cfg.Reconcile.BrakeMin, BrakeShare: cfg.Reconcile.BrakeShare.Of(), History: cfg.Reconcile.History,
		BrakeTenantMin: cfg.Reconcile.BrakeTenantMin, BrakeTenantShare: cfg.Reconcile.BrakeTenantShare.Of(),
	}, db, zones, boot.Ledger(cfg, db), log)
}

func dispatchConfig(cfg *configs.Config) dispatch.Config {
	lanes := map[storage.Lane]int{}
	for name, n := range cfg.Tasks.Lanes.Concurrency() {
		lanes[storage.Lane(name)] = n
	}
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return dispatch.Config{
		Worker: fmt.Sprintf("%.40s/%d", host, os.Getpid()), Lease: cfg.Tasks.Lease, Heartbeat: cfg.Tasks.Heartbeat,
		PollInterval: cfg.Tasks.PollInterval, MaxAttempts: cfg.Tasks.MaxAttempts,
		BackoffMin: cfg.Tasks.BackoffMin, BackoffMax: cfg.Tasks.BackoffMax, Lanes: lanes,
	}
}

// logged runs a closing step whose failure loses nothing.
func logged(log *slog.Logger, what string, do func() error) {
	if err := do(); err != nil {
		log.Error(what, "error", err)
	}
}
