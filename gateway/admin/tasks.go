package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/remedy"
)

// Task is something that is to be done, or was.
type Task struct {
	ID       string            `json:"id"`
	Kind     storage.TaskKind  `json:"kind"`
	Lane     storage.Lane      `json:"lane"`
	TenantID string            `json:"tenant_id"`
	Tenant   string            `json:"tenant"`
	Subject  string            `json:"subject"`
	State    storage.TaskState `json:"state"`
	Attempts int               `json:"attempts"`
	Progress float64           `json:"progress"`
	// Error is that of the last attempt that did not succeed, or what the task waits for.
	Error string    `json:"error"`
	RunAt time.Time `json:"run_at"`
	// Worker has the task until LeaseUntil, when it runs.
	Worker     string     `json:"worker"`
	LeaseUntil *time.Time `json:"lease_until"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	FinishedAt *time.Time `json:"finished_at"`
}

func taskOf(t meta.Task, tenant string) Task {
	return Task{
		ID: t.ID, Kind: t.Kind, Lane: t.Lane, TenantID: t.TenantID, Tenant: tenant, Subject: t.Subject, State: t.State, Attempts: t.Attempts,
		Progress: t.Progress, Error: t.LastError, RunAt: t.RunAt.Time(), Worker: t.LeaseOwner, LeaseUntil: t.LeaseUntil.TimeIfSet(),
		CreatedAt: t.CreatedAt.Time(), UpdatedAt: t.UpdatedAt.Time(), FinishedAt: t.FinishedAt.TimeIfSet(),
	}
}

// TaskQuery narrows a list of tasks; empty fields do not.
type TaskQuery struct {
	Kind    storage.TaskKind  `query:"kind" json:"-" doc:"scan, image, video, sweep, reconcile, snapshot, purge_tenant, bulk."`
	Lane    storage.Lane      `query:"lane" json:"-" doc:"scan, image, video, housekeeping."`
	State   storage.TaskState `query:"state" json:"-" doc:"queued, running, done, dead, cancelled."`
	Tenant  string            `query:"tenant" json:"-" doc:"Name or id of the tenant."`
	Subject string            `query:"subject" json:"-" doc:"What it is about: a digest, or the id of a run."`
}

var taskStates = []storage.TaskState{storage.TaskQueued, storage.TaskRunning, storage.TaskDone, storage.TaskDead, storage.TaskCancelled}

// Tasks lists tasks, newest first: at most limit of those older than the task `before`.
func (a Admin) Tasks(ctx context.Context, q TaskQuery, before string, limit int) ([]Task, error) {
	if err := firstOf(oneOf("state", q.State, taskStates), oneOf("lane", q.Lane, storage.Lanes)); err != nil {
		return nil, err
	}
	f := meta.TaskFilter{Kind: q.Kind, Lane: q.Lane, State: q.State, Subject: q.Subject}
	if q.Tenant != "" {
		var err error
		if f.TenantID, err = a.tenantID(ctx, q.Tenant); err != nil {
			return nil, err
		}
	}
	rows, err := a.DB.Tasks(ctx, f, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	var ids []string
	for _, t := range rows {
		ids = append(ids, t.TenantID)
	}
	names, err := a.names(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Task, 0, len(rows))
	for _, t := range rows {
		out = append(out, taskOf(t, names[t.TenantID]))
	}
	return out, nil
}

// TaskDetail is a task with its attempts that did not succeed.
type TaskDetail struct {
	Task
	// Tries are the newest first. What succeeded, or only waited, is not among them.
	Tries []TaskTry `json:"tries"`
}

// TaskTry is an attempt that did not succeed.
type TaskTry struct {
	Attempt   int                 `json:"attempt"`
	Worker    string              `json:"worker"`
	StartedAt *time.Time          `json:"started_at"`
	EndedAt   time.Time           `json:"ended_at"`
	Outcome   meta.AttemptOutcome `json:"outcome"`
	Error     string              `json:"error"`
}

// shownTries bounds the attempts that are shown with a task: ten, for each time that it was retried.
const shownTries = 200

// ShowTask shows a task.
func (a Admin) ShowTask(ctx context.Context, id string) (TaskDetail, error) {
	t, err := a.DB.TaskBy(ctx, id)
	if err != nil {
		return TaskDetail{}, taskUnknown(id, err)
	}
	tries, err := a.DB.Attempts(ctx, id, shownTries)
	if err != nil {
		return TaskDetail{}, fmt.Errorf("read attempts: %w", err)
	}
	names, err := a.names(ctx, []string{t.TenantID})
	if err != nil {
		return TaskDetail{}, err
	}
	d := TaskDetail{Task: taskOf(t, names[t.TenantID]), Tries: []TaskTry{}}
	for _, x := range tries {
		d.Tries = append(d.Tries, TaskTry{
			Attempt: x.Attempt, Worker: x.Worker, StartedAt: x.StartedAt.TimeIfSet(), EndedAt: x.EndedAt.Time(), Outcome: x.Outcome, Error: x.Problem,
		})
	}
	return d, nil
}

func taskUnknown(id string, err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return refuse(storage.CodeNotFound, "task_unknown", fmt.Sprintf("There is no task with the id %q.", id), fmt.Sprintf("没有标识为 %q 的任务。", id))
	}
	return err
}

// RetryTask queues a dead task again.
func (a Admin) RetryTask(ctx context.Context, id string) (remedy.TaskOutcome, error) {
	return a.onTask(ctx, id, remedy.RetryTask)
}

// CancelTask ends a task.
func (a Admin) CancelTask(ctx context.Context, id string) (remedy.TaskOutcome, error) {
	return a.onTask(ctx, id, remedy.CancelTask)
}

func (a Admin) onTask(ctx context.Context, id string, do func(*meta.Tx, remedy.By, string) (remedy.TaskOutcome, error)) (remedy.TaskOutcome, error) {
	var out remedy.TaskOutcome
	err := a.DB.InTx(ctx, func(tx *meta.Tx) (err error) {
		out, err = do(tx, a.by(), id)
		return err
	})
	return out, taskUnknown(id, err)
}

// Lane is a queue and how it does.
type Lane struct {
	Name    storage.Lane `json:"name"`
	Queued  int64        `json:"queued"`
	Running int64        `json:"running"`
	Dead    int64        `json:"dead"`
	// OldestDue is since when the task that waits longest has been due; null when none is due.
	OldestDue        *time.Time `json:"oldest_due"`
	OldestDueSeconds float64    `json:"oldest_due_seconds"`
	// DoneFiveMinutes and DoneHour count the tasks that were done in the last five minutes and the last hour.
	DoneFiveMinutes int64      `json:"done_5m"`
	DoneHour        int64      `json:"done_1h"`
	Paused          bool       `json:"paused"`
	PausedAt        *time.Time `json:"paused_at"`
	PausedBy        string     `json:"paused_by"`
	Reason          string     `json:"reason"`
}

// Lanes lists all lanes.
func (a Admin) Lanes(ctx context.Context) ([]Lane, error) {
	depths, err := a.DB.Depths(ctx)
	if err != nil {
		return nil, fmt.Errorf("count tasks: %w", err)
	}
	paused, err := a.DB.PausedLanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read paused lanes: %w", err)
	}
	now := meta.Now()
	var rates [2][]meta.LaneRate
	for i, span := range []time.Duration{5 * time.Minute, time.Hour} {
		if rates[i], err = a.DB.DoneSince(ctx, now.Add(-span)); err != nil {
			return nil, fmt.Errorf("count tasks: %w", err)
		}
	}
	out := make([]Lane, 0, len(storage.Lanes))
	for _, name := range storage.Lanes {
		l := Lane{Name: name, DoneFiveMinutes: rateOf(rates[0], name), DoneHour: rateOf(rates[1], name)}
		for _, d := range depths {
			if d.Lane == name {
				l.add(d, now)
			}
		}
		if i := slices.IndexFunc(paused, func(p meta.LanePause) bool { return p.Name == name }); i >= 0 {
			l.Paused, l.PausedAt, l.PausedBy, l.Reason = true, paused[i].PausedAt.TimeIfSet(), paused[i].PausedBy, paused[i].Reason
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(x, y Lane) int { return cmp.Compare(x.Name, y.Name) })
	return out, nil
}

func (l *Lane) add(d meta.QueueDepth, now meta.Stamp) {
	switch d.State {
	case storage.TaskRunning:
		l.Running = d.Count
	case storage.TaskDead:
		l.Dead = d.Count
	case storage.TaskQueued:
		l.Queued = d.Count
		if d.Oldest <= now {
			l.OldestDue, l.OldestDueSeconds = d.Oldest.TimeIfSet(), now.Time().Sub(d.Oldest.Time()).Seconds()
		}
	case storage.TaskDone, storage.TaskCancelled:
	}
}

func rateOf(list []meta.LaneRate, lane storage.Lane) int64 {
	for _, r := range list {
		if r.Lane == lane {
			return r.Done
		}
	}
	return 0
}

// LaneChange is what pausing or resuming a lane came to.
type LaneChange struct {
	Lane storage.Lane `json:"lane"`
	// Changed is false when it was so already.
	Changed bool `json:"changed"`
	Paused  bool `json:"paused"`
}

// PauseLane keeps every worker from beginning a task of the lane; those that run end. It needs a reason.
func (a Admin) PauseLane(ctx context.Context, lane storage.Lane) (LaneChange, error) {
	if err := a.needReason(); err != nil {
		return LaneChange{}, err
	}
	return a.onLane(ctx, lane, true, func(tx *meta.Tx) (bool, map[string]any, error) {
		changed, err := tx.PauseLane(lane, a.Actor.Kind+" "+a.Actor.ID, a.Reason)
		return changed, map[string]any{"before": "running", "after": "paused"}, err
	})
}

// ResumeLane lets a lane go on.
func (a Admin) ResumeLane(ctx context.Context, lane storage.Lane) (LaneChange, error) {
	return a.onLane(ctx, lane, false, func(tx *meta.Tx) (bool, map[string]any, error) {
		was, changed, err := tx.ResumeLane(lane)
		return changed, map[string]any{"before": "paused", "after": "running", "paused_at": was.PausedAt.TimeIfSet(), "paused_by": was.PausedBy}, err
	})
}

func (a Admin) onLane(ctx context.Context, lane storage.Lane, paused bool, do func(*meta.Tx) (bool, map[string]any, error)) (LaneChange, error) {
	out := LaneChange{Lane: lane, Paused: paused}
	if !slices.Contains(storage.Lanes, lane) {
		return out, refuse(storage.CodeNotFound, "lane_unknown", fmt.Sprintf("There is no lane %q; there are scan, image, video and housekeeping.", lane),
			fmt.Sprintf("没有名为 %q 的通道；现有 scan、image、video 和 housekeeping。", lane))
	}
	err := a.DB.InTx(ctx, func(tx *meta.Tx) error {
		changed, data, err := do(tx)
		if out.Changed = changed; err != nil || !changed {
			return err
		}
		action := "lane.resume"
		if paused {
			action = "lane.pause"
		}
		return a.write(tx, "", action, string(lane), data)
	})
	return out, err
}
