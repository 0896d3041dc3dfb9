package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
)

type reconcileList struct {
	Limit int `help:"How many." default:"20"`
}

// Run lists runs.
func (r reconcileList) Run(ctx context.Context, c *cli) error {
	return c.with(ctx, func(k keeper) error {
		list, err := k.db.Runs(ctx, "", r.Limit)
		if err != nil {
			return err
		}
		ids := make([]string, len(list))
		for i, run := range list {
			ids[i] = run.ID
		}
		marked, err := k.db.FindingsIn(ctx, meta.FindingMarked, ids)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "RUN\tSTARTED\tKIND\tSTATE\tPHASE\tOBJECTS\tROWS\tFINDINGS\tREPAIRED\tLOST\tFAILED\tBY")
		for _, run := range list {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", run.ID, run.StartedAt.Time().Format(time.RFC3339),
				run.Kind, run.State, run.Phase, run.Objects, run.RowCount, run.Findings, run.Repaired, marked[run.ID], run.Failed, run.RequestedBy)
		}
		return w.Flush()
	})
}

// runArg is the run that a command is about.
type runArg struct {
	Run string `arg:"" name:"run" help:"The run's id, or latest: the one that is held, or else the newest full one (to confirm: only one that is held; to cancel: that is held, or else under way)."`
}

type reconcileShow struct{ runArg }

// Run shows a run.
func (r reconcileShow) Run(ctx context.Context, c *cli) error {
	return c.with(ctx, func(k keeper) error {
		run, err := k.runOf(ctx, r.runArg.Run)
		if err != nil {
			return err
		}
		err = k.tell(ctx, run, nil)
		if errors.Is(err, errHeld) || errors.Is(err, errLost) { // to look at a run is no error, whatever it says
			_, err = fmt.Fprintln(os.Stderr, "worker:", err)
		}
		return err
	})
}

type reconcileFindings struct {
	runArg
	Format string `help:"table for people, jsonl (JSON lines) or csv for programs." enum:"table,jsonl,csv" default:"table"`
	Kind   string `help:"Only findings of this kind, such as row_without_object." placeholder:"KIND"`
	State  string `help:"Only findings in this state: open, repaired, marked (as damaged: the file's bytes are lost), failed or gone." placeholder:"STATE"`
}

// Run exports findings.
func (r reconcileFindings) Run(ctx context.Context, c *cli) error {
	return c.with(ctx, func(k keeper) error {
		run, err := k.runOf(ctx, r.runArg.Run)
		if err != nil {
			return err
		}
		if r.Format == reconcile.FormatTable {
			if _, err := fmt.Printf("Run %s (%s, %s, begun %s):\n\n", run.ID, run.Kind, run.State, run.StartedAt.Time().Format(time.RFC3339)); err != nil {
				return err
			}
		}
		return k.Export(ctx, os.Stdout, run.ID, r.Format, meta.FindingFilter{Kind: storage.DriftKind(r.Kind), State: r.State})
	})
}

type reconcileConfirm struct{ runArg }

// Run confirms a held run and repairs what it planned, here.
func (r reconcileConfirm) Run(ctx context.Context, c *cli) error {
	return c.work(ctx, func(k keeper) error {
		run, err := k.runOf(ctx, r.runArg.Run, meta.RunHeld)
		if err != nil {
			return err
		}
		run, err = k.PerformHere(ctx, func(tx *meta.Tx) (meta.ReconcileRun, error) {
			return reconcile.Confirm(tx, run.ID, operator(), operator().ID, "")
		}, waiting)
		if err != nil {
			return err
		}
		return k.tell(ctx, run, nil)
	})
}

type reconcileCancel struct{ runArg }

// Run cancels a run.
func (r reconcileCancel) Run(ctx context.Context, c *cli) error {
	return c.with(ctx, func(k keeper) error {
		run, err := k.runOf(ctx, r.runArg.Run, open...)
		if err != nil {
			return err
		}
		err = k.db.InTx(ctx, func(tx *meta.Tx) error {
			if run, err = reconcile.Cancel(tx, run.ID, operator(), ""); err != nil {
				return err
			}
			return reconcile.Next(tx)
		})
		if err != nil {
			return err
		}
		return k.tell(ctx, run, nil)
	})
}
