package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"gatehouse/boot"
	"gatehouse/configs"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/snapshot"
)

type snapshotCmd struct {
	Create  snapshotCreateCmd  `cmd:"" help:"Take a snapshot of the database now. The worker takes one every night by itself; programs may go on working."`
	List    snapshotListCmd    `cmd:"" help:"List the snapshots, oldest first."`
	Verify  snapshotVerifyCmd  `cmd:"" help:"Read a whole snapshot and tell whether it could be restored. Fails when it could not."`
	Restore snapshotRestoreCmd `cmd:"" help:"Bring a snapshot back into the configured database, which may be of another kind than the one it was taken from. All or nothing."`
	Prune   snapshotPruneCmd   `cmd:"" help:"Remove the snapshots that snapshots.keep_daily and keep_monthly do not keep. The worker does this every night."`
}

// snapshots is the store of snapshots as the configuration has it.
func snapshots(cfg *configs.Config, db *meta.DB, zones *blob.Zones) *snapshot.Store {
	return &snapshot.Store{
		DB: db, Zone: zones.Snapshots, SpoolDir: cfg.WorkDir(), Version: version,
		Keep:       snapshot.Keep{Daily: cfg.Snapshots.KeepDaily, Monthly: cfg.Snapshots.KeepMonthly},
		CoolingOff: cfg.Tenants.CoolingOff,
	}
}

// databaseOpener opens the database of a command; it may give none.
type databaseOpener func(context.Context, *configs.Config) (*meta.DB, error)

// none is for commands that only look at the store: after a disaster there is nothing else.
func none(context.Context, *configs.Config) (*meta.DB, error) { return nil, nil }

// ifThere gives no database where there is none yet, or no more.
func ifThere(ctx context.Context, cfg *configs.Config) (*meta.DB, error) {
	db, err := boot.ExistingDatabase(ctx, cfg)
	if errors.Is(err, boot.ErrNotThere) {
		return nil, nil
	}
	return db, err
}

// withSnapshots opens store and database for a command, the store first: a command that was started in the wrong folder
// finds none there and makes nothing.
func (c *cli) withSnapshots(ctx context.Context, database databaseOpener, do func(*snapshot.Store) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	zones, err := boot.ExistingZones(ctx, cfg)
	if err != nil {
		return err
	}
	db, err := database(ctx, cfg)
	if err != nil {
		return errors.Join(err, zones.Close())
	}
	err = do(snapshots(cfg, db, zones))
	if db != nil {
		err = errors.Join(err, db.Close())
	}
	return errors.Join(err, zones.Close())
}

// makeSpool makes the folder for parts that are being written.
func makeSpool(s *snapshot.Store) error {
	if err := os.MkdirAll(s.SpoolDir, 0o700); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	return nil
}

type snapshotCreateCmd struct {
	Reason string `default:"manual" enum:"manual,daily" help:"Why it is taken, for the list: manual or daily."`
	JSON   bool   `help:"Print the manifest as JSON."`
}

// Run takes a snapshot.
func (s snapshotCreateCmd) Run(ctx context.Context, c *cli) error {
	return c.withSnapshots(ctx, boot.ExistingDatabase, func(store *snapshot.Store) error {
		if err := makeSpool(store); err != nil {
			return err
		}
		if err := store.DB.SchemaCurrent(ctx); err != nil {
			return err
		}
		m, err := store.Create(ctx, snapshot.Reason(s.Reason))
		if err != nil {
			return err
		}
		if err := store.DB.InTx(ctx, func(tx *meta.Tx) error { return snapshot.Record(tx, m, operator()) }); err != nil {
			return err
		}
		if s.JSON {
			return json.NewEncoder(os.Stdout).Encode(m)
		}
		_, err = fmt.Printf("Snapshot %s: %d rows, %s.\n", m.ID, m.Rows(), humanize.IBytes(uint64(m.Bytes())))
		return err
	})
}

type snapshotListCmd struct {
	JSON bool `help:"Print JSON, a line for each snapshot."`
}

// Run lists snapshots.
func (s snapshotListCmd) Run(ctx context.Context, c *cli) error {
	return c.withSnapshots(ctx, none, func(store *snapshot.Store) error {
		list, err := store.List(ctx)
		if err != nil {
			return err
		}
		if s.JSON {
			out := json.NewEncoder(os.Stdout)
			for _, e := range list {
				if err := out.Encode(e); err != nil {
					return err
				}
			}
			return nil
		}
		if len(list) == 0 {
			fmt.Println("There is no snapshot yet. Take one: worker snapshot create")
			return nil
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "ID\tTAKEN\tREASON\tFROM\tSCHEMA\tROWS\tSIZE\tPROBLEM")
		for _, e := range list {
			taken := ""
			if !e.CreatedAt.IsZero() {
				taken = e.CreatedAt.Local().Format(time.DateTime)
			}
			if e.Problem == "" && e.OfTheFuture(time.Now()) {
				e.Problem = ofTheFuture
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", e.ID, taken, e.Reason, e.Dialect, e.Schema, e.Rows(),
				humanize.IBytes(uint64(e.Bytes())), e.Problem)
		}
		return table.Flush()
	})
}

// ofTheFuture is what is wrong with a snapshot whose clock was ahead.
const ofTheFuture = "it is of the future: the clock of the worker that took it was ahead, or that of this machine is behind"

// named finds the snapshot that a command is about, and says which one latest is, and which ones were passed over because
// nobody knows how old they are.
func named(ctx context.Context, store *snapshot.Store, id string) (string, error) {
	if id != snapshot.Latest {
		return id, nil
	}
	m, err := store.Manifest(ctx, id)
	if err != nil {
		return "", err
	}
	list, err := store.List(ctx)
	if err != nil {
		return "", err
	}
	for _, e := range list {
		if e.OfTheFuture(time.Now()) {
			_, _ = fmt.Fprintf(os.Stderr, "worker: the snapshot %s is passed over: %s\n", e.ID, ofTheFuture)
		}
	}
	_, _ = fmt.Fprintf(os.Stderr, "worker: the latest snapshot is %s, taken %s (%s)\n", m.ID, m.CreatedAt.Local().Format(time.DateTime), m.Reason)
	return m.ID, nil
}

type snapshotVerifyCmd struct {
	ID   string `arg:"" help:"Id of the snapshot, or latest: the newest that is not of the future and was not taken before a restore."`
	JSON bool   `help:"Print what was found as JSON."`
}

// Run verifies a snapshot.
func (s snapshotVerifyCmd) Run(ctx context.Context, c *cli) error {
	return c.withSnapshots(ctx, ifThere, func(store *snapshot.Store) error {
		id, err := named(ctx, store, s.ID)
		if err != nil {
			return err
		}
		v, err := store.Verify(ctx, id)
		if err != nil {
			return err
		}
		// What was found is told even when it cannot be recorded.
		if s.JSON {
			err = json.NewEncoder(os.Stdout).Encode(v)
		} else {
			err = tellVerified(v)
		}
		if err == nil && !v.Whole() {
			err = fmt.Errorf("the snapshot %s is damaged and cannot be restored", v.ID)
		}
		return errors.Join(err, auditVerify(ctx, store.DB, v))
	})
}

func tellVerified(v snapshot.Verified) error {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "Snapshot %s of %s: %d rows, %s.\n", v.ID, v.CreatedAt.Local().Format(time.DateTime), v.Rows(), humanize.IBytes(uint64(v.Bytes())))
	for _, d := range v.Damage {
		_, _ = fmt.Fprintf(&b, "damaged: %s\n", d)
	}
	if v.Whole() {
		_, _ = fmt.Fprintln(&b, "Every part is whole and every row can be read.")
	}
	if v.OfTheFuture(time.Now()) {
		_, _ = fmt.Fprintf(&b, "warning: %s\n", ofTheFuture)
	}
	for _, w := range v.Warnings {
		_, _ = fmt.Fprintf(&b, "warning: %s; the database had lost that before\n", w)
	}
	for _, kind := range slices.Sorted(maps.Keys(v.Drift)) {
		_, _ = fmt.Fprintf(&b, "The database itself was inconsistent when it was taken: %s, %d times. Restore, then: worker reconcile --once\n", kind, v.Drift[kind])
	}
	_, err := os.Stdout.WriteString(b.String())
	return err
}

// auditVerify records the look, unless there is no database, or only one that cannot hold records yet.
func auditVerify(ctx context.Context, db *meta.DB, v snapshot.Verified) error {
	if db == nil {
		return nil
	}
	switch err := db.SchemaCurrent(ctx); {
	case errors.Is(err, meta.ErrSchema):
		return nil
	case err != nil:
		return fmt.Errorf("record the look at the snapshot: %w", err)
	}
	result := audit.OK
	if !v.Whole() {
		result = audit.Failed
	}
	return db.InTx(ctx, func(tx *meta.Tx) error {
		return audit.Write(tx, audit.Entry{
			Actor: operator(), Action: "snapshot.verify", Target: v.ID, Result: result,
			Data: map[string]any{"damage": len(v.Damage), "drift": v.Drift, "warnings": len(v.Warnings)},
		})
	})
}

type snapshotRestoreCmd struct {
	ID           string `arg:"" help:"Id of the snapshot, or latest: the newest that is not of the future and was not taken before a restore."`
	Replace      bool   `xor:"mode" help:"Into a database with content: replace all of it but the audit log. What came after the snapshot goes. A snapshot of what is there is taken first."`
	Fill         bool   `xor:"mode" help:"Into a database with content: add the rows that are missing and change nothing that is there. The way out when rows were deleted by mistake. A snapshot of what is there is taken first."`
	WhileRunning bool   `help:"Restore although gateways or workers work on the database. Uploads wait meanwhile or fail."`
	JSON         bool   `help:"Print what was done as JSON."`
}

// Run restores a snapshot.
func (s snapshotRestoreCmd) Run(ctx context.Context, c *cli) error {
	return c.withSnapshots(ctx, boot.Database, func(store *snapshot.Store) error {
		id, err := named(ctx, store, s.ID)
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
		done, err := store.Restore(ctx, id, o)
		if err != nil {
			return err
		}
		if o.Mode == snapshot.IntoEmpty {
			_, _ = fmt.Fprintln(os.Stderr, "worker: this database knows nothing of what came after the snapshot: keys revoked and tenants suspended or deleted since are open again. Look at `gateway key list` and `gateway tenant list` before you start the programs")
		}
		if s.JSON {
			return json.NewEncoder(os.Stdout).Encode(done)
		}
		return tellRestored(done)
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
	for _, run := range r.Cancelled {
		_, _ = fmt.Fprintf(table, "cancelled, as what it found is of the time before: reconciliation %s\n", run)
	}
	for _, t := range r.Pending {
		_, _ = fmt.Fprintf(table, "pending deletion: tenant %s\n", t)
	}
	if r.Repaired > 0 {
		_, _ = fmt.Fprintf(table, "%d rows had texts that this database cannot hold; what was no UTF-8 in them was replaced\n", r.Repaired)
	}
	_, _ = fmt.Fprintf(table, "Snapshot %s is restored.", r.ID)
	if r.Before != "" {
		_, _ = fmt.Fprintf(table, " What was there before is the snapshot %s.", r.Before)
	}
	_, _ = fmt.Fprintln(table, "\nWhether the store has all it speaks of: worker reconcile --once")
	return table.Flush()
}

type snapshotPruneCmd struct {
	JSON bool `help:"Print the ids of what was removed as JSON."`
}

// Run removes old snapshots.
func (s snapshotPruneCmd) Run(ctx context.Context, c *cli) error {
	return c.withSnapshots(ctx, boot.ExistingDatabase, func(store *snapshot.Store) error {
		if err := store.DB.SchemaCurrent(ctx); err != nil {
			return err
		}
		removed, err := store.Prune(ctx, time.Now())
		// What was removed is recorded and told even when a later one could not be.
		rerr := store.DB.InTx(context.WithoutCancel(ctx), func(tx *meta.Tx) error { return snapshot.RecordPrune(tx, removed, operator()) })
		if err := errors.Join(err, rerr); err != nil {
			return err
		}
		if s.JSON {
			return json.NewEncoder(os.Stdout).Encode(append([]string{}, removed...))
		}
		_, err = fmt.Printf("Removed %s.\n%s", count(int64(len(removed)), "snapshot"), strings.Join(append(removed, ""), "\n"))
		return err
	})
}
