package reconcile

import (
	"context"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Sizes of what is read ahead. Memory is that of a few batches of each of the four streams, whatever their length.
const (
	linesPage = 4096
	listChunk = 1024
)

// lastOf is greater than any key that goes on with a name: what follows it is behind the family of a blob's key.
var lastOf = strings.Repeat("z", 100)

// stream is an ordered sequence that a goroutine reads ahead.
type stream[T any] struct {
	chunks <-chan chunk[T]
	have   []T
	err    error
	ended  bool
}

type chunk[T any] struct {
	items []T
	err   error
}

// read starts to read ahead; emit returns false when nobody wants more. It ends with ctx.
func read[T any](ctx context.Context, produce func(emit func([]T) bool) error) *stream[T] {
	chunks := make(chan chunk[T], 1)
	send := func(c chunk[T]) bool {
		select {
		case chunks <- c:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(chunks)
		if err := produce(func(items []T) bool { return send(chunk[T]{items: items}) }); err != nil {
			send(chunk[T]{err: err})
		}
	}()
	return &stream[T]{chunks: chunks}
}

// head is the next item, nil at the end.
func (s *stream[T]) head(ctx context.Context) (*T, error) {
	for len(s.have) == 0 && s.err == nil && !s.ended {
		c, more := <-s.chunks
		s.have, s.err, s.ended = c.items, c.err, !more
	}
	if s.ended && ctx.Err() != nil {
		return nil, ctx.Err() // what looks like the end is where reading ahead broke off
	}
	if s.err != nil || len(s.have) == 0 {
		return nil, s.err
	}
	return &s.have[0], nil
}

func (s *stream[T]) pop() { s.have = s.have[1:] }

// listed is an object of a listing.
type listed struct {
	blob.Info
	// of is whose it is, empty for a foreign object.
	of storage.Key
	// base is the key of the object's blob, or the whole key of a foreign object.
	base string
	ours bool
}

func seen(info blob.Info) listed {
	of, ours := storage.ParseKey(info.Key)
	l := listed{Info: info, of: of, ours: ours, base: info.Key}
	if ours && of.Preset != "" {
		l.base, _, _ = strings.Cut(info.Key, ".")
	}
	return l
}

// scope is a part of the store that is compared in one go: one tenant, or with an empty one everything.
type scope struct{ tenant string }

func (s scope) prefix() string {
	if s.tenant == "" {
		return ""
	}
	return s.tenant + "/"
}

// listing reads a zone's objects behind the family of a blob's key.
func (r *Reconciler) listing(ctx context.Context, zone storage.Zone, s scope, after string) *stream[listed] {
	if after != "" {
		after += lastOf
	}
	return read(ctx, func(emit func([]listed) bool) error {
		for {
			trash, err := r.list(ctx, zone, s, after, emit)
			if !trash {
				return err
			}
			after = storage.TrashPrefix + lastOf
		}
	})
}

// list stops with true where the trash begins.
func (r *Reconciler) list(ctx context.Context, zone storage.Zone, s scope, after string, emit func([]listed) bool) (trash bool, err error) {
	items := make([]listed, 0, listChunk)
	for info, err := range r.zones.Of(zone).List(ctx, s.prefix(), after) {
		if err != nil {
			emit(items) // what was seen before a listing broke off is worth looking at all the same
			return false, err
		}
		if trash = zone == storage.ZoneQuarantine && strings.HasPrefix(info.Key, storage.TrashPrefix); trash {
			break
		}
		if items = append(items, seen(info)); len(items) == listChunk {
			if !emit(items) {
				return false, ctx.Err()
			}
			items = make([]listed, 0, listChunk)
		}
	}
	emit(items)
	return trash, nil
}

// rowsAfter is where rows go on behind a blob's key; in a scope of one tenant only its rows are read.
func (s scope) rowsAfter(after string) meta.RowsAfter {
	a := meta.RowsAfter{Tenant: s.tenant}
	if o, ok := storage.ParseKey(after); ok {
		a = meta.AfterFamily(o.TenantID, o.SHA256)
	}
	a.Only = s.tenant != ""
	return a
}

// blobLines reads the rows of blobs, page by page: a transaction of hours would keep the database from tidying up.
func (r *Reconciler) blobLines(ctx context.Context, a meta.RowsAfter) *stream[meta.BlobLine] {
	return read(ctx, func(emit func([]meta.BlobLine) bool) error {
		for {
			page, err := r.db.BlobLines(ctx, a, linesPage)
			if err != nil || len(page) == 0 || !emit(page) || len(page) < linesPage {
				return err
			}
			last := page[len(page)-1]
			a.Tenant, a.SHA256 = last.TenantID, last.SHA256
		}
	})
}

func (r *Reconciler) variantLines(ctx context.Context, a meta.RowsAfter) *stream[meta.VariantLine] {
	return read(ctx, func(emit func([]meta.VariantLine) bool) error {
		for {
			page, err := r.db.VariantLines(ctx, a, linesPage)
			if err != nil || len(page) == 0 || !emit(page) || len(page) < linesPage {
				return err
			}
			last := page[len(page)-1]
			a.Tenant, a.SHA256, a.Preset = last.TenantID, last.SHA256, last.Preset
		}
	})
}
