package alerts

import (
	"context"
	"fmt"
	"time"

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
		out = append(out, Finding{
			Subject: string(d.Kind), Severity: Warning,
			Message: fmt.Sprintf("%d tasks of kind %s are dead and will not be tried again by themselves. The last one: %s",
				d.Count, d.Kind, clip(d.Newest.LastError, 300)),
			Facts: map[string]any{"kind": d.Kind, "count": d.Count, "newest": d.Newest.ID, "newest_tenant": d.Newest.TenantID},
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
			Message: fmt.Sprintf("The oldest of %d tasks in the lane %s has been due for %s; %s is the limit. Are there enough workers?",
				d.Count, d.Lane, spell(waited), spell(most)),
			Facts: map[string]any{"lane": d.Lane, "queued": d.Count, "due_since": d.Oldest.Time().Format(time.RFC3339)},
		})
	}
	return out, nil
}
