package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/boot"
	"gatehouse/configs"
	"gatehouse/gateway/assets"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/httpapi"
	"gatehouse/gateway/intake"
	"gatehouse/gateway/release/devices"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/disk"
	"gatehouse/storage/meta"
	"gatehouse/storage/settings"
)

type serveCmd struct{}

// Run serves until ctx ends.
func (serveCmd) Run(ctx context.Context, c *cli) error {
	cfg, err := c.load(configs.ForGateway)
	if err != nil {
		return err
	}
	log := boot.Logger(cfg)
	db, err := boot.Database(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeDB(db)
	if err := db.SchemaCurrent(ctx); err != nil {
		return err
	}
	zones, err := boot.Zones(ctx, cfg)
	if err != nil {
		return err
	}
	var watch sync.WaitGroup
	defer watch.Wait()
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	closing := make(chan struct{})
	registry := newRegistry()
	server, err := newServer(cfg, db, zones, registry, closing, log)
	if err != nil {
		return err
	}
	// After the server was made, and with it the spool's folder.
	disks := boot.Disks(cfg, disk.Place{Use: "spool", Path: cfg.SpoolDir()})
	watch.Go(func() { disk.Reporter{DB: db, Program: "gateway", Places: disks, Log: log}.Run(watching) })
	stopMetrics, err := serveMetrics(cfg, registry, log)
	if err != nil {
		return err
	}
	defer stopMetrics()
	listener, err := net.Listen("tcp", cfg.HTTP.Addr)
	if err != nil {
		return fmt.Errorf("http.addr: %w", err)
	}
	sayDead, err := db.KeepAlive(ctx, "gateway", log)
	if err != nil {
		return err
	}
	defer sayDead()
	log.Info("gateway is serving", "addr", listener.Addr().String(), "version", version,
		"database", db.Dialect(), "store", cfg.Store.Driver)
	return serveUntil(ctx, server, listener, closing, cfg.HTTP.ShutdownTimeout, log)
}

// serveUntil serves until ctx ends, then lets running requests finish.
func serveUntil(ctx context.Context, server *httpapi.Server, l net.Listener, closing chan struct{}, patience time.Duration, log *slog.Logger) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("gateway is shutting down", "grace", patience)
	close(closing)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		return fmt.Errorf("some requests did not end in time: %w", err)
	}
	if err := <-served; err != nil {
		return err
	}
	log.Info("gateway has stopped")
	return nil
}

func newServer(cfg *configs.Config, db *meta.DB, zones *blob.Zones, registry *prometheus.Registry, closing <-chan struct{}, log *slog.Logger) (*httpapi.Server, error) {
	secret, err := cfg.LinkSecret()
	if err != nil {
		return nil, err
	}
	keys := &auth.Keys{DB: db, Base: boot.Policy(cfg)}
	options := httpapi.DefaultOptions()
	door, err := newIntake(cfg, db, zones, registry, log)
	if err != nil {
		return nil, err
	}
	desk, err := newDesk(cfg, db)
	if err != nil {
		return nil, err
	}
	operators := httpapi.Operators{Desk: desk, DB: db, Origins: ownOrigins(cfg)}
	options.Log, options.Metrics = log, registry
	options.Precheck = httpapi.Precheck(keys, operators, door.Fits, func(p *auth.Principal, actor audit.Actor, err error) {
		door.RecordRefusal(context.Background(), intake.Upload{TenantID: p.TenantID, Actor: actor, DeclaredSize: -1}, "headers", err)
	})
	options.TrustedProxies = cfg.HTTP.TrustedProxies
	options.AdminHost = cfg.HTTP.AdminHost
	options.HSTS = strings.HasPrefix(cfg.HTTP.PublicURL, "https://")
	options.HeaderTimeout, options.IdleTimeout = cfg.HTTP.HeaderTimeout, cfg.HTTP.IdleTimeout
	options.Pace.MinBytesPerSecond = int64(cfg.HTTP.MinUploadBytesPerSecond)
	options.Pace.Window = cfg.HTTP.UploadGrace
	options.Linger.Total, options.Linger.Bytes = cfg.HTTP.LingerTimeout, int64(cfg.HTTP.LingerBytes)
	server, err := httpapi.New(options)
	if err != nil {
		return nil, err
	}
	updates, err := newUpdates(cfg, db, zones, registry, log)
	if err != nil {
		return nil, err
	}
	handlers := httpapi.Handlers{
		Release: updates,
		Health:  &httpapi.Health{DB: db, Zones: zones, Spool: door.Room.Ready},
		Assets: &assets.API{
			DB: db, Zones: zones, Log: log, PublicURL: cfg.HTTP.PublicURL, Timeout: cfg.HTTP.RequestTimeout,
			Links:   &auth.Links{Secret: secret, MaxAge: cfg.Auth.LinkMaxAge},
			Streams: make(chan struct{}, cfg.HTTP.MaxEventStreams), Closing: closing,
			Client: httpapi.Client, RequestID: httpapi.RequestID, Locale: httpapi.Locale,
			Intake: door,
		},
		Devices: &devices.API{
			DB: db, MaxDevices: cfg.Releases.MaxDevicesPerTenant, Timeout: cfg.HTTP.RequestTimeout, Client: httpapi.Client, RequestID: httpapi.RequestID,
		},
	}
	if cfg.Metrics.Enabled && cfg.Metrics.Addr == "" {
		handlers.Metrics = metricsHandler(registry)
	}
	office, err := newAdmin(cfg, db, zones, desk, door, keys)
	if err != nil {
		return nil, err
	}
	rows := append(httpapi.Routes(handlers), httpapi.AdminRoutes(office)...)
	guards := httpapi.Guards(keys)
	maps.Copy(guards, httpapi.OperatorGuards(operators))
	return server, httpapi.Mount(server.App(), rows, guards, httpapi.BoundUploads(cfg.HTTP.MaxUploads))
}

// newIntake makes the door that every file comes through.
func newIntake(cfg *configs.Config, db *meta.DB, zones *blob.Zones, registry *prometheus.Registry, log *slog.Logger) (*intake.Intake, error) {
	if err := os.MkdirAll(cfg.SpoolDir(), 0o700); err != nil {
		return nil, fmt.Errorf("intake.spool_dir: %w", err)
	}
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatehouse_upload_refusals_total", Help: "Refused uploads by the rule or step that refused, and the code.",
	}, []string{"rule", "code"})
	if err := registry.Register(refusals); err != nil {
		return nil, err
	}
	return &intake.Intake{
		DB: db, Zones: zones, Ledger: boot.Ledger(cfg, db), Log: log,
		Spool:    intake.Spool{Dir: cfg.SpoolDir(), MemoryBytes: int64(cfg.Intake.MemoryBytes)},
		Settings: &settings.Live{DB: db, Configured: boot.Settings(cfg), Log: log},
		Room:     intake.NewRoom(cfg.SpoolDir(), int64(cfg.Intake.SpoolMinFree), int64(cfg.Intake.MemoryBytes)),
		Refused:  func(rule string, code storage.Code) { refusals.WithLabelValues(rule, string(code)).Inc() },
	}, nil
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func metricsHandler(r *prometheus.Registry) fiber.Handler {
	return adaptor.HTTPHandler(promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
}

// serveMetrics serves /metrics on an address of its own, when the configuration gives one.
func serveMetrics(cfg *configs.Config, r *prometheus.Registry, log *slog.Logger) (stop func(), err error) {
	if !cfg.Metrics.Enabled || cfg.Metrics.Addr == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", cfg.Metrics.Addr)
	if err != nil {
		return nil, fmt.Errorf("metrics.addr: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: cfg.HTTP.HeaderTimeout}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics stopped", "error", err)
		}
	}()
	return func() {
		if err := server.Close(); err != nil {
			log.Error("close metrics", "error", err)
		}
	}, nil
}
