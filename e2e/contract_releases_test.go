package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/release"
)

// devices makes tokens for devices, and sends heartbeats with them. The tenant is suspended in the end.
func (x caller) devices(o *rig.Operator) {
	const tokens = "/api/v1/device-tokens"
	nobody := caller{x.t, &rig.Client{T: x.t, URL: x.c.URL, HTTP: x.c.HTTP}}
	nobody.post(401, tokens, `{}`)
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		nobody.want(401, method, tokens+"?device_id=one", nil)
	}
	nobody.want(401, http.MethodDelete, tokens+"/"+absent, nil)

	x.post(400, tokens, `{"user_id": ""}`)
	x.chunked(tokens, "application/json")
	x.get(200, tokens)
	x.get(400, tokens+"?cursor=nonsense")
	x.want(400, http.MethodDelete, tokens, nil)
	x.want(200, http.MethodDelete, tokens+"?device_id=one", nil)
	var made struct{ ID, Token string }
	require.NoError(x.t, x.c.Post(tokens, map[string]any{"user_id": "ann", "device_id": "one"}, &made))
	x.want(204, http.MethodDelete, tokens+"/"+made.ID, nil)
	require.NoError(x.t, x.c.Post(tokens, map[string]any{"user_id": "ann", "device_id": "one"}, &made))

	const heartbeats = "/api/release/v1/heartbeats"
	device := caller{x.t, &rig.Client{T: x.t, URL: x.c.URL, HTTP: x.c.HTTP, Key: made.Token}}
	beat := func(version string) string {
		return fmt.Sprintf(`{"device_id": "one", "client_version": %q, "platform": "win32", "arch": "x64", "os_version": "10.0"}`, version)
	}
	nobody.post(401, heartbeats, beat("1.0.0"))
	device.post(400, heartbeats, beat("one"))
	device.chunked(heartbeats, "application/json")
	device.post(202, heartbeats+"/", beat("1.0.0"))
	device.post(202, heartbeats, beat("1.0.0"))
	device.beatsTooOften(heartbeats, beat("1.0.0"))

	o.StepUp()
	o.OK(http.MethodPost, "tenants/"+x.c.TenantID+"/suspend", map[string]any{"reason": "to see what is answered"}, nil)
	x.post(403, tokens, `{"user_id": "ann", "device_id": "two"}`)
	device.post(403, heartbeats, beat("1.0.0"))
}

// beatsTooOften sends more heartbeats than two minutes allow, because a new minute may begin meanwhile.
func (x caller) beatsTooOften(path, beat string) {
	for range 2 * 12 {
		err := x.c.Post(path, json.RawMessage(beat), nil)
		if rig.CodeOf(err) == "RELEASE_RATE_LIMITED" {
			return
		}
		require.NoError(x.t, err)
	}
	x.t.Fatal("every heartbeat is taken")
}

// releases publishes one release with a manifest of its publisher, reads it, and damages its installer in the store.
func (x caller) releases(d *desk) {
	const ask = "/api/release/v1/updates/latest"
	k := track{"stable", "win32", "x64"}
	content, name := setup(1, 16), setupName("1.0.0")
	manifest := publishersManifest("1.0.0", url.PathEscape(name), content)
	d.publish(d.draft(k, "1.0.0", "", piece{"installer", name, content}, piece{"manifest", "latest.yml", []byte(manifest)}), 100)
	require.Eventually(x.t, func() bool {
		_, answer, err := d.got(ask + "?platform=win32&arch=x64&current_version=0.9.0")
		return err == nil && bytes.Contains(answer, []byte(`"latest_version":"1.0.0"`))
	}, patience, 50*time.Millisecond)

	x.get(200, ask+"/?platform=win32&arch=x64&current_version=0.9.0")
	x.get(200, ask+"?platform=win32&arch=x64&current_version=1.0.0")
	x.get(400, ask+"?platform=win32&arch=x64&current_version=one")
	x.get(400, ask+"?platform=beos&arch=x64&current_version=1.0.0")
	x.get(404, k.feed()+"nothing.yml")
	x.get(404, k.feed()+"2.0.0/nothing.exe")
	require.Equal(x.t, manifest, string(x.want(200, http.MethodGet, k.feed()+"latest.yml", nil)))
	x.get(304, k.feed()+"latest.yml", "If-None-Match", "*")
	// The manifest names the installer beside itself; it is also under its version.
	addresses := []string{k.feed() + url.PathEscape(name), k.feed() + "1.0.0/" + url.PathEscape(name)}
	for _, path := range addresses {
		require.Equal(x.t, content, x.want(200, http.MethodGet, path, nil))
		x.want(200, http.MethodHead, path, nil)
		x.get(206, path, "Range", "bytes=0-9")
		x.get(206, path, "Range", "bytes=0-9, 20-29")
		x.get(304, path, "If-None-Match", "*")
		x.get(412, path, "If-Match", `"another"`)
		x.get(416, path, "Range", "bytes=10000000-")
	}
	x.keeps(d.r)
	other, sum := bytes.Clone(content), sha256.Sum256(content)
	other[0] ^= 1
	require.NoError(x.t, storeOf(x.t, d.r).Clean.Put(x.t.Context(), storage.BlobKey(release.PlatformTenant, hex.EncodeToString(sum[:])),
		bytes.NewReader(other), int64(len(other)), blob.PutOptions{}))
	for _, path := range addresses {
		x.get(409, path)
	}
}

// keeps says that the files of a release cannot be deleted by a key of the platform's tenant either.
func (x caller) keeps(r *rig.Rig) {
	var key struct {
		APIKey string `json:"api_key"`
	}
	require.NoError(x.t, json.Unmarshal([]byte(r.Gateway("key", "create", "platform", "--json")), &key))
	build := caller{x.t, &rig.Client{T: x.t, URL: x.c.URL, HTTP: x.c.HTTP, Key: key.APIKey}}
	var files struct {
		Items []struct{ ID string } `json:"items"`
	}
	require.NoError(x.t, json.Unmarshal(build.want(200, http.MethodGet, "/api/v1/assets", nil), &files))
	require.Len(x.t, files.Items, 2)
	for _, file := range files.Items {
		build.want(409, http.MethodDelete, "/api/v1/assets/"+file.ID, nil)
	}
}

// publishersManifest is one as a build makes it, with line ends of Windows, a comment, and keys that only the publisher knows.
func publishersManifest(version, name string, content []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("# made by the build 中文\nversion: %s\nfiles:\n  - url: %s\n    sha512: %s\n    size: %d\n    isAdminRightsRequired: false\npath: %s\nsha512: %[3]s\n"+
		"releaseDate: '2024-03-09T08:07:06.005Z'\nvendor:\n  keyId: k1\n  flags: [~, 0x10]\n# signature: MEUCIQ\n", version, name, base64SHA512(content), len(content), name), "\n", "\r\n")
}
