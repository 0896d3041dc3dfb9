package audit

import (
	"context"
	"errors"
	"iter"
	"slices"

	"gatehouse/storage/meta"
)

// archives reads those that go on where the walk is.
func (u *run) archives(ctx context.Context) error {
	list, err := u.DB.AuditArchives(ctx)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.LastSeq <= u.seq {
			continue
		}
		if a.FirstSeq > u.seq+1 {
			return nil // the database must have what is in between
		}
		if err := u.archive(ctx, a); err != nil || u.bad != nil {
			return err
		}
		u.verdict.Archives++
	}
	return nil
}

func (u *run) moreArchives(ctx context.Context) bool {
	list, err := u.DB.AuditArchives(ctx)
	return err == nil && slices.ContainsFunc(list, func(a meta.AuditArchive) bool { return a.FirstSeq <= u.seq+1 && a.LastSeq > u.seq })
}

// links yields what the database has behind a place, as it grows.
func (u *run) links(ctx context.Context, after int64) iter.Seq2[meta.AuditLink, error] {
	return func(yield func(meta.AuditLink, error) bool) {
		for {
			list, err := u.DB.AuditLinks(ctx, after, readPage)
			if err != nil {
				yield(meta.AuditLink{}, err)
				return
			}
			for _, l := range list {
				if !yield(l, nil) {
					return
				}
			}
			if len(list) < readPage {
				return
			}
			after = list[len(list)-1].Seal.Seq
		}
	}
}

// database walks to the end of what the database has. It reports true when rows were gone because they are being archived.
func (u *run) database(ctx context.Context) (archived bool, err error) {
	next, stop := iter.Pull2(u.links(ctx, u.seq))
	defer stop()
	pull := func() (meta.AuditLink, bool, error) {
		l, err, more := next()
		return l, more, err
	}
	l, more, err := pull()
	for more && err == nil && (u.last == 0 || u.seq < u.last) {
		// Not before: the checkpoints of the place before are of the chain before.
		if u.bad = u.enter(); u.bad != nil {
			return false, nil
		}
		if !u.fits(l) {
			if (l.Seal.Seq > u.seq+1 || l.Record.ID == 0) && u.moreArchives(ctx) {
				return true, nil
			}
			u.bad, err = u.diagnose(l, pull)
			return false, err
		}
		var after meta.AuditLink
		after, more, err = pull()
		if err != nil {
			return false, err
		}
		if u.Key != nil && !u.Key.made(l.Seal.Hash, l.Seal.MAC) {
			behind := &after
			if !more {
				behind = nil
			}
			u.bad = u.madeAnew(l, behind)
			return false, nil
		}
		if err := u.passed(ctx, l); err != nil || u.bad != nil {
			return false, err
		}
		l = after
	}
	return false, err
}

// passed goes over a good link.
func (u *run) passed(ctx context.Context, l meta.AuditLink) error {
	if u.bad = u.pass(l); u.bad != nil {
		return nil
	}
	return u.look(ctx)
}

// look checks what is said of the place that was just passed.
func (u *run) look(ctx context.Context) error {
	if u.Progress != nil && u.verdict.Records%readPage == 0 {
		u.Progress(u.verdict.Records)
	}
	return u.here(ctx)
}

// here checks the checkpoints of the place that was just passed, in the table and in the store.
func (u *run) here(ctx context.Context) error {
	for {
		c, err := u.nextInTable(ctx)
		if err != nil {
			return err
		}
		if c == nil || c.Seq > u.seq {
			break
		}
		u.table = u.table[1:]
		if c.ChainID != u.verdict.ChainID {
			u.bad = problem(ForgedCheckpoint, c.Seq, 0, "the checkpoint in the database is of another chain, %s.", c.ChainID)
			return nil
		}
		if u.bad = u.checkpoint(*c, "the database"); u.bad != nil {
			return nil
		}
		u.both.table = append(u.both.table, *c)
	}
	for {
		c, err := u.nextInStore(ctx)
		if err != nil {
			return err
		}
		if c == nil || c.Seq > u.seq {
			return u.compare(ctx)
		}
		u.pending = nil
		full, err := readCheckpoint(ctx, u.Zone, c.key())
		switch {
		case errors.Is(err, errForged):
			u.bad = problem(ForgedCheckpoint, c.Seq, 0, "the object %s in the store is no checkpoint.", c.key())
		case err != nil:
			return err
		default:
			u.bad = u.checkpoint(full, "the store")
			u.both.store = append(u.both.store, full)
		}
		if u.bad != nil {
			return nil
		}
	}
}

// nextInTable is the next checkpoint of the table; nil at its end.
func (u *run) nextInTable(ctx context.Context) (*Checkpoint, error) {
	if len(u.table) == 0 {
		rows, err := u.DB.AuditCheckpoints(ctx, u.tableFrom, readPage)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			u.table, u.tableFrom = append(u.table, checkpointOf(r)), r.Seq
		}
		if len(rows) == 0 {
			return nil, nil
		}
	}
	return &u.table[0], nil
}

// nextInStore is the next checkpoint of the chain in the store; nil at its end.
func (u *run) nextInStore(ctx context.Context) (*Checkpoint, error) {
	if u.chain != u.verdict.ChainID {
		if err := u.leave(ctx); err != nil {
			return nil, err
		}
		u.chain = u.verdict.ChainID
		next, stop := iter.Pull2(stored(ctx, u.Zone, u.chain, u.seq-1, u.alien))
		u.store, u.stopStore, u.pending = func() (Checkpoint, error, bool) { return next() }, stop, nil
	}
	if u.pending == nil && u.store != nil {
		c, err, more := u.store()
		if err != nil {
			return nil, err
		}
		if more {
			u.pending = &c
		} else {
			u.store = nil
		}
	}
	return u.pending, nil
}

// leave notes what the store still has of a chain that ended by a restore: records that the restore could not bring back.
func (u *run) leave(ctx context.Context) error {
	if u.chain == "" {
		return nil
	}
	c := u.pending
	for u.store != nil {
		n, err, more := u.store()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		c = &n
	}
	u.stopStore()
	if c != nil {
		u.verdict.note("The chain %s had gone on to place %d at least before the restore; its records behind place %d were lost with the database.", c.ChainID, c.Seq, u.seq)
	}
	return nil
}
