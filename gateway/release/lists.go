package release

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"

	"golang.org/x/sync/singleflight"
)

const (
	// listsBytes is the memory for lists of digests: one of an installer of 600 MiB takes 300 KiB.
	listsBytes = 16 << 20
	// maxPiece is the largest piece that is held in memory for a download.
	maxPiece = 1 << 20
)

// digests are those of the pieces of a file; they never change.
type digests struct {
	// piece is how many bytes each piece has but the last.
	piece int64
	// sums are the SHA-256 of the pieces, one behind the other.
	sums []byte
}

func (d *digests) of(piece int64) []byte { return d.sums[piece*sha256.Size : (piece+1)*sha256.Size] }

// lists keeps the digests of the files that were asked for last. The zero value is empty.
type lists struct {
	mu      sync.Mutex
	byFile  map[string]*list.Element
	recent  list.List // of entry, the last asked for in front
	bytes   int
	flights singleflight.Group
}

type entry struct {
	sha256  string
	digests *digests
}

func (l *lists) get(sha256 string) *digests {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.byFile[sha256]
	if e == nil {
		return nil
	}
	l.recent.MoveToFront(e)
	return e.Value.(entry).digests
}

func (l *lists) put(sha256 string, d *digests) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byFile == nil {
		l.byFile = map[string]*list.Element{}
	}
	if l.byFile[sha256] != nil {
		return
	}
	l.byFile[sha256] = l.recent.PushFront(entry{sha256, d})
	l.bytes += len(d.sums)
	for l.bytes > listsBytes && l.recent.Len() > 1 {
		oldest := l.recent.Remove(l.recent.Back()).(entry)
		delete(l.byFile, oldest.sha256)
		l.bytes -= len(oldest.digests.sums)
	}
}

// digests are those of a file of that size.
func (a *API) digests(ctx context.Context, file string, size int64) (*digests, error) {
	if d := a.lists.get(file); d != nil {
		return d, nil
	}
	// Who asks at the same time waits for the first; should that one give up, they fail with it and come again.
	d, err, _ := a.lists.flights.Do(file, func() (any, error) {
		row, err := a.DB.ReleasePieces(ctx, file)
		if err != nil {
			return nil, err
		}
		sums, err := base64.StdEncoding.DecodeString(row.Digests)
		if err != nil {
			return nil, fmt.Errorf("the digests of the pieces of %s: %w", file, err)
		}
		if row.PieceBytes <= 0 || row.PieceBytes > maxPiece || int64(len(sums)) != (size+row.PieceBytes-1)/row.PieceBytes*sha256.Size {
			return nil, fmt.Errorf("the digests of the pieces of %s do not fit its size: %d bytes for %d in pieces of %d", file, len(sums), size, row.PieceBytes)
		}
		d := &digests{row.PieceBytes, sums}
		a.lists.put(file, d)
		return d, nil
	})
	if err != nil {
		return nil, err
	}
	return d.(*digests), nil
}
