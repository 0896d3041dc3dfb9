package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// looksAt is how many of the newest checkpoints in the table are looked at for one of the sealer's own: others are not there
// unless somebody has put them there.
const looksAt = 100

// Alarms counts what the sealer met and only somebody else can have done.
func (s *Sealer) Alarms() int64 { return s.alarms.Load() }

// alarm makes it be heard: in the log, and in the metric.
func (s *Sealer) alarm(ctx context.Context, what string, args ...any) {
	s.alarms.Add(1)
	log := s.Log
	if log == nil {
		log = slog.Default()
	}
	log.ErrorContext(ctx, "audit log: "+what, args...)
}

// checkpoint signs the head when there is something new: into the store first, then into the database. Nothing that the
// database says is taken for a reason not to sign, unless this key has signed it.
func (s *Sealer) checkpoint(ctx context.Context, every time.Duration) error {
	// The table before the head: no honest checkpoint is ahead of it then.
	rows, err := s.DB.AuditCheckpointsBefore(ctx, 0, looksAt)
	if err != nil {
		return err
	}
	head, err := s.DB.AuditHead(ctx)
	if err != nil || head.Seq == 0 {
		return err
	}
	own, alien := s.newest(head, rows)
	now := s.now()
	age := now.Sub(own.At)
	if own.Seq >= head.Seq || own.Seq > 0 && age >= 0 && age < every {
		return nil
	}
	if since := now.Sub(s.refused); !s.refused.IsZero() && since >= 0 && since < every {
		return nil // it was said a moment ago
	}
	if alien != nil {
		s.alarm(ctx, "the table has a checkpoint that this key has not signed, or that is ahead of the log; gateway audit verify tells more", "seq", alien.Seq, "chain", alien.ChainID)
	}
	begun, base, err := s.base(ctx, head, own)
	if err != nil || !begun {
		return err
	}
	if err := s.proven(ctx, head, base); err != nil {
		if errors.Is(err, errNotOurs) {
			s.refused = now
			s.alarm(ctx, "it is not signed: it is not what this key has sealed; gateway audit verify tells more", "error", err)
		}
		return err
	}
	s.refused = time.Time{}
	return s.sign(ctx, head, meta.StampOf(now))
}

// newest is the last checkpoint of the head's chain that this key has signed, and the first row that is none.
func (s *Sealer) newest(head meta.AuditState, rows []meta.AuditCheckpoint) (own Checkpoint, alien *meta.AuditCheckpoint) {
	if s.own.ChainID == head.ChainID && s.own.Seq <= head.Seq {
		own = s.own
	}
	for i, r := range rows {
		c := checkpointOf(r)
		switch {
		case !c.Signed(s.Key.Public()) || c.Seq > head.Seq:
			if alien == nil {
				alien = &rows[i]
			}
		case c.ChainID == head.ChainID && c.Seq > own.Seq:
			own = c
		}
	}
	return own, alien
}

// place is one in the chain with the hash of its seal.
type place struct {
	seq  int64
	hash string
}

// base is where to begin to look before the head is signed: behind what was signed already, its beginning at least. It
// reports false when the chain has no place of its own yet.
func (s *Sealer) base(ctx context.Context, head meta.AuditState, own Checkpoint) (bool, place, error) {
	chains, err := s.DB.AuditChains(ctx)
	if err != nil {
		return false, place{}, err
	}
	at := place{0, noHash}
	for _, c := range chains {
		if c.ChainID != head.ChainID {
			continue
		}
		if c.FirstSeq > head.Seq {
			return false, at, nil
		}
		if s.Key.Public().signed(chainStatement(c), c.Signature) {
			at = place{c.FirstSeq - 1, c.PrevHash}
		}
	}
	if own.Seq > at.seq {
		at = place{own.Seq, own.Hash}
	}
	archives, err := s.DB.AuditArchives(ctx)
	if err != nil {
		return false, at, err
	}
	for _, a := range archives {
		if a.LastSeq <= at.seq || a.LastSeq > head.Seq {
			continue
		}
		if _, err := s.DB.AuditSealAt(ctx, at.seq+1); errors.Is(err, storage.ErrNotFound) {
			at = place{a.LastSeq, a.Hash}
		} else if err != nil {
			return false, at, err
		}
	}
	return true, at, nil
}

// errNotOurs says that what is to be signed is not what this key has sealed.
var errNotOurs = errors.New("the log was changed behind the last checkpoint")

// proven checks every record, hash and MAC from base to the head: a minute of them, as a rule. What was rewritten since the
// last checkpoint is not signed.
func (s *Sealer) proven(ctx context.Context, head meta.AuditState, at place) error {
	for at.seq < head.Seq {
		list, err := s.DB.AuditLinks(ctx, at.seq, readPage)
		if err != nil {
			return err
		}
		for _, l := range list {
			switch {
			case at.seq == head.Seq: // more was sealed meanwhile
			case l.Seal.Seq != at.seq+1 || l.Record.ID != l.Seal.RecordID || !follows(at.hash, l.Seal.Seq, l.Seal, l.Record):
				return fmt.Errorf("%w: place %d, record %d, is not what was sealed there", errNotOurs, at.seq+1, l.Seal.RecordID)
			case !s.Key.made(l.Seal.Hash, l.Seal.MAC):
				return fmt.Errorf("%w: the seal of place %d, record %d, is not made with this key", errNotOurs, at.seq+1, l.Seal.RecordID)
			default:
				at = place{l.Seal.Seq, l.Seal.Hash}
			}
		}
		if len(list) == 0 {
			return fmt.Errorf("%w: the head is at place %d, and place %d has no seal", errNotOurs, head.Seq, at.seq+1)
		}
	}
	if at.hash != head.Hash {
		return fmt.Errorf("%w: the head has another hash than place %d", errNotOurs, head.Seq)
	}
	return nil
}

// standsOn checks that the head is the place that it says: what is appended to another would break the chain for good. A
// seal there that is not of this key does not keep records from being sealed, which names it ever after; it is not signed.
func (s *Sealer) standsOn(ctx context.Context, head meta.AuditState) error {
	if head.Seq == 0 || head.Seq == s.tip.Seq && head.Hash == s.tip.Hash {
		return nil
	}
	seal, err := s.DB.AuditSealAt(ctx, head.Seq)
	if errors.Is(err, storage.ErrNotFound) {
		return s.standsOnArchive(ctx, head)
	}
	if err != nil {
		return err
	}
	now, err := s.DB.AuditHead(ctx)
	switch {
	case err != nil || now.Seq != head.Seq || now.Hash != head.Hash: // another sealer was quicker: nothing is appended to this head
		return err
	case seal.Hash != head.Hash:
		return s.broken(ctx, head)
	case !s.Key.made(seal.Hash, seal.MAC):
		s.alarm(ctx, "the last seal is not made with this key; gateway audit verify tells more", "seq", seal.Seq, "record", seal.RecordID)
	}
	return nil
}

func (s *Sealer) standsOnArchive(ctx context.Context, head meta.AuditState) error {
	list, err := s.DB.AuditArchives(ctx)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.LastSeq == head.Seq && a.Hash == head.Hash {
			return nil
		}
	}
	return s.broken(ctx, head)
}

func (s *Sealer) broken(ctx context.Context, head meta.AuditState) error {
	s.alarm(ctx, "the head of the chain is not its last seal, and nothing is sealed; gateway audit verify tells more", "seq", head.Seq)
	return fmt.Errorf("the head of the chain says place %d, and the seal there is gone or another one: somebody has changed the database; look at it with gateway audit verify", head.Seq)
}

// sign makes a checkpoint of a head.
func (s *Sealer) sign(ctx context.Context, head meta.AuditState, now meta.Stamp) error {
	c := s.Key.checkpoint(head, now)
	if err := c.keep(ctx, s.Zone); err != nil {
		return err
	}
	s.own = c // it is in the store: a row that somebody else has put in its place changes nothing
	return s.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.AddCheckpoint(c.row())
		return err
	})
}
