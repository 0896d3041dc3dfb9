package blob

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3 is a zone in a bucket. Each method is one request where the protocol allows it, tried again by us and never
// by minio-go, which would send a wrong checksum the second time.
type s3 struct {
	*s3Store
	bucket string
}

// s3Store is what all zones share.
type s3Store struct {
	client  *minio.Core
	pool    *http.Transport
	timeout time.Duration
	retries int
}

const (
	defaultRegion  = "us-east-1"
	defaultTimeout = 30 * time.Second
	defaultRetries = 3
	// slowestRate is what a healthy store manages in any case, in bytes a second; slower attempts are given up.
	slowestRate = 1 << 20
	// maxSinglePut is the limit of one PUT and of one copy in S3. No category comes near it, so nothing is ever
	// sent in parts, which was slower besides (part buffers, three requests more).
	maxSinglePut = 5 << 30
	// probeKey is no legal key, so no object is in danger and List passes over it.
	probeKey = ".ready"
)

func openS3(ctx context.Context, c Config) (*Zones, error) {
	store, err := newS3Store(c)
	if err != nil {
		return nil, err
	}
	zones := &Zones{
		Quarantine: &s3{s3Store: store, bucket: c.QuarantineBucket},
		Clean:      &s3{s3Store: store, bucket: c.CleanBucket},
		Snapshots:  &s3{s3Store: store, bucket: c.SnapshotBucket},
		Audit:      &s3{s3Store: store, bucket: c.AuditBucket},
	}
	buckets := []string{c.QuarantineBucket, c.CleanBucket, c.SnapshotBucket, c.AuditBucket}
	if c.Existing {
		if err := store.anyBucket(ctx, buckets); err != nil {
			return nil, errors.Join(fmt.Errorf("blob: %w", err), zones.Close())
		}
	}
	for _, bucket := range buckets {
		if err := store.ensureBucket(ctx, bucket); err != nil {
			return nil, errors.Join(fmt.Errorf("blob: bucket %s: %w", bucket, err), zones.Close())
		}
	}
	return zones, nil
}

func newS3Store(c Config) (*s3Store, error) {
	switch {
	case c.Endpoint == "" || strings.Contains(c.Endpoint, "/"):
		return nil, fmt.Errorf("blob: endpoint %q must be host:port without a scheme", c.Endpoint)
	case !ownBuckets(c.QuarantineBucket, c.CleanBucket, c.SnapshotBucket, c.AuditBucket):
		return nil, errors.New("blob: the zones need four buckets of their own")
	case c.Timeout < 0:
		return nil, errors.New("blob: the timeout is negative")
	}
	s := &s3Store{timeout: c.Timeout, retries: max(c.Retries, 0), pool: newPool()}
	if c.Timeout == 0 {
		s.timeout = defaultTimeout
	}
	if c.Retries == 0 {
		s.retries = defaultRetries
	}
	region := c.Region
	if region == "" { // asking the server costs a request
		region = defaultRegion
	}
	lookup := minio.BucketLookupAuto
	if c.PathStyle {
		lookup = minio.BucketLookupPath
	}
	var err error
	s.client, err = minio.NewCore(c.Endpoint, &minio.Options{
		Creds:           credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""),
		Secure:          c.UseTLS,
		Region:          region,
		BucketLookup:    lookup,
		Transport:       s.pool,
		TrailingHeaders: true,
		MaxRetries:      1,
	})
	if err != nil {
		return nil, fmt.Errorf("blob: s3 client: %w", err)
	}
	return s, nil
}

// ownBuckets reports whether each zone has a bucket, and no two have the same.
func ownBuckets(names ...string) bool {
	seen := map[string]bool{"": true}
	for _, name := range names {
		if seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

// newPool keeps a connection for each of many parallel requests: the default of 16 makes the 17th dial anew.
func newPool() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        512,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     20 * time.Second, // below what servers allow (MinIO: 30 s), or puts hit closing connections
		WriteBufferSize:     64 << 10,         // the 4 KiB default costs a system call each
		ReadBufferSize:      32 << 10,
		DisableCompression:  true, // an object that is gzip stays gzip
	}
}

// anyBucket returns ErrNoStore when none of the buckets exists.
func (s *s3Store) anyBucket(ctx context.Context, buckets []string) error {
	for _, bucket := range buckets {
		var exists bool
		err := s.try(ctx, s.timeout, func(ctx context.Context) (err error) {
			exists, err = s.client.BucketExists(ctx, bucket)
			return err
		})
		if err != nil || exists {
			return err
		}
	}
	return fmt.Errorf("%w: none of its buckets exists (%s)", ErrNoStore, strings.Join(buckets, ", "))
}

func (s *s3Store) ensureBucket(ctx context.Context, bucket string) error {
	return s.try(ctx, s.timeout, func(ctx context.Context) error {
		exists, err := s.client.BucketExists(ctx, bucket)
		if err != nil || exists {
			return err
		}
		err = s.client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{})
		switch minio.ToErrorResponse(err).Code {
		case minio.BucketAlreadyOwnedByYou, minio.BucketAlreadyExists: // another program was faster
			exists, err = s.client.BucketExists(ctx, bucket)
			if err == nil && !exists {
				err = errors.New("the name belongs to somebody else")
			}
		}
		return err
	})
}

// Stat describes an object.
func (b *s3) Stat(ctx context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, opError("stat", key, err)
	}
	o, err := b.stat(ctx, key)
	if err != nil {
		return Info{}, opError("stat", key, err)
	}
	return Info{Key: key, Size: o.Size, ModTime: o.LastModified}, nil
}

func (b *s3) stat(ctx context.Context, key string) (o minio.ObjectInfo, err error) {
	err = b.try(ctx, b.timeout, func(ctx context.Context) error {
		o, err = b.client.StatObject(ctx, b.bucket, key, minio.StatObjectOptions{})
		return err
	})
	if !errors.Is(err, ErrNotExist) {
		return o, err
	}
	// The 404 of a HEAD has no body to say what is missing; a lost bucket must not look like lost objects.
	if berr := b.reachable(ctx); berr != nil {
		return o, berr
	}
	return o, err
}

// reachable fails when the bucket is not there.
func (b *s3) reachable(ctx context.Context) error {
	return b.try(ctx, b.timeout, func(ctx context.Context) error {
		exists, err := b.client.BucketExists(ctx, b.bucket)
		if err == nil && !exists {
			err = fmt.Errorf("bucket %s does not exist", b.bucket)
		}
		return err
	})
}

// Delete removes an object.
func (b *s3) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return opError("delete", key, err)
	}
	err := b.try(ctx, b.timeout, func(ctx context.Context) error {
		return b.client.RemoveObject(ctx, b.bucket, key, minio.RemoveObjectOptions{})
	})
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	return opError("delete", key, err)
}

// CopyFrom lets the server copy.
func (b *s3) CopyFrom(ctx context.Context, from Bucket, fromKey, key string) error {
	src, ok := from.(*s3)
	if !ok || src.s3Store != b.s3Store {
		return opError("copy", fromKey, errOtherStore)
	}
	if err := checkCopy(src.bucket == b.bucket, fromKey, key); err != nil {
		return opError("copy", fromKey, err)
	}
	o, err := src.stat(ctx, fromKey) // its size is what the timeout goes by
	if err != nil {
		return opError("copy", fromKey, err)
	}
	err = b.try(ctx, b.timeFor(o.Size), func(ctx context.Context) error {
		_, err := b.client.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: b.bucket, Object: key},
			minio.CopySrcOptions{Bucket: src.bucket, Object: fromKey})
		return err
	})
	return opError("copy", fromKey, err)
}

// s3Page is what S3 answers at most in one request.
const s3Page = 1000

// List asks page by page, each after the last key of the one before, so that a page can be tried again.
func (b *s3) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := checkList(prefix, after); err != nil {
			yield(Info{}, opError("list", prefix, err))
			return
		}
		for {
			page, err := b.page(ctx, prefix, after)
			if err != nil {
				yield(Info{}, opError("list", prefix, err))
				return
			}
			for _, o := range page {
				after = o.Key
				// What is no key of ours (a probe, a console's folder marker) is no object.
				if CheckKey(o.Key) == nil && !yield(Info{Key: o.Key, Size: o.Size, ModTime: o.LastModified}, nil) {
					return
				}
			}
			if len(page) < s3Page {
				return
			}
		}
	}
}

func (b *s3) page(ctx context.Context, prefix, after string) (page []minio.ObjectInfo, err error) {
	opts := minio.ListObjectsOptions{
		Prefix: prefix, Recursive: true, StartAfter: after, MaxKeys: s3Page, FetchOwner: new(bool),
	}
	err = b.try(ctx, b.timeout, func(ctx context.Context) error {
		page = make([]minio.ObjectInfo, 0, s3Page)
		for o := range b.client.ListObjectsIter(ctx, b.bucket, opts) {
			if o.Err != nil {
				return o.Err
			}
			if page = append(page, o); len(page) == s3Page {
				return nil
			}
		}
		return ctx.Err() // a cancelled iterator just ends
	})
	return page, err
}

// Ready puts an empty object that List never shows, once: whoever asks for readiness asks again.
func (b *s3) Ready(ctx context.Context) error {
	attempt, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	_, err := b.client.PutObject(attempt, b.bucket, probeKey, http.NoBody, 0, "", "",
		minio.PutObjectOptions{DisableContentSha256: true})
	return s3Error(ctx, err)
}

// Close drops idle connections.
func (s *s3Store) Close() error {
	s.pool.CloseIdleConnections()
	return nil
}
