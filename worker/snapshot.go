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
	List    snapshotListCmd    `cmd:"" help:"List the snapshots, oldest first, with how many tenants and files each has: one from before a loss has more than one from after it."`
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

type snapshotVerifyCmd struct {
	ID   string `arg:"" help:"Id of the snapshot, or latest: the newest that is not of the future and was not taken before a restore."`
	JSON bool   `help:"Print what was found as JSON."`
}

// Run verifies a snapshot.
func (s snapshotVerifyCmd) Run(ctx context.Context, c *cli) error {
	return c.withSnapshots(ctx, ifThere, func(store *snapshot.Store) error {
		id, err := named(ctx, store, s.ID, false)
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
	_, _ = fmt.Fprintf(&b, "Snapshot %s of %s: %d rows, %s.\n", v.ID, timestamp(v.CreatedAt), v.Rows(), humanize.IBytes(uint64(v.Bytes())))
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
