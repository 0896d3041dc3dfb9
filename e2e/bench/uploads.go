package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"gatehouse/e2e/rig"
	"gatehouse/e2e/services"
)

// cell is one measurement: so many files of a size over so many connections.
type cell struct {
	label       string
	file        stamped
	connections int
	// files is how many are sent by each side.
	files int
}

func cells() []cell {
	var out []cell
	for _, s := range []struct {
		label string
		file  stamped
		files [3]int // at 1, 16 and 64 connections
	}{
		{"64 KiB", jpegOf(64 << 10), [3]int{300, 1200, 1200}},
		{"1 MiB", jpegOf(1 << 20), [3]int{100, 240, 256}},
		{"50 MiB", mp4Of(50 << 20), [3]int{8, 32, 64}},
	} {
		for i, n := range []int{1, 16, 64} {
			out = append(out, cell{s.label, s.file, n, s.files[i]})
		}
	}
	return out
}

// benchUploads compares uploads through the gateway with PutObject of the same bytes into the same MinIO. The
// worker does not run: its scans would take the processor from one side only.
func benchUploads(c *console) []row {
	r := rig.Distributed(c, rig.Options{Workers: rig.NoWorkers, Env: map[string]string{
		"GATEHOUSE_LOG_LEVEL":                    "warn",
		"GATEHOUSE_PLANS_PRO_STORAGE_BYTES":      "1TiB",
		"GATEHOUSE_PLANS_PRO_UPLOADS_PER_MINUTE": "0",
		"GATEHOUSE_CATEGORIES_IMAGE_MAX_BYTES":   "64MiB",
	}})
	tenant := r.Tenant("bench", "pro")
	bare := newBare(c, services.MinIO(c))
	var rows []row
	for _, x := range cells() {
		x.files = max(2*x.connections, int(float64(x.files)*c.share))
		tenant.HTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: x.connections}}
		put := func(content []byte) error {
			return bare.put(content)
		}
		upload := func(content []byte) error {
			_, err := tenant.Upload(x.file.name, content)
			return err
		}
		// Reference, Gatehouse, reference, Gatehouse: drift of the machine hits both.
		half := x
		half.files = max(x.files/2, 1)
		var ref, got time.Duration
		for range 2 {
			ref += spread(c, half, put)
			got += spread(c, half, upload)
		}
		rows = append(rows, x.row("upload", got, ref, ">= 0.70", half.files*2))

		same := half
		refDup := spread(c, same, put)
		dup := repeat(c, same, upload)
		rows = append(rows, x.row("duplicate", dup, refDup, ">= 1.50", same.files))
	}
	return rows
}

func (x cell) row(what string, got, ref time.Duration, aim string, files int) row {
	rate := func(d time.Duration) string {
		perSecond := float64(files) / d.Seconds()
		return fmt.Sprintf("%.1f/s (%.0f MiB/s)", perSecond, perSecond*float64(len(x.file.bytes))/(1<<20))
	}
	return row{
		what:     fmt.Sprintf("%s %s, %d connections", what, x.label, x.connections),
		measured: rate(got), reference: "PutObject " + rate(ref), ratio: ref.Seconds() / got.Seconds(), aim: aim,
	}
}

// spread sends files that all differ.
func spread(c *console, x cell, send func([]byte) error) time.Duration {
	return drive(c, x, func(buffer []byte) []byte { return x.file.next(buffer) }, send)
}

// repeat sends the same file over and over, after it is there.
func repeat(c *console, x cell, send func([]byte) error) time.Duration {
	one := x.file.next(make([]byte, len(x.file.bytes)))
	c.must(send(one))
	return drive(c, x, func([]byte) []byte { return one }, send)
}

func drive(c *console, x cell, next func([]byte) []byte, send func([]byte) error) time.Duration {
	var left atomic.Int64
	left.Store(int64(x.files))
	buffers := make([][]byte, x.connections)
	for i := range buffers {
		buffers[i] = make([]byte, len(x.file.bytes))
	}
	var wg sync.WaitGroup
	began := time.Now()
	for i := range x.connections {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := send(next(buffers[i])); err != nil {
					c.Errorf("%s: %v", x.label, err)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	if c.failed {
		c.Fatalf("%s at %d connections failed", x.label, x.connections)
	}
	return took
}

// bare is minio-go as one would use it without Gatehouse.
type bare struct {
	client *minio.Client
	bucket string
	n      atomic.Int64
}

func newBare(c *console, s services.S3) *bare {
	client, err := minio.New(s.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")})
	c.must(err)
	b := &bare{client: client, bucket: strings.ToLower("bench-" + fmt.Sprint(time.Now().UnixNano()))}
	c.must(client.MakeBucket(context.Background(), b.bucket, minio.MakeBucketOptions{}))
	c.Cleanup(func() {
		_ = client.RemoveBucketWithOptions(context.Background(), b.bucket, minio.RemoveBucketOptions{ForceDelete: true})
	})
	return b
}

func (b *bare) put(content []byte) error {
	_, err := b.client.PutObject(context.Background(), b.bucket, fmt.Sprintf("%08d", b.n.Add(1)),
		bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	return err
}
