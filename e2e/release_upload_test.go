package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
)

// platformID is the tenant that owns the files of releases.
const platformID = "00000000-0000-7000-8000-000000000001"

// TestAFileOfAReleaseIsScannedLikeEveryOther: a build server uploads with a key of the platform's tenant, which is made with it.
func TestAFileOfAReleaseIsScannedLikeEveryOther(t *testing.T) {
	eachMode(t, rig.Options{}, func(t *testing.T, r *rig.Rig) {
		var key struct {
			APIKey   string `json:"api_key"`
			TenantID string `json:"tenant_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(r.Gateway("key", "create", "platform", "--json")), &key))
		require.Equal(t, platformID, key.TenantID)
		ci := &rig.Client{T: t, URL: r.URLs[0], Key: key.APIKey, TenantID: key.TenantID}
		good, err := ci.Upload("latest.yml", []byte("version: 1.0.0\n"))
		require.NoError(t, err)
		require.Equal(t, "available", ci.Await(good.ID, patience, rig.Scanned).State)
		bad, err := ci.Upload("App-1.0.0-mac.zip", zipped(t, "App.app/Contents/MacOS/App", eicar))
		require.NoError(t, err)
		require.Equal(t, "rejected", ci.Await(bad.ID, patience, rig.Scanned).State)
		_, err = ci.Upload("Setup.exe", []byte("no program at all"))
		require.Equal(t, "TYPE_MISMATCH", rig.CodeOf(err))

		require.Contains(t, r.GatewayFails("tenant", "delete", "platform", "--reason", "tidy"), "owns the files of all releases")
		o := r.Operator("kim", "super")
		err = o.Call(http.MethodPost, "client-releases/"+good.ID+"/artifacts/upload?kind=manifest", nil, nil)
		require.Equal(t, "NOT_FOUND", rig.CodeOf(err), "the call is there, the release is not")
	})
}

func zipped(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	part, err := w.Create(name)
	require.NoError(t, err)
	_, err = part.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}
