package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

const (
	// sealBatch is how many records one transaction seals.
	sealBatch = 1000
	// lookEvery is how often everything behind the watermark is looked at, for records that committed late; in between only
	// what is behind the last sealed one is.
	lookEvery = 5 * time.Second
	// markEvery is how often the sealer notes up to which number it has seen records.
	markEvery = 10 * time.Second
	// checkpointEvery is the least time between two checkpoints.
	checkpointEvery = time.Minute
)

// Sealer chains records. Any number of workers may have one: of two at once, one wins, and the other finds its work done.
type Sealer struct {
	DB *meta.DB
	// Zone is where checkpoints and archives lie (blob.Zones.Audit).
	Zone blob.Bucket
	Key  *Key
	// Online is how long records stay in the database; 0 keeps them for ever. SpoolDir is where an archive lies while it is
	// written.
	Online   time.Duration
	SpoolDir string
	// Log is told of what only somebody else than the sealer can have done; nil tells slog's own.
	Log *slog.Logger
	// Now is the clock; nil is the real one, whose differences do not jump when it is set.
	Now func() time.Time

	// archiving is beside mu: an archive takes minutes, and records are sealed meanwhile.
	archiving sync.Mutex
	mu        sync.Mutex
	// marks are how far records were seen when, oldest first; looked is when everything was last looked at.
	marks  []mark
	looked time.Time
	// tip is the head as this sealer left it, own its last checkpoint, refused when it last would not sign.
	tip     meta.AuditState
	own     Checkpoint
	refused time.Time
	alarms  atomic.Int64
}

type mark struct {
	at time.Time
	id int64
}

func (s *Sealer) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Seal seals what is there, and makes a checkpoint when one is due. It reports how many records it sealed.
func (s *Sealer) Seal(ctx context.Context) (int, error) { return s.run(ctx, checkpointEvery) }

// Finish is Seal with a checkpoint whatever the time, for a worker that stops.
func (s *Sealer) Finish(ctx context.Context) error {
	_, err := s.run(ctx, 0)
	return err
}

func (s *Sealer) run(ctx context.Context, every time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.seal(ctx)
	if err != nil {
		return n, fmt.Errorf("seal the audit log: %w", err)
	}
	if err := s.checkpoint(ctx, every); err != nil {
		return n, fmt.Errorf("make a checkpoint of the audit log: %w", err)
	}
	return n, nil
}

// head reads the head of the chain, and begins the first chain.
func (s *Sealer) head(ctx context.Context) (meta.AuditState, error) {
	head, err := s.DB.AuditHead(ctx)
	if !errors.Is(err, storage.ErrNotFound) {
		return head, err
	}
	if id, err := s.DB.LastSealedID(ctx); err != nil || id > 0 {
		return head, errors.Join(err, errors.New("the head of the chain is gone, and its seals are there: somebody has changed the database; look at it with gateway audit verify"))
	}
	err = s.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.BeginChain(s.Key.begin(nil, "the first records were sealed", nil), nil)
		return err
	})
	if err != nil {
		return head, err
	}
	return s.DB.AuditHead(ctx)
}

func (s *Sealer) seal(ctx context.Context) (total int, err error) {
	head, err := s.head(ctx)
	if err != nil {
		return 0, err
	}
	now := s.now()
	all := s.looked.IsZero() || now.Sub(s.looked) >= lookEvery
	after := head.Watermark
	if !all {
		last, err := s.DB.LastSealedID(ctx)
		if err != nil {
			return 0, err
		}
		after = max(after, last)
	}
	// Read before what is to be sealed: every record up to it that can be seen now is sealed below.
	seen, err := s.DB.LastAuditID(ctx)
	if err != nil {
		return 0, err
	}
	for {
		if head, err = s.head(ctx); err != nil { // before the records: nobody has sealed since when the head stands still
			return total, err
		}
		records, err := s.DB.Unsealed(ctx, after, sealBatch)
		if err != nil {
			return total, err
		}
		if len(records) == 0 {
			break
		}
		if err := s.standsOn(ctx, head); err != nil {
			return total, err
		}
		won, err := s.append(ctx, head, records)
		if err != nil {
			return total, err
		}
		if won {
			total += len(records)
			after = records[len(records)-1].ID
		}
	}
	if !all {
		return total, nil
	}
	s.looked = now
	return total, s.raise(ctx, head, now, seen)
}

// append seals records behind the head; false when another sealer was quicker.
func (s *Sealer) append(ctx context.Context, head meta.AuditState, records []meta.AuditRecord) (won bool, err error) {
	at := meta.StampOf(s.now())
	seals := make([]meta.AuditSeal, len(records))
	prev := head.Hash
	for i, r := range records {
		seq := head.Seq + int64(i) + 1
		prev = sealHash(prev, seq, at, r)
		seals[i] = meta.AuditSeal{Seq: seq, RecordID: r.ID, Hash: prev, MAC: s.Key.sealMAC(prev), SealedAt: at}
	}
	err = s.DB.InTx(ctx, func(tx *meta.Tx) error {
		won, err = tx.AppendSeals(head, seals)
		return err
	})
	if won && err == nil {
		head.Seq, head.Hash = seals[len(seals)-1].Seq, prev
		s.tip = head
	}
	return won && err == nil, err
}

// raise notes how far records were seen, and moves the watermark to what was seen Settles ago: by then every transaction
// with a lower number has committed or never will. Differences of one clock are taken only, this process's own; a worker
// that starts anew waits for Settles, and the watermark stands still meanwhile.
func (s *Sealer) raise(ctx context.Context, head meta.AuditState, now time.Time, seen int64) error {
	if len(s.marks) == 0 || now.Sub(s.marks[len(s.marks)-1].at) >= markEvery {
		s.marks = append(s.marks, mark{now, seen})
	}
	var settled int64
	for len(s.marks) > 0 && now.Sub(s.marks[0].at) >= Settles {
		settled = s.marks[0].id
		s.marks = s.marks[1:]
	}
	if settled <= head.Watermark {
		return nil
	}
	return s.DB.RaiseWatermark(ctx, head, settled)
}

// Latest is the last checkpoint; storage.ErrNotFound when there is none.
func (s *Sealer) Latest(ctx context.Context) (Checkpoint, error) {
	list, err := CheckpointsOf(ctx, s.DB, 0, 1)
	if err != nil || len(list) == 0 {
		return Checkpoint{}, errors.Join(err, storage.ErrNotFound)
	}
	return list[0], nil
}

// begin is the signed beginning of a chain: the first one of all, or behind a head.
func (k *Key) begin(behind *meta.AuditState, reason string, givesUp []string) meta.AuditChain {
	c := meta.AuditChain{
		ChainID: meta.NewID(), FirstSeq: 1, PrevHash: noHash, BeganAt: meta.Now(), Reason: reason, GivesUp: strings.Join(givesUp, ","),
	}
	if behind != nil {
		c.FirstSeq, c.PrevHash = behind.Seq+1, behind.Hash
	}
	c.Signature = k.sign(chainStatement(c))
	return c
}

func chainStatement(c meta.AuditChain) []byte {
	return encode(domainChain, c.ChainID, number(c.FirstSeq), c.PrevHash, number(c.BeganAt), c.Reason, c.GivesUp)
}

// Restored begins a new chain behind the one that a restore has brought back, or, where the log has a chain of its own, says
// that the chains of the snapshot are given up: what the store knows of them is not missing then, but told.
func (k *Key) Restored(tx *meta.Tx, snapshot string, givesUp []string) error {
	head, err := tx.AuditHead()
	if errors.Is(err, storage.ErrNotFound) {
		_, err = tx.BeginChain(k.begin(nil, "restored from the snapshot "+snapshot, givesUp), nil)
		return err
	}
	if err != nil {
		return err
	}
	_, err = tx.BeginChain(k.begin(&head, "restored from the snapshot "+snapshot, givesUp), &head)
	return err
}
