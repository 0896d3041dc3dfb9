package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"gatehouse/storage"
)

// CopyOptions say how to copy a store.
type CopyOptions struct {
	// Parallel is how many objects are on their way at once; zero means 8.
	Parallel int
	// Verify reads what is there already and compares its SHA-256; else the same size is the same object.
	Verify bool
	// Progress, if set, is told after every object, one at a time.
	Progress func(Copied)
}

// Copied is what came of copying a store. Objects is what the listings of the old one had, of Bytes bytes; each of them
// was Copied, was There already, was Gone from the old one when its turn came (deleted meanwhile), or Failed.
type Copied struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	Copied  int64 `json:"copied"`
	// CopiedBytes are those of the copied ones.
	CopiedBytes int64 `json:"copied_bytes"`
	There       int64 `json:"already_there"`
	Gone        int64 `json:"gone_meanwhile"`
	Failed      int64 `json:"failed"`
	// Problems says what failed and why, a hundred at most.
	Problems []string `json:"problems"`
}

// Complete reports whether all that the old store has is in the new one.
func (c Copied) Complete() bool { return c.Failed == 0 }

// copyAttempts is how often one object is tried while a store is away; the stores try again by themselves, too.
const copyAttempts = 3

// CopyStore copies all zones, key by key in their order, into another store. It can be stopped and begun again:
// what is there already is passed over. Nothing is removed, neither here nor there. The key of a blob is its digest and
// that of a variant has a part of it: bytes that are not what their key says are not copied.
func CopyStore(ctx context.Context, from, to *Zones, o CopyOptions) (Copied, error) {
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	c := &copier{o: o, out: Copied{Problems: []string{}}}
	for _, zone := range []struct {
		name     string
		from, to Bucket
	}{
		// The snapshots behind the blobs: one of them then speaks of blobs that are there.
		{"quarantine", from.Quarantine, to.Quarantine}, {"clean", from.Clean, to.Clean}, {"snapshots", from.Snapshots, to.Snapshots},
		{"audit", from.Audit, to.Audit},
	} {
		if err := c.zone(ctx, zone.name, zone.from, zone.to); err != nil {
			return c.out, fmt.Errorf("copy zone %s: %w", zone.name, err)
		}
	}
	return c.out, nil
}

type copier struct {
	o   CopyOptions
	mu  sync.Mutex
	out Copied
}

// zone walks both listings in step, so that what is there costs no request of its own.
func (c *copier) zone(ctx context.Context, name string, from, to Bucket) error {
	next, stop := iter.Pull2(to.List(ctx, "", ""))
	defer stop()
	there, err, more := next()
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(c.o.Parallel)
	walk := func() error {
		for object, lerr := range from.List(gctx, "", "") {
			for more && err == nil && there.Key < object.Key {
				there, err, more = next()
			}
			if err = errors.Join(lerr, err); err != nil {
				return err
			}
			have := more && there.Key == object.Key && there.Size == object.Size
			group.Go(func() error { return c.object(gctx, name, from, to, object, have) })
		}
		return nil
	}
	return errors.Join(walk(), group.Wait())
}

// object copies one object, unless it is there. Its error ends the whole copy; what is wrong with the object itself is
// counted.
func (c *copier) object(ctx context.Context, zone string, from, to Bucket, object Info, have bool) error {
	want := digestIn(object.Key)
	var err error
	there := have
	if have && c.o.Verify {
		there, err = same(ctx, from, to, object.Key, want)
	}
	for attempt := 1; err == nil && !there; attempt++ {
		err = carry(ctx, from, to, object, want)
		if err == nil || !errors.Is(err, ErrUnavailable) || attempt == copyAttempts {
			break
		}
		err = nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.Objects++
	c.out.Bytes += object.Size
	switch {
	case errors.Is(err, errGone):
		c.out.Gone++
	case err != nil:
		c.out.Failed++
		if len(c.out.Problems) < 100 {
			c.out.Problems = append(c.out.Problems, fmt.Sprintf("%s/%s: %v", zone, object.Key, err))
		}
	case there:
		c.out.There++
	default:
		c.out.Copied++
		c.out.CopiedBytes += object.Size
	}
	if c.o.Progress != nil {
		c.o.Progress(c.out)
	}
	return nil
}

// digestIn is what a key says of its bytes' SHA-256, in hex: all of it, its beginning, or nothing.
func digestIn(key string) string {
	k, ok := storage.ParseKey(key)
	switch {
	case !ok:
		return ""
	case k.Preset == "":
		return k.SHA256
	}
	return k.Tag
}

// errDigest: the bytes are not what their key says.
var errDigest = errors.New("its bytes are not those that its key names; it is not copied")

// errGone: the object was deleted since it was listed.
var errGone = errors.New("gone meanwhile")

// carry copies the bytes through this process. The put fails, and nothing is stored, unless they are the right ones.
func carry(ctx context.Context, from, to Bucket, object Info, want string) (err error) {
	body, info, err := from.Open(ctx, object.Key, 0, -1)
	if errors.Is(err, ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	return to.Put(ctx, object.Key, &checked{r: body, sum: sha256.New(), want: want}, info.Size, PutOptions{})
}

// checked fails at the end of a stream whose digest does not begin with want.
type checked struct {
	r    io.Reader
	sum  hash.Hash
	want string
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	if err == io.EOF && !strings.HasPrefix(hex.EncodeToString(c.sum.Sum(nil)), c.want) {
		return n, errDigest
	}
	return n, err
}

// same reads what is there and reports whether it is what is here.
func same(ctx context.Context, from, to Bucket, key, want string) (bool, error) {
	there, err := Digest(ctx, to, key)
	if err != nil {
		return false, err
	}
	if len(want) == 2*sha256.Size {
		return there == want, nil
	}
	here, err := Digest(ctx, from, key)
	return here == there, err
}
