package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/configs"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
)

// statusTime bounds the checks behind one /readyz.
const statusTime = 5 * time.Second

// serveStatus serves the worker's /healthz, /readyz and /metrics when it has an address for them.
func serveStatus(cfg *configs.Config, db *meta.DB, zones *blob.Zones, watch *jobs.ScannerWatch, registry *prometheus.Registry, log *slog.Logger) (stop func(), err error) {
	if cfg.Worker.HTTPAddr == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", cfg.Worker.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("worker.http_addr (another worker on this machine? give each its own, or none): %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"status": "ok"}, log)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, body := ready(r.Context(), db, zones, watch.Last())
		answer(w, status, body, log)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: statusTime, WriteTimeout: 30 * time.Second}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("worker's status server stopped", "error", err)
		}
	}()
	return func() { logged(log, "close the status server", server.Close) }, nil
}

// ready says whether the worker can work. Unlike the gateway it needs the scanner, as it saw it itself: what the
// database says of the scanner may be another worker's word.
func ready(ctx context.Context, db *meta.DB, zones *blob.Zones, scanner meta.ScannerFact) (int, map[string]any) {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	var serr error
	switch {
	case !scanner.Ready:
		serr = errors.New("the scanner is not ready: " + scanner.Problem)
	case scanner.Silent(time.Now()):
		serr = errors.New("the scanner has not been looked at lately: the last look hangs")
	}
	status, word := http.StatusOK, "ready"
	dependencies := map[string]any{}
	for name, err := range map[string]error{"database": db.SchemaCurrent(ctx), "store": zones.Ready(ctx), "scanner": serr} {
		if err != nil {
			status, word = http.StatusServiceUnavailable, "unavailable"
			dependencies[name] = map[string]any{"status": "failed", "error": err.Error()}
			continue
		}
		dependencies[name] = map[string]any{"status": "ok"}
	}
	body := map[string]any{"status": word, "dependencies": dependencies}
	if serr == nil {
		body["scanner"] = scanner
	}
	return status, body
}

func answer(w http.ResponseWriter, status int, body any, log *slog.Logger) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Debug("status client left", "error", err)
	}
}
