package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// result is how an attempt ended.
type result string

const (
	resultDone   result = "done"
	resultFailed result = "failed"
	resultWaits  result = "waits"
	resultDead   result = "dead"
	resultLost   result = "lost"
)

// depthTimeout bounds the query behind one scrape.
const depthTimeout = 5 * time.Second

type metrics struct {
	attempts *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	running  *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer, db *meta.DB, log *slog.Logger) (*metrics, error) {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_task_attempts_total", Help: "Attempts at tasks, by kind and how they ended.",
		}, []string{"kind", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatehouse_task_seconds", Help: "How long attempts took, by kind.",
			Buckets: []float64{.005, .02, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 1800},
		}, []string{"kind"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gatehouse_tasks_running", Help: "Tasks that run in this worker now, by lane.",
		}, []string{"lane"}),
	}
	return m, errors.Join(reg.Register(m.attempts), reg.Register(m.seconds), reg.Register(m.running),
		reg.Register(&depths{db: db, log: log}))
}

// begin counts a task in; what it returns counts it out.
func (m *metrics) begin(t meta.Task) func(result) {
	began := time.Now()
	m.running.WithLabelValues(string(t.Lane)).Inc()
	return func(r result) {
		m.running.WithLabelValues(string(t.Lane)).Dec()
		m.attempts.WithLabelValues(string(t.Kind), string(r)).Inc()
		m.seconds.WithLabelValues(string(t.Kind)).Observe(time.Since(began).Seconds())
	}
}

var (
	depthDesc = prometheus.NewDesc("gatehouse_tasks", "Tasks that are not done, by lane and state, in the whole system.",
		[]string{"lane", "state"}, nil)
	ageDesc = prometheus.NewDesc("gatehouse_task_oldest_due_seconds", "How long the oldest queued task has been due, by lane.",
		[]string{"lane"}, nil)
)

// depths asks the database when it is scraped. Lanes without tasks show zero, so that a graph has no holes.
type depths struct {
	db  *meta.DB
	log *slog.Logger
}

func (c *depths) Describe(ch chan<- *prometheus.Desc) {
	ch <- depthDesc
	ch <- ageDesc
}

func (c *depths) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), depthTimeout)
	defer cancel()
	list, err := c.db.Depths(ctx)
	if err != nil {
		c.log.Error("count tasks for the metrics", "error", err)
		return
	}
	type key struct {
		lane  storage.Lane
		state storage.TaskState
	}
	have := map[key]meta.QueueDepth{}
	for _, d := range list {
		have[key{d.Lane, d.State}] = d
	}
	for _, lane := range storage.Lanes {
		for _, state := range []storage.TaskState{storage.TaskQueued, storage.TaskRunning, storage.TaskDead} {
			n := float64(have[key{lane, state}].Count)
			ch <- prometheus.MustNewConstMetric(depthDesc, prometheus.GaugeValue, n, string(lane), string(state))
		}
		var age float64
		if d := have[key{lane, storage.TaskQueued}]; d.Count > 0 {
			age = max(0, time.Since(d.Oldest.Time()).Seconds())
		}
		ch <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, age, string(lane))
	}
}
