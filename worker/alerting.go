package main

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/boot"
	"gatehouse/configs"
	"gatehouse/storage"
	records "gatehouse/storage/alerts"
	"gatehouse/storage/audit"
	"gatehouse/storage/disk"
	"gatehouse/storage/meta"
	"gatehouse/storage/snapshot"
	"gatehouse/worker/alerts"
	"gatehouse/worker/jobs"
)

// alertsConfig is what the rules, the engine and the sender are told; channels that are off are left out.
func alertsConfig(cfg *configs.Config) alerts.Config {
	a := cfg.Alerts
	out := alerts.Config{
		Repeat: a.Repeat, History: a.History, Settings: boot.Settings(cfg),
		Limits: alerts.Limits{
			InfectedFor: a.InfectedFor, Refusals: a.Refusals, RefusalsWindow: a.RefusalsWindow, ScannerUnready: a.ScannerUnready,
			SignaturesMaxAge: a.SignaturesMaxAge, DiskWarning: a.DiskWarning, DiskCritical: a.DiskCritical,
			OperatorsFor: a.OperatorsFor, FailedLogins: a.FailedLogins, FailedLoginsWindow: a.FailedLoginsWindow,
			FailuresBeforeLogin: a.FailuresBeforeLogin, QueriesPerHour: a.QueriesPerHour, NightFrom: a.NightFrom, NightUntil: a.NightUntil,
			Timezone:         a.Zone(),
			DatabaseMaxBytes: int64(a.DatabaseMaxBytes), SnapshotMaxAge: a.SnapshotMaxAge, Trash: cfg.Reconcile.Trash, MaxWait: map[storage.Lane]time.Duration{},
		},
	}
	if cfg.Reconcile.At != "" {
		out.Limits.ReconcileMaxAge = a.ReconcileMaxAge
	}
	for lane, most := range a.MaxWait.MostWaits() {
		out.Limits.MaxWait[storage.Lane(lane)] = most
	}
	for _, name := range slices.Sorted(maps.Keys(a.Channels)) {
		c := a.Channels[name]
		out.All = append(out.All, records.Channel{
			Name: name, Kind: c.Kind, On: c.On(), Severities: append([]string{}, c.Severities...), Rules: append([]string{}, c.Rules...),
		})
		if c.On() {
			out.Channels = append(out.Channels, alerts.ChannelConfig{
				Name: name, Kind: c.Kind, URL: c.URL.Reveal(), Secret: c.Secret.Reveal(), Severities: c.Severities, Rules: c.Rules,
			})
		}
	}
	return out
}

// alerting is the worker's part in alerts: the periodic job that asks the rules, and what runs beside the tasks.
type alerting struct {
	job jobs.Periodic
	// tellCheckpoint tells a checkpoint of the audit log.
	tellCheckpoint func(context.Context, audit.Checkpoint) error
	sender         *alerts.Sender
	disks          disk.Reporter
	// tell says to the others what is configured here.
	tell func(ctx context.Context) error
}

func newAlerting(cfg *configs.Config, db *meta.DB, snapshots *snapshot.Store, registry *prometheus.Registry, log *slog.Logger) (*alerting, error) {
	config := alertsConfig(cfg)
	config.Manifest = func(ctx context.Context, id string) error { _, err := snapshots.Manifest(ctx, id); return err }
	engine, err := alerts.NewEngine(config, db, log)
	if err != nil {
		return nil, err
	}
	sender, err := alerts.NewSender(config, db, registry, log)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil { // there is nothing else in it with servers all around
		return nil, err
	}
	var store []disk.Place
	if cfg.Store.Driver == configs.DriverDisk {
		store = append(store, disk.Place{Use: "store", Path: cfg.StoreRoot()})
	}
	return &alerting{
		tellCheckpoint: engine.TellCheckpoint,
		job:            jobs.Periodic{Name: "alerts", Every: cfg.Alerts.Interval, Do: engine.Tick},
		sender:         sender,
		disks:          disk.Reporter{DB: db, Program: "worker", Places: boot.Disks(cfg, store...), Log: log},
		tell:           func(ctx context.Context) error { return records.Tell(ctx, db, engine.Configured()) },
	}, nil
}

// run sends and measures until ctx ends.
func (a *alerting) run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { a.sender.Run(ctx) })
	both.Go(func() { a.disks.Run(ctx) })
	both.Wait()
}
