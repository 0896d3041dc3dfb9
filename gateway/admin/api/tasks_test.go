package api_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/remedy"
)

// dead queues a task, and lets it fail once and die.
func dead(t testing.TB, db *meta.DB, n meta.NewTask) meta.Task {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { _, err := tx.Enqueue(n); return err }))
	task, err := db.TaskLike(t.Context(), n)
	require.NoError(t, err)
	for _, end := range []func(*meta.Tx, meta.Lease) error{
		func(tx *meta.Tx, l meta.Lease) error { return tx.Retry(l, meta.Now(), "the first", false) },
		func(tx *meta.Tx, l meta.Lease) error { return tx.Bury(l, "the last") },
	} {
		l, won, err := db.Claim(t.Context(), task.ID, "worker", time.Minute)
		require.NoError(t, err)
		require.True(t, won)
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { return end(tx, l) }))
	}
	return task
}

func TestTasks(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		tenant := metatest.Tenant(t, db, 1<<20)
		a := file(t, db, tenant, "film", failedMedia)
		task := dead(t, db, meta.BlobTask(storage.TaskImage, tenant, a.SHA256))
		w := file(t, db, tenant, "new", pendingScan)
		scan := meta.BlobTask(storage.TaskScan, tenant, w.SHA256)
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { _, err := tx.Enqueue(scan); return err }))
		waiting, err := db.TaskLike(t.Context(), scan)
		require.NoError(t, err)

		for query, want := range map[string][]string{
			"": {waiting.ID, task.ID}, "state=dead": {task.ID}, "kind=scan": {waiting.ID}, "lane=image": {task.ID}, "tenant=" + tenant: {waiting.ID, task.ID},
			"subject=" + a.SHA256: {task.ID}, "state=running": {},
		} {
			var p page[admin.Task]
			d.ok(200, http.MethodGet, "tasks?"+query, nil, &p)
			got := []string{}
			for _, x := range p.Items {
				got = append(got, x.ID)
			}
			require.Equal(t, want, got, query)
		}
		require.Equal(t, "parameter", d.refused(400, http.MethodGet, "tasks?state=x", nil))

		var detail admin.TaskDetail
		d.ok(200, http.MethodGet, "tasks/"+task.ID, nil, &detail)
		require.Len(t, detail.Tries, 2)
		require.Equal(t, meta.AttemptDead, detail.Tries[0].Outcome)
		require.Equal(t, "the last", detail.Tries[0].Error)
		require.Equal(t, meta.AttemptFailed, detail.Tries[1].Outcome)
		require.Equal(t, 1, detail.Tries[1].Attempt)
		require.NotNil(t, detail.Tries[1].StartedAt)

		var out remedy.TaskOutcome
		d.ok(200, http.MethodPost, "tasks/"+task.ID+"/retry", map[string]any{"reason": "new codec"}, &out)
		require.Equal(t, remedy.TaskOutcome{TaskID: task.ID, Changed: true, Before: storage.TaskDead, After: storage.TaskQueued}, out)
		require.Equal(t, "new codec", d.record("task.retry")["reason"])
		now, err := db.TaskBy(t.Context(), task.ID)
		require.NoError(t, err)
		require.Zero(t, now.Attempts)
		require.NotNil(t, now.DedupeKey)
		b, err := db.Tenant(t.Context(), tenant).Blob(a.SHA256)
		require.NoError(t, err)
		require.Equal(t, storage.MediaPending, b.MediaStatus)
		d.ok(200, http.MethodPost, "tasks/"+task.ID+"/retry", nil, &out)
		require.False(t, out.Changed)

		require.Equal(t, "task_needed", d.refused(409, http.MethodPost, "tasks/"+waiting.ID+"/cancel", nil))
		d.ok(200, http.MethodPost, "tasks/"+task.ID+"/cancel", nil, &out)
		require.True(t, out.Changed)
		b, err = db.Tenant(t.Context(), tenant).Blob(a.SHA256)
		require.NoError(t, err)
		require.Equal(t, storage.MediaFailed, b.MediaStatus, "nobody makes the variants until somebody asks")
		require.Equal(t, "task_ended", d.refused(409, http.MethodPost, "tasks/"+task.ID+"/retry", nil))
		require.Equal(t, "task_unknown", d.refused(404, http.MethodPost, "tasks/x/retry", nil))

		// Attempts go with their task.
		cutoff := meta.Now().Add(time.Hour)
		require.NoError(t, db.Forget(t.Context(), cutoff, 1, 1))
		tries, err := db.Attempts(t.Context(), task.ID, 10)
		require.NoError(t, err)
		require.Empty(t, tries)
	})
}

func TestLanes(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		tenant := metatest.Tenant(t, db, 1<<20)
		n := meta.BlobTask(storage.TaskScan, tenant, "x")
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { _, err := tx.Enqueue(n); return err }))
		task, err := db.TaskLike(t.Context(), n)
		require.NoError(t, err)

		var c admin.LaneChange
		require.Equal(t, "reason_needed", d.refused(400, http.MethodPost, "lanes/scan/pause", nil))
		d.ok(200, http.MethodPost, "lanes/scan/pause", map[string]any{"reason": "new clamd"}, &c)
		require.Equal(t, admin.LaneChange{Lane: storage.LaneScan, Changed: true, Paused: true}, c)
		d.ok(200, http.MethodPost, "lanes/scan/pause", map[string]any{"reason": "again"}, &c)
		require.False(t, c.Changed)
		require.Equal(t, "new clamd", d.record("lane.pause")["reason"])
		require.Equal(t, "lane_unknown", d.refused(404, http.MethodPost, "lanes/x/pause", map[string]any{"reason": "x"}))

		_, won, err := db.Claim(t.Context(), task.ID, "worker", time.Minute)
		require.NoError(t, err)
		require.False(t, won)
		rung, err := db.Ring(t.Context(), meta.Now(), 10)
		require.NoError(t, err)
		require.Empty(t, rung)

		var p page[admin.Lane]
		d.ok(200, http.MethodGet, "lanes", nil, &p)
		require.Len(t, p.Items, len(storage.Lanes))
		for _, l := range p.Items {
			require.Equal(t, l.Name == storage.LaneScan, l.Paused)
			if l.Paused {
				require.EqualValues(t, 1, l.Queued)
				require.NotNil(t, l.OldestDue)
				require.Equal(t, "new clamd", l.Reason)
			}
		}

		d.ok(200, http.MethodPost, "lanes/scan/resume", map[string]any{"reason": "it runs"}, &c)
		require.True(t, c.Changed)
		rung, err = db.Ring(t.Context(), meta.Now(), 10)
		require.NoError(t, err)
		require.Len(t, rung, 1)
		l, won, err := db.Claim(t.Context(), task.ID, "worker", time.Minute)
		require.NoError(t, err)
		require.True(t, won)
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { return tx.Finish(l) }))
		d.ok(200, http.MethodGet, "lanes", nil, &p)
		for _, l := range p.Items {
			if l.Name == storage.LaneScan {
				require.EqualValues(t, 1, l.DoneFiveMinutes)
				require.EqualValues(t, 1, l.DoneHour)
				require.False(t, l.Paused)
			}
		}
	})
}

func TestBulk(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		one, two := metatest.Tenant(t, db, 1<<20), metatest.Tenant(t, db, 1<<20)
		for range 3 {
			file(t, db, one, "bad", infected)
		}
		file(t, db, two, "bad", infected)
		file(t, db, two, "good", nil)

		var answer admin.BulkAnswer
		filter := map[string]any{"scan": "infected"}
		d.ok(200, http.MethodPost, "assets/bulk", map[string]any{"action": "rescan", "filter": filter, "dry_run": true}, &answer)
		require.EqualValues(t, 4, answer.Count)
		require.Equal(t, one, answer.Tenants[0].TenantID)
		require.EqualValues(t, 3, answer.Tenants[0].Count)
		require.Len(t, answer.Examples, 4)
		require.Nil(t, answer.Run)
		require.Equal(t, map[string]any{"action": "rescan", "dry_run": true, "count": 4.0, "filter": filter}, d.record("asset.bulk"))
		for _, all := range []map[string]any{{"until": "9999-01-01T00:00:00Z"}, {"since": "1990-01-01T00:00:00Z"}, {"q": "%"}, {"q": "._ %"}} {
			require.Equal(t, "bulk_filter", d.refused(400, http.MethodPost, "assets/bulk/delete", map[string]any{"filter": all, "dry_run": true}))
		}

		ask := func(expect any, more map[string]any) map[string]any {
			body := map[string]any{"filter": filter, "expect": expect, "reason": "they are bad"}
			for k, v := range more {
				body[k] = v
			}
			return body
		}
		require.Equal(t, "bulk_count", d.refused(409, http.MethodPost, "assets/bulk/delete", ask(3, nil)))
		require.Equal(t, "reason_needed", d.refused(400, http.MethodPost, "assets/bulk/delete", ask(4, map[string]any{"reason": ""})))
		require.Equal(t, "bulk_filter", d.refused(400, http.MethodPost, "assets/bulk/delete", ask(5, map[string]any{"filter": map[string]any{}})))
		require.Equal(t, "bulk_delete_elsewhere", d.refused(400, http.MethodPost, "assets/bulk", ask(4, map[string]any{"action": "delete"})))
		require.Equal(t, "parameter", d.refused(400, http.MethodPost, "assets/bulk", ask(4, map[string]any{"action": "burn"})))
		d.ok(200, http.MethodPost, "assets/bulk/delete", ask(4, nil), &answer)
		require.Equal(t, meta.BulkQueued, answer.Run.State)
		file(t, db, two, "later", infected)

		// The worker's part, file by file; every other time the worker dies after a file and the next one begins anew.
		run, err := db.BulkRunBy(t.Context(), answer.Run.ID)
		require.NoError(t, err)
		s, err := run.Search()
		require.NoError(t, err)
		list, err := db.SearchAssets(t.Context(), s, run.CursorAt, 100)
		require.NoError(t, err)
		require.Len(t, list, 4, "what came later does not belong to it")
		for _, a := range list {
			for range 2 {
				require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { return remedy.Step(tx, run, a) }))
			}
		}
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { return remedy.EndBulk(tx, run.ID, "") }))
		var shown admin.BulkRun
		d.ok(200, http.MethodGet, "assets/bulk/"+run.ID, nil, &shown)
		require.Equal(t, meta.BulkDone, shown.State)
		require.EqualValues(t, 4, shown.Done)
		require.Zero(t, shown.Failed+shown.Unchanged)
		require.Equal(t, run.ID, d.record("asset.delete")["bulk"])
		require.Equal(t, "bulk_ended", d.refused(409, http.MethodPost, "assets/bulk/"+run.ID+"/cancel", nil))

		d.ok(200, http.MethodPost, "assets/bulk", ask(1, map[string]any{"action": "rescan"}), &answer)
		d.ok(200, http.MethodPost, "assets/bulk/"+answer.Run.ID+"/cancel", map[string]any{"reason": "no"}, &shown)
		require.Equal(t, meta.BulkCancelled, shown.State)
		err = db.InTx(t.Context(), func(tx *meta.Tx) error {
			rows, err := db.SearchAssets(t.Context(), s, "", 1)
			return errors.Join(err, remedy.Step(tx, meta.BulkRun{ID: answer.Run.ID, Action: "rescan"}, rows[0]))
		})
		require.ErrorIs(t, err, meta.ErrRunMoved)
		var runs page[admin.BulkRun]
		d.ok(200, http.MethodGet, "assets/bulk", nil, &runs)
		require.Len(t, runs.Items, 2)
	})
}
