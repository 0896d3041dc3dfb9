package audit

import (
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/storage/blob"
)

// signedWithin is how long a seal may wait for a checkpoint, which comes every minute.
const signedWithin = 10 * time.Minute

// oneSided are the checkpoints of a walk that it saw on one side only. table and store are those of the place that was just
// passed, onlyTable and onlyStore the first of the others.
type oneSided struct {
	table, store         []Checkpoint
	onlyTable, onlyStore []Checkpoint
	tableMore, storeMore int
}

// oneSidedMost bounds what is remembered.
const oneSidedMost = 1000

// compare holds what table and store say of the place that was just passed against each other.
func (u *run) compare(ctx context.Context) error {
	b := &u.both
	for _, c := range b.table {
		if slices.ContainsFunc(b.store, func(s Checkpoint) bool { return s.key() == c.key() }) {
			continue
		}
		if len(b.onlyTable) < oneSidedMost {
			b.onlyTable = append(b.onlyTable, c)
		} else {
			b.tableMore++
		}
	}
	if len(b.table) == 0 && len(b.store) > 0 {
		if len(b.onlyStore) < oneSidedMost {
			b.onlyStore = append(b.onlyStore, b.store[0])
		} else {
			b.storeMore++
		}
	}
	b.table, b.store = b.table[:0], b.store[:0]
	return ctx.Err()
}

// onOneSide notes checkpoints that the other side does not have. It is no proof of tampering: the sealer may have died
// between the two, or a store is new. It looks again before: the log has grown while it was walked over.
func (u *run) onOneSide(ctx context.Context) error {
	lost := func(list []Checkpoint, there func(Checkpoint) (bool, error)) ([]Checkpoint, error) {
		var out []Checkpoint
		for _, c := range list {
			found, err := there(c)
			if err != nil {
				return nil, err
			}
			if !found {
				out = append(out, c)
			}
		}
		return out, nil
	}
	table, err := lost(u.both.onlyTable, func(c Checkpoint) (bool, error) {
		_, err := u.Zone.Stat(ctx, c.key())
		if errors.Is(err, blob.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	if n := len(table); n > 0 {
		u.verdict.note("%d checkpoints are in the database, and not in the store, the first at place %d.", n+u.both.tableMore, table[0].Seq)
	}
	store, err := lost(u.both.onlyStore, func(c Checkpoint) (bool, error) {
		rows, err := u.DB.AuditCheckpoints(ctx, c.Seq-1, 1)
		return len(rows) > 0 && rows[0].Seq == c.Seq, err
	})
	if n := len(store); n > 0 {
		u.verdict.note("%d checkpoints are in the store, and not in the database, the first at place %d.", n+u.both.storeMore, store[0].Seq)
	}
	return err
}

// tooLongUnsigned finds a log whose end nobody signs.
func (u *run) tooLongUnsigned() {
	if u.unsigned == 0 || time.Since(u.unsigned.Time()) < signedWithin {
		return
	}
	since := u.unsigned.Time().Format(timeLayout)
	if u.verdict.Checkpoints == 0 && u.verdict.SignedSeq == 0 {
		u.bad = problem(Unsigned, 1, 0, "the log has been sealed since %s, and there is no checkpoint at all, neither in the database nor in the store: they were removed, or no worker signs.", since)
		return
	}
	u.bad = problem(Unsigned, u.verdict.SignedSeq+1, 0, "what is sealed from here on, since %s, is not signed: checkpoints were removed, or no worker signs (its log says why; one that stopped hard signs when it runs again).", since)
}
