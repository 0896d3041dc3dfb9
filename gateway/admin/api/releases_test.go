package api_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/release"
)

// platform makes the tenant of releases, and lets a worker have told its signature database.
func (d *desk) platform() {
	d.t.Helper()
	now := meta.Now()
	require.NoError(d.t, d.DB.InTx(d.t.Context(), func(tx *meta.Tx) error {
		return tx.Create(&meta.TenantRow{
			ID: release.PlatformTenant, Name: "platform", Plan: "pro", State: storage.TenantActive, CreatedAt: now, UpdatedAt: now,
		})
	}))
	require.NoError(d.t, d.DB.SetScanner(d.t.Context(), meta.ScannerFact{Ready: true, Database: "daily-1", CheckedAt: now, NextCheck: now.Add(time.Hour)}))
}

// released puts a clean file of the platform into the store.
func (d *desk) released(name, content string) (asset, digest string) {
	d.t.Helper()
	sum, long, now, size := sha256.Sum256([]byte(content)), sha512.Sum512([]byte(content)), meta.Now(), int64(len(content))
	digest = hex.EncodeToString(sum[:])
	require.NoError(d.t, d.API.Admin.Zones.Clean.Put(d.t.Context(), storage.BlobKey(release.PlatformTenant, digest), strings.NewReader(content), size, blob.PutOptions{}))
	a := meta.Asset{
		ID: meta.NewID(), SHA256: digest, Name: name, Ext: strings.TrimPrefix(path.Ext(name), "."), Category: storage.CategoryRelease, Size: size, State: storage.AssetAvailable, CreatedAt: now, UpdatedAt: now,
	}
	require.NoError(d.t, d.DB.InTx(d.t.Context(), func(tx *meta.Tx) error {
		b := meta.Blob{
			SHA256: digest, SHA512: hex.EncodeToString(long[:]), Size: size, Category: a.Category, Zone: storage.ZoneClean, Refs: 1,
			ScanStatus: storage.ScanClean, ScanEngine: "clamd", ScanDatabase: "daily-1", ScanBytes: size, ScanDigest: digest, ScannedAt: now,
			MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		}
		if _, err := tx.Tenant(release.PlatformTenant).CreateBlob(&b); err != nil {
			return err
		}
		return tx.Tenant(release.PlatformTenant).CreateAsset(&a)
	}))
	return a.ID, digest
}

type body = map[string]any

// drafted makes a draft with an installer.
func (d *desk) drafted(version string) admin.ClientReleaseDetail {
	d.t.Helper()
	var r admin.ClientReleaseDetail
	d.ok(200, http.MethodPost, "client-releases", body{"platform": "win32", "arch": "x64", "version": version, "notes": "# What is new", "reason": "a new one"}, &r)
	asset, digest := d.released("App "+version+".exe", "installer of "+version)
	d.ok(200, http.MethodPost, "client-releases/"+r.ID+"/artifacts", body{"kind": "installer", "asset_id": asset, "sha256": digest}, &r)
	require.Len(d.t, r.Artifacts, 1)
	require.Equal(d.t, "App "+version+".exe", r.Artifacts[0].Name)
	return r
}

func TestReleasesFromDraftToRollback(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		d.platform()
		one, two := d.drafted("1.0.0"), d.drafted("2.0.0")
		require.Equal(t, release.Draft, one.State)
		require.Equal(t, "stable", one.Channel)

		var check admin.ReleaseCheck
		d.ok(200, http.MethodGet, "client-releases/"+one.ID+"/check", nil, &check)
		require.True(t, check.Publishable)
		require.Empty(t, check.Reasons)

		var r admin.ClientReleaseDetail
		d.ok(200, http.MethodPost, "client-releases/"+one.ID+"/publish", body{"reason": "the plan", "percentage": 100, "replaces": ""}, &r)
		require.Equal(t, release.Published, r.State)
		require.NotNil(t, r.FullAt)
		require.NotEmpty(t, r.Manifest)
		d.ok(409, http.MethodPost, "client-releases/"+two.ID+"/publish", body{"reason": "the plan", "percentage": 20, "replaces": ""}, nil)
		require.Equal(t, "percentage", d.refused(400, http.MethodPost, "client-releases/"+two.ID+"/publish", body{"reason": "the plan"}))
		require.Equal(t, "percentage", d.refused(400, http.MethodPost, "client-releases/"+two.ID+"/publish", body{"reason": "the plan", "percentage": 101}))
		d.ok(200, http.MethodPost, "client-releases/"+two.ID+"/publish", body{"percentage": 20, "replaces": one.ID, "reason": "it is good"}, &r)
		require.Equal(t, one.ID, r.FallbackID)
		require.Equal(t, "it is good", d.record("release.publish")["reason"])

		d.ok(200, http.MethodPut, "client-releases/"+two.ID+"/percentage", body{"reason": "the plan", "percentage": 40}, &r)
		require.Equal(t, 40, r.Percentage)
		d.ok(200, http.MethodPost, "client-releases/"+two.ID+"/pause", body{"reason": "the plan"}, &r)
		require.Equal(t, release.Paused, r.State)
		d.ok(200, http.MethodPost, "client-releases/"+two.ID+"/resume", body{"reason": "the plan"}, &r)
		d.ok(200, http.MethodPut, "client-releases/"+two.ID+"/force", body{"reason": "the plan", "forced": true, "min_required_version": "1.5.0"}, &r)
		require.True(t, r.Forced)
		require.Equal(t, "1.5.0", r.MinVersion)
		for _, half := range []body{{}, {"forced": false}, {"min_required_version": ""}, {"forced": nil, "min_required_version": ""}} {
			half["reason"] = "the plan"
			require.Equal(t, "force", d.refused(400, http.MethodPut, "client-releases/"+two.ID+"/force", half), half)
		}
		d.ok(200, http.MethodGet, "client-releases/"+two.ID, nil, &r)
		require.True(t, r.Forced)
		require.Equal(t, "1.5.0", r.MinVersion)
		d.ok(200, http.MethodPut, "client-releases/"+two.ID+"/force", body{"reason": "the plan", "forced": false, "min_required_version": ""}, &r)
		require.False(t, r.Forced)
		require.Empty(t, r.MinVersion)

		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			for device, version := range map[string]string{"a": "0.9.0", "b": "2.0.0", "c": "2.0.0"} {
				row := meta.ReleaseDevice{TenantID: release.PlatformTenant, DeviceID: device, Version: version, Channel: "stable", Platform: "win32", Arch: "x64", LastSeenAt: meta.Now()}
				if err := tx.Create(&row); err != nil {
					return err
				}
			}
			return nil
		}))
		var list page[admin.ClientRelease]
		d.ok(200, http.MethodGet, "client-releases?channel=stable&platform=win32&arch=x64&limit=1", nil, &list)
		require.Equal(t, two.ID, list.Items[0].ID)
		require.Equal(t, admin.Adoption{}, list.Items[0].Adoption, "nothing is counted yet")
		now := meta.Now()
		for _, count := range []struct {
			at   meta.Stamp
			want admin.Adoption
		}{
			{now, admin.Adoption{Devices: 2, Share: 2.0 / 3}},
			{now.Add(25 * time.Hour), admin.Adoption{}}, // the devices are silent: an old count is not the newest
		} {
			require.NoError(t, db.CountReleases(t.Context(), count.at))
			d.ok(200, http.MethodGet, "client-releases?channel=stable&platform=win32&arch=x64&limit=1", nil, &list)
			at := count.at.Time()
			count.want.CountedAt = &at
			require.Equal(t, count.want, list.Items[0].Adoption)
		}
		d.ok(200, http.MethodGet, "client-releases?limit=1&cursor="+*list.NextCursor, nil, &list)
		require.Equal(t, one.ID, list.Items[0].ID)
		require.Nil(t, list.NextCursor)
		d.ok(200, http.MethodGet, "client-releases?state=draft", nil, &list)
		require.Empty(t, list.Items)
		require.Equal(t, "parameter", d.refused(400, http.MethodGet, "client-releases?state=good", nil))

		var outlook release.Outlook
		d.ok(200, http.MethodGet, "client-releases/"+one.ID+"/rollback", nil, &outlook)
		require.Equal(t, release.Outlook{From: "2.0.0", To: "1.0.0", FromID: two.ID, Devices: 3, Stay: 2, Helped: 1}, outlook)
		var back admin.ReleaseRollback
		d.ok(200, http.MethodPost, "client-releases/"+one.ID+"/rollback", body{"reason": "it crashes"}, &back)
		require.Equal(t, outlook, back.Outlook)
		require.Equal(t, release.Published, back.Release.State)
		d.ok(200, http.MethodPost, "client-releases/"+one.ID+"/unpublish", body{"reason": "the plan"}, &r)
		require.Equal(t, release.Unpublished, r.State)
		d.ok(200, http.MethodPost, "client-releases/"+two.ID+"/archive", body{"reason": "the plan"}, &r)
		require.Equal(t, release.Archived, r.State)
	})
}

func TestWhatChangesClientsNeedsAReason(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	d.platform()
	r := d.drafted("1.0.0")
	for call, with := range map[string]body{
		"POST publish": {"percentage": 100}, "PUT percentage": {"percentage": 100}, "POST pause": {}, "POST resume": {}, "POST unpublish": {},
		"POST rollback": {}, "PUT force": {"forced": true, "min_required_version": ""}, "POST archive": {},
	} {
		method, what, _ := strings.Cut(call, " ")
		for _, reason := range []string{"", " "} {
			with["reason"] = reason
			require.Equal(t, "reason_missing", d.refused(400, method, "client-releases/"+r.ID+"/"+what, with), call)
		}
	}
	var after admin.ClientReleaseDetail
	d.ok(200, http.MethodGet, "client-releases/"+r.ID, nil, &after)
	require.Equal(t, r.Revision, after.Revision)
	require.Equal(t, "revision", d.refused(409, http.MethodPost, "client-releases/"+r.ID+"/publish", body{"percentage": 1, "revision": r.Revision - 1, "reason": "the plan"}))
	d.ok(200, http.MethodPost, "client-releases/"+r.ID+"/publish", body{"percentage": 1, "revision": r.Revision, "reason": "the plan"}, &after)
}

func TestDraftsAreEditedAndPublishedOnesAreNot(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	d.platform()
	r := d.drafted("1.0.0")
	d.ok(200, http.MethodPatch, "client-releases/"+r.ID, body{"notes": "- one\r\n\t- two\n"}, nil)
	notes := strings.Repeat("<", release.MaxNotes) // six bytes each in JSON
	d.ok(200, http.MethodPatch, "client-releases/"+r.ID, body{"notes": notes, "channel": "beta", "version": "v1.0.1+b"}, &r)
	require.Equal(t, notes, r.Notes)
	require.Equal(t, "beta", r.Channel)
	require.Equal(t, "1.0.1+b", r.Version)
	require.Equal(t, "win32", r.Platform)
	require.Equal(t, "notes", d.refused(400, http.MethodPatch, "client-releases/"+r.ID, body{"notes": notes + "x"}))
	require.Equal(t, "notes", d.refused(400, http.MethodPatch, "client-releases/"+r.ID, body{"notes": "a\x00b"}))
	for _, control := range []string{"\x01", "\x1b[0m", "\x7f", "\u0085"} {
		require.Equal(t, "notes", d.refused(400, http.MethodPatch, "client-releases/"+r.ID, body{"notes": control}), "%q", control)
	}
	require.Equal(t, "notes", d.refused(400, http.MethodPost, "client-releases", body{"platform": "win32", "arch": "x64", "version": "9.0.0", "notes": "\b"}))
	require.Equal(t, "track", d.refused(400, http.MethodPatch, "client-releases/"+r.ID, body{"channel": "Beta"}))
	d.refused(400, http.MethodPatch, "client-releases/"+r.ID, body{"version": "1"})
	require.Equal(t, "release_unknown", d.refused(404, http.MethodGet, "client-releases/"+meta.NewID(), nil))
	require.Equal(t, "artifact_name", d.refused(422, http.MethodPost, "client-releases/"+r.ID+"/artifacts",
		body{"kind": "portable", "asset_id": r.Artifacts[0].AssetID, "name": "../x"}))
	require.Equal(t, "asset_unknown", d.refused(404, http.MethodPost, "client-releases/"+r.ID+"/artifacts", body{"kind": "portable", "asset_id": "x"}))
	for sum, reason := range map[string]string{"00": "sha512", strings.Repeat("0", 128): "checksum"} {
		require.Equal(t, reason, d.refused(400, http.MethodPost, "client-releases/"+r.ID+"/artifacts",
			body{"kind": "portable", "asset_id": r.Artifacts[0].AssetID, "sha512": sum}))
	}

	d.ok(200, http.MethodPost, "client-releases/"+r.ID+"/publish", body{"reason": "the plan", "percentage": 100}, nil)
	require.Equal(t, "release_not_draft", d.refused(409, http.MethodPatch, "client-releases/"+r.ID, body{"notes": "x"}))
	require.Equal(t, "release_not_draft", d.refused(409, http.MethodDelete, "client-releases/"+r.ID+"/artifacts/"+r.Artifacts[0].ID, nil))
}

func TestWhyAReleaseIsNotPublished(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	d.platform()
	r := d.drafted("1.0.0")
	asset, digest := d.released("other.exe.blockmap", "a map")
	d.ok(200, http.MethodPost, "client-releases/"+r.ID+"/artifacts", body{"kind": "blockmap", "asset_id": asset}, &r)
	_, err := d.DB.Exec(t.Context(), "UPDATE blobs SET scan_database = 'daily-0' WHERE sha256 = ?", digest)
	require.NoError(t, err)

	var check admin.ReleaseCheck
	d.ok(200, http.MethodGet, "client-releases/"+r.ID+"/check", nil, &check)
	require.False(t, check.Publishable)
	var slugs []string
	for _, p := range check.Reasons {
		slugs = append(slugs, p.Slug)
	}
	require.Equal(t, []string{"blockmap_alone", "verdict_stale"}, slugs)
	var tasks []meta.Task
	tasks, err = d.DB.Tenant(t.Context(), release.PlatformTenant).OpenTasksAbout(digest, 10)
	require.NoError(t, err)
	require.Empty(t, tasks, "a look changes nothing")

	var refused struct {
		Error   string
		Code    string
		Details struct{ Reasons []release.Problem }
	}
	d.ok(422, http.MethodPost, "client-releases/"+r.ID+"/publish", body{"reason": "the plan", "percentage": 100}, &refused)
	require.Equal(t, "RELEASE_NOT_PUBLISHABLE", refused.Code)
	require.Equal(t, check.Reasons, refused.Details.Reasons)
	require.Contains(t, refused.Error, check.Reasons[1].English)
	tasks, err = d.DB.Tenant(t.Context(), release.PlatformTenant).OpenTasksAbout(digest, 10)
	require.NoError(t, err)
	require.Len(t, tasks, 1, "publishing asks for the rescan")

	// A file that is damaged says how.
	_, err = d.DB.Exec(t.Context(), "UPDATE blobs SET damage = 'digest' WHERE sha256 = ?", digest)
	require.NoError(t, err)
	d.ok(200, http.MethodGet, "client-releases/"+r.ID, nil, &r)
	require.Equal(t, storage.DamageDigest, r.Artifacts[1].Damage)
	require.False(t, r.Artifacts[1].Available)
	require.Empty(t, r.Artifacts[0].Damage)
	require.True(t, r.Artifacts[0].Available)

	// What an operator attaches is the platform's: a tenant's file is refused.
	tenant := metatest.Tenant(t, d.DB, 1<<20)
	_, err = d.DB.Exec(t.Context(), "UPDATE assets SET tenant_id = ? WHERE id = ?", tenant, asset)
	require.NoError(t, err)
	require.Equal(t, "asset_of_tenant", d.refused(403, http.MethodPost, "client-releases/"+r.ID+"/artifacts", body{"kind": "portable", "asset_id": asset}))
	d.ok(204, http.MethodDelete, "client-releases/"+r.ID+"/artifacts/"+r.Artifacts[1].ID, nil, nil)
	require.Equal(t, "artifact_unknown", d.refused(404, http.MethodDelete, "client-releases/"+r.ID+"/artifacts/"+r.Artifacts[1].ID, nil))
}
