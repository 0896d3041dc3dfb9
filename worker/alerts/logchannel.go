package alerts

import (
	"context"
	"log/slog"
)

// logChannel writes events to the worker's log: ERROR for what is critical, WARN for the rest, INFO for what is over.
type logChannel struct{ log *slog.Logger }

func (l *logChannel) batch() int { return 100 }

func (l *logChannel) deliver(ctx context.Context, list []message) (string, error) {
	for _, m := range list {
		e := m.Event
		level := slog.LevelWarn
		switch {
		case e.Event == Closed:
			level = slog.LevelInfo
		case e.Alert.Severity == Critical:
			level = slog.LevelError
		}
		l.log.Log(ctx, level, "alert "+e.Event, "alert", e.Alert.ID, "rule", e.Alert.Rule, "subject", e.Alert.Subject,
			"severity", e.Alert.Severity, "tenant", e.Alert.TenantID, "message", e.Alert.Message,
			"lasted_seconds", e.Alert.LastedSeconds, "facts", string(e.Alert.Facts))
	}
	return "written to the log", nil
}
