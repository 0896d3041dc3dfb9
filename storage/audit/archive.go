package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

const (
	// archiveMost is how many records one archive has at most: some ten megabytes packed.
	archiveMost = 100_000
	// dropBatch is how many records leave the database in one transaction.
	dropBatch = 1000
	// archiveFolder is where archives lie in the zone.
	archiveFolder = "archives/"
)

// Archive takes records that are older than Online out of the database into the store, an archive at a time, and reports
// how many. A record leaves only when the archive that has it was read back and found whole.
func (s *Sealer) Archive(ctx context.Context) (int64, error) {
	s.archiving.Lock()
	defer s.archiving.Unlock()
	var total int64
	if s.Online <= 0 {
		return 0, nil
	}
	before := meta.StampOf(s.now().Add(-s.Online))
	for {
		n, err := s.archiveOne(ctx, before)
		total += n
		if err != nil || n == 0 {
			if err != nil {
				err = fmt.Errorf("archive the audit log: %w", err)
			}
			return total, err
		}
	}
}

func (s *Sealer) archiveOne(ctx context.Context, before meta.Stamp) (int64, error) {
	list, err := s.DB.AuditArchives(ctx)
	if err != nil {
		return 0, err
	}
	prev := meta.AuditArchive{Hash: noHash}
	if len(list) > 0 {
		prev = list[len(list)-1]
	}
	left, err := s.drop(ctx, prev.LastSeq) // what an interrupted run has left
	if err != nil {
		return left, err
	}
	last, err := s.due(ctx, prev, before)
	if err != nil || last == nil {
		return left, err
	}
	a, err := s.write(ctx, prev, *last)
	if err != nil {
		return left, err
	}
	if err := s.readBack(ctx, a, prev.Hash); err != nil {
		return left, err
	}
	won := false
	err = s.DB.InTx(ctx, func(tx *meta.Tx) error {
		if won, err = tx.AddArchive(a); err != nil || !won {
			return err
		}
		return Write(tx, Entry{Actor: Worker, Action: "audit.archive", Target: a.Object, Result: OK, Data: map[string]any{
			"first_seq": a.FirstSeq, "last_seq": a.LastSeq, "bytes": a.Bytes, "sha256": a.SHA256,
		}})
	})
	if err != nil || !won {
		return left, err
	}
	n, err := s.drop(ctx, a.LastSeq)
	return left + n, err
}

// due finds the last seal of the next archive: every record up to it is old. A record whose own time is ahead of its seal's
// is as old as the seal.
func (s *Sealer) due(ctx context.Context, prev meta.AuditArchive, before meta.Stamp) (*meta.AuditSeal, error) {
	var last *meta.AuditSeal
	for after := prev.LastSeq; after-prev.LastSeq < archiveMost; {
		list, err := s.DB.AuditLinks(ctx, after, readPage)
		if err != nil || len(list) == 0 {
			return last, err
		}
		for _, l := range list {
			if min(l.Record.At, l.Seal.SealedAt) >= before || l.Record.ID == 0 || l.Seal.Seq > prev.LastSeq+archiveMost {
				return last, nil
			}
			last, after = &l.Seal, l.Seal.Seq
		}
	}
	return last, nil
}

// write makes the archive of the places behind prev up to last.
func (s *Sealer) write(ctx context.Context, prev meta.AuditArchive, last meta.AuditSeal) (a meta.AuditArchive, err error) {
	chain, err := s.chainAt(ctx, last.Seq)
	if err != nil {
		return a, err
	}
	f, err := os.CreateTemp(s.SpoolDir, "audit-*")
	if err != nil {
		return a, fmt.Errorf("spool an archive: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := os.Remove(f.Name()); err != nil {
		return a, fmt.Errorf("spool an archive: %w", err)
	}
	own := s.Key.checkpoint(meta.AuditState{ChainID: chain, Seq: last.Seq, Hash: last.Hash}, meta.StampOf(s.now()))
	sum := sha256.New()
	e := Exporter{DB: s.DB, Public: s.Key.Public(), Key: s.Key}
	if _, err := e.span(ctx, io.MultiWriter(f, sum), packZstd, prev.LastSeq+1, last.Seq, &own); err != nil {
		return a, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return a, fmt.Errorf("spool an archive: %w", err)
	}
	a = meta.AuditArchive{FirstSeq: prev.LastSeq + 1, LastSeq: last.Seq, Bytes: size, SHA256: sumOf(sum), Hash: last.Hash, At: meta.StampOf(s.now())}
	// The digest in the name: nothing that is there is ever overwritten with something else.
	a.Object = fmt.Sprintf("%s%020d-%020d-%s.jsonl.zst", archiveFolder, a.FirstSeq, a.LastSeq, a.SHA256[:16])
	return a, s.Zone.Put(ctx, a.Object, f, size, blob.PutOptions{ContentType: "application/zstd"})
}

func (s *Sealer) chainAt(ctx context.Context, seq int64) (string, error) {
	chains, err := s.DB.AuditChains(ctx)
	id := ""
	for _, c := range chains {
		if c.FirstSeq <= seq {
			id = c.ChainID
		}
	}
	return id, err
}

// readBack reads the archive where it lies now.
func (s *Sealer) readBack(ctx context.Context, a meta.AuditArchive, prev string) (err error) {
	v := Verdict{}
	w := &walk{public: s.Key.Public(), v: &v, seq: a.FirstSeq - 1, hash: prev}
	if w.chains, err = s.DB.AuditChains(ctx); err != nil {
		return err
	}
	if p := w.enter(); p != nil {
		return errors.New(p.Sentence)
	}
	p, err := w.archive(ctx, s.Zone, a, func(meta.AuditLink) error { return nil })
	if err != nil {
		return err
	}
	if p != nil {
		return fmt.Errorf("the archive %s is not whole, and nothing was removed: %s", a.Object, p.Sentence)
	}
	return nil
}

// drop deletes what the archives have up to a place.
func (s *Sealer) drop(ctx context.Context, upTo int64) (total int64, err error) {
	for upTo > 0 {
		n, err := s.DB.DropArchived(ctx, upTo, dropBatch)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
	return total, nil
}

// archive walks over an archive in the zone; it must be, byte for byte, the one that the database speaks of.
func (w *walk) archive(ctx context.Context, zone blob.Bucket, a meta.AuditArchive, each func(meta.AuditLink) error) (p *Problem, err error) {
	body, _, err := zone.Open(ctx, a.Object, 0, -1)
	if errors.Is(err, blob.ErrNotExist) || errors.Is(err, blob.ErrKey) {
		return problem(Removed, w.seq+1, 0, "the archive %s, of places %d to %d, is not in the store.", a.Object, a.FirstSeq, a.LastSeq), nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	sum := sha256.New()
	e, err := w.file(io.TeeReader(body, sum), true, each)
	if err != nil || e.bad != nil {
		return e.bad, err
	}
	if _, err := io.Copy(sum, body); err != nil {
		return nil, err
	}
	if w.seq != a.LastSeq || w.hash != a.Hash || sumOf(sum) != a.SHA256 {
		return problem(Changed, w.seq, 0, "the archive %s is not the one that was written.", a.Object), nil
	}
	return nil, nil
}

// errStop ends a walk over a file when the problem is known.
var errStop = errors.New("stop")

// archive goes over one archive with the checkpoints of its places.
func (u *run) archive(ctx context.Context, a meta.AuditArchive) error {
	p, err := u.walk.archive(ctx, u.Zone, a, func(l meta.AuditLink) error {
		if u.Key != nil && !u.Key.made(l.Seal.Hash, l.Seal.MAC) {
			u.bad = u.madeAnew(l, nil)
			return errStop
		}
		if err := u.look(ctx); err != nil {
			return err
		}
		if u.bad != nil {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	if err == nil && p != nil {
		u.bad = p
	}
	return err
}

// Waiting is how many records wait for the sealer, and since when the oldest does.
func Waiting(ctx context.Context, db *meta.DB) (n int64, oldest time.Duration, err error) {
	head, err := db.AuditHead(ctx)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return 0, 0, err
	}
	n, at, err := db.CountUnsealed(ctx, head.Watermark)
	if err != nil || n == 0 {
		return n, 0, err
	}
	return n, max(0, time.Since(at.Time())), nil
}
