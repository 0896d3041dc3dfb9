package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage/blob"
)

// shapes are sizes and connections that uploads are measured with.
var shapes = []struct{ size, conns int }{{64 << 10, 1}, {64 << 10, 64}, {1 << 20, 1}, {1 << 20, 16}, {50 << 20, 1}, {50 << 20, 4}}

// BenchmarkPut compares our puts with plain minio-go's PutObject of the same bytes to the same MinIO.
func BenchmarkPut(b *testing.B) {
	c := s3Config(services.MinIO(b))
	zones := benchStore(b, c)
	plain := client(b, c)
	for _, s := range shapes {
		data := make([]byte, s.size)
		_, _ = rand.Read(data) // never fails
		b.Run(fmt.Sprintf("%dKiB x%d/minio-go", s.size>>10, s.conns), func(b *testing.B) {
			measure(b, s.size, s.conns, func(ctx context.Context, key string) error {
				_, err := plain.PutObject(ctx, c.CleanBucket, key, bytes.NewReader(data), int64(s.size), minio.PutObjectOptions{})
				return err
			})
		})
		b.Run(fmt.Sprintf("%dKiB x%d/gatehouse", s.size>>10, s.conns), func(b *testing.B) {
			measure(b, s.size, s.conns, func(ctx context.Context, key string) error {
				return zones.Clean.Put(ctx, key, bytes.NewReader(data), int64(s.size), blob.PutOptions{})
			})
		})
	}
}

// BenchmarkOpen compares reading whole objects.
func BenchmarkOpen(b *testing.B) {
	c := s3Config(services.MinIO(b))
	zones := benchStore(b, c)
	plain := client(b, c)
	for _, s := range shapes {
		key := fmt.Sprintf("bench/%d", s.size)
		require.NoError(b, zones.Clean.Put(b.Context(), key, bytes.NewReader(make([]byte, s.size)), int64(s.size), blob.PutOptions{}))
		b.Run(fmt.Sprintf("%dKiB x%d/minio-go", s.size>>10, s.conns), func(b *testing.B) {
			measure(b, s.size, s.conns, func(ctx context.Context, _ string) error {
				o, err := plain.GetObject(ctx, c.CleanBucket, key, minio.GetObjectOptions{})
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, o)
				return errors.Join(err, o.Close())
			})
		})
		b.Run(fmt.Sprintf("%dKiB x%d/gatehouse", s.size>>10, s.conns), func(b *testing.B) {
			measure(b, s.size, s.conns, func(ctx context.Context, _ string) error {
				o, _, err := zones.Clean.Open(ctx, key, 0, -1)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, o)
				return errors.Join(err, o.Close())
			})
		})
	}
}

// BenchmarkDiskPut shows what durable small puts cost on this machine's disk.
func BenchmarkDiskPut(b *testing.B) {
	zones := openDisk(b, b.TempDir())
	for _, s := range shapes {
		data := make([]byte, s.size)
		b.Run(fmt.Sprintf("%dKiB x%d", s.size>>10, s.conns), func(b *testing.B) {
			measure(b, s.size, s.conns, func(ctx context.Context, key string) error {
				return zones.Clean.Put(ctx, key, bytes.NewReader(data), int64(s.size), blob.PutOptions{})
			})
		})
	}
}

func benchStore(b *testing.B, c blob.Config) *blob.Zones {
	b.Helper()
	zones, err := blob.Open(b.Context(), c)
	require.NoError(b, err)
	b.Cleanup(func() {
		dropBuckets(b, c)
		require.NoError(b, zones.Close())
	})
	return zones
}

// measure calls op b.N times from conns goroutines, over 256 keys.
func measure(b *testing.B, size, conns int, op func(ctx context.Context, key string) error) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range conns {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := op(b.Context(), fmt.Sprintf("bench/%02x/%d", i%16, i%256)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
