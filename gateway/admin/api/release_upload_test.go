package api_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/release"
)

// releasePolicy is what the configuration says of files of releases, in small.
var releasePolicy = storage.Policy{
	Categories: map[storage.Category]storage.CategoryPolicy{
		storage.CategoryRelease: {Extensions: []string{"exe", "yml", "blockmap"}, MaxBytes: 1 << 20},
	},
	Limits: storage.Limits{MaxNameBytes: 255, MaxReleaseUnpackedBytes: 1 << 20, MaxScanBytes: 1 << 20, MaxZipMembers: 100, MaxZipRatio: 100},
}

// releaseDraft makes a draft and the plan of the platform's tenant.
func (d *desk) releaseDraft() string {
	d.t.Helper()
	id := meta.NewID()
	now := meta.Now()
	require.NoError(d.t, d.DB.InTx(d.t.Context(), func(tx *meta.Tx) error {
		if _, err := tx.CreatePlan(meta.Plan{Name: storage.PlatformPlan, StorageBytes: 1 << 30, Spec: `{"categories":["release"]}`, UpdatedAt: now}); err != nil {
			return err
		}
		return tx.Create(&meta.ClientRelease{ID: id, Channel: "stable", Platform: "win32", Arch: "x64", Version: "1.0.0", State: string(release.Draft), CreatedAt: now, UpdatedAt: now})
	}))
	return id
}

// send uploads a file of a release.
func (d *desk) send(path, name, content string, headers ...string) (int, []byte) {
	d.t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", name)
	require.NoError(d.t, err)
	_, err = part.Write([]byte(content))
	require.NoError(d.t, err)
	require.NoError(d.t, w.Close())
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.URL+path, &form)
	require.NoError(d.t, err)
	req.Header.Set("Content-Type", w.FormDataContentType())
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := d.client.Do(req)
	require.NoError(d.t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	require.NoError(d.t, resp.Body.Close())
	return resp.StatusCode, raw
}

// refusal is the code and the reason of a refused upload.
func (d *desk) refusal(raw []byte) string {
	d.t.Helper()
	var e struct {
		Code    string
		Details struct{ Reason string }
	}
	require.NoError(d.t, json.Unmarshal(raw, &e))
	return e.Code + " " + e.Details.Reason
}

func (d *desk) platformFiles() int {
	d.t.Helper()
	list, err := d.DB.Tenant(d.t.Context(), storage.PlatformTenant).Assets(meta.AssetFilter{}, "", 100)
	require.NoError(d.t, err)
	return len(list)
}

func TestOperatorUploadsAFileOfARelease(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		id := d.releaseDraft()
		path := "client-releases/" + id + "/artifacts/upload?kind="
		manifest := "version: 1.0.0\n"
		sum, long := sha256.Sum256([]byte(manifest)), sha512.Sum512([]byte(manifest))

		status, raw := d.send(path+"manifest&reason=built+on+Monday", "latest.yml", manifest)
		require.Equal(t, 201, status, string(raw))
		var made admin.UploadedArtifact
		require.NoError(t, json.Unmarshal(raw, &made))
		require.Equal(t, "latest.yml", made.Name)
		require.Equal(t, release.Manifest, made.Kind)
		require.Equal(t, hex.EncodeToString(sum[:]), made.SHA256)
		require.Equal(t, hex.EncodeToString(long[:]), made.SHA512)
		require.EqualValues(t, len(manifest), made.Size)
		require.Equal(t, storage.ScanPending, made.ScanStatus)
		b, err := db.Tenant(t.Context(), storage.PlatformTenant).Blob(made.SHA256)
		require.NoError(t, err)
		require.Equal(t, made.SHA512, b.SHA512)
		require.Equal(t, made.ID, d.record("release.artifact_add")["after"].(map[string]any)["artifact"])
		require.Equal(t, "built on Monday", d.record("release.artifact_add")["reason"])
		require.Equal(t, "latest.yml", d.record("asset.upload")["name"])

		require.Equal(t, "asset_in_release", d.refused(409, http.MethodDelete, "assets/"+made.AssetID, map[string]any{"reason": "tidy"}))
		tenant := "tenants/" + storage.PlatformTenant
		require.Equal(t, "platform_tenant", d.refused(409, http.MethodDelete, tenant, map[string]any{"reason": "tidy"}))
		require.Equal(t, "platform_tenant", d.refused(409, http.MethodPost, tenant+"/purge", map[string]any{"confirm": "platform", "reason": "tidy"}))
		var tenants page[admin.TenantLine]
		d.ok(200, http.MethodGet, "tenants", nil, &tenants)
		require.Equal(t, "platform", tenants.Items[0].Name)

		d.ok(200, http.MethodPost, tenant+"/suspend", map[string]any{"reason": "halt"}, nil)
		status, raw = d.send(path+"installer", "a.exe", "MZ")
		require.Equal(t, 403, status)
		require.Equal(t, "TENANT_SUSPENDED ", d.refusal(raw))
	})
}

// What is refused leaves nothing, whoever refuses it.
func TestRefusedFileOfAReleaseLeavesNothing(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	id := d.releaseDraft()
	path := "client-releases/" + id + "/artifacts/upload?kind="
	for _, tt := range []struct {
		path, name, content string
		status              int
		want                string
	}{
		{"client-releases/" + meta.NewID() + "/artifacts/upload?kind=manifest", "latest.yml", "a: 1", 404, "NOT_FOUND release_unknown"},
		{path + "other", "latest.yml", "a: 1", 400, "MALFORMED_REQUEST kind"},
		{path + "installer", "latest.yml", "a: 1", 400, "MALFORMED_REQUEST artifact_kind"},
		{path + "manifest", "setup.exe", "MZ", 400, "MALFORMED_REQUEST artifact_kind"},
		{path + "installer", "setup.rar", "Rar!", 415, "EXTENSION_NOT_ALLOWED "},
		{path + "installer", "setup.exe", "no program", 415, "TYPE_MISMATCH release_exe"},
		{path + "installer", "setup.exe", string(make([]byte, 2<<20)), 413, "FILE_TOO_LARGE "},
		{path + "manifest", "latest.yml", "\x00", 415, "TYPE_MISMATCH text_nul"},
	} {
		status, raw := d.send(tt.path, tt.name, tt.content)
		require.Equal(t, tt.status, status, string(raw))
		require.Equal(t, tt.want, d.refusal(raw), tt.path)
	}
	status, raw := d.send(path+"manifest", "latest.yml", "a: 1", "Repr-Digest", "sha-512=:AAAA:")
	require.Equal(t, 422, status)
	require.Equal(t, "DIGEST_MISMATCH ", d.refusal(raw))
	require.Zero(t, d.platformFiles())

	status, _ = d.send(path+"manifest", "latest.yml", "a: 1")
	require.Equal(t, 201, status)
	status, raw = d.send(path+"manifest", "other.yml", "a: 2")
	require.Equal(t, 409, status)
	require.Equal(t, "CONFLICT kind_taken", d.refusal(raw))
	require.Equal(t, 1, d.platformFiles())
}

// A file that has come in when the release takes none any more is taken back.
func TestFileThatComesTooLateIsTakenBack(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	id := d.releaseDraft()
	status, raw := d.send("client-releases/"+id+"/artifacts/upload?kind=manifest", "latest.yml", "a: 1")
	require.Equal(t, 201, status, string(raw))
	v, err := d.DB.Tenant(t.Context(), storage.PlatformTenant).Assets(meta.AssetFilter{}, "", 1)
	require.NoError(t, err)
	fresh := v[0]
	fresh.ID = meta.NewID()
	require.NoError(t, d.DB.InTx(t.Context(), func(tx *meta.Tx) error { return tx.Tenant(storage.PlatformTenant).CreateAsset(&fresh.Asset) }))
	_, err = d.API.Admin.AttachUpload(t.Context(), id, release.Manifest, fresh, true)
	require.Equal(t, storage.CodeConflict, storage.CodeOf(err))
	require.Equal(t, 1, d.platformFiles())
}
