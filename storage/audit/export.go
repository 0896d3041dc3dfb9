package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Exporter writes parts of the log to files that VerifyFile checks.
type Exporter struct {
	DB     *meta.DB
	Public PublicKey
	// Key signs the end of the file; without one VerifyFile takes it for whole only when it is told to.
	Key *Key
}

// Exported is what a file has.
type Exported struct {
	FirstSeq int64 `json:"first_seq"`
	LastSeq  int64 `json:"last_seq"`
	Records  int64 `json:"records"`
	// Signed is whether the end of the file is: it can be cut off unnoticed otherwise.
	Signed bool `json:"signed"`
}

// ErrNothing says that there is no sealed record in that time.
var ErrNothing = errors.New("there is no sealed record of that time in the database")

// PackOf is how a file of that name is packed: .gz and .zst are, others are not.
func PackOf(name string) string {
	for _, pack := range []string{packGzip, packZstd} {
		if strings.HasSuffix(name, pack) {
			return pack
		}
	}
	return packNone
}

// Export writes the part of the log that has all sealed records written in [since, until]; zero stamps do not bound. As a
// chain has no holes, it may have others in between.
func (e Exporter) Export(ctx context.Context, w io.Writer, pack string, since, until meta.Stamp) (Exported, error) {
	first, last, err := e.DB.AuditSpan(ctx, since, until)
	if errors.Is(err, storage.ErrNotFound) {
		return Exported{}, ErrNothing
	}
	if err != nil {
		return Exported{}, fmt.Errorf("export the audit log: %w", err)
	}
	out, err := e.span(ctx, w, pack, first, last, nil)
	if err != nil {
		return out, fmt.Errorf("export the audit log: %w", err)
	}
	return out, nil
}

// before is the hash of the seal in front of a place.
func (e Exporter) before(ctx context.Context, first int64) (string, error) {
	if first == 1 {
		return noHash, nil
	}
	s, err := e.DB.AuditSealAt(ctx, first-1)
	if !errors.Is(err, storage.ErrNotFound) {
		return s.Hash, err
	}
	archives, err := e.DB.AuditArchives(ctx)
	if err != nil {
		return "", err
	}
	for _, a := range archives {
		if a.LastSeq == first-1 {
			return a.Hash, nil
		}
	}
	return "", fmt.Errorf("the seal of place %d is missing: `gateway audit verify` tells more", first-1)
}

// span writes the places first to last; own is a checkpoint of the last place, if there is one beside those of the table.
func (e Exporter) span(ctx context.Context, w io.Writer, pack string, first, last int64, own *Checkpoint) (Exported, error) {
	out := Exported{FirstSeq: first, LastSeq: first - 1, Signed: e.Key != nil}
	prev, err := e.before(ctx, first)
	if err != nil {
		return out, err
	}
	h := header{Format: fileFormat, PublicKey: e.Public.String(), FirstSeq: first, PrevHash: prev, MadeAt: meta.Now().Time(), Chains: []chainLine{}}
	if h.Chains, err = e.chains(ctx, first, last); err != nil {
		return out, err
	}
	f, err := newFileWriter(w, pack, e.Key, h)
	if err != nil {
		return out, err
	}
	points, err := e.DB.AuditCheckpoints(ctx, first-1, readPage)
	if err != nil {
		return out, err
	}
	for out.LastSeq < last {
		list, err := e.DB.AuditLinks(ctx, out.LastSeq, readPage)
		if err != nil {
			return out, err
		}
		if len(list) == 0 {
			return out, fmt.Errorf("the seal of place %d is missing: `gateway audit verify` tells more", out.LastSeq+1)
		}
		for _, l := range list {
			if l.Seal.Seq > last {
				break
			}
			if l.Record.ID == 0 {
				return out, fmt.Errorf("the record %d is missing: `gateway audit verify` tells more", l.Seal.RecordID)
			}
			if err := f.link(l); err != nil {
				return out, err
			}
			out.LastSeq, out.Records = l.Seal.Seq, out.Records+1
			if points, err = e.pointsUpTo(ctx, f, points, l.Seal.Seq); err != nil {
				return out, err
			}
		}
	}
	if own != nil {
		if err := f.write(line{Checkpoint: own}); err != nil {
			return out, err
		}
	}
	return out, f.close()
}

// pointsUpTo writes the checkpoints up to a place, and gives back those that come later.
func (e Exporter) pointsUpTo(ctx context.Context, f *fileWriter, points []meta.AuditCheckpoint, seq int64) ([]meta.AuditCheckpoint, error) {
	for len(points) > 0 && points[0].Seq <= seq {
		c := checkpointOf(points[0])
		if err := f.write(line{Checkpoint: &c}); err != nil {
			return nil, err
		}
		after := points[0].Seq
		if points = points[1:]; len(points) == 0 {
			var err error
			if points, err = e.DB.AuditCheckpoints(ctx, after, readPage); err != nil {
				return nil, err
			}
		}
	}
	return points, nil
}

// chains are those that places first to last are of.
func (e Exporter) chains(ctx context.Context, first, last int64) ([]chainLine, error) {
	list, err := e.DB.AuditChains(ctx)
	if err != nil {
		return nil, err
	}
	out := []chainLine{}
	for i, c := range list {
		if c.FirstSeq > last || i+1 < len(list) && list[i+1].FirstSeq <= first {
			continue
		}
		out = append(out, chainLine(c))
	}
	return out, nil
}
