package alerts

import (
	"strings"
	"time"

	"gatehouse/storage/alerts"
	"gatehouse/storage/meta"
)

// Configured is what others are told of this engine: no addresses, no secrets.
func (e *Engine) Configured() alerts.Configured {
	out := alerts.Configured{At: meta.Now().Time(), Channels: e.cfg.All}
	for _, r := range e.rules {
		rule := alerts.Rule{Name: r.Name, Watches: r.Watches, Thresholds: map[string]any{}}
		for name, value := range e.cfg.Limits.values() {
			for _, key := range r.Keys {
				if name == key || strings.HasPrefix(name, key+".") {
					rule.Thresholds["alerts."+name] = value
				}
			}
		}
		out.Rules = append(out.Rules, rule)
	}
	return out
}

// values are the limits by their configuration keys, below alerts. Durations are texts, like 4h0m0s.
func (l Limits) values() map[string]any {
	zone := "UTC"
	if l.Timezone != nil {
		zone = l.Timezone.String()
	}
	out := map[string]any{
		"refusals": l.Refusals, "disk_warning_percent": l.DiskWarning, "disk_critical_percent": l.DiskCritical, "database_max_bytes": l.DatabaseMaxBytes,
		"failed_logins": l.FailedLogins, "failures_before_login": l.FailuresBeforeLogin, "queries_per_hour": l.QueriesPerHour,
		"night_from": l.NightFrom, "night_until": l.NightUntil, "timezone": zone,
	}
	for name, d := range map[string]time.Duration{
		"infected_for": l.InfectedFor, "refusals_window": l.RefusalsWindow, "scanner_unready": l.ScannerUnready,
		"signatures_max_age": l.SignaturesMaxAge, "snapshot_max_age": l.SnapshotMaxAge, "reconcile_max_age": l.ReconcileMaxAge,
		"operators_for": l.OperatorsFor, "failed_logins_window": l.FailedLoginsWindow,
	} {
		out[name] = d.String()
	}
	for lane, d := range l.MaxWait {
		out["max_wait."+string(lane)] = d.String()
	}
	return out
}
