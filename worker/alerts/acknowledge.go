package alerts

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Acknowledge notes that somebody has taken an open alert on: it is repeated no more unless it gets worse.
func Acknowledge(ctx context.Context, db *meta.DB, id string, who audit.Actor) (meta.Alert, error) {
	var a meta.Alert
	err := db.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		if a, err = tx.AcknowledgeAlert(id, who.ID); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{
			Actor: who, TenantID: a.TenantID, Action: "alert.acknowledge", Target: a.ID, Result: audit.OK,
			Data: map[string]any{"rule": a.Rule, "subject": a.Subject, "severity": a.Severity},
		})
	})
	if errors.Is(err, storage.ErrNotFound) {
		return a, fmt.Errorf("there is no open alert %s; see worker alerts list", id)
	}
	return a, err
}
