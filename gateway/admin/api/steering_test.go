package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/alerts"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/reconcile"
	"gatehouse/storage/settings"
	"gatehouse/storage/snapshot"
)

var configuredSettings = settings.Values{
	UploadsAccept: true, AlertsRefusals: 50, AlertsQueriesPerHour: 100, AlertsNightFrom: "22:00", AlertsNightUntil: "07:00", AlertsRepeat: 4 * time.Hour,
}

func (d *desk) inTx(fn func(*meta.Tx) error) {
	d.t.Helper()
	require.NoError(d.t, d.DB.InTx(d.t.Context(), fn))
}

// alert opens an alert.
func (d *desk) alert(rule, subject, severity, tenant string) string {
	d.t.Helper()
	a := meta.Alert{
		Rule: rule, Subject: subject, Severity: severity, TenantID: tenant, Message: "Something about " + subject + ".", Data: "{}",
		OpenedAt: meta.Now(), SeenAt: meta.Now(), SentAt: meta.Now(),
	}
	d.inTx(func(tx *meta.Tx) error { _, err := tx.OpenAlert(&a); return err })
	return a.ID
}

func TestAlerts(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		tenant := metatest.Tenant(t, db, 1000)
		first := d.alert("disk", "Host-1:/srv", "warning", "")
		second := d.alert("quota", tenant, "critical", tenant)
		over := d.alert("disk", "100%_full", "warning", "")
		_, err := db.Exec(t.Context(), "UPDATE alerts SET closed_at = 5, open_key = NULL WHERE id = ?", over)
		require.NoError(t, err)
		d.inTx(func(tx *meta.Tx) error {
			return tx.AddNotice(meta.Notice{ID: meta.NewID(), AlertID: first, Channel: "hook", Event: "opened", Body: "the secret body", CreatedAt: 1, EndedAt: 2, Problem: "HTTP 500"})
		})

		ids := func(query string) (out []string) {
			var p page[admin.Alert]
			d.ok(200, http.MethodGet, "alerts?"+query, nil, &p)
			for _, a := range p.Items {
				out = append(out, a.ID)
			}
			return out
		}
		require.Equal(t, []string{over, second, first}, ids(""))
		require.Equal(t, []string{second, first}, ids("state=open"))
		require.Equal(t, []string{over}, ids("state=closed"))
		require.Equal(t, []string{second}, ids("severity=critical"))
		require.Equal(t, []string{second}, ids("tenant=tenant-"+tenant))
		require.Equal(t, []string{over, first}, ids("rule=disk"))
		require.Equal(t, []string{first}, ids("q=host-1"))
		require.Equal(t, []string{over}, ids("q=0%25_F"))
		require.Empty(t, ids("q=0%25%25"))
		var p page[admin.Alert]
		d.ok(200, http.MethodGet, "alerts?limit=2", nil, &p)
		require.NotNil(t, p.NextCursor)
		d.ok(200, http.MethodGet, "alerts?limit=2&cursor="+*p.NextCursor, nil, &p)
		require.Len(t, p.Items, 1)
		require.Equal(t, "parameter", d.refused(400, http.MethodGet, "alerts?state=half", nil))
		require.Equal(t, "tenant_unknown", d.refused(404, http.MethodGet, "alerts?tenant=nobody", nil))
		_, csv := d.do(http.MethodGet, "alerts?format=csv&state=closed", nil)
		require.Len(t, strings.Split(strings.TrimSpace(string(csv)), "\n"), 2)

		status, raw := d.do(http.MethodGet, "alerts/"+first, nil)
		require.Equal(t, 200, status)
		require.NotContains(t, string(raw), "secret")
		var detail admin.AlertDetail
		require.NoError(t, json.Unmarshal(raw, &detail))
		require.Equal(t, "failed", detail.Notices[0].State)
		d.ok(200, http.MethodPost, "alerts/"+first+"/acknowledge", map[string]any{"reason": "I look at it"}, &detail)
		require.Equal(t, "alex", detail.AcknowledgedBy)
		require.Equal(t, "I look at it", d.record("alert.acknowledge")["reason"])
		require.Equal(t, "alert_closed", d.refused(409, http.MethodPost, "alerts/"+over+"/acknowledge", nil))
		d.ok(404, http.MethodGet, "alerts/"+meta.NewID(), nil, nil)
		d.ok(404, http.MethodPost, "alerts/"+meta.NewID()+"/acknowledge", nil, nil)
	})
}

func TestAlertRulesAndChannels(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		var rules page[admin.AlertRule]
		d.ok(200, http.MethodGet, "alerts/rules", nil, &rules)
		require.Empty(t, rules.Items, "no worker has run yet")
		require.NoError(t, alerts.Tell(t.Context(), db, alerts.Configured{
			Rules:    []alerts.Rule{{Name: "refusals", Watches: "Refusals.", Thresholds: map[string]any{"alerts.refusals": 50, "alerts.refusals_window": "10m0s"}}, {Name: "disk"}},
			Channels: []alerts.Channel{{Name: "wecom", Kind: "wecom"}, {Name: "log", Kind: "log", On: true}, {Name: "hook", Kind: "webhook", On: true, Rules: []string{"disk"}}},
		}))
		d.ok(200, http.MethodPut, "settings/alerts.refusals", map[string]any{"value": 7, "reason": "quieter"}, nil)
		d.ok(200, http.MethodGet, "alerts/rules", nil, &rules)
		require.Equal(t, "disk", rules.Items[0].Name)
		require.Equal(t, []string{"log", "hook"}, rules.Items[0].Channels)
		require.Equal(t, []string{"log"}, rules.Items[1].Channels)
		require.EqualValues(t, 7, rules.Items[1].Thresholds["alerts.refusals"])

		var n admin.Notice
		d.ok(202, http.MethodPost, "alerts/channels/hook/test", map[string]any{"reason": "new robot"}, &n)
		require.Equal(t, "waiting", n.State)
		require.Equal(t, "new robot", d.record("alert.test")["reason"])
		require.Equal(t, "channel_off", d.refused(409, http.MethodPost, "alerts/channels/wecom/test", nil))
		require.Equal(t, "channel_unknown", d.refused(404, http.MethodPost, "alerts/channels/mail/test", nil))
		taken, err := db.TakeNotices(t.Context(), "hook", meta.Now().Add(time.Second), meta.Now().Add(time.Minute), 5)
		require.NoError(t, err)
		require.Len(t, taken, 1)
		require.NoError(t, db.EndNotices(t.Context(), []string{n.ID}, meta.Now(), "HTTP 500: down"))
		d.ok(200, http.MethodGet, "alerts/notices/"+n.ID, nil, &n)
		require.Equal(t, "failed", n.State)
		var channels page[admin.AlertChannel]
		d.ok(200, http.MethodGet, "alerts/channels", nil, &channels)
		require.Equal(t, "HTTP 500: down", channels.Items[0].Problem)
		health, err := db.ChannelsHealth(t.Context(), 0)
		require.NoError(t, err)
		require.Zero(t, health[0].Failed, "who tried it knows")
		require.NoError(t, db.ForgetTests(t.Context(), meta.Now().Add(time.Second)))
		d.ok(404, http.MethodGet, "alerts/notices/"+n.ID, nil, nil)
	})
}

func TestSettings(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		var list struct{ Items []admin.RuntimeSetting }
		d.ok(200, http.MethodGet, "settings", nil, &list)
		require.Len(t, list.Items, len(settings.List))
		require.Equal(t, "configured", list.Items[0].Source)
		var s admin.RuntimeSetting
		d.ok(200, http.MethodPut, "settings/uploads.accept", map[string]any{"value": false, "reason": "moving"}, &s)
		require.Equal(t, "false", string(s.Value))
		require.Equal(t, "true", string(s.Default))
		require.Equal(t, []string{"set", "alex"}, []string{s.Source, s.UpdatedBy})
		require.Equal(t, map[string]any{"before": true, "after": false, "reason": "moving"}, d.record("setting.set"))
		v, err := settings.Read(t.Context(), db, configuredSettings)
		require.NoError(t, err)
		require.False(t, v.UploadsAccept)
		require.Equal(t, "setting_value", d.refused(400, http.MethodPut, "settings/alerts.repeat", map[string]any{"value": "1s"}))
		require.Equal(t, "setting_value", d.refused(400, http.MethodPut, "settings/alerts.repeat", map[string]any{}))
		require.Equal(t, "setting_unknown", d.refused(404, http.MethodPut, "settings/alerts.disk", map[string]any{"value": 1}))
		d.ok(200, http.MethodDelete, "settings/uploads.accept", map[string]any{"reason": "done"}, &s)
		require.Equal(t, "configured", s.Source)
		require.Equal(t, map[string]any{"before": false, "after": true, "reason": "done"}, d.record("setting.unset"))
	})
}

func TestReconcileCalls(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		tenant := metatest.Tenant(t, db, 1000)
		var run reconcile.Result
		d.ok(202, http.MethodPost, "reconcile", map[string]any{"kind": "full", "tenants": []string{"tenant-" + tenant}, "reason": "after the outage"}, &run)
		require.Equal(t, "running", run.State)
		require.Equal(t, "alex", run.RequestedBy)
		require.Equal(t, "after the outage", d.record("reconcile.start")["reason"])
		_, err := db.TaskLike(t.Context(), reconcile.Task(run.Run))
		require.NoError(t, err, "a worker is asked")
		require.Equal(t, "reconcile_under_way", d.refused(409, http.MethodPost, "reconcile", map[string]any{"kind": "light"}))
		require.Equal(t, "parameter", d.refused(400, http.MethodPost, "reconcile", map[string]any{"kind": "deep"}))
		require.Equal(t, "reconcile_state", d.refused(409, http.MethodPost, "reconcile/"+run.Run+"/confirm", nil))

		_, err = db.Exec(t.Context(), "UPDATE reconcile_runs SET state = 'held', planned = 2 WHERE id = ?", run.Run)
		require.NoError(t, err)
		d.inTx(func(tx *meta.Tx) error {
			var list []meta.ReconcileFinding
			for range 3 {
				list = append(list, meta.ReconcileFinding{ID: meta.NewID(), RunID: run.Run, TenantID: tenant, Kind: storage.DriftMissing, State: meta.FindingMarked, Detail: "{}", FoundAt: 1})
			}
			list[0].Kind, list[0].Repair, list[0].State = reconcile.Kinds()[0], "drop", meta.FindingOpen
			return tx.AddFindings(list)
		})
		require.Equal(t, "reconcile_held", d.refused(409, http.MethodPost, "reconcile", map[string]any{"kind": "full"}))
		var found page[reconcile.Finding]
		d.ok(200, http.MethodGet, "reconcile/"+run.Run+"/findings?limit=2", nil, &found)
		require.Len(t, found.Items, 2)
		d.ok(200, http.MethodGet, "reconcile/"+run.Run+"/findings?cursor="+*found.NextCursor, nil, &found)
		require.Len(t, found.Items, 1)
		d.ok(200, http.MethodGet, "reconcile/"+run.Run+"/findings?state=open&repair=drop", nil, &found)
		require.Len(t, found.Items, 1)
		require.Equal(t, "parameter", d.refused(400, http.MethodGet, "reconcile/"+run.Run+"/findings?state=half", nil))
		d.ok(404, http.MethodGet, "reconcile/"+meta.NewID()+"/findings", nil, nil)

		var planned admin.Planned
		d.ok(200, http.MethodPost, "reconcile/"+run.Run+"/confirm", map[string]any{"reason": "looked at it"}, &planned)
		require.Equal(t, "confirmed", planned.State)
		require.EqualValues(t, 1, planned.Will[0].Count)
		require.Len(t, planned.Will, 1)
		require.Equal(t, "looked at it", d.record("reconcile.confirm")["reason"])
		d.ok(200, http.MethodPost, "reconcile/"+run.Run+"/cancel", map[string]any{"reason": "no"}, &run)
		require.Equal(t, "cancelled", run.State)
		require.EqualValues(t, 2, run.Marked)
		require.Equal(t, "no", d.record("reconcile.cancel")["reason"])
		d.ok(202, http.MethodPost, "reconcile", map[string]any{"kind": "light"}, nil)
		var runs page[admin.ReconcileRun]
		d.ok(200, http.MethodGet, "reconcile?kind=full&state=held,cancelled", nil, &runs)
		require.Len(t, runs.Items, 1)
		d.ok(200, http.MethodGet, "reconcile?limit=1", nil, &runs)
		d.ok(200, http.MethodGet, "reconcile?cursor="+*runs.NextCursor, nil, &runs)
		require.Equal(t, run.Run, runs.Items[0].ID)
		require.EqualValues(t, 2, runs.Items[0].Marked)
		d.ok(404, http.MethodPost, "reconcile/"+meta.NewID()+"/cancel", nil, nil)
	})
}

func TestSnapshotCalls(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	d.API.Admin.SnapshotCache = &admin.SnapshotCache{}
	store := &snapshot.Store{DB: d.DB, Zone: d.API.Admin.Zones.Snapshots, SpoolDir: t.TempDir(), Version: "test"}
	old, err := store.Create(t.Context(), snapshot.ReasonDaily)
	require.NoError(t, err)
	newest, err := store.Create(t.Context(), snapshot.ReasonManual)
	require.NoError(t, err)

	var task, again admin.QueuedTask
	d.ok(202, http.MethodPost, "snapshots", map[string]any{"reason": "before the upgrade"}, &task)
	require.True(t, task.Queued)
	require.Equal(t, "before the upgrade", d.record("snapshot.start")["reason"])
	d.ok(202, http.MethodPost, "snapshots", nil, &again)
	require.Equal(t, admin.QueuedTask{TaskID: task.TaskID}, again)
	d.ok(202, http.MethodPost, "snapshots/"+old.ID+"/verify", nil, &task)
	row, err := d.DB.TaskBy(t.Context(), task.TaskID)
	require.NoError(t, err)
	require.Equal(t, []any{storage.TaskVerify, old.ID}, []any{row.Kind, row.Subject})
	d.inTx(func(tx *meta.Tx) error {
		return snapshot.RecordVerify(tx, old.ID, snapshot.Verdict{Damage: []string{"a part is gone"}}, d.API.Admin.Actor)
	})
	var list page[admin.Snapshot]
	d.ok(200, http.MethodGet, "snapshots?limit=1", nil, &list)
	require.Equal(t, newest.ID, list.Items[0].ID)
	d.ok(200, http.MethodGet, "snapshots?cursor="+*list.NextCursor, nil, &list)
	require.Equal(t, old.ID, list.Items[0].ID)
	require.Equal(t, []string{"a part is gone"}, list.Items[0].Verified.Damage)
	var detail admin.SnapshotDetail
	d.ok(200, http.MethodGet, "snapshots/"+newest.ID, nil, &detail)
	require.NotEmpty(t, detail.Tables)

	require.Equal(t, "snapshot_newest", d.refused(409, http.MethodDelete, "snapshots/"+newest.ID, nil))
	d.ok(204, http.MethodDelete, "snapshots/"+old.ID, map[string]any{"reason": "damaged"}, nil)
	require.Equal(t, map[string]any{"removed": true, "reason": "damaged"}, d.record("snapshot.remove"))
	log, err := d.DB.AuditLog(t.Context(), meta.AuditFilter{Action: "snapshot.remove"}, 10)
	require.NoError(t, err)
	require.Len(t, log, 3, "that it began and that it is done; and before, that it began with the newest, which stays")
	require.Contains(t, log[1].Data, `"begun":true`)
	for method, path := range map[string]string{http.MethodGet: "", http.MethodDelete: "", http.MethodPost: "/verify"} {
		require.Equal(t, "snapshot_unknown", d.refused(404, method, "snapshots/"+old.ID+path, nil))
	}
}
