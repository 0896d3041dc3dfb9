package alerts

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/storage/alerts"
	"gatehouse/storage/meta"
)

type metrics struct{ notices *prometheus.CounterVec }

// NewSender makes the sender for the channels of cfg, with its metrics.
func NewSender(cfg Config, db *meta.DB, reg prometheus.Registerer, log *slog.Logger) (*Sender, error) {
	s := &Sender{cfg: cfg, db: db, channels: map[string]channel{}, log: log, metrics: &metrics{
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_alert_notices_total", Help: "Messages about alerts, by channel and what became of the attempt.",
		}, []string{"channel", "result"}),
	}}
	if err := checkChannels(cfg.Channels); err != nil {
		return nil, err
	}
	for _, c := range cfg.Channels {
		ch, err := newChannel(c, db, log, cfg.now)
		if err != nil {
			return nil, err
		}
		s.channels[c.Name] = ch
		for _, result := range []string{"sent", "failed", "given_up"} {
			s.metrics.notices.WithLabelValues(c.Name, result)
		}
	}
	return s, errors.Join(reg.Register(s.metrics.notices), reg.Register(&openAlerts{db: db, log: log}))
}

// countTime bounds the query behind one scrape.
const countTime = 5 * time.Second

var openDesc = prometheus.NewDesc("gatehouse_alerts_open", "Alerts that are open, by rule and severity, in the whole system.",
	[]string{"rule", "severity"}, nil)

// openAlerts asks the database when it is scraped.
type openAlerts struct {
	db  *meta.DB
	log *slog.Logger
}

func (c *openAlerts) Describe(ch chan<- *prometheus.Desc) { ch <- openDesc }

func (c *openAlerts) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countTime)
	defer cancel()
	list, err := c.db.CountOpenAlerts(ctx)
	if err != nil {
		c.log.Error("count alerts for the metrics", "error", err)
		return
	}
	open := map[meta.AlertCount]float64{}
	for _, n := range list {
		open[meta.AlertCount{Rule: n.Rule, Severity: n.Severity}] = float64(n.Count)
	}
	for _, rule := range RuleNames() { // also those with none, so that a graph has no holes
		for _, severity := range alerts.Severities {
			n := open[meta.AlertCount{Rule: rule, Severity: string(severity)}]
			ch <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, n, rule, string(severity))
		}
	}
}
