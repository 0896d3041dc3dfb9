package audit

import (
	"fmt"

	"gatehouse/storage/meta"
)

// The kinds of what can be wrong.
const (
	Changed          = "changed"
	Removed          = "removed"
	Inserted         = "inserted"
	Reordered        = "reordered"
	CutOff           = "cut_off"
	ForgedCheckpoint = "forged_checkpoint"
	// Unsigned is what nobody with the key vouches for.
	Unsigned = "unsigned"
)

// Problem is the first thing that is wrong with a log.
type Problem struct {
	Kind string `json:"kind"`
	// Seq is the place in the chain, 0 of a record that has none; RecordID is 0 when nobody can tell it any more.
	Seq      int64 `json:"seq"`
	RecordID int64 `json:"record_id"`
	// Sentence says it to people.
	Sentence string `json:"sentence"`
}

// Verdict is what a verification found.
type Verdict struct {
	Whole   bool     `json:"whole"`
	Problem *Problem `json:"problem,omitempty"`
	// FirstSeq to LastSeq were checked, and are Records; Checkpoints counts those whose signature and place were.
	FirstSeq    int64 `json:"first_seq"`
	LastSeq     int64 `json:"last_seq"`
	Records     int64 `json:"records"`
	Checkpoints int64 `json:"checkpoints"`
	Archives    int64 `json:"archives"`
	// SignedSeq is the last place that a checkpoint vouches for; what is behind it is chained, and not signed yet.
	SignedSeq int64 `json:"signed_seq"`
	// ChainID is the chain of LastSeq.
	ChainID     string `json:"chain_id"`
	Fingerprint string `json:"public_key_fingerprint"`
	// Notes are what is no tampering and should be known: a restore, chains that were given up.
	Notes []string `json:"notes"`
}

func (v *Verdict) note(format string, args ...any) {
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

func problem(kind string, seq, id int64, format string, args ...any) *Problem {
	where := fmt.Sprintf("At place %d", seq)
	switch {
	case seq == 0:
		where = fmt.Sprintf("Record %d", id)
	case id != 0:
		where += fmt.Sprintf(" (record %d)", id)
	}
	return &Problem{Kind: kind, Seq: seq, RecordID: id, Sentence: where + ": " + fmt.Sprintf(format, args...)}
}

// walk checks links one after another. It knows nothing of where they come from.
type walk struct {
	public PublicKey
	key    *Key // to check MACs with; may be nil
	v      *Verdict
	// seq and hash are those of the last good link.
	seq    int64
	hash   string
	chains []meta.AuditChain // those that begin behind seq, in order
	// skip is the place up to which a file is passed over, when a walk goes on in it.
	skip int64
	// watermark is the highest that a checkpoint has signed.
	watermark int64
	// unsigned is when the first place was sealed that nothing signed vouches for yet; 0 when there is none.
	unsigned meta.Stamp
	// allowUnsigned takes a file whose end is not signed.
	allowUnsigned bool
}

// enter passes the beginnings of chains that are due at the next place.
func (w *walk) enter() *Problem {
	for len(w.chains) > 0 && w.chains[0].FirstSeq <= w.seq+1 {
		c := w.chains[0]
		switch {
		case !w.public.signed(chainStatement(c), c.Signature):
			return problem(ForgedCheckpoint, c.FirstSeq, 0, "a chain %s is said to begin here, and that is not signed with the key %s.", c.ChainID, w.public.Fingerprint())
		case c.FirstSeq == w.seq+1 && c.PrevHash != w.hash:
			return problem(Changed, w.seq, 0, "the chain %s began here behind a seal that had another hash.", c.ChainID)
		case c.FirstSeq == w.seq+1: // its signature is over the hash in front of it
			w.v.SignedSeq, w.unsigned = max(w.v.SignedSeq, w.seq), 0
		}
		if w.v.ChainID != "" {
			w.v.note("From place %d on the log goes on as chain %s, begun %s: %s.", c.FirstSeq, c.ChainID, c.BeganAt.Time().Format(timeLayout), c.Reason)
		}
		w.v.ChainID = c.ChainID
		w.chains = w.chains[1:]
	}
	return nil
}

const timeLayout = "2006-01-02T15:04:05Z"

// fits reports whether the link comes next; when not, diagnose says what is wrong.
func (w *walk) fits(l meta.AuditLink) bool {
	return l.Seal.Seq == w.seq+1 && l.Record.ID == l.Seal.RecordID && follows(w.hash, l.Seal.Seq, l.Seal, l.Record)
}

// pass goes over a link that fits, unless its record came too late to be an honest one.
func (w *walk) pass(l meta.AuditLink) *Problem {
	if l.Record.ID <= w.watermark {
		return problem(Inserted, l.Seal.Seq, l.Record.ID, "the record was sealed after a checkpoint that says that no record up to %d was missing any more: it was put there later.", w.watermark)
	}
	w.seq, w.hash = l.Seal.Seq, l.Seal.Hash
	w.v.LastSeq, w.v.Records = w.seq, w.v.Records+1
	if w.unsigned == 0 {
		w.unsigned = l.Seal.SealedAt
	}
	return nil
}

// checkpoint checks one whose place the walk has just passed.
func (w *walk) checkpoint(c Checkpoint, where string) *Problem {
	switch {
	case !c.Signed(w.public):
		return problem(ForgedCheckpoint, c.Seq, 0, "the checkpoint in %s is not signed with the key %s.", where, w.public.Fingerprint())
	case c.Hash != w.hash:
		return problem(Changed, c.Seq, 0, "the checkpoint in %s, of %s, was signed when the chain had another hash here: a record at or before this place, behind place %d, was changed, and the chain made anew.",
			where, c.At.Format(timeLayout), w.v.SignedSeq)
	}
	w.v.Checkpoints++
	w.v.SignedSeq, w.watermark = max(w.v.SignedSeq, c.Seq), max(w.watermark, c.Watermark)
	w.unsigned = 0
	return nil
}

// ahead is how many links behind a bad one are looked at to say what happened to it.
const ahead = 100_000

// diagnose says what is wrong with a link that does not fit; next gives those behind it.
func (w *walk) diagnose(bad meta.AuditLink, next func() (meta.AuditLink, bool, error)) (*Problem, error) {
	place := w.seq + 1
	gap := bad.Seal.Seq != place
	if !gap && bad.Record.ID == 0 {
		return problem(Removed, place, bad.Seal.RecordID, "the record is gone, and its seal is there."), nil
	}
	for i := range ahead {
		l, more, err := next()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		switch {
		case gap && l.Seal.Seq == place:
			return problem(Reordered, place, l.Seal.RecordID, "the record comes later than its place."), nil
		case gap || l.Record.ID == 0:
			continue
		case follows(w.hash, place, bad.Seal, l.Record):
			return problem(Reordered, place, l.Record.ID, "the seal names record %d, and was made for record %d, which is at place %d.", bad.Seal.RecordID, l.Record.ID, l.Seal.Seq), nil
		case follows(w.hash, place, l.Seal, l.Record):
			// The one that belongs here comes next: the bad one was put in front of it, unless both have changed places.
			if i == 0 && !follows(l.Seal.Hash, place+1, bad.Seal, bad.Record) {
				return problem(Inserted, place, bad.Seal.RecordID, "the record was put in front of record %d, which belongs here.", l.Seal.RecordID), nil
			}
			return problem(Reordered, place, l.Seal.RecordID, "record %d belongs here, and is at place %d.", l.Seal.RecordID, l.Seal.Seq), nil
		case i == 0 && follows(bad.Seal.Hash, place+2, l.Seal, l.Record):
			return problem(Removed, place, 0, "a record is gone, and those behind it were moved up."), nil
		case follows(w.hash, place, bad.Seal, withID(l.Record, bad.Record.ID)):
			return problem(Reordered, place, bad.Record.ID, "the content of records %d and %d was exchanged.", bad.Record.ID, l.Record.ID), nil
		}
	}
	if gap {
		return problem(Removed, place, 0, "the seal is gone, and with it perhaps the record; the next is at place %d, of record %d.", bad.Seal.Seq, bad.Seal.RecordID), nil
	}
	return problem(Changed, place, bad.Seal.RecordID, "the record or its seal is not what was sealed here."), nil
}

func withID(r meta.AuditRecord, id int64) meta.AuditRecord {
	r.ID = id
	return r
}

// madeAnew says what is wrong with a link that fits, and whose seal the sealer did not make; after is the next link, if any.
func (w *walk) madeAnew(l meta.AuditLink, after *meta.AuditLink) *Problem {
	if after != nil && follows(l.Seal.Hash, l.Seal.Seq+1, after.Seal, after.Record) && w.key.made(after.Seal.Hash, after.Seal.MAC) {
		return problem(Inserted, l.Seal.Seq, l.Seal.RecordID, "somebody else than the sealer has sealed the record, and the log went on behind it.")
	}
	if after == nil && w.v.SignedSeq < l.Seal.Seq {
		return problem(Inserted, l.Seal.Seq, l.Seal.RecordID, "somebody else than the sealer has put the record, with a seal, to the end of the log.")
	}
	return problem(Changed, l.Seal.Seq, l.Seal.RecordID, "somebody else than the sealer has sealed the record: it was changed, removed or put there, and the chain made anew from here on.")
}
