package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// file is an artifact whose rows say that it may be read.
type file struct {
	api *API
	row meta.ServedArtifact
	// digests are read when it is opened for the first time: an answer without bytes needs none.
	digests *digests
	// reader is who asked for it.
	reader audit.Actor
}

func (f *file) key() string { return storage.BlobKey(f.row.TenantID, f.row.SHA256) }

// pieceBuffers are of release.PieceBytes; lists of other pieces are older or newer than this program, and rare.
var pieceBuffers = sync.Pool{New: func() any { b := make([]byte, release.PieceBytes); return &b }}

// know reads the digests of its pieces.
func (f *file) know(ctx context.Context) (err error) {
	if f.digests != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.api.Timeout)
	defer cancel()
	f.digests, err = f.api.digests(ctx, f.row.SHA256, f.row.Size)
	return err
}

// open opens a range of it. The piece that it begins in is checked before open returns.
func (f *file) open(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	if err := f.know(ctx); err != nil {
		return nil, err
	}
	p := f.digests.piece
	r := &pieces{file: f, next: offset / p, end: min(f.row.Size, (offset+length+p-1)/p*p), left: length}
	r.from = func(at int64) (io.ReadCloser, error) { return f.source(ctx, at, r.end-at) }
	r.condemn = func(d storage.Damage) error { return f.condemn(ctx, d) }
	r.buf = pieceBuffers.Get().(*[]byte)
	if int64(len(*r.buf)) < p {
		large := make([]byte, p)
		r.buf = &large
	}
	if err := r.fill(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.checked = r.checked[offset%p:]
	return r, nil
}

// look is open for those who want no bytes.
func (f *file) look(ctx context.Context) error {
	if f.row.Size == 0 {
		return nil
	}
	r, err := f.open(ctx, 0, 1)
	if err != nil {
		return err
	}
	return r.Close()
}

// wrong says that what the store has is not what was published.
type wrong storage.Damage

func (w wrong) Error() string { return "the object is not what was published: " + string(w) }

// source opens the object itself. Nothing that it gives may be handed out as it is.
func (f *file) source(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	src, info, err := f.api.Zones.Clean.Open(ctx, f.key(), offset, length)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return nil, f.missing()
	case errors.Is(err, blob.ErrRange):
		return nil, wrong(storage.DamageSize)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", f.key(), err)
	case info.Size != f.row.Size:
		return nil, errors.Join(wrong(storage.DamageSize), src.Close())
	}
	return src, nil
}

// pieces reads a range of a file piece by piece. It hands out no byte of a piece before the whole piece has its digest.
type pieces struct {
	file    *file
	from    func(offset int64) (io.ReadCloser, error)
	condemn func(storage.Damage) error

	src     io.ReadCloser // at the beginning of the next piece; nil when nothing is open
	buf     *[]byte
	checked []byte // not handed out yet
	next    int64  // the piece that is read next
	end     int64  // where the last piece ends, in the file
	left    int64  // bytes of the range, not handed out yet
}

// Read hands out what is checked.
func (r *pieces) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if len(r.checked) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p[:min(int64(len(p)), r.left)], r.checked)
	r.checked, r.left = r.checked[n:], r.left-int64(n)
	return n, nil
}

// fill reads the next piece. One that is wrong is read once more, from an object that is opened anew: the store may have been
// interrupted or may have brought the right bytes back, and a file must not be withdrawn for that.
func (r *pieces) fill() error {
	err := r.piece()
	if _, bad := errors.AsType[wrong](err); !bad {
		return err
	}
	r.file.api.Mismatched()
	if cerr := r.closeSource(); cerr != nil {
		return errors.Join(err, cerr)
	}
	again := r.piece()
	if w, bad := errors.AsType[wrong](again); bad {
		return r.condemn(storage.Damage(w))
	}
	if again == nil {
		r.file.api.Log.Warn("a piece of a release's file was wrong, and right when it was read again", "key", r.file.key(), "piece", r.next-1, "was", err)
	}
	return again
}

// piece reads one piece and checks it.
func (r *pieces) piece() error {
	start := r.next * r.file.digests.piece
	if r.src == nil {
		src, err := r.from(start)
		if err != nil {
			return err
		}
		r.src = src
	}
	b := (*r.buf)[:min(r.file.digests.piece, r.end-start)]
	if _, err := io.ReadFull(r.src, b); err != nil {
		// Not errors.Is: a store that was interrupted wraps such an end, and that is not the end of the file.
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return wrong(storage.DamageSize)
		}
		return fmt.Errorf("read %s at byte %d: %w", r.file.key(), start, err)
	}
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:], r.file.digests.of(r.next)) {
		return wrong(storage.DamageDigest)
	}
	r.checked = b
	r.next++
	return nil
}

func (r *pieces) closeSource() error {
	if r.src == nil {
		return nil
	}
	err := r.src.Close()
	r.src = nil
	if err != nil {
		return fmt.Errorf("close %s: %w", r.file.key(), err)
	}
	return nil
}

// Close gives back what is held.
func (r *pieces) Close() error {
	if r.buf != nil && int64(len(*r.buf)) == release.PieceBytes {
		pieceBuffers.Put(r.buf)
	}
	r.buf, r.checked, r.left = nil, nil, 0
	return r.closeSource()
}
