package release_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/release"
)

var ctx = context.Background()

// signatures is the signature database that the workers scan with in these tests.
const signatures = "daily-1"

var alex = release.By{Actor: audit.Actor{Kind: audit.KindOperator, ID: "alex"}, Reason: "a test"}

// shop is releases over a real database and store.
type shop struct {
	t     *testing.T
	db    *meta.DB
	zones *blob.Zones
	root  string
}

func onEach(t *testing.T, test func(s shop)) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) { test(open(t, db)) })
}

func open(t *testing.T, db *meta.DB) shop {
	t.Helper()
	root := t.TempDir()
	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: root})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	s := shop{t, db, zones, root}
	now := meta.Now()
	s.in(func(tx *meta.Tx) error {
		if err := tx.Create(&meta.Plan{Name: "platform", StorageBytes: 1 << 40, Spec: "{}", UpdatedAt: now}); err != nil {
			return err
		}
		return tx.Create(&meta.TenantRow{
			ID: release.PlatformTenant, Name: "platform", Plan: "platform", State: storage.TenantActive, CreatedAt: now, UpdatedAt: now,
		})
	})
	s.signatures(signatures)
	return s
}

func (s shop) signatures(database string) {
	now := meta.Now()
	require.NoError(s.t, s.db.SetScanner(ctx, meta.ScannerFact{Ready: true, Engine: "clamd", Database: database, CheckedAt: now, NextCheck: now.Add(time.Hour)}))
}

func (s shop) in(do func(*meta.Tx) error) {
	s.t.Helper()
	require.NoError(s.t, s.db.InTx(ctx, do))
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func ext(name string) string { return strings.TrimPrefix(strings.ToLower(path.Ext(name)), ".") }

// asset puts a clean file of the platform into the store, and gives its id.
func (s shop) asset(name string, content []byte) string {
	s.t.Helper()
	long, digest, now := sha512.Sum512(content), digestOf(content), meta.Now()
	require.NoError(s.t, s.zones.Clean.Put(ctx, storage.BlobKey(release.PlatformTenant, digest), bytes.NewReader(content), int64(len(content)), blob.PutOptions{}))
	a := meta.Asset{
		ID: meta.NewID(), SHA256: digest, Name: name, Ext: ext(name), Category: storage.CategoryRelease, MediaType: "application/octet-stream", Size: int64(len(content)),
		State: storage.AssetAvailable, CreatedAt: now, UpdatedAt: now,
	}
	s.in(func(tx *meta.Tx) error {
		tenant := tx.Tenant(release.PlatformTenant)
		b := meta.Blob{
			SHA256: digest, SHA512: hex.EncodeToString(long[:]), Size: a.Size, MediaType: a.MediaType, Category: a.Category, Zone: storage.ZoneClean,
			Refs: 1, ScanStatus: storage.ScanClean, ScanEngine: "clamd", ScanDatabase: signatures, ScanBytes: a.Size, ScanDigest: digest, ScannedAt: now,
			MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		}
		made, err := tenant.CreateBlob(&b)
		if err != nil {
			return err
		}
		if !made {
			if _, err := tenant.LinkBlob(digest); err != nil {
				return err
			}
		}
		return tenant.CreateAsset(&a)
	})
	return a.ID
}

var stable = release.Track{Channel: "stable", Platform: "win32", Arch: "x64"}

// empty makes a draft without files.
func (s shop) empty(version string) string {
	s.t.Helper()
	var r meta.ClientRelease
	s.in(func(tx *meta.Tx) (err error) {
		r, err = release.Create(tx, alex, release.Content{Track: stable, Version: version, Notes: "# " + version})
		return err
	})
	return r.ID
}

// draft makes a draft with an installer, and gives the digest of that.
func (s shop) draft(version string) (id, digest string) {
	s.t.Helper()
	id = s.empty(version)
	content := bytes.Repeat([]byte("installer of "+version+"\n"), 20_000) // some pieces
	s.attach(id, release.Installer, "App Setup "+version+".exe", s.asset("x.exe", content))
	return id, digestOf(content)
}

func (s shop) attach(id string, kind release.Kind, name, asset string) meta.ReleaseArtifact {
	s.t.Helper()
	var a meta.ReleaseArtifact
	s.in(func(tx *meta.Tx) (err error) {
		if _, err := tx.Exec("UPDATE assets SET ext = ? WHERE id = ?", ext(name), asset); err != nil { // as if it had come in under that name
			return err
		}
		a, err = release.Attach(tx, alex, id, release.File{Kind: kind, Name: name, AssetID: asset})
		return err
	})
	return a
}

// publish publishes a draft to so many devices.
func (s shop) publish(id string, percentage int) meta.ClientRelease {
	s.t.Helper()
	r, err := s.try(id, percentage)
	require.NoError(s.t, err)
	require.Equal(s.t, string(release.Published), r.State)
	return r
}

func (s shop) try(id string, percentage int) (meta.ClientRelease, error) {
	return release.Switch(ctx, s.db, s.zones, alex, release.Ask{ReleaseID: id, Percentage: percentage})
}

func (s shop) back(id string) (meta.ClientRelease, error) {
	return release.Switch(ctx, s.db, s.zones, alex, release.Ask{ReleaseID: id, Percentage: 100, Back: true})
}

func (s shop) row(id string) meta.ClientRelease {
	s.t.Helper()
	r, _, err := release.Show(ctx, s.db, id)
	require.NoError(s.t, err)
	return r
}

// published is the version that holds the track, empty for none.
func (s shop) published() string {
	s.t.Helper()
	var r meta.ClientRelease
	s.in(func(tx *meta.Tx) (err error) {
		r, _, err = tx.ReleaseHolding(stable.Key())
		return err
	})
	return r.Version
}

// exec changes rows behind everybody's back.
func (s shop) exec(sql string, args ...any) {
	s.t.Helper()
	s.in(func(tx *meta.Tx) error {
		n, err := tx.Exec(sql, args...)
		require.EqualValues(s.t, 1, n, sql)
		return err
	})
}

// object is the file of a blob in the clean zone.
func (s shop) object(digest string) string {
	return filepath.Join(s.root, "clean", filepath.FromSlash(storage.BlobKey(release.PlatformTenant, digest)))
}

// records are the data of the audit records of an action, the newest first.
func (s shop) records(action string) []map[string]any {
	s.t.Helper()
	list, err := s.db.AuditLog(ctx, meta.AuditFilter{Action: action}, 100)
	require.NoError(s.t, err)
	out := make([]map[string]any, len(list))
	for i, r := range list {
		require.NoError(s.t, json.Unmarshal([]byte(r.Data), &out[i]))
	}
	return out
}

// refusedWith checks a refusal: its code and slug, and that it has sentences for people.
func refusedWith(t *testing.T, err error, code storage.Code, slug string) {
	t.Helper()
	var e *storage.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	if slug != "" {
		require.NotNil(t, e.Reason, "%v", err)
		require.Equal(t, slug, e.Reason.Slug)
		require.Regexp(t, `\.$`, e.Reason.English)
		require.Regexp(t, `。$`, e.Reason.Chinese)
	}
}
