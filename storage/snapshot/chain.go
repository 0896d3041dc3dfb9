package snapshot

import (
	"errors"
	"slices"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// chain is what becomes of the chain of the audit log in a restore. Into a database whose log is empty it comes back as it
// was, and a new chain, signed, begins behind it: what was written after the snapshot is lost, and the store's checkpoints
// of it are no sign of tampering. A log that is there keeps its own chain, which then seals the records that were added;
// chains of the snapshot that it does not contain are given up, signed too.
type chain struct {
	// comesBack: the log was empty.
	comesBack bool
	// watermark is that of the chain that was there.
	watermark int64
	// chains are those of the snapshot; had are those that were there.
	chains, had []string
}

// of reports whether the table belongs to the chain.
func (chain) of(table string) bool {
	return strings.HasPrefix(table, "audit_") && table != "audit_log"
}

func (r *restore) beginChain() error {
	var records, seals int64
	if _, err := r.tx.Scan(&records, "SELECT COUNT(*) FROM audit_log"); err != nil {
		return err
	}
	if _, err := r.tx.Scan(&seals, "SELECT COUNT(*) FROM audit_seals"); err != nil {
		return err
	}
	if _, err := r.tx.Scan(&r.chain.had, "SELECT chain_id FROM audit_chains"); err != nil {
		return err
	}
	head, err := r.tx.AuditHead()
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	r.chain.watermark = head.Watermark
	r.chain.comesBack = records == 0 && seals == 0 && len(r.chain.had) == 0
	return nil
}

// chainRows writes rows of the chain's tables when the chain comes back.
func (r *restore) chainRows(t meta.Table, rows []any) (added, there int64, err error) {
	for _, row := range rows {
		if c, ok := row.(*meta.AuditChain); ok {
			r.chain.chains = append(r.chain.chains, c.ChainID)
		}
	}
	if !r.chain.comesBack {
		return 0, 0, nil
	}
	return int64(len(rows)), 0, r.tx.InsertRows(t, rows)
}

// goOnChain begins the chain behind the restore where one is needed.
func (r *restore) goOnChain() error {
	if r.mode == Fill || r.s.Key == nil || len(r.chain.chains) == 0 {
		return nil
	}
	if r.chain.comesBack {
		return r.s.Key.Restored(r.tx, r.m.ID, nil)
	}
	givenUp := slices.DeleteFunc(r.chain.chains, func(id string) bool { return slices.Contains(r.chain.had, id) })
	if len(givenUp) == 0 {
		return nil
	}
	return r.s.Key.Restored(r.tx, r.m.ID, givenUp)
}
