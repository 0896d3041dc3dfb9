package audit

import (
	"context"
	"errors"
	"math"
	"slices"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// behind checks what only the whole log tells: its end, what was put in, and the checkpoints of both places.
func (u *run) behind(ctx context.Context, chains []meta.AuditChain) error {
	if err := u.ends(ctx); err != nil || u.bad != nil {
		return err
	}
	if err := u.inserted(ctx); err != nil || u.bad != nil {
		return err
	}
	if err := u.onOneSide(ctx); err != nil {
		return err
	}
	if u.tooLongUnsigned(); u.bad != nil {
		return nil
	}
	return u.others(ctx, chains)
}

// ends checks that nothing was cut off: whoever speaks of a later place, the head or a checkpoint, must be able to show it.
func (u *run) ends(ctx context.Context) error {
	if u.bad = u.enter(); u.bad != nil {
		return nil
	}
	for {
		further, where, err := u.further(ctx)
		if err != nil || u.bad != nil || further <= u.seq {
			return err
		}
		was := u.seq
		if _, err := u.database(ctx); err != nil || u.bad != nil { // it has grown meanwhile, then
			return err
		}
		if u.seq == was {
			u.bad = problem(CutOff, u.seq+1, 0, "the log ends at place %d, and %s says that it had gone on to place %d: what is missing was cut off.", u.seq, where, further)
			return nil
		}
	}
}

func (u *run) further(ctx context.Context) (int64, string, error) {
	if u.verdict.ChainID == "" { // nothing was ever sealed; or all of it is gone, which others() tells
		return 0, "", nil
	}
	c, err := u.nextInStore(ctx)
	if err != nil {
		return 0, "", err
	}
	if c != nil && c.Seq > u.seq {
		return c.Seq, "a checkpoint in the store", nil
	}
	if c, err = u.nextInTable(ctx); err != nil {
		return 0, "", err
	}
	if c != nil && c.Seq > u.seq {
		return c.Seq, "a checkpoint in the database", nil
	}
	head, err := u.DB.AuditHead(ctx)
	if errors.Is(err, storage.ErrNotFound) {
		u.bad = problem(Removed, u.seq, 0, "the head of the chain is gone.")
		return 0, "", nil
	}
	return head.Seq, "the head of the chain", err
}

// inserted looks for records without a seal where the sealer had sealed everything.
func (u *run) inserted(ctx context.Context) error {
	head, err := u.DB.AuditHead(ctx)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	after := int64(math.MinInt64)
	if u.verdict.FirstSeq > 1 && u.verdict.Archives == 0 { // a part only: what is around its first record
		if first, err := u.DB.AuditSealAt(ctx, u.verdict.FirstSeq); err == nil {
			after = first.RecordID - 1
		}
	}
	id, err := u.DB.UnsealedUpTo(ctx, after, max(head.Watermark, u.watermark))
	if err != nil || id == 0 {
		return err
	}
	u.bad = problem(Inserted, 0, id, "the record has no seal, and every record up to %d had one: it was put there later.", head.Watermark)
	return nil
}

// others looks for chains that only the store knows: the database was emptied or exchanged, unless a restore says so.
func (u *run) others(ctx context.Context, known []meta.AuditChain) error {
	names, err := storedChains(ctx, u.Zone, u.alien)
	if err != nil {
		return err
	}
	var givenUp []string
	var ours []string
	for _, c := range known {
		ours = append(ours, c.ChainID)
		givenUp = append(givenUp, splitList(c.GivesUp)...)
	}
	for _, name := range names {
		switch {
		case slices.Contains(ours, name):
		case slices.Contains(givenUp, name):
			u.verdict.note("The store has checkpoints of chain %s, which this log does not contain: a restore has given it up.", name)
		default:
			return u.foreign(ctx, name)
		}
	}
	return nil
}

// foreign judges a chain that the store has and the database does not know.
func (u *run) foreign(ctx context.Context, name string) error {
	for c, err := range stored(ctx, u.Zone, name, 0, u.alien) {
		if err != nil {
			return err
		}
		full, err := readCheckpoint(ctx, u.Zone, c.key())
		if err != nil && !errors.Is(err, errForged) {
			return err
		}
		if err != nil || !full.Signed(u.Public) {
			u.bad = problem(ForgedCheckpoint, c.Seq, 0, "the store has a checkpoint of a chain %s that is not signed with the key %s.", name, u.Public.Fingerprint())
			return nil
		}
		u.bad = problem(CutOff, 1, 0, "the store has checkpoints of the chain %s, of which the database has nothing: the whole log was cut off or exchanged.", name)
		return nil
	}
	return nil
}
