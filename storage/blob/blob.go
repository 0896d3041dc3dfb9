package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"gatehouse/storage"
)

// Errors of every driver; test with errors.Is. ErrNotExist and ErrUnavailable carry the code that a caller of
// the HTTP API would see.
var (
	// ErrNotExist: there is no object under the key. It is also a storage.ErrNotFound.
	ErrNotExist = fmt.Errorf("blob: no such object: %w", storage.ErrNotFound)
	// ErrUnavailable: the store could not do it now; the same call may succeed later. Everything else is permanent.
	ErrUnavailable = fmt.Errorf("blob: store unavailable: %w", storage.Refuse(storage.CodeUnavailable, nil))
	// ErrSize: the reader given to Put did not hold exactly the declared bytes.
	ErrSize = errors.New("blob: reader does not hold the declared size")
	// ErrKey: the key, prefix or cursor is outside the grammar of CheckKey.
	ErrKey = errors.New("blob: illegal key")
	// ErrRange: the range asked for begins at or after the end of the object, or is negative.
	ErrRange = errors.New("blob: range not satisfiable")
)

var errOtherStore = errors.New("blob: not a zone of the same store")

// Info describes an object.
type Info struct {
	Key  string
	Size int64
	// ModTime is when the object came to lie in this zone, by the store's clock.
	ModTime time.Time
}

// PutOptions are hints for whoever looks at the store with other tools. The zero value is fine.
type PutOptions struct {
	// ContentType is kept where the store has a place for it (S3).
	ContentType string
}

// Bucket is one zone. All methods may be called at once from many goroutines and processes.
type Bucket interface {
	// Put stores exactly size bytes of r under key, replacing what was there in one step, and returns when they
	// are durable. It never touches r after returning, so it returns only when its last Read of r has: to cancel
	// a put from a slow source, unblock the source too. Where r ends up is undefined. An r that is an io.Seeker
	// (better: also an io.ReaderAt, as files and bytes.Reader are) lets a temporary failure be retried.
	Put(ctx context.Context, key string, r io.Reader, size int64, opts PutOptions) error

	// Open reads length bytes from offset on; length -1 reads to the end, and a range that reaches past the end is
	// cut there. ErrRange when offset is not inside the object (offset 0 of an empty object is fine). Info is of the
	// whole object, and the bytes read are of one version of it. The caller closes. The disk driver returns an
	// *os.File when the whole object is asked for (0, -1), so that its descriptor can be handed on.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error)

	// Stat describes an object.
	Stat(ctx context.Context, key string) (Info, error)

	// Delete removes an object; an absent key is no error.
	Delete(ctx context.Context, key string) error

	// List yields the objects under prefix ("" or a folder ending in "/") whose key is greater than after, in the
	// byte order of keys. Objects put or deleted meanwhile may or may not be seen; all others are, once. After an
	// error the sequence ends.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]

	// CopyFrom copies the object under fromKey of a zone of the same store, which may be this one, to key, without
	// moving the bytes through this process where the store can do so. Atomic and durable like Put. A copy onto itself
	// is refused with ErrKey.
	CopyFrom(ctx context.Context, from Bucket, fromKey, key string) error

	// Ready tells whether the zone can be reached and written to. It costs about one small put.
	Ready(ctx context.Context) error
}

// Zones are the two places where blobs lie, and two more beside them. Only the scan job moves a blob into Clean.
type Zones struct {
	Quarantine Bucket
	Clean      Bucket
	// Snapshots holds exports of the database (package snapshot). It is no storage.Zone: no blob lies in it, and nothing
	// of it is ever served.
	Snapshots Bucket
	// Audit holds what proves the audit log: checkpoints and archives (package audit). It is no storage.Zone either.
	Audit Bucket
}

// The drivers.
const (
	DriverDisk = "disk"
	DriverS3   = "s3"
)

// Config chooses and describes the store.
type Config struct {
	// Driver is DriverDisk or DriverS3.
	Driver string

	// Root is the folder of the disk driver; it is made when missing. All programs that share it run as one user.
	Root string

	// Endpoint is host:port of the S3 server, without a scheme.
	Endpoint string
	// Region of the buckets; empty means us-east-1, which is also what servers without regions expect.
	Region    string
	AccessKey string
	SecretKey string
	UseTLS    bool
	// PathStyle puts the bucket into the path even where the endpoint looks like one that serves bucket hosts.
	PathStyle bool
	// The buckets of the zones; made (private) when missing. Leave them unversioned: what is deleted must be gone.
	QuarantineBucket string
	CleanBucket      string
	SnapshotBucket   string
	AuditBucket      string
	// Timeout is how long one attempt may go without an answer; moving bytes adds a second for each MiB. Zero
	// means 30 seconds.
	Timeout time.Duration
	// Retries is how many more attempts a temporary failure is given, with backoff. Negative means none, zero 3.
	Retries int
	// Existing opens only a store of which something is there (its root folder, one of its buckets): ErrNoStore instead of
	// a new one.
	Existing bool
}

// ErrNoStore says that nothing is there of a store.
var ErrNoStore = errors.New("there is no such store")

// Open connects to the store and makes what is missing of it (folders, buckets).
func Open(ctx context.Context, c Config) (*Zones, error) {
	switch c.Driver {
	case DriverDisk:
		return openDisk(c)
	case DriverS3:
		return openS3(ctx, c)
	}
	return nil, fmt.Errorf("blob: unknown driver %q (known: %s, %s)", c.Driver, DriverDisk, DriverS3)
}

// Of returns the bucket of a zone, and nil for a zone that does not exist: so never those beside them.
func (z *Zones) Of(zone storage.Zone) Bucket {
	switch zone {
	case storage.ZoneQuarantine:
		return z.Quarantine
	case storage.ZoneClean:
		return z.Clean
	}
	return nil
}

// Copy copies an object from one zone to the other, server side.
func (z *Zones) Copy(ctx context.Context, from, to storage.Zone, key string) error {
	src, dst := z.Of(from), z.Of(to)
	if src == nil || dst == nil {
		return fmt.Errorf("blob: copy from zone %q to %q: no such zone", from, to)
	}
	if err := dst.CopyFrom(ctx, src, key, key); err != nil {
		return fmt.Errorf("copy from zone %s to %s: %w", from, to, err)
	}
	return nil
}

// Promote copies an object from quarantine to clean. The original stays: it is deleted when the database knows
// of the copy.
func (z *Zones) Promote(ctx context.Context, key string) error {
	return z.Copy(ctx, storage.ZoneQuarantine, storage.ZoneClean, key)
}

// What the zones beside those of the blobs are called in messages, and their folders on disk.
const (
	snapshotZone = "snapshots"
	auditZone    = "audit"
)

// Ready tells whether all zones can be reached and written to.
func (z *Zones) Ready(ctx context.Context) error {
	if err := z.Quarantine.Ready(ctx); err != nil {
		return fmt.Errorf("zone %s: %w", storage.ZoneQuarantine, err)
	}
	if err := z.Clean.Ready(ctx); err != nil {
		return fmt.Errorf("zone %s: %w", storage.ZoneClean, err)
	}
	if err := z.Snapshots.Ready(ctx); err != nil {
		return fmt.Errorf("zone %s: %w", snapshotZone, err)
	}
	if err := z.Audit.Ready(ctx); err != nil {
		return fmt.Errorf("zone %s: %w", auditZone, err)
	}
	return nil
}

// Close releases descriptors and idle connections. Objects still open stay readable.
func (z *Zones) Close() error {
	var errs []error
	for _, b := range []Bucket{z.Quarantine, z.Clean, z.Snapshots, z.Audit} {
		if c, ok := b.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// opError names operation and key once, so that drivers return bare causes.
func opError(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, clip(key), err)
}
