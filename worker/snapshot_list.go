package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"gatehouse/boot"
	"gatehouse/storage/meta"
	"gatehouse/storage/snapshot"
)

type snapshotListCmd struct {
	JSON bool `help:"Print JSON, a line for each snapshot."`
}

// Run lists snapshots.
func (s snapshotListCmd) Run(ctx context.Context, c *cli) error {
	return c.withSnapshots(ctx, none, func(store *snapshot.Store) error {
		list, err := store.Folders(ctx)
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
		return tellList(os.Stdout, list)
	})
}

func tellList(out io.Writer, list []snapshot.Entry) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tTAKEN\tREASON\tFROM\tSCHEMA\tTENANTS\tFILES\tROWS\tSIZE\tPROBLEM")
	for _, e := range list {
		if e.Unfinished || e.Problem != "" {
			_, _ = fmt.Fprintf(table, "%s\t-\t-\t-\t-\t-\t-\t-\t-\t%s\n", e.ID, problemOf(e))
			continue
		}
		tenants, files := "-", "-" // of an older program
		if e.Counts != nil {
			tenants, files = strconv.FormatInt(e.Counts.Tenants, 10), strconv.FormatInt(e.Counts.Files, 10)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", e.ID, timestamp(e.CreatedAt), e.Reason, e.Dialect, e.Schema, tenants, files, e.Rows(),
			humanize.IBytes(uint64(e.Bytes())), problemOf(e))
	}
	return table.Flush()
}

// problemOf says what speaks against restoring a snapshot.
func problemOf(e snapshot.Entry) string {
	switch {
	case e.Unfinished:
		return "no manifest: it is being taken, or has been unfinished since " + timestamp(e.Newest)
	case e.Problem != "":
		return e.Problem
	case e.OfTheFuture(time.Now()):
		return ofTheFuture
	case e.LostRows():
		return fmt.Sprintf("rows had been lost when it was taken (%s of it)", count(e.Counts.Lost, "sign"))
	}
	return ""
}

// timestamp is how the commands write times.
func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// ofTheFuture is what is wrong with a snapshot whose clock was ahead.
const ofTheFuture = "it is of the future: the clock of the worker that took it was ahead, or that of this machine is behind"

// named finds the snapshot that a command is about. It says which one latest is, and which ones were passed over because
// nobody knows how old they are, or what they have. To replace everything by one that is perhaps not the latest is refused.
func named(ctx context.Context, store *snapshot.Store, id string, replace bool) (string, error) {
	if id != snapshot.Latest {
		return id, nil
	}
	m, err := store.Manifest(ctx, id)
	if err != nil {
		return "", err
	}
	list, err := store.Folders(ctx)
	if err != nil {
		return "", err
	}
	for _, e := range list {
		if !e.Unfinished && e.Problem == "" && e.OfTheFuture(time.Now()) {
			_, _ = fmt.Fprintf(os.Stderr, "worker: the snapshot %s is passed over: %s\n", e.ID, ofTheFuture)
		}
	}
	unreadable := snapshot.UnreadableAfter(list, m)
	for _, e := range unreadable {
		_, _ = fmt.Fprintf(os.Stderr, "worker: the snapshot %s is passed over: %s\n", e.ID, problemOf(e))
	}
	if replace && len(unreadable) > 0 {
		return "", fmt.Errorf("the snapshot %s is newer than the latest that can be read, which is %[2]s, taken %[3]s; to replace everything by that one all the same, name it: worker snapshot restore %[2]s --replace",
			unreadable[len(unreadable)-1].ID, m.ID, timestamp(m.CreatedAt))
	}
	_, _ = fmt.Fprintf(os.Stderr, "worker: the latest snapshot is %s, taken %s (%s)\n", m.ID, timestamp(m.CreatedAt), m.Reason)
	return m.ID, nil
}

type snapshotPruneCmd struct {
	DryRun bool `help:"Remove nothing: list what would go, and why."`
	JSON   bool `help:"Print the ids of what was removed as JSON; with --dry-run objects with id and why."`
}

// Run removes old snapshots.
func (s snapshotPruneCmd) Run(ctx context.Context, c *cli) error {
	return c.withSnapshots(ctx, boot.ExistingDatabase, func(store *snapshot.Store) error {
		if err := store.DB.SchemaCurrent(ctx); err != nil {
			return err
		}
		if s.DryRun {
			return s.tellSurplus(ctx, store)
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

func (s snapshotPruneCmd) tellSurplus(ctx context.Context, store *snapshot.Store) error {
	list, err := store.Surplus(ctx, time.Now())
	if err != nil {
		return err
	}
	if s.JSON {
		return json.NewEncoder(os.Stdout).Encode(append([]snapshot.Surplus{}, list...))
	}
	fmt.Printf("%s would be removed.\n", count(int64(len(list)), "snapshot"))
	for _, e := range list {
		fmt.Printf("%s  %s\n", e.ID, e.Why)
	}
	return nil
}
