package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"gatehouse/boot"
	"gatehouse/storage/audit"
	"gatehouse/storage/snapshot"
)

type snapshotRestoreCmd struct {
	ID           string `arg:"" help:"Id of the snapshot, or latest: the newest that is not of the future and was not taken before a restore."`
	Replace      bool   `xor:"mode" help:"Into a database with content: replace all of it but the audit log. What came after the snapshot goes. A snapshot of what is there is taken first. Refused for latest when a newer one cannot be read."`
	Fill         bool   `xor:"mode" help:"Into a database with content: add the rows that are missing and change nothing that is there. The way out when rows were deleted by mistake. A snapshot of what is there is taken first. Exit code 5: nothing was missing that the snapshot has."`
	WhileRunning bool   `help:"Restore although gateways or workers work on the database. Uploads wait meanwhile or fail."`
	JSON         bool   `help:"Print what was done as JSON."`
}

// Run restores a snapshot.
func (s snapshotRestoreCmd) Run(ctx context.Context, c *cli) error {
	return c.withSnapshots(ctx, boot.Database, func(store *snapshot.Store) error {
		id, err := named(ctx, store, s.ID, s.Replace)
		if err != nil {
			return err
		}
		if err := makeSpool(store); err != nil {
			return err
		}
		o := snapshot.Options{Mode: snapshot.IntoEmpty, Actor: operator(), WhileRunning: s.WhileRunning}
		switch {
		case s.Replace:
			o.Mode = snapshot.Replace
		case s.Fill:
			o.Mode = snapshot.Fill
		}
		if s.WhileRunning {
			_, _ = fmt.Fprintln(os.Stderr, "worker: restoring under programs that may be running; their uploads and jobs wait, and some may fail")
		}
		if store.Key, err = c.auditKey(); err != nil {
			return err
		}
		done, err := store.Restore(ctx, id, o)
		if err != nil {
			return err
		}
		if o.Mode == snapshot.IntoEmpty {
			_, _ = fmt.Fprintln(os.Stderr, "worker: this database knows nothing of what came after the snapshot: keys revoked and tenants suspended or deleted since are open again. Look at `gateway key list` and `gateway tenant list` before you start the programs")
		}
		if s.JSON {
			err = json.NewEncoder(os.Stdout).Encode(done)
		} else {
			err = tellRestored(done)
		}
		if o.Mode == snapshot.IntoEmpty && c.Config != "" {
			fromNowOn(c.Config)
		}
		if err == nil && o.Mode == snapshot.Fill && done.Nothing() {
			return nothingMissing(ctx, store, done)
		}
		return err
	})
}

func tellRestored(r snapshot.Restored) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "TABLE\tADDED\tTHERE ALREADY\tLEFT OUT")
	for _, t := range r.Tables {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%d\n", t.Name, t.Added, t.There, t.LeftOut)
	}
	for _, w := range r.Warnings {
		_, _ = fmt.Fprintf(table, "warning: %s\n", w)
	}
	for _, t := range r.Tenants {
		_, _ = fmt.Fprintf(table, "left out: tenant %s\n", t)
	}
	if r.Removing > 0 {
		_, _ = fmt.Fprintf(table, "left out: %s whose bytes were being removed. To bring them back, let that end (worker reconcile --once), then restore with --fill again\n",
			count(r.Removing, "asset"))
	}
	for _, s := range r.Stricter {
		_, _ = fmt.Fprintf(table, "shut again, as it was after the snapshot: %s\n", s)
	}
	for _, p := range r.Paused {
		_, _ = fmt.Fprintf(table, "paused, and nothing is offered in its track until somebody lets it go on: release %s\n", p)
	}
	for _, run := range r.Cancelled {
		_, _ = fmt.Fprintf(table, "cancelled, as what it found is of the time before: reconciliation %s\n", run)
	}
	for _, t := range r.Pending {
		_, _ = fmt.Fprintf(table, "pending deletion: tenant %s\n", t)
	}
	if r.Repaired > 0 {
		_, _ = fmt.Fprintf(table, "%d rows had texts that this database cannot hold; what was no UTF-8 in them was replaced\n", r.Repaired)
	}
	if r.Mode == snapshot.Fill && r.Nothing() {
		_, _ = fmt.Fprintf(table, "No row was added from the snapshot %s.", r.ID)
	} else {
		_, _ = fmt.Fprintf(table, "Snapshot %s is restored.", r.ID)
	}
	if r.Before != "" {
		_, _ = fmt.Fprintf(table, " What was there before is the snapshot %s.", r.Before)
	}
	_, _ = fmt.Fprintln(table, "\nWhether the store has all it speaks of: worker reconcile --once")
	return table.Flush()
}

// exitNothing is the exit code of a fill that added nothing: who misses rows needs an older snapshot.
const exitNothing = 5

// errNothing ends the program with exitNothing.
var errNothing = errors.New("nothing was missing that this snapshot has")

// nothingMissing names the snapshots that may be from before the loss.
func nothingMissing(ctx context.Context, store *snapshot.Store, done snapshot.Restored) error {
	m, err := store.Manifest(ctx, done.ID)
	if err != nil {
		return err
	}
	list, err := store.List(ctx)
	if err != nil {
		return err
	}
	more := snapshot.WithMoreFiles(list, m)
	if len(more) == 0 {
		return fmt.Errorf("%w. If rows are missing all the same, it was taken after they were lost: `worker snapshot list` shows the older ones, and how many files each has", errNothing)
	}
	var b strings.Builder
	for _, e := range slices.Backward(more[max(0, len(more)-maxOlder):]) {
		_, _ = fmt.Fprintf(&b, "\n  %s, taken %s (%s): %d files", e.ID, timestamp(e.CreatedAt), e.Reason, e.Counts.Files)
	}
	return fmt.Errorf("%w, and it has %d files. If rows are missing all the same, it was taken after they were lost. These older ones have more files (`worker snapshot list` shows all):%s",
		errNothing, m.Counts.Files, b.String())
}

// maxOlder is how many older snapshots are named.
const maxOlder = 5

// fromNowOn reminds of what a move is forgotten for: without it the next command works on the old place.
func fromNowOn(config string) {
	_, _ = fmt.Fprintf(os.Stderr, "worker: this was done with --config %[1]s; commands without it work on another place. From now on: export GATEHOUSE_CONFIG=%[1]s\n", config)
}

// auditKey signs where the chain of the audit log goes on behind a restore.
func (c *cli) auditKey() (*audit.Key, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	return boot.AuditKey(cfg)
}
