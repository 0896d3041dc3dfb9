package alerts

import (
	"context"
	"fmt"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// ruleAuditCheckpoint is what a channel's list of rules calls the checkpoints of the audit log. Nobody asks it: it is told.
const ruleAuditCheckpoint = "audit_checkpoint"

// TellCheckpoint tells a checkpoint of the audit log on the channels that take what is only informing. Its alert opens and
// ends at once: nothing is wrong.
func (e *Engine) TellCheckpoint(ctx context.Context, c audit.Checkpoint) error {
	now := e.cfg.now()
	a := meta.Alert{ID: meta.NewID(), Rule: ruleAuditCheckpoint, Subject: c.ChainID, OpenedAt: now, SentAt: now, ClosedAt: now}
	f := Finding{Subject: c.ChainID, Severity: Info, Facts: map[string]any{"checkpoint": c}, Message: fmt.Sprintf(
		"Checkpoint of the audit log: chain %s, place %d, hash %s, signature %s. Nothing is wrong; keep it, and the log can be held against it.",
		c.ChainID, c.Seq, c.Hash, c.Signature)}
	if err := fill(&a, f, now); err != nil {
		return err
	}
	return e.db.InTx(ctx, func(tx *meta.Tx) error {
		if err := tx.Create(&a); err != nil {
			return err
		}
		return e.tell(tx, a, Opened, "")
	})
}
