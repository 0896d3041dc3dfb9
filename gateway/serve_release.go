package main

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/configs"
	"gatehouse/gateway/httpapi"
	"gatehouse/gateway/release"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// newUpdates makes what desktop clients ask.
func newUpdates(cfg *configs.Config, db *meta.DB, zones *blob.Zones, registry *prometheus.Registry, log *slog.Logger) (*release.API, error) {
	mismatches := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gatehouse_release_checksum_mismatches_total",
		Help: "Pieces of releases' files that were read from the store, did not have their digest, and were not served.",
	})
	if err := registry.Register(mismatches); err != nil {
		return nil, err
	}
	return &release.API{
		DB: db, Zones: zones, Log: log, PublicURL: cfg.HTTP.PublicURL, Timeout: cfg.HTTP.RequestTimeout,
		Mismatched: mismatches.Inc, Client: httpapi.Client, RequestID: httpapi.RequestID,
	}, nil
}
