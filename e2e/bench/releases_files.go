package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gatehouse/e2e/rig"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

const (
	// installerBytes is the largest artifact there may be.
	installerBytes = 600 << 20
	// updateRanges of rangeBytes each are what a client of a differential update asks for at once.
	updateRanges = 1000
	rangeBytes   = 16 << 10
)

// benchDownloads reads a large installer whole and by a thousand ranges, against nginx serving the same bytes from the same disk.
func benchDownloads(c *console) []row {
	r := rig.Embedded(c, rig.Options{Workers: rig.NoWorkers, Env: map[string]string{"GATEHOUSE_LOG_LEVEL": "info"}})
	db := openRig(c, r)
	file, digest := storeInstaller(c, r, db)
	publishFile(c, db, release.Track{Channel: "stable", Platform: "win32", Arch: "x64"}, digest)
	ours := r.URLs[0] + "/api/release/v1/feed/stable/win32/x64/1.0.0/setup-1.0.0.exe"
	theirs := startNginx(c, filepath.Dir(file)) + "/" + filepath.Base(file)
	idle, _ := r.Gateways[0].Memory()
	rows := []row{
		downloadRow(c, "600 MiB download", ours, theirs, "", 1),
		downloadRow(c, "600 MiB download, 8 connections", ours, theirs, "", 8),
		downloadRow(c, fmt.Sprintf("%d ranges of 16 KiB in one request", updateRanges), ours, theirs, rangesOf(), 1),
	}
	after, peak := r.Gateways[0].Memory()
	return append(rows, row{
		what: "gateway's resident memory during these", measured: fmt.Sprintf("peak %d MiB", peak>>20),
		reference: fmt.Sprintf("before %d MiB, after %d MiB", idle>>20, after>>20),
	})
}

// rangesOf are ranges spread over the whole file, as between two versions of an installer.
func rangesOf() string {
	var b strings.Builder
	b.WriteString("bytes=")
	step := int64(installerBytes / updateRanges)
	for i := range int64(updateRanges) {
		start := i*step + mathrand.Int64N(step-rangeBytes)
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d-%d", start, start+rangeBytes-1)
	}
	return b.String()
}

func downloadRow(c *console, what, ours, theirs, ranges string, connections int) row {
	turns := 4
	if ranges != "" {
		turns = 20
	}
	turns = max(2, int(float64(turns)*c.share))
	download(c, ours, ranges, connections) // warm, the disk's cache too
	download(c, theirs, ranges, connections)
	var a, b time.Duration
	var bytes int64
	for i := range turns {
		if i%2 == 0 {
			n, took := download(c, ours, ranges, connections)
			bytes, a = bytes+n, a+took
			_, took = download(c, theirs, ranges, connections)
			b += took
		} else {
			_, took := download(c, theirs, ranges, connections)
			b += took
			n, took := download(c, ours, ranges, connections)
			bytes, a = bytes+n, a+took
		}
	}
	rate := func(d time.Duration) string { return fmt.Sprintf("%.0f MiB/s", float64(bytes)/(1<<20)/d.Seconds()) }
	return row{what: what, measured: rate(a), reference: "nginx " + rate(b), ratio: b.Seconds() / a.Seconds()}
}

// download reads a file on so many connections and tells how many bytes came, in what time.
func download(c *console, url, ranges string, connections int) (int64, time.Duration) {
	began := time.Now()
	type result struct {
		n   int64
		err error
	}
	results := make(chan result, connections)
	for range connections {
		go func() {
			n, err := readAll(url, ranges)
			results <- result{n, err}
		}()
	}
	var total int64
	for range connections {
		r := <-results
		c.must(r.err)
		total += r.n
	}
	return total, time.Since(began)
}

func readAll(url, ranges string) (int64, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	want, least := http.StatusOK, int64(installerBytes)
	if ranges != "" {
		req.Header.Set("Range", ranges)
		want, least = http.StatusPartialContent, updateRanges*rangeBytes
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 256<<10))
	if err == nil && (resp.StatusCode != want || n < least) {
		err = fmt.Errorf("%s: status %d with %d bytes", url, resp.StatusCode, n)
	}
	return n, err
}

// storeInstaller puts random bytes into the clean zone, and what their pieces must be into the database.
func storeInstaller(c *console, r *rig.Rig, db *meta.DB) (file, digest string) {
	ctx := context.Background()
	file = filepath.Join(c.TempDir(), "setup-1.0.0.exe")
	f, err := os.Create(file)
	c.must(err)
	whole := sha256.New()
	var pieces []byte
	piece := make([]byte, release.PieceBytes)
	for range installerBytes / release.PieceBytes {
		_, err := rand.Read(piece)
		c.must(err)
		sum := sha256.Sum256(piece)
		pieces = append(pieces, sum[:]...)
		_, _ = whole.Write(piece) // a hash never fails
		_, err = f.Write(piece)
		c.must(err)
	}
	digest = hex.EncodeToString(whole.Sum(nil))
	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: filepath.Join(r.Env["GATEHOUSE_DATA_DIR"], "store")})
	c.must(err)
	defer func() { _ = zones.Close() }()
	_, err = f.Seek(0, io.SeekStart)
	c.must(err)
	c.must(zones.Clean.Put(ctx, storage.BlobKey(release.PlatformTenant, digest), f, installerBytes, blob.PutOptions{}))
	c.must(errors.Join(f.Close(), os.Chmod(filepath.Dir(file), 0o755), os.Chmod(file, 0o644)))
	c.must(db.InTx(ctx, func(tx *meta.Tx) error {
		return tx.Create(&meta.ReleaseDigests{SHA256: digest, PieceBytes: release.PieceBytes, Digests: base64.StdEncoding.EncodeToString(pieces), CreatedAt: meta.Now()})
	}))
	return file, digest
}

// publish writes the rows of a release whose installer nobody reads.
func publish(c *console, db *meta.DB, track release.Track, version, fallback string, percentage int) string {
	sum := sha256.Sum256([]byte(track.Key() + version))
	digest := hex.EncodeToString(sum[:])
	return publishRows(c, db, track, version, fallback, percentage, digest, 100<<20)
}

func publishFile(c *console, db *meta.DB, track release.Track, digest string) {
	publishRows(c, db, track, "1.0.0", "", 100, digest, installerBytes)
}

func publishRows(c *console, db *meta.DB, track release.Track, version, fallback string, percentage int, digest string, size int64) string {
	id, now := meta.NewID(), meta.Now()
	key, versionKey := track.Key(), track.Key()+"/"+version
	name := "setup-" + version + ".exe"
	sha512 := strings.Repeat("0f", 64)
	manifest := fmt.Sprintf("version: %s\nfiles:\n  - url: %s/%s\n    sha512: %s\n    size: %d\npath: %s/%s\nsha512: %[4]s\nreleaseDate: '2026-01-01T00:00:00.000Z'\n",
		version, version, name, base64.StdEncoding.EncodeToString(make([]byte, 64)), size, version, name)
	rel := meta.ClientRelease{
		ID: id, Channel: track.Channel, Platform: track.Platform, Arch: track.Arch, Version: version, VersionKey: &versionKey,
		State: string(release.Published), PublishedKey: &key, FallbackID: fallback, Percentage: percentage, Notes: "Faster, and fewer faults.",
		Manifest: manifest, CreatedBy: "bench", CreatedAt: now, UpdatedAt: now, PublishedAt: now,
	}
	if percentage == 100 {
		rel.FullAt = now
	}
	asset := meta.Asset{
		ID: meta.NewID(), SHA256: digest, Name: name, Ext: "exe", Category: storage.CategoryRelease, MediaType: "application/vnd.microsoft.portable-executable",
		Size: size, State: storage.AssetAvailable, CreatedAt: now, UpdatedAt: now,
	}
	c.must(db.InTx(context.Background(), func(tx *meta.Tx) error {
		if _, err := tx.Exec("UPDATE client_releases SET state = ?, published_key = NULL WHERE published_key = ?", release.Superseded, key); err != nil {
			return err
		}
		tenant := tx.Tenant(release.PlatformTenant)
		if _, err := tenant.CreateBlob(&meta.Blob{
			SHA256: digest, SHA512: sha512, Size: size, MediaType: asset.MediaType, Category: asset.Category, Zone: storage.ZoneClean, Refs: 1,
			ScanStatus: storage.ScanClean, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		}); err != nil {
			return err
		}
		if err := tenant.CreateAsset(&asset); err != nil {
			return err
		}
		if err := tx.Create(&rel); err != nil {
			return err
		}
		return tx.Create(&meta.ReleaseArtifact{
			ID: meta.NewID(), ReleaseID: id, Kind: string(release.Installer), Name: name, AssetID: asset.ID, SHA256: digest, SHA512: sha512,
			Size: size, MediaType: asset.MediaType, CreatedAt: now,
		})
	}))
	return id
}

const nginxBare = `
daemon off;
pid nginx.pid;
error_log error.log;
worker_processes auto;
events { worker_connections 512; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    large_client_header_buffers 4 64k;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server { listen LISTEN; root ROOT; }
}
`

// startNginx serves a folder.
func startNginx(c *console, root string) string {
	dir, addr := c.TempDir(), freePort(c)
	c.must(os.Chmod(dir, 0o755))
	conf := strings.NewReplacer("LISTEN", addr, "ROOT", root).Replace(nginxBare)
	c.must(os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o600))
	cmd := exec.Command("/usr/sbin/nginx", "-p", dir, "-c", "nginx.conf", "-e", "error.log")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.must(cmd.Start())
	c.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // ended by the signal
	})
	waitFor(c, addr)
	return "http://" + addr
}

func freePort(c *console) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.must(err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func waitFor(c *console, addr string) {
	for range 500 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.Fatalf("nothing answers on %s", addr)
}
