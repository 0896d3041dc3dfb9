package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// The incident: of 36 files the records of 32 are gone, and of 6 the bytes. 4 of the 6 are among the 32.
const (
	incidentFiles    = 36
	incidentRowsLost = 32
	lostWithRows     = 4
	lostAlone        = 2
)

// incident is an installation to which it happens, and what lies under it.
type incident struct {
	*rig.Rig
	t     *testing.T
	c     *rig.Client
	db    *meta.DB
	zones *blob.Zones
	// ids are the assets, the first incidentRowsLost of which lose their rows.
	ids    []string
	before map[string]holding
	used   usageView
}

// TestTheIncidentReplayed is why there is a reconciliation: a repair script dropped rows, and nobody noticed. Now the light
// pass tells it, the nightly run refuses to make it worse, a snapshot brings the rows back, and what is lost is named.
func TestTheIncidentReplayed(t *testing.T) {
	eachMode(t, rig.Options{Env: map[string]string{
		"GATEHOUSE_RETENTION_ORPHAN_GRACE": "1s", // the files of the incident were old
		"GATEHOUSE_RECONCILE_LIGHT_EVERY":  "2s",
		"GATEHOUSE_RECONCILE_AT":           "", // the run of the night is made by hand
		"GATEHOUSE_ALERTS_INTERVAL":        "1s",
	}}, func(t *testing.T, r *rig.Rig) {
		i := &incident{Rig: r, t: t, c: r.Tenant("acme", "pro")}
		i.open()
		i.upload()
		i.Worker("snapshot", "create")
		i.awaitLight(map[storage.DriftKind]int64{})

		lost := i.strike()
		i.lightPassTells(lost)
		i.nightlyRunIsHeld()
		i.restore()
		i.secondRunNamesTheLost(lost)
		i.everythingElseIsThere(lost)
		i.heals(lost[0])
	})
}

// open opens the database and the store past the programs, as the script did that caused the incident.
func (i *incident) open() {
	i.t.Helper()
	url := i.Env["GATEHOUSE_DATABASE_URL"]
	if url == "" {
		url = "sqlite://" + filepath.Join(i.Env["GATEHOUSE_DATA_DIR"], "gatehouse.db")
	}
	i.db, i.zones = metatest.Open(i.t, url), storeOf(i.t, i.Rig)
}

// storeOf opens the store past the programs.
func storeOf(t *testing.T, r *rig.Rig) *blob.Zones {
	t.Helper()
	store := blob.Config{
		Driver: blob.DriverS3, Endpoint: r.Env["GATEHOUSE_STORE_S3_ENDPOINT"], PathStyle: true,
		AccessKey: r.Env["GATEHOUSE_STORE_S3_ACCESS_KEY"], SecretKey: r.Env["GATEHOUSE_STORE_S3_SECRET_KEY"],
		QuarantineBucket: r.Env["GATEHOUSE_STORE_S3_QUARANTINE_BUCKET"], CleanBucket: r.Env["GATEHOUSE_STORE_S3_CLEAN_BUCKET"],
		SnapshotBucket: r.Env["GATEHOUSE_STORE_S3_SNAPSHOT_BUCKET"], AuditBucket: r.Env["GATEHOUSE_STORE_S3_AUDIT_BUCKET"],
	}
	if store.Endpoint == "" {
		store = blob.Config{Driver: blob.DriverDisk, Root: filepath.Join(r.Env["GATEHOUSE_DATA_DIR"], "store")}
	}
	zones, err := blob.Open(context.Background(), store)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	return zones
}

func (i *incident) upload() {
	i.t.Helper()
	for n := range incidentFiles {
		name, content := fmt.Sprintf("note-%d.txt", n), text(i.t, 3000+n)
		if n%9 == 8 {
			name, content = fmt.Sprintf("photo-%d.jpg", n), photo(i.t, 500+n, 400)
		}
		a, err := i.c.Upload(name, content)
		require.NoError(i.t, err)
		i.ids = append(i.ids, a.ID)
	}
	for _, id := range i.ids {
		a := i.c.Await(id, patience, rig.Ready)
		require.Equal(i.t, "available", a.State)
	}
	i.before, i.used = holdings(i.t, i.c, i.ids), usage(i.t, i.c)
}

// strike deletes rows and objects behind the system's back, and returns the assets whose bytes are gone.
func (i *incident) strike() (lost []string) {
	i.t.Helper()
	// Texts, which have no variants: their counts are plain.
	for n := range lostWithRows {
		lost = append(lost, i.ids[n])
	}
	for n := range lostAlone {
		lost = append(lost, i.ids[incidentRowsLost+n])
	}
	for _, id := range lost {
		require.NoError(i.t, i.zones.Clean.Delete(i.t.Context(), storage.BlobKey(i.c.TenantID, i.before[id].asset.SHA256)))
	}
	var digests []string
	for _, id := range i.ids[:incidentRowsLost] {
		digests = append(digests, i.before[id].asset.SHA256)
	}
	require.NoError(i.t, i.db.InTx(i.t.Context(), func(tx *meta.Tx) error {
		for _, q := range []string{
			`DELETE FROM assets WHERE sha256 IN ?`, `DELETE FROM blobs WHERE sha256 IN ?`, `DELETE FROM variants WHERE sha256 IN ?`,
			`DELETE FROM tasks WHERE subject IN ?`,
		} {
			if _, err := tx.Exec(q, digests); err != nil {
				return err
			}
		}
		return nil
	}))
	require.Len(i.t, allAssets(i.t, i.c), incidentFiles-incidentRowsLost, "what its tenant still sees")
	return lost
}

// orphaned counts the objects whose rows the incident took.
func (i *incident) orphaned() (n int64) {
	for _, id := range i.ids[lostWithRows:incidentRowsLost] {
		n += 1 + int64(len(i.before[id].variants))
	}
	return n
}

// awaitLight waits for a light run, begun from now on, that finds exactly that.
func (i *incident) awaitLight(want map[storage.DriftKind]int64) {
	i.t.Helper()
	from, last := meta.Now(), map[storage.DriftKind]int64{}
	require.Eventually(i.t, func() bool {
		runs, err := i.db.Runs(i.t.Context(), meta.RunLight, 5, meta.RunDone)
		require.NoError(i.t, err)
		at := slices.IndexFunc(runs, func(r meta.ReconcileRun) bool { return r.StartedAt > from })
		if at < 0 {
			return false
		}
		last = i.counts(runs[at].ID)
		return fmt.Sprint(last) == fmt.Sprint(want)
	}, recovery, 100*time.Millisecond, "light passes find %v instead of %v", &last, want)
}

func (i *incident) counts(run string) map[storage.DriftKind]int64 {
	i.t.Helper()
	list, err := i.db.FindingCounts(i.t.Context(), run)
	require.NoError(i.t, err)
	out := map[storage.DriftKind]int64{}
	for _, c := range list {
		out[c.Kind] += c.Count
	}
	return out
}

// lightPassTells: the next light pass has exact counts, and an alert opens with them.
func (i *incident) lightPassTells([]string) {
	i.t.Helper()
	want := map[storage.DriftKind]int64{
		storage.DriftOrphan: i.orphaned(), storage.DriftMissing: lostAlone, storage.DriftLedger: 1,
	}
	i.awaitLight(want)
	for kind, n := range want {
		i.awaitAlert("reconcile", fmt.Sprintf("%d %s", n, kind))
	}
}

// awaitAlert waits until an alert of that rule is open that says that.
func (i *incident) awaitAlert(rule, says string) {
	i.t.Helper()
	require.Eventually(i.t, func() bool {
		for line := range strings.Lines(i.Worker("alerts", "list", "--json")) {
			var a struct{ Rule, Message string }
			require.NoError(i.t, json.Unmarshal([]byte(line), &a))
			if a.Rule == rule && strings.Contains(a.Message, says) {
				return true
			}
		}
		return false
	}, recovery, 200*time.Millisecond, "no alert %s says %q", rule, says)
}

// nightlyRunIsHeld: it would move and mark far too much, so it changes nothing.
func (i *incident) nightlyRunIsHeld() {
	i.t.Helper()
	rows, objects := i.rows(), i.objects()
	code, out := i.WorkerExit("reconcile", "--once")
	require.Equal(i.t, 3, code, out)
	require.Contains(i.t, out, "held")
	require.Equal(i.t, rows, i.rows())
	require.Equal(i.t, objects, i.objects())
	i.awaitAlert("reconcile_held", "has changed nothing")
	code, out = i.WorkerExit("reconcile", "--once")
	require.Equal(i.t, 3, code, "the next one waits for an operator: %s", out)
	require.Equal(i.t, rows, i.rows())
	i.Worker("reconcile", "cancel", "latest")
}

// rows lists what the incident was about, by table.
func (i *incident) rows() map[string][]string {
	i.t.Helper()
	out := map[string][]string{}
	require.NoError(i.t, i.db.InTx(i.t.Context(), func(tx *meta.Tx) error {
		for table, q := range map[string]string{
			"assets": `SELECT id FROM assets ORDER BY id`, "blobs": `SELECT sha256 FROM blobs ORDER BY sha256`,
			"damaged": `SELECT sha256 FROM blobs WHERE damage <> '' ORDER BY sha256`, "variants": `SELECT digest FROM variants ORDER BY digest`,
		} {
			var list []string
			if _, err := tx.Scan(&list, q); err != nil {
				return err
			}
			out[table] = list
		}
		return nil
	}))
	return out
}

func (i *incident) objects() []string {
	i.t.Helper()
	var out []string
	for _, zone := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean} {
		for info, err := range i.zones.Of(zone).List(i.t.Context(), "", "") {
			require.NoError(i.t, err)
			out = append(out, fmt.Sprintf("%s/%s %d", zone, info.Key, info.Size))
		}
	}
	return out
}

// restore brings the rows back, with the programs stopped.
func (i *incident) restore() {
	i.t.Helper()
	i.Gateways[0].Stop()
	i.Workers[0].Stop()
	require.Contains(i.t, i.Worker("snapshot", "restore", "latest", "--fill"), "is restored")
	rows := i.rows()
	require.Len(i.t, rows["assets"], incidentFiles)
	require.Len(i.t, rows["blobs"], incidentFiles)
}

// secondRunNamesTheLost, and nothing else.
func (i *incident) secondRunNamesTheLost(lost []string) {
	i.t.Helper()
	code, out := i.WorkerExit("reconcile", "--once")
	require.Equal(i.t, 4, code, out)
	require.Contains(i.t, out, fmt.Sprintf("%d files are lost", lostWithRows+lostAlone))
	runs, err := i.db.Runs(i.t.Context(), meta.RunFull, 1, meta.RunDone)
	require.NoError(i.t, err)
	require.Len(i.t, runs, 1)
	list, err := i.db.Findings(i.t.Context(), runs[0].ID, meta.FindingFilter{}, "", 100)
	require.NoError(i.t, err)
	var named, want []string
	for _, f := range list {
		require.Equal(i.t, storage.DriftMissing, f.Kind, f.Detail)
		require.Equal(i.t, meta.FindingMarked, f.State, f.Problem)
		named = append(named, f.SHA256)
	}
	for _, id := range lost {
		want = append(want, i.before[id].asset.SHA256)
	}
	require.ElementsMatch(i.t, want, named)
	require.ElementsMatch(i.t, want, i.rows()["damaged"])
	for _, digest := range want {
		require.Contains(i.t, i.Worker("reconcile", "findings", runs[0].ID), digest)
	}
	for _, id := range lost {
		require.Contains(i.t, i.Worker("reconcile", "findings", runs[0].ID), id)
	}
}

// everythingElseIsThere, byte by byte, as if nothing had been.
func (i *incident) everythingElseIsThere(lost []string) {
	i.t.Helper()
	i.Gateways[0].Start()
	i.WaitReady(0)
	i.Workers[0].Start()
	require.Len(i.t, allAssets(i.t, i.c), incidentFiles)
	var whole []string
	for _, id := range i.ids {
		if !slices.Contains(lost, id) {
			whole = append(whole, id)
			continue
		}
		_, err := i.c.Bytes("/api/v1/assets/" + id + "/content")
		require.Equal(i.t, "ASSET_DAMAGED", rig.CodeOf(err))
		require.Equal(i.t, "missing", i.damageOf(id))
	}
	for id, now := range holdings(i.t, i.c, whole) {
		was := i.before[id]
		require.Equal(i.t, was.content, now.content, id)
		require.Equal(i.t, was.variants, now.variants, id)
		require.Equal(i.t, was.asset, now.asset, id)
	}
	require.Equal(i.t, i.used, usage(i.t, i.c))
	i.requireLedgers()
	i.awaitAlert("damaged", "6 stored files")
}

func (i *incident) damageOf(id string) string {
	i.t.Helper()
	var a struct{ Damage *string }
	require.NoError(i.t, i.c.Get("/api/v1/assets/"+id, &a))
	if a.Damage == nil {
		return ""
	}
	return *a.Damage
}

func (i *incident) requireLedgers() {
	i.t.Helper()
	drift, err := i.db.LedgerDrift(i.t.Context(), nil)
	require.NoError(i.t, err)
	require.Empty(i.t, drift)
}

// heals: whoever still has the file uploads it again, and the old asset is whole as well.
func (i *incident) heals(id string) {
	i.t.Helper()
	was := i.before[id]
	a, err := i.c.Upload(was.asset.Name, was.content)
	require.NoError(i.t, err)
	i.c.Await(a.ID, patience, rig.Ready)
	require.Eventually(i.t, func() bool { return i.damageOf(id) == "" }, patience, 100*time.Millisecond)
	content, err := i.c.Bytes("/api/v1/assets/" + id + "/content")
	require.NoError(i.t, err)
	require.Equal(i.t, was.content, content)
	i.requireLedgers()
}
