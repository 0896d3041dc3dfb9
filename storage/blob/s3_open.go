package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// Open is one GET. minio-go's own Object is not used: it asks lazily, and for a range it asks twice.
func (b *s3) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	body, info, err := b.open(ctx, key, offset, length)
	if err != nil {
		return nil, Info{}, opError("open", key, err)
	}
	return body, info, nil
}

func (b *s3) open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	if err := CheckKey(key); err != nil {
		return nil, Info{}, err
	}
	if offset < 0 || length < -1 {
		return nil, Info{}, fmt.Errorf("%w: offset %d, length %d", ErrRange, offset, length)
	}
	if length == 0 {
		return b.openNothing(ctx, key, offset)
	}
	if length > math.MaxInt64-offset {
		length = -1
	}
	var first *part
	err := b.repeat(ctx, func() (err error) {
		first, err = b.get(ctx, key, offset, length, "")
		return err
	})
	if errors.Is(err, ErrRange) && offset == 0 { // HTTP has no range that fits an empty object
		return b.openNothing(ctx, key, 0)
	}
	if err != nil {
		return nil, Info{}, err
	}
	r := &remote{part: first, retries: b.retries, cancelled: ctx.Err}
	end := offset + first.left
	r.resume = func(left int64, n int) (*part, error) {
		if err := pause(ctx, n); err != nil {
			return nil, err
		}
		return b.get(ctx, key, end-left, left, first.etag)
	}
	r.sort = func(err error) error { return s3Error(ctx, err) }
	return r, first.info, nil
}

// openNothing opens a range without bytes, which HTTP cannot express.
func (b *s3) openNothing(ctx context.Context, key string, offset int64) (io.ReadCloser, Info, error) {
	o, err := b.stat(ctx, key)
	if err != nil {
		return nil, Info{}, err
	}
	if _, err := cutRange(o.Size, offset, 0); err != nil {
		return nil, Info{}, err
	}
	return io.NopCloser(bytes.NewReader(nil)), Info{Key: key, Size: o.Size, ModTime: o.LastModified}, nil
}

// part is the answer to one GET.
type part struct {
	body   io.ReadCloser
	cancel context.CancelFunc
	idle   *time.Timer // cancels the request when nothing comes
	wait   time.Duration
	info   Info
	etag   string
	left   int64 // bytes announced and not read yet
}

// get asks for length bytes from offset on (-1: all the rest), of the version with that etag if one is given.
func (b *s3) get(ctx context.Context, key string, offset, length int64, etag string) (*part, error) {
	opts := minio.GetObjectOptions{}
	ranged := offset > 0 || length > 0
	if ranged {
		last := ""
		if length > 0 {
			last = strconv.FormatInt(offset+length-1, 10)
		}
		opts.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-"+last)
	}
	if etag != "" {
		if err := opts.SetMatchETag(etag); err != nil {
			return nil, fmt.Errorf("match etag: %w", err)
		}
	}
	attempt, cancel := context.WithCancel(ctx)
	p := &part{cancel: cancel, wait: b.timeout, idle: time.AfterFunc(b.timeout, cancel)}
	body, o, header, err := b.client.GetObject(attempt, b.bucket, key, opts)
	p.idle.Stop()
	if err != nil {
		cancel()
		return nil, s3Error(ctx, err)
	}
	p.body, p.etag, p.left = body, o.ETag, o.Size // of a range, Size is the range's
	p.info = Info{Key: key, Size: o.Size, ModTime: o.LastModified}
	if ranged {
		p.info.Size, err = checkContentRange(header, offset, p.left)
	}
	if err == nil && p.left < 0 {
		err = errors.New("the server did not say how much it sends")
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// checkContentRange returns the size of the whole object from "bytes first-last/size", after making sure that
// the server sends what it was asked for.
func checkContentRange(h http.Header, offset, n int64) (int64, error) {
	v := h.Get("Content-Range")
	span, size, ok := strings.Cut(strings.TrimPrefix(v, "bytes "), "/")
	total, err := strconv.ParseInt(size, 10, 64)
	if !ok || err != nil || span != fmt.Sprintf("%d-%d", offset, offset+n-1) {
		return 0, fmt.Errorf("the server answered a range with Content-Range %q", v)
	}
	return total, nil
}

func (p *part) Read(buf []byte) (int, error) {
	p.idle.Reset(p.wait)
	n, err := p.body.Read(buf)
	p.idle.Stop()
	p.left -= int64(n)
	return n, err
}

func (p *part) Close() error {
	p.idle.Stop()
	p.cancel()
	return p.body.Close()
}

// remote reads an object and, when the connection breaks, goes on where it broke with the same version.
type remote struct {
	part    *part
	retries int
	failed  int // attempts in a row that brought nothing
	resume  func(left int64, n int) (*part, error)
	sort    func(error) error
	// cancelled is nil while the read may go on. It is asked before every read: a connection notices a cancel some
	// time later, and gives what it has buffered until then.
	cancelled func() error
	err       error // once failed or ended, always
}

func (r *remote) Read(buf []byte) (int, error) {
	if len(buf) == 0 {
		return 0, nil
	}
	if r.err == nil {
		r.err = r.cancelled()
	}
	for r.err == nil {
		n, err := r.part.Read(buf)
		if r.part.left <= 0 {
			r.err = io.EOF
		}
		if n > 0 {
			r.failed = 0
			return n, r.err // a failure behind these bytes shows again on the next read
		}
		if err != nil && r.err == nil {
			r.again(err)
		}
	}
	return 0, r.err
}

// again replaces the broken part, or sets err.
func (r *remote) again(cause error) {
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	cause = r.sort(cause)
	for errors.Is(cause, ErrUnavailable) && r.failed < r.retries {
		r.failed++
		next, err := r.resume(r.part.left, r.failed-1)
		if err == nil {
			old := r.part
			r.part = next
			_ = old.Close() // a broken connection has nothing more to say
			return
		}
		cause = err
	}
	r.err = cause
}

// Close ends the request; what is unread is dropped with the connection.
func (r *remote) Close() error {
	if r.err == nil {
		r.err = errors.New("blob: read after close")
	}
	return r.part.Close()
}
