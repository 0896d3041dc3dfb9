package release_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/gateway/assets"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/httpapi"
	"gatehouse/gateway/release"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	releases "gatehouse/storage/release"
)

// rig is the release API on a real socket, database and store.
type rig struct {
	t          testing.TB
	db         *meta.DB
	zones      *blob.Zones
	root, url  string
	api        *release.API
	mismatches atomic.Int64
}

const publicURL = "https://updates.example.com"

func newRig(t testing.TB, db *meta.DB) *rig {
	t.Helper()
	r := &rig{t: t, db: db, root: t.TempDir()}
	var err error
	r.zones, err = blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: r.root})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.zones.Close()) })
	now := meta.Now()
	r.inTx(func(tx *meta.Tx) error {
		if err := tx.Create(&meta.Plan{Name: "platform", StorageBytes: 1 << 40, Spec: "{}", UpdatedAt: now}); err != nil {
			return err
		}
		return tx.Create(&meta.TenantRow{ID: releases.PlatformTenant, Name: "platform", Plan: "platform", State: storage.TenantActive, CreatedAt: now, UpdatedAt: now})
	})
	o := httpapi.DefaultOptions()
	o.Log, o.Metrics = slog.New(slog.NewJSONHandler(io.Discard, nil)), prometheus.NewRegistry()
	server, err := httpapi.New(o)
	require.NoError(t, err)
	r.api = &release.API{
		DB: db, Zones: r.zones, Log: o.Log, PublicURL: publicURL, Timeout: 10 * time.Second,
		Mismatched: func() { r.mismatches.Add(1) }, Client: httpapi.Client, RequestID: httpapi.RequestID,
	}
	rows := httpapi.Routes(httpapi.Handlers{Assets: &assets.API{}, Health: &httpapi.Health{}, Release: r.api})
	require.NoError(t, httpapi.Mount(server.App(), rows, httpapi.Guards(&auth.Keys{DB: db}), httpapi.BoundUploads(1)))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r.url = "http://" + ln.Addr().String() + release.Prefix
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, server.Shutdown(ctx))
		require.NoError(t, <-done)
	})
	return r
}

func (r *rig) inTx(do func(tx *meta.Tx) error) {
	r.t.Helper()
	require.NoError(r.t, r.db.InTx(context.Background(), do))
}

// set runs a statement and makes the API see it.
func (r *rig) set(sql string, args ...any) {
	r.t.Helper()
	n, err := r.db.Exec(context.Background(), sql, args...)
	require.NoError(r.t, err)
	require.NotZero(r.t, n, sql)
	r.api.Forget()
}

var win = releases.Track{Channel: "stable", Platform: "win32", Arch: "x64"}

// upload is a file of a release.
type upload struct {
	kind    releases.Kind
	name    string
	content []byte
}

// random is content that does not repeat.
func random(n int, seed uint64) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b) // never fails
	return b
}

// publish writes a release with its files as if it had been published, for all, unless change says otherwise.
func (r *rig) publish(track releases.Track, version string, change func(*meta.ClientRelease), files ...upload) meta.ClientRelease {
	r.t.Helper()
	v, ok := releases.ParseVersion(version)
	require.True(r.t, ok)
	now := meta.Now()
	key, versionKey := track.Key(), track.Versioned(v)
	row := meta.ClientRelease{
		ID: meta.NewID(), Channel: track.Channel, Platform: track.Platform, Arch: track.Arch, Version: version, VersionKey: &versionKey,
		State: string(releases.Published), PublishedKey: &key, Percentage: 100, FullAt: now, Notes: "Notes of <" + version + ">",
		Manifest: "version: " + version + "\r\n# signed\n", CreatedAt: now, UpdatedAt: now, PublishedAt: now,
	}
	if change != nil {
		change(&row)
	}
	if len(files) == 0 {
		files = []upload{{releases.Installer, "App Setup " + version + ".exe", []byte("the installer of " + row.ID)}}
	}
	for _, f := range files {
		r.store(row.ID, f)
	}
	r.inTx(func(tx *meta.Tx) error { return tx.Create(&row) })
	r.api.Forget()
	return row
}

// superseded is the row of a release that another has followed.
func superseded(row *meta.ClientRelease) {
	row.State, row.PublishedKey = string(releases.Superseded), nil
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (r *rig) store(releaseID string, f upload) {
	r.t.Helper()
	digest, full := digestOf(f.content), sha512.Sum512(f.content)
	size, now := int64(len(f.content)), meta.Now()
	require.NoError(r.t, r.zones.Clean.Put(context.Background(), storage.BlobKey(releases.PlatformTenant, digest), bytes.NewReader(f.content), size, blob.PutOptions{}))
	var sums []byte
	for piece := range bytesChunks(f.content) {
		sum := sha256.Sum256(piece)
		sums = append(sums, sum[:]...)
	}
	r.inTx(func(tx *meta.Tx) error {
		tenant := tx.Tenant(releases.PlatformTenant)
		if _, err := tenant.CreateBlob(&meta.Blob{
			SHA256: digest, SHA512: hex.EncodeToString(full[:]), Size: size, Zone: storage.ZoneClean, Refs: 1, Category: storage.CategoryDocument,
			ScanStatus: storage.ScanClean, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		}); err != nil {
			return err
		}
		asset := meta.Asset{
			ID: meta.NewID(), SHA256: digest, Name: f.name, Ext: "exe", Category: storage.CategoryDocument, MediaType: "application/octet-stream",
			Size: size, State: storage.AssetAvailable, CreatedAt: now, UpdatedAt: now,
		}
		if err := tenant.CreateAsset(&asset); err != nil {
			return err
		}
		if err := tx.Create(&meta.ReleaseDigests{SHA256: digest, PieceBytes: releases.PieceBytes, Digests: base64.StdEncoding.EncodeToString(sums), CreatedAt: now}); err != nil {
			return err
		}
		return tx.Create(&meta.ReleaseArtifact{
			ID: meta.NewID(), ReleaseID: releaseID, Kind: string(f.kind), Name: f.name, AssetID: asset.ID, SHA256: digest,
			SHA512: hex.EncodeToString(full[:]), Size: size, MediaType: "application/octet-stream", CreatedAt: now,
		})
	})
}

func bytesChunks(b []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(len(b), releases.PieceBytes)
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// object is where the file's bytes lie on the disk.
func (r *rig) object(content []byte) string {
	return filepath.Join(r.root, "clean", filepath.FromSlash(storage.BlobKey(releases.PlatformTenant, digestOf(content))))
}

type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // of reading the body
}

// get asks; header is names and values.
func (r *rig) get(path string, header ...string) reply { return r.ask(http.MethodGet, path, header...) }

func (r *rig) ask(method, path string, header ...string) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, r.url+path, nil)
	require.NoError(r.t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, body, err}
}

func (r *rig) refused(got reply, status int, code storage.Code, reason string) {
	r.t.Helper()
	require.Equal(r.t, status, got.status, string(got.body))
	var e struct {
		Code    storage.Code
		Details map[string]any
	}
	require.NoError(r.t, json.Unmarshal(got.body, &e))
	require.Equal(r.t, code, e.Code)
	if reason == "" {
		require.NotContains(r.t, e.Details, "reason")
	} else {
		require.Equal(r.t, reason, e.Details["reason"])
	}
}
