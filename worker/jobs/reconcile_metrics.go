package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
)

// metricsTimeout bounds the queries behind one scrape.
const metricsTimeout = 5 * time.Second

var (
	findingsDesc = prometheus.NewDesc("gatehouse_reconcile_findings",
		"What the latest run of each kind that compared to its end found, by kind of difference and what became of it.", []string{"run", "kind", "state"}, nil)
	runObjectsDesc = prometheus.NewDesc("gatehouse_reconcile_objects", "Objects that the latest run compared.", []string{"run"}, nil)
	runRowsDesc    = prometheus.NewDesc("gatehouse_reconcile_rows", "Rows that the latest run compared.", []string{"run"}, nil)
	repairedDesc   = prometheus.NewDesc("gatehouse_reconcile_repaired", "Findings that the latest run repaired.", []string{"run"}, nil)
	finishedDesc   = prometheus.NewDesc("gatehouse_reconcile_finished_timestamp_seconds", "When the latest run that was done ended.", []string{"run"}, nil)
	stateDesc      = prometheus.NewDesc("gatehouse_reconcile_runs", "Runs by kind and state, of those that are kept.", []string{"run", "state"}, nil)
	heldDesc       = prometheus.NewDesc("gatehouse_reconcile_held", "Runs that the brake holds and that wait for a person.", nil, nil)
)

// ReconcileMetrics shows the runs as the database has them when it is scraped: whichever worker made them.
type ReconcileMetrics struct {
	DB  *meta.DB
	Log *slog.Logger
}

// Describe implements prometheus.Collector.
func (c ReconcileMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{findingsDesc, runObjectsDesc, runRowsDesc, repairedDesc, finishedDesc, stateDesc, heldDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c ReconcileMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	if err := c.collect(ctx, ch); err != nil {
		c.Log.Error("read the runs of the reconciliation for the metrics", "error", err)
	}
}

func (c ReconcileMetrics) collect(ctx context.Context, ch chan<- prometheus.Metric) error {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	states, err := c.DB.RunStates(ctx)
	if err != nil {
		return err
	}
	held := int64(0)
	for _, s := range states {
		gauge(stateDesc, float64(s.Count), s.Kind, s.State)
		if s.State == meta.RunHeld {
			held += s.Count
		}
	}
	gauge(heldDesc, float64(held))
	for _, kind := range []string{meta.RunFull, meta.RunLight} {
		if err := c.latest(ctx, kind, gauge); err != nil {
			return err
		}
	}
	return nil
}

func (c ReconcileMetrics) latest(ctx context.Context, kind string, gauge func(*prometheus.Desc, float64, ...string)) error {
	done, err := c.last(ctx, kind, meta.RunDone)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err == nil {
		gauge(finishedDesc, float64(done.FinishedAt.Time().Unix()), kind)
	}
	run, err := c.last(ctx, kind, meta.RunDone, meta.RunHeld, meta.RunConfirmed)
	if err != nil {
		if errors.Is(err, storage.ErrNotFound) {
			err = nil
		}
		return err
	}
	gauge(runObjectsDesc, float64(run.Objects), kind)
	gauge(runRowsDesc, float64(run.RowCount), kind)
	gauge(repairedDesc, float64(run.Repaired), kind)
	counts, err := c.DB.FindingCounts(ctx, run.ID)
	if err != nil {
		return err
	}
	type key struct {
		kind  storage.DriftKind
		state string
	}
	sum := map[key]int64{}
	for _, k := range reconcile.Kinds() {
		sum[key{k, meta.FindingOpen}] = 0 // so that a graph has no holes
	}
	for _, n := range counts {
		sum[key{n.Kind, n.State}] += n.Count
	}
	for k, n := range sum {
		gauge(findingsDesc, float64(n), kind, string(k.kind), k.state)
	}
	return nil
}

// last is the latest run of a kind; a full one over some tenants is none, because it says nothing about the others.
func (c ReconcileMetrics) last(ctx context.Context, kind string, states ...string) (meta.ReconcileRun, error) {
	if kind == meta.RunFull {
		return c.DB.LastFullRun(ctx, meta.Now().Add(time.Hour), states...)
	}
	list, err := c.DB.Runs(ctx, kind, 1, states...)
	if err == nil && len(list) == 0 {
		err = storage.ErrNotFound
	}
	if err != nil {
		return meta.ReconcileRun{}, err
	}
	return list[0], nil
}
