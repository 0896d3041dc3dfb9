package alerts

import (
	"context"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// By is who takes an alert on, and why.
type By struct {
	// Name is shown with the alert.
	Name   string
	Reason string
}

// Acknowledge notes that somebody has taken an open alert on: it is repeated no more unless it gets worse.
// storage.ErrNotFound: there is no such open alert.
func Acknowledge(ctx context.Context, db *meta.DB, id string, who audit.Actor, by By) (meta.Alert, error) {
	var a meta.Alert
	err := db.InTx(ctx, func(tx *meta.Tx) error {
		was, err := tx.OpenAlertBy(id)
		if err != nil {
			return err
		}
		if a, err = tx.AcknowledgeAlert(id, by.Name); err != nil {
			return err
		}
		data := map[string]any{
			"rule": a.Rule, "subject": a.Subject, "severity": a.Severity,
			"before": map[string]any{"acknowledged_by": was.AcknowledgedBy}, "after": map[string]any{"acknowledged_by": a.AcknowledgedBy},
		}
		if by.Reason != "" {
			data["reason"] = by.Reason
		}
		return audit.Write(tx, audit.Entry{
			Actor: who, TenantID: a.TenantID, Action: "alert.acknowledge", Target: a.ID, Result: audit.OK, Data: data,
		})
	})
	return a, err
}
