package main

import (
	"context"
	"fmt"
	"strconv"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/remedy"
)

type taskCmds struct {
	List   taskListCmd   `cmd:"" help:"List tasks, newest first."`
	Show   taskShowCmd   `cmd:"" help:"Show a task with its attempts that did not succeed."`
	Retry  taskRetryCmd  `cmd:"" help:"Queue a dead task again, from its first attempt."`
	Cancel taskCancelCmd `cmd:"" help:"Cancel a task that is queued, running or dead. A scan that a file waits for is not cancelled."`
}

type laneCmds struct {
	List   laneListCmd   `cmd:"" help:"List the lanes: what waits, runs, is dead, and whether one is paused."`
	Pause  lanePauseCmd  `cmd:"" help:"Pause a lane: no worker begins a task of it; those that run end."`
	Resume laneResumeCmd `cmd:"" help:"Let a paused lane go on."`
}

type taskListCmd struct {
	Kind    string `placeholder:"KIND" help:"Only this kind: scan, image, video, sweep, reconcile, snapshot, purge_tenant, bulk."`
	Lane    string `placeholder:"LANE" help:"Only this lane: scan, image, video, housekeeping."`
	State   string `placeholder:"STATE" help:"Only this state: queued, running, done, dead, cancelled."`
	Tenant  string `placeholder:"TENANT" help:"Only of this tenant: its name or id."`
	Subject string `placeholder:"SUBJECT" help:"Only about this: a digest, or the id of a run."`
	Limit   int    `default:"100" placeholder:"N" help:"At most so many, 1 to 10000, newest first."`
	Before  string `placeholder:"ID" help:"Only those older than this task: the next page."`
	JSON    bool   `help:"Print JSON: a list of objects."`
}

// Run lists tasks.
func (l taskListCmd) Run(ctx context.Context, c *cli) error {
	if err := checkLimit(l.Limit); err != nil {
		return err
	}
	return withAdmin(ctx, c, func(a admin.Admin) error {
		list, err := a.Tasks(ctx, admin.TaskQuery{
			Kind: storage.TaskKind(l.Kind), Lane: storage.Lane(l.Lane), State: storage.TaskState(l.State), Tenant: l.Tenant, Subject: l.Subject,
		}, l.Before, l.Limit)
		if err != nil {
			return err
		}
		if l.JSON {
			return c.json(list)
		}
		rows := [][]string{{"ID", "KIND", "STATE", "ATTEMPTS", "CREATED", "TENANT", "ERROR"}}
		for _, t := range list {
			rows = append(rows, []string{t.ID, string(t.Kind), string(t.State), strconv.Itoa(t.Attempts), when(t.CreatedAt),
				dash(printable(t.Tenant)), dash(printable(t.Error))})
		}
		return c.table(rows)
	})
}

type taskShowCmd struct {
	ID   string `arg:"" help:"Id of the task."`
	JSON bool   `help:"Print JSON."`
}

// Run shows a task.
func (s taskShowCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		t, err := a.ShowTask(ctx, s.ID)
		if err != nil {
			return err
		}
		if s.JSON {
			return c.json(t)
		}
		err = c.table([][]string{
			{"id", t.ID}, {"kind", string(t.Kind)}, {"lane", string(t.Lane)}, {"state", string(t.State)}, {"tenant", dash(printable(t.Tenant))},
			{"subject", dash(printable(t.Subject))}, {"attempts", strconv.Itoa(t.Attempts)}, {"created", when(t.CreatedAt)}, {"error", dash(printable(t.Error))},
		})
		if err != nil || len(t.Tries) == 0 {
			return err
		}
		rows := [][]string{{"ATTEMPT", "ENDED", "OUTCOME", "WORKER", "ERROR"}}
		for _, x := range t.Tries {
			rows = append(rows, []string{strconv.Itoa(x.Attempt), when(x.EndedAt), string(x.Outcome), printable(x.Worker), printable(x.Error)})
		}
		return c.table(rows)
	})
}

type taskRetryCmd struct {
	ID     string `arg:"" help:"Id of the task."`
	Reason string `placeholder:"TEXT" help:"Why; kept in the audit log."`
	JSON   bool   `help:"Print JSON."`
}

// Run retries a task.
func (r taskRetryCmd) Run(ctx context.Context, c *cli) error {
	return onTask(ctx, c, r.Reason, r.JSON, func(a admin.Admin) (remedy.TaskOutcome, error) { return a.RetryTask(ctx, r.ID) })
}

type taskCancelCmd struct {
	ID     string `arg:"" help:"Id of the task."`
	Reason string `placeholder:"TEXT" help:"Why; kept in the audit log."`
	JSON   bool   `help:"Print JSON."`
}

// Run cancels a task.
func (r taskCancelCmd) Run(ctx context.Context, c *cli) error {
	return onTask(ctx, c, r.Reason, r.JSON, func(a admin.Admin) (remedy.TaskOutcome, error) { return a.CancelTask(ctx, r.ID) })
}

func onTask(ctx context.Context, c *cli, reason string, asJSON bool, do func(admin.Admin) (remedy.TaskOutcome, error)) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason = reason
		out, err := do(a)
		if err != nil {
			return err
		}
		if asJSON {
			return c.json(out)
		}
		if !out.Changed {
			_, err = fmt.Fprintf(c.out, "Nothing to do: task %s is %s.\n", out.TaskID, out.After)
			return err
		}
		_, err = fmt.Fprintf(c.out, "task %s: %s -> %s\n", out.TaskID, out.Before, out.After)
		return err
	})
}

type laneListCmd struct {
	JSON bool `help:"Print JSON: a list of objects."`
}

// Run lists lanes.
func (l laneListCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		list, err := a.Lanes(ctx)
		if err != nil {
			return err
		}
		if l.JSON {
			return c.json(list)
		}
		rows := [][]string{{"LANE", "QUEUED", "RUNNING", "DEAD", "DONE 1H", "PAUSED"}}
		for _, x := range list {
			paused := ""
			if x.Paused {
				paused = printable(x.Reason)
			}
			rows = append(rows, []string{string(x.Name), fmt.Sprint(x.Queued), fmt.Sprint(x.Running), fmt.Sprint(x.Dead), fmt.Sprint(x.DoneHour), dash(paused)})
		}
		return c.table(rows)
	})
}

type lanePauseCmd struct {
	Lane   string `arg:"" help:"scan, image, video or housekeeping."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; shown with the lane, and kept in the audit log."`
}

// Run pauses a lane.
func (p lanePauseCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason = p.Reason
		x, err := a.PauseLane(ctx, storage.Lane(p.Lane))
		return c.lane(x, err)
	})
}

type laneResumeCmd struct {
	Lane   string `arg:"" help:"scan, image, video or housekeeping."`
	Reason string `placeholder:"TEXT" help:"Why; kept in the audit log."`
}

// Run resumes a lane.
func (r laneResumeCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason = r.Reason
		x, err := a.ResumeLane(ctx, storage.Lane(r.Lane))
		return c.lane(x, err)
	})
}

func (c *cli) lane(x admin.LaneChange, err error) error {
	if err != nil {
		return err
	}
	state, already := "runs", ""
	if x.Paused {
		state = "is paused"
	}
	if !x.Changed {
		already = " already"
	}
	_, err = fmt.Fprintf(c.out, "The lane %s %s%s.\n", x.Lane, state, already)
	return err
}
