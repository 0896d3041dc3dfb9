package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// auditing is what is due for the audit log: sealing every second, archiving and telling a checkpoint now and then.
func auditing(d Deps) []Periodic {
	if d.Sealer == nil {
		return nil
	}
	list := []Periodic{
		{Name: "audit seal", Every: time.Second, Do: func(ctx context.Context) error {
			_, err := d.Sealer.Seal(ctx)
			return err
		}},
		{Name: "audit archive", Every: 24 * time.Hour, Do: func(ctx context.Context) error {
			n, err := d.Sealer.Archive(ctx)
			if n > 0 {
				d.Log.Info("audit records went to the store", "records", n)
			}
			return err
		}},
	}
	if d.TellAuditEvery > 0 && d.TellAudit != nil {
		list = append(list, Periodic{Name: "audit tell", Every: d.TellAuditEvery, Do: func(ctx context.Context) error {
			c, err := d.Sealer.Latest(ctx)
			if errors.Is(err, storage.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			return d.TellAudit(ctx, c)
		}})
	}
	return list
}

// AuditMetrics tells how far the sealer is behind, and what it met that only somebody else can have done.
type AuditMetrics struct {
	DB     *meta.DB
	Sealer *audit.Sealer
	Log    *slog.Logger
}

// auditTime bounds the query behind one scrape.
const auditTime = 5 * time.Second

func auditUnsealed() *prometheus.Desc {
	return prometheus.NewDesc("gatehouse_audit_unsealed", "Audit records that wait for the sealer.", nil, nil)
}

func auditOldest() *prometheus.Desc {
	return prometheus.NewDesc("gatehouse_audit_unsealed_oldest_seconds", "How long the oldest audit record has waited for the sealer.", nil, nil)
}

func auditAlarms() *prometheus.Desc {
	return prometheus.NewDesc("gatehouse_audit_alarms_total", "Times that the sealer of the audit log met what only somebody else can have written.", nil, nil)
}

// Describe names the metrics.
func (AuditMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- auditUnsealed()
	ch <- auditOldest()
	ch <- auditAlarms()
}

// Collect asks the database.
func (m AuditMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), auditTime)
	defer cancel()
	ch <- prometheus.MustNewConstMetric(auditAlarms(), prometheus.CounterValue, float64(m.Sealer.Alarms()))
	n, age, err := audit.Waiting(ctx, m.DB)
	if err != nil {
		m.Log.Error("count unsealed audit records for the metrics", "error", err)
		return
	}
	ch <- prometheus.MustNewConstMetric(auditUnsealed(), prometheus.GaugeValue, float64(n))
	ch <- prometheus.MustNewConstMetric(auditOldest(), prometheus.GaugeValue, age.Seconds())
}
