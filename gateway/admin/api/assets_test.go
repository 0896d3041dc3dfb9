package api_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/remedy"
)

// file gives a tenant a file with a blob of its own; change may make it what the test needs.
func file(t testing.TB, db *meta.DB, tenant, name string, change func(*meta.Asset, *meta.Blob)) meta.Asset {
	t.Helper()
	now := meta.Now()
	digest := fmt.Sprintf("%064x", time.Now().UnixNano())
	b := meta.Blob{
		SHA256: digest, Size: 4, MediaType: "image/png", Category: storage.CategoryImage, Zone: storage.ZoneClean, Refs: 1,
		ScanStatus: storage.ScanClean, MediaStatus: storage.MediaDone, CreatedAt: now, UpdatedAt: now,
	}
	a := meta.Asset{
		ID: meta.NewID(), SHA256: digest, Name: name, Ext: "png", Category: storage.CategoryImage, MediaType: "image/png", Size: 4,
		State: storage.AssetAvailable, CreatedAt: now, UpdatedAt: now,
	}
	if change != nil {
		change(&a, &b)
	}
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		if _, err := tx.Tenant(tenant).CreateBlob(&b); err != nil {
			return err
		}
		return tx.Tenant(tenant).CreateAsset(&a)
	}))
	return a
}

func rejectedFile(_ *meta.Asset, b *meta.Blob) { b.MediaStatus = storage.MediaNone }

func failedMedia(_ *meta.Asset, b *meta.Blob) { b.MediaStatus = storage.MediaFailed }

func infected(a *meta.Asset, b *meta.Blob) {
	rejectedFile(a, b)
	a.State, b.ScanStatus, b.ScanSignature, b.Zone = storage.AssetRejected, storage.ScanInfected, "Eicar-Test", storage.ZoneQuarantine
}

func pendingScan(a *meta.Asset, b *meta.Blob) {
	rejectedFile(a, b)
	a.State, b.ScanStatus, b.Zone = storage.AssetQuarantined, storage.ScanPending, storage.ZoneQuarantine
}

func ids(p page[admin.FoundAsset]) []string {
	out := []string{}
	for _, x := range p.Items {
		out = append(out, x.ID)
	}
	return out
}

func TestAssetsAcrossTenants(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		one, two := metatest.Tenant(t, db, 1<<20), metatest.Tenant(t, db, 1<<20)
		clean := file(t, db, one, "Holiday.PNG", nil)
		bad := file(t, db, two, "worm 100%.png", infected)
		waits := file(t, db, two, "new.png", pendingScan)
		failed := file(t, db, one, "odd_film.png", func(a *meta.Asset, b *meta.Blob) { b.MediaStatus = storage.MediaFailed })
		broken := file(t, db, one, "broken.png", func(_ *meta.Asset, b *meta.Blob) { b.Damage, b.DamagedAt = storage.DamageMissing, 1 })
		gone := file(t, db, one, "gone.png", func(a *meta.Asset, _ *meta.Blob) { a.State = storage.AssetDeleted })
		// A second file on the bytes of the first.
		again := clean
		again.ID, again.Name, again.Duplicate = meta.NewID(), "copy", true
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { return tx.Tenant(one).CreateAsset(&again) }))

		for query, want := range map[string][]meta.Asset{
			"":                                       {again, broken, failed, waits, bad, clean},
			"tenant=" + two:                          {waits, bad},
			"tenant=tenant-" + two:                   {waits, bad},
			"state=rejected":                         {bad},
			"state=deleted":                          {gone},
			"scan=infected":                          {bad},
			"scan=clean&tenant=" + one:               {again, broken, failed, clean},
			"scan=unscannable":                       {},
			"scan=infected&media=failed":             {},
			"media=failed":                           {failed},
			"media=done":                             {again, broken, clean},
			"signature=Eicar-Test":                   {bad},
			"category=image&state=quarantined":       {waits},
			"category=video":                         {},
			"damaged=true":                           {broken},
			"damaged=false&state=available":          {again, failed, clean},
			"sha256=" + clean.SHA256:                 {again, clean},
			"sha256=" + clean.SHA256 + "&scan=clean": {again, clean},
			"q=holiday":                              {clean},
			"q=oliday":                               {clean},
			"q=100%25":                               {bad},
			"q=d_f":                                  {failed},
			"q=.png&scan=infected":                   {bad},
			"q=" + bad.ID:                            {bad},
			"q=" + bad.ID[:23]:                       {bad},
			"q=" + waits.SHA256[:64]:                 {waits},
			"q=nothing+like+it":                      {},
			"q=png&limit=200":                        {broken, failed, waits, bad, clean},
			"since=2100-01-01T00:00:00Z":             {},
			"until=2100-01-01T00:00:00Z&state=rejected": {bad},
		} {
			var p page[admin.FoundAsset]
			d.ok(200, http.MethodGet, "assets?"+query, nil, &p)
			expected := []string{}
			for _, a := range want {
				expected = append(expected, a.ID)
			}
			if query == "q="+bad.ID[:23] { // ids of one millisecond begin alike
				require.Contains(t, ids(p), bad.ID)
				continue
			}
			require.Equal(t, expected, ids(p), query)
		}
		for query, reason := range map[string]string{
			"state=ready": "parameter", "scan=x": "parameter", "media=x": "parameter", "sha256=abc": "digest",
		} {
			require.Equal(t, reason, d.refused(400, http.MethodGet, "assets?"+query, nil))
		}
		require.Equal(t, "tenant_unknown", d.refused(404, http.MethodGet, "assets?tenant=nobody", nil))

		// Page by page, whichever way the list is made.
		for _, query := range []string{"", "scan=clean&", "q=png&", "state=available&"} {
			var whole page[admin.FoundAsset]
			d.ok(200, http.MethodGet, "assets?"+query, nil, &whole)
			var got []string
			cursor := ""
			for {
				var p page[admin.FoundAsset]
				d.ok(200, http.MethodGet, "assets?"+query+"limit=1"+cursor, nil, &p)
				got = append(got, ids(p)...)
				if p.NextCursor == nil {
					break
				}
				cursor = "&cursor=" + *p.NextCursor
			}
			require.Equal(t, ids(whole), got, query)
		}
		status, csv := d.do(http.MethodGet, "assets?state=rejected&format=csv", nil)
		require.Equal(t, 200, status)
		require.Contains(t, string(csv), bad.ID+",worm 100%.png,rejected")
	})
}

func TestAssetIsRetriedRescannedAndDeleted(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		tenant := metatest.Tenant(t, db, 1<<20)
		failed := file(t, db, tenant, "film", failedMedia)
		clean := file(t, db, tenant, "clean", nil)
		waits := file(t, db, tenant, "waits", pendingScan)
		unscannable := file(t, db, tenant, "odd", func(a *meta.Asset, b *meta.Blob) { infected(a, b); b.ScanStatus = storage.ScanUnscannable })

		retry := func(a meta.Asset, what string) (out remedy.Outcome) {
			d.ok(200, http.MethodPost, "assets/"+a.ID+"/retry", map[string]any{"what": what, "reason": "again"}, &out)
			return out
		}
		out := retry(failed, "media")
		require.True(t, out.Changed)
		require.EqualValues(t, storage.MediaPending, out.After["media"])
		data := d.record("asset.retry")
		require.Equal(t, "media", data["what"])
		require.Equal(t, "again", data["reason"])
		task := out.TaskID
		out = retry(failed, "media")
		require.False(t, out.Changed, "the task is open")
		require.Equal(t, task, out.TaskID)
		require.True(t, retry(waits, "scan").Changed)
		require.True(t, retry(unscannable, "scan").Changed)
		require.Equal(t, "scan_ended", d.refused(409, http.MethodPost, "assets/"+clean.ID+"/retry", map[string]any{"what": "scan"}))
		require.Equal(t, "media_done", d.refused(409, http.MethodPost, "assets/"+clean.ID+"/retry", map[string]any{"what": "media"}))
		require.Equal(t, "media_none", d.refused(409, http.MethodPost, "assets/"+waits.ID+"/retry", map[string]any{"what": "media"}))
		require.Equal(t, "retry_what", d.refused(400, http.MethodPost, "assets/"+waits.ID+"/retry", map[string]any{"what": "x"}))
		require.Equal(t, "scan_pending", d.refused(409, http.MethodPost, "assets/"+waits.ID+"/rescan", nil))

		bad := file(t, db, tenant, "bad", infected)
		require.Equal(t, "rescan_infected", d.refused(409, http.MethodPost, "assets/"+bad.ID+"/rescan", nil))
		require.Equal(t, "reason_needed", d.refused(400, http.MethodPost, "assets/"+bad.ID+"/rescan-infected", nil))
		d.ok(200, http.MethodPost, "assets/"+bad.ID+"/rescan-infected", map[string]any{"reason": "a false alarm"}, &out)
		require.True(t, out.Changed)
		require.Equal(t, "a false alarm", d.record("asset.rescan_infected")["reason"])
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			_, err := tx.Exec("UPDATE tasks SET state = 'dead', dedupe_key = NULL WHERE id = ?", out.TaskID)
			return err
		}))
		require.Equal(t, "rescan_infected", d.refused(409, http.MethodPost, "tasks/"+out.TaskID+"/retry", nil))

		var detail admin.AssetDetail
		d.ok(200, http.MethodPost, "assets/"+clean.ID+"/rescan", map[string]any{"reason": "new database"}, &out)
		require.True(t, out.Changed)
		d.ok(200, http.MethodGet, "assets/"+clean.ID, nil, &detail)
		require.Equal(t, storage.AssetAvailable, detail.State, "readable until the new verdict")
		require.Equal(t, storage.ScanClean, detail.Scan)
		require.Len(t, detail.OpenTasks, 1)
		require.Len(t, detail.History, 2, "the audit record and the task")

		require.Equal(t, "reason_needed", d.refused(400, http.MethodDelete, "assets/"+clean.ID, nil))
		d.ok(200, http.MethodDelete, "assets/"+clean.ID, map[string]any{"reason": "asked for"}, &out)
		require.Equal(t, map[string]any{"state": "deleted"}, d.record("asset.delete")["after"])
		require.Equal(t, "asset_deleted", d.refused(409, http.MethodDelete, "assets/"+clean.ID, map[string]any{"reason": "asked for"}))
		require.Equal(t, "asset_deleted", d.refused(409, http.MethodPost, "assets/"+clean.ID+"/rescan", nil))
		require.Equal(t, "asset_unknown", d.refused(404, http.MethodGet, "assets/"+meta.NewID(), nil))

		// The history, entry by entry.
		var whole page[admin.HistoryEntry]
		d.ok(200, http.MethodGet, "assets/"+clean.ID+"/history", nil, &whole)
		require.Len(t, whole.Items, 4)
		var got []admin.HistoryEntry
		cursor := ""
		for {
			var p page[admin.HistoryEntry]
			d.ok(200, http.MethodGet, "assets/"+clean.ID+"/history?limit=1"+cursor, nil, &p)
			got = append(got, p.Items...)
			if p.NextCursor == nil {
				break
			}
			cursor = "&cursor=" + *p.NextCursor
		}
		require.Equal(t, whole.Items, got)
	})
}

func TestTwoOperatorsRetryTheSameFile(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		tenant := metatest.Tenant(t, one, 1<<20)
		a := file(t, one, tenant, "film", failedMedia)
		var changed [8]bool
		var all sync.WaitGroup
		for i := range changed {
			all.Go(func() {
				out, err := admin.Admin{DB: []*meta.DB{one, two}[i%2]}.RetryAsset(t.Context(), a.ID, "media")
				if err != nil {
					t.Error(err)
				}
				changed[i] = out.Changed
			})
		}
		all.Wait()
		n := 0
		for _, c := range changed {
			if c {
				n++
			}
		}
		require.Equal(t, 1, n)
		tasks, err := one.Tenant(t.Context(), tenant).TasksAbout(a.SHA256)
		require.NoError(t, err)
		require.Len(t, tasks, 1)
	})
}
