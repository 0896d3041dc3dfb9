package alerts

import (
	"context"
	"fmt"
	"slices"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// deadTasks tells of tasks that nobody will try again by himself, one alert a kind.
func deadTasks(ctx context.Context, look *Look) ([]Finding, error) {
	list, err := look.DB.DeadTasksByKind(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, d := range list {
		of, names := "", map[string]string{}
		if id := d.Newest.TenantID; id != "" {
			if err := addNames(ctx, look, names, []string{id}); err != nil {
				return nil, err
			}
			of = ", of " + tenantName(names, id)
		}
		out = append(out, Finding{
			Subject: string(d.Kind), Severity: Warning,
			Message: fmt.Sprintf("%s failed too often and will not be tried again. The last one, task %s%s, failed at %s: %s. `worker alerts list --json` has its facts; `gateway task show %s` has its attempts, `gateway task retry %s` queues it again (POST /api/admin/tasks/%s/retry).",
				plural(d.Count, "task of kind "+string(d.Kind)+" has", "tasks of kind "+string(d.Kind)+" have"), d.Newest.ID, of,
				at(d.Newest.FinishedAt.Time()), sentence(d.Newest.LastError, 300), d.Newest.ID, d.Newest.ID, d.Newest.ID),
			Facts: map[string]any{"kind": d.Kind, "count": d.Count, "newest": d.Newest.ID, "newest_tenant": d.Newest.TenantID,
				"newest_subject": d.Newest.Subject, "tenant": names[d.Newest.TenantID], "error": d.Newest.LastError, "at": d.Newest.FinishedAt.Time()},
		})
	}
	return out, nil
}

// waitingTasks tells of lanes whose work does not get done: too few workers, or none.
func waitingTasks(ctx context.Context, look *Look) ([]Finding, error) {
	list, err := look.DB.Depths(ctx)
	if err != nil {
		return nil, err
	}
	paused, err := look.DB.PausedLanes(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, d := range list {
		most, limited := look.Limits.MaxWait[d.Lane]
		waited := look.Now.Time().Sub(d.Oldest.Time())
		if d.State != storage.TaskQueued || !limited || waited <= most {
			continue
		}
		out = append(out, Finding{
			Subject: string(d.Lane), Severity: Warning,
			Message: fmt.Sprintf("%s in the lane %s; the oldest has been due for %s, since %s; %s is the limit (alerts.max_wait). %s",
				plural(d.Count, "task waits", "tasks wait"), d.Lane, spell(waited), at(d.Oldest.Time()), spell(most), whyWaiting(d.Lane, paused)),
			Facts: map[string]any{"lane": d.Lane, "queued": d.Count, "due_since": d.Oldest.Time(), "limit_seconds": int64(most.Seconds()),
				"paused": isPaused(d.Lane, paused)},
		})
	}
	return out, nil
}

// whyWaiting is what to do about a lane whose work does not get done.
func whyWaiting(lane storage.Lane, paused []meta.LanePause) string {
	for _, p := range paused {
		if p.Name == lane {
			return fmt.Sprintf("The lane is paused, since %s by %s: %s. `gateway lane resume %s` lets it go on (POST /api/admin/lanes/%s/resume).",
				at(p.PausedAt.Time()), p.PausedBy, sentence(p.Reason, 200), lane, lane)
		}
	}
	return "If no worker runs, or they have too much to do, start another one with `worker run`; their logs say what they do."
}

func isPaused(lane storage.Lane, paused []meta.LanePause) bool {
	return slices.ContainsFunc(paused, func(p meta.LanePause) bool { return p.Name == lane })
}
