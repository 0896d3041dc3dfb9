package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
	"gatehouse/storage/meta/metatest"
)

// holding is all that a tenant can read of one asset.
type holding struct {
	asset    rig.Asset
	content  []byte
	problem  string // why the content cannot be read
	variants map[string][]byte
}

// holdings reads all that a tenant has.
func holdings(t *testing.T, c *rig.Client, ids []string) map[string]holding {
	t.Helper()
	out := map[string]holding{}
	for _, id := range ids {
		a, err := c.Asset(id)
		require.NoError(t, err)
		h := holding{asset: a, variants: map[string][]byte{}}
		h.content, err = c.Bytes("/api/v1/assets/" + id + "/content")
		h.problem = rig.CodeOf(err)
		for _, v := range a.Media.Variants {
			h.variants[v.Preset], err = c.Bytes("/api/v1/assets/" + id + "/variants/" + v.Preset)
			require.NoError(t, err)
		}
		out[id] = h
	}
	return out
}

// TestMoveToServices is the way to grow: what began with SQLite and a folder goes on with PostgreSQL and MinIO, with all
// that it has.
func TestMoveToServices(t *testing.T) {
	r := rig.Embedded(t, rig.Options{})
	c := r.Tenant("acme", "pro")
	other := r.Tenant("other", "free")
	twice := photo(t, 900, 700)
	var ids []string
	for name, content := range map[string][]byte{
		"a.jpg": photo(t, 1400, 900), "b.jpg": twice, "c.txt": text(t, 70_000), "报告.docx": docx(t, "hello", nil), "eicar.txt": []byte(eicar),
	} {
		a, err := c.Upload(name, content)
		require.NoError(t, err)
		ids = append(ids, a.ID)
	}
	again, err := c.Upload("again.jpg", twice)
	require.NoError(t, err)
	ids = append(ids, again.ID)
	gone, err := c.Upload("gone.txt", text(t, 5000))
	require.NoError(t, err)
	for _, id := range append(ids, gone.ID) {
		c.Await(id, patience, rig.Ready)
	}
	require.NoError(t, c.Delete(gone.ID))
	_, err = other.Upload("theirs.txt", text(t, 300))
	require.NoError(t, err)
	before, used := holdings(t, c, ids), usage(t, c)

	require.Contains(t, r.WorkerFails("snapshot", "restore", "latest"), "no such snapshot")
	r.Worker("snapshot", "create")
	require.Contains(t, r.WorkerFails("snapshot", "restore", "latest", "--replace"), "programs work on this database")
	r.Gateways[0].Stop()
	r.Workers[0].Stop()
	var taken struct {
		ID string `json:"id"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.Worker("snapshot", "create", "--json")), &taken))
	require.Contains(t, r.Worker("snapshot", "verify", "latest"), "Every part is whole")
	require.Contains(t, r.WorkerFails("snapshot", "restore", "latest"), "not empty")

	// The store, as an operator would: a file, and the secrets from the environment.
	target := rig.Services(t)
	file := filepath.Join(r.Dir, "services.yaml")
	require.NoError(t, os.WriteFile(file, []byte("store:\n  driver: s3\n  s3:\n    use_tls: false\n"), 0o600))
	for name, value := range target {
		if strings.HasPrefix(name, "GATEHOUSE_STORE_S3_") {
			r.Env["TO_"+name] = value
		}
	}
	var copied struct {
		Objects, Copied, Failed int64
		There                   int64 `json:"already_there"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.Worker("store", "copy", "--to", file, "--json")), &copied))
	require.Greater(t, copied.Copied, int64(15))
	require.Equal(t, copied.Objects, copied.Copied)
	require.NoError(t, json.Unmarshal([]byte(r.Worker("store", "copy", "--to", file, "--verify", "--json")), &copied))
	require.Equal(t, copied.Objects, copied.There, "a second time there is nothing to do")

	// From here on there is nothing of the old place.
	maps.DeleteFunc(r.Env, func(name, _ string) bool { return strings.HasPrefix(name, "TO_") })
	maps.Copy(r.Env, target)
	r.Env["GATEHOUSE_DATA_DIR"] = filepath.Join(r.Dir, "elsewhere")
	require.NoError(t, os.Rename(filepath.Join(r.Dir, "data"), filepath.Join(r.Dir, "retired")))
	require.Contains(t, r.Worker("snapshot", "list"), taken.ID)
	r.Worker("snapshot", "restore", taken.ID)
	r.AddGateway()
	r.AddWorker()
	c.URL, other.URL = r.URLs[1], r.URLs[1]

	require.Equal(t, before, holdings(t, c, ids), "byte by byte")
	require.Equal(t, used, usage(t, c))
	_, err = c.Asset(gone.ID)
	require.Equal(t, "NOT_FOUND", rig.CodeOf(err))
	_, err = other.Asset(ids[0])
	require.Equal(t, "NOT_FOUND", rig.CodeOf(err))
	requireLedger(t, target)

	// And it goes on.
	next, err := c.Upload("next.jpg", photo(t, 800, 600))
	require.NoError(t, err)
	require.Equal(t, "done", c.Await(next.ID, patience, rig.Ready).Media.Status)
	known, err := c.Upload("known.jpg", twice)
	require.NoError(t, err)
	require.True(t, known.Duplicate)
	for _, id := range []string{next.ID, known.ID, ids[0]} {
		require.NoError(t, c.Delete(id))
	}
	requireLedger(t, target)
	r.Worker("reconcile", "--once")
	requireLedger(t, target)
}

// requireLedger: every tenant's sums are those of its rows.
func requireLedger(t *testing.T, env map[string]string) {
	t.Helper()
	drift, err := metatest.Open(t, env["GATEHOUSE_DATABASE_URL"]).LedgerDrift(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, drift)
}
