package alerts

import (
	"context"
	"fmt"

	"gatehouse/storage"
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
			Message: fmt.Sprintf("%s failed too often and will not be tried again. The last one, task %s%s, failed at %s: %s. `worker alerts list --json` has its facts; its row is in the table tasks.",
				plural(d.Count, "task of kind "+string(d.Kind)+" has", "tasks of kind "+string(d.Kind)+" have"), d.Newest.ID, of,
				at(d.Newest.FinishedAt.Time()), sentence(d.Newest.LastError, 300)),
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
	var out []Finding
	for _, d := range list {
		most, limited := look.Limits.MaxWait[d.Lane]
		waited := look.Now.Time().Sub(d.Oldest.Time())
		if d.State != storage.TaskQueued || !limited || waited <= most {
			continue
		}
		out = append(out, Finding{
			Subject: string(d.Lane), Severity: Warning,
			Message: fmt.Sprintf("%s in the lane %s; the oldest has been due for %s, since %s; %s is the limit (alerts.max_wait). If no worker runs, or they have too much to do, start another one with `worker run`; their logs say what they do.",
				plural(d.Count, "task waits", "tasks wait"), d.Lane, spell(waited), at(d.Oldest.Time()), spell(most)),
			Facts: map[string]any{"lane": d.Lane, "queued": d.Count, "due_since": d.Oldest.Time(), "limit_seconds": int64(most.Seconds())},
		})
	}
	return out, nil
}
