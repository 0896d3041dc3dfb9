package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strings"

	"gatehouse/boot"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
)

// exitHeld is the exit code of a run that the brake holds: scripts tell it from an error.
const exitHeld = 3

// errHeld ends the program with exitHeld.
var errHeld = errors.New("the run is held: nothing was changed")

// exitLost is the exit code of a run that is done and knows of what only a person can mend: files whose bytes are lost, or
// the records of tenants and plans.
const exitLost = 4

// errLost ends the program with exitLost.
var errLost = errors.New("the run is done")

type reconcileCmd struct {
	Now      reconcileNow      `cmd:"" default:"withargs" help:"The default, short: worker reconcile --once. Compare records and store, and repair what cannot lose data."`
	List     reconcileList     `cmd:"" help:"List the latest runs, newest first."`
	Show     reconcileShow     `cmd:"" help:"Show one run with counts for each kind of difference, as JSON."`
	Findings reconcileFindings `cmd:"" help:"List what a run found, for people, or for programs as JSON lines or CSV."`
	Confirm  reconcileConfirm  `cmd:"" help:"Let a held run repair what it planned, after you have looked at its findings."`
	Cancel   reconcileCancel   `cmd:"" help:"End a run that is held or under way; what it has not repaired stays as it is."`
}

// keeper is what every command works with.
type keeper struct {
	*reconcile.Reconciler
	db  *meta.DB
	log *slog.Logger
}

// with opens database and store for a command.
func (c *cli) with(ctx context.Context, do func(keeper) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	log := boot.Logger(cfg)
	db, zones, closeStore, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer closeStore()
	return do(keeper{reconciler(cfg, db, zones, log), db, log})
}

// work is with for commands that change things for hours: the others see that they do.
func (c *cli) work(ctx context.Context, do func(keeper) error) error {
	return c.with(ctx, func(k keeper) error {
		sayDead, err := k.db.KeepAlive(ctx, "reconcile", k.log)
		if err != nil {
			return err
		}
		defer sayDead()
		return do(k)
	})
}

// operator is who sits at the command line, as the audit log names them.
func operator() audit.Actor {
	who := audit.CLI
	if u, err := user.Current(); err == nil {
		who.ID = u.Username
	}
	return who
}

// open are the states of runs that are not over, first those that wait for a person.
var open = []string{meta.RunHeld, meta.RunConfirmed, meta.RunRunning}

// runOf finds a run by its id, or the latest one in the first of the states that any run is in. Without states, latest is
// the one that is held, else the newest full one, else the newest.
func (k keeper) runOf(ctx context.Context, id string, states ...string) (meta.ReconcileRun, error) {
	if id != "latest" {
		run, err := k.db.RunBy(ctx, id)
		if errors.Is(err, storage.ErrNotFound) {
			return run, fmt.Errorf("there is no run %s; `worker reconcile list` shows those there are", id)
		}
		return run, err
	}
	type question struct {
		kind   string
		states []string
	}
	asked := []question{{"", []string{meta.RunHeld}}, {meta.RunFull, nil}, {"", nil}}
	if len(states) > 0 {
		asked = nil
		for _, s := range states {
			asked = append(asked, question{"", []string{s}})
		}
	}
	for _, q := range asked {
		list, err := k.db.Runs(ctx, q.kind, 1, q.states...)
		if err != nil {
			return meta.ReconcileRun{}, err
		}
		if len(list) > 0 {
			return list[0], nil
		}
	}
	if len(states) > 0 {
		return meta.ReconcileRun{}, fmt.Errorf("no run is %s; `worker reconcile list` shows those there are", strings.Join(states, " or "))
	}
	return meta.ReconcileRun{}, errors.New("there is no run yet; `worker reconcile list` shows those there are, `worker reconcile --once` makes one")
}

func waiting() {
	_, _ = fmt.Fprintln(os.Stderr, "worker: another reconciliation is under way; waiting for it to end (ctrl-C to leave)")
}

func goesFirst(run meta.ReconcileRun) {
	_, _ = fmt.Fprintf(os.Stderr, "worker: run %s (%s, %s, by %s) has begun before: it is brought to its end first, and then comes yours\n",
		run.ID, run.Kind, run.State, run.RequestedBy)
}

// tell prints a run's result as JSON; a held one is an error of its own kind.
func (k keeper) tell(ctx context.Context, run meta.ReconcileRun, sweep *reconcile.Report) error {
	if run.ID == "" {
		return nil
	}
	result, err := k.Show(context.WithoutCancel(ctx), run)
	if err != nil {
		return err
	}
	result.Sweep = sweep
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	if err := e.Encode(result); err != nil {
		return err
	}
	switch run.State {
	case meta.RunHeld:
		return fmt.Errorf("%w. %[3]s `worker reconcile findings %[2]s` lists what it found; `worker reconcile cancel %[2]s` ends it, and `worker reconcile confirm %[2]s` does what it planned: only when that is right",
			errHeld, run.ID, run.Problem)
	case meta.RunDone:
		return errors.Join(k.tellLost(ctx, run), tellLeft(run, result.Counts))
	}
	return nil
}

// tellLost is an error of its own kind when files are lost, whether this run has found that or an earlier one. Each full run
// names all of them.
func (k keeper) tellLost(ctx context.Context, run meta.ReconcileRun) error {
	if run.Kind != meta.RunFull {
		return nil
	}
	lost, err := k.Lost(context.WithoutCancel(ctx), run)
	if err != nil || lost == 0 {
		return err
	}
	files := "files are lost: their bytes are"
	if lost == 1 {
		files = "file is lost: its bytes are"
	}
	return fmt.Errorf("%w, and %d %s missing or not what was uploaded. `worker reconcile findings %s` names each with its assets. "+
		"To heal one, upload the same file again, or put its object back where the store had it, from a copy of the store; the next run does the rest",
		errLost, lost, files, run.ID)
}

// tellLeft is one too when something stays open that only a person can mend.
func tellLeft(run meta.ReconcileRun, counts []reconcile.Count) error {
	if run.Kind != meta.RunFull {
		return nil
	}
	var says []string
	for _, c := range counts {
		switch {
		case c.State != meta.FindingOpen:
		case c.Kind == string(storage.DriftTenant):
			says = append(says, fmt.Sprintf("tenants whose record is lost or says that they are over, whose files nobody can reach: %d", c.Count))
		case c.Kind == string(storage.DriftPlan):
			says = append(says, fmt.Sprintf("tenants on a plan that has no record, whose uploads are refused: %d", c.Count))
		}
	}
	if len(says) == 0 {
		return nil
	}
	return fmt.Errorf("%w, and a person has to mend what is left: %s. `worker snapshot restore ID --fill` brings back records that are lost, from a snapshot that has them (`worker snapshot list`); "+
		"a tenant's record that is there is mended in the database; for a plan also `gateway plan create`, or `gateway tenant plan`. `worker reconcile findings %s` names them", errLost, strings.Join(says, "; "), run.ID)
}

type reconcileNow struct {
	Once   bool     `help:"Sweep, compare and repair once, now, and print what was found and done as JSON. Exit code 3: the run would touch too much and is held; 4: it is done, and files are lost, or a person has to mend what is left. The worker does this by itself every night (reconcile.at)."`
	Tenant []string `help:"Only this tenant, by id or name; may be given several times." placeholder:"TENANT"`
	Light  bool     `help:"Only compare, and only tenants whose records changed since they were last compared; repair nothing."`
}

// Run makes one run.
func (r reconcileNow) Run(ctx context.Context, c *cli) error {
	if !r.Once {
		return errors.New("`worker run` reconciles by itself; to do it now: worker reconcile --once. See worker reconcile --help")
	}
	return c.work(ctx, func(k keeper) error {
		request := reconcile.Request{Kind: meta.RunFull, By: operator().ID, Actor: operator()}
		if r.Light {
			request.Kind = meta.RunLight
		}
		var err error
		if request.Tenants, err = k.tenants(ctx, r.Tenant); err != nil {
			return err
		}
		var sweep *reconcile.Report
		var problem error
		if !r.Light {
			report, err := k.Sweep(ctx)
			sweep, problem = &report, err // what was done is told even when a step failed
		}
		run, err := k.Once(ctx, request, waiting, goesFirst)
		if errors.Is(err, reconcile.ErrHeld) {
			err = nil // tell says so
		}
		return outcome(errors.Join(problem, err), k.tell(ctx, run, sweep))
	})
}

// outcome is how a run ends the program. That files are lost is said in any case, and has a code of its own only where
// everything else was done.
func outcome(problem, told error) error {
	if problem != nil && errors.Is(told, errLost) {
		told = errors.New(told.Error())
	}
	return errors.Join(problem, told)
}

// tenants finds tenants by id or name.
func (k keeper) tenants(ctx context.Context, names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		row, err := k.db.FindTenant(ctx, name)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, fmt.Errorf("there is no tenant %q", name)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, row.ID)
	}
	return out, nil
}
