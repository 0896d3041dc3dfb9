package httpapi

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	received *prometheus.CounterVec
	sent     *prometheus.CounterVec
	refusals *prometheus.CounterVec
	inFlight prometheus.Gauge
	// series are those of requests that there were before, so that labels need not be hashed for each.
	series sync.Map // of answered to *series
}

// answered is what the labels of a request are made of: as many as the route table and the statuses make.
type answered struct {
	method, route string
	status        int
}

type series struct {
	requests       prometheus.Counter
	seconds        prometheus.Observer
	received, sent prometheus.Counter
}

func (m *metrics) of(a answered) *series {
	if s, ok := m.series.Load(a); ok {
		return s.(*series)
	}
	s := &series{
		requests: m.requests.WithLabelValues(a.method, a.route, strconv.Itoa(a.status)), seconds: m.seconds.WithLabelValues(a.method, a.route),
		received: m.received.WithLabelValues(a.route), sent: m.sent.WithLabelValues(a.route),
	}
	m.series.Store(a, s)
	return s
}

// newMetrics registers the metrics. Labels come from the route table, never from a request: what a client writes
// must not make new time series.
func newMetrics(reg prometheus.Registerer, lingering func() float64) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_http_requests_total", Help: "Requests by method, route and status.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatehouse_http_request_seconds", Help: "Time from the request's headers to the end of its handler or body.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"method", "route"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_http_received_bytes_total", Help: "Bytes of request bodies read.",
		}, []string{"route"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_http_sent_bytes_total", Help: "Bytes of response bodies sent.",
		}, []string{"route"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_http_refusals_total", Help: "Refusals by route and code.",
		}, []string{"route", "code"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_http_requests_in_flight", Help: "Requests whose handler runs.",
		}),
	}
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatehouse_http_lingering_connections", Help: "Closed connections that wait for their client to read the response.",
	}, lingering)
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.received, m.sent, m.refusals, m.inFlight, gauge} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) observe(x *exchange) {
	route, method := x.route, x.method
	if route == "" {
		route = "none"
	}
	if !slices.Contains(fiber.DefaultMethods, method) {
		method = "other"
	}
	s := m.of(answered{method, route, x.status})
	s.requests.Inc()
	s.seconds.Observe(x.duration.Seconds())
	s.received.Add(float64(x.received))
	s.sent.Add(float64(max(0, x.sent)))
	if x.code != "" {
		m.refusals.WithLabelValues(route, string(x.code)).Inc()
	}
}
