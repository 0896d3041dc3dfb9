package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Mode says what a restore may do to what is there.
type Mode string

// The modes.
const (
	// IntoEmpty restores into a database without content; plans do not count as such.
	IntoEmpty Mode = "empty"
	// Replace empties the database first, but for the audit log.
	Replace Mode = "replace"
	// Fill adds the rows that are missing and changes nothing that is there.
	Fill Mode = "fill"
)

// Options say how to restore.
type Options struct {
	Mode  Mode
	Actor audit.Actor
	// WhileRunning restores although gateways or workers work on the database.
	WhileRunning bool
}

// Restored is what a restore did.
type Restored struct {
	ID   string `json:"id"`
	Mode Mode   `json:"mode"`
	// Before is the snapshot of what was there, if there was anything.
	Before string          `json:"before,omitempty"`
	Tables []RestoredTable `json:"tables"`
	// Repaired counts rows with texts that this kind of database cannot hold as they were.
	Repaired int64 `json:"repaired,omitempty"`
	// Tenants lists those that were left out, with the reason.
	Tenants []string `json:"tenants_left_out,omitempty"`
	// Removing counts assets that were left out because their bytes were being removed.
	Removing int64 `json:"assets_being_removed,omitempty"`
	// Stricter lists what was shut since the snapshot, as the audit log knows, and was shut again.
	Stricter []string `json:"shut_again,omitempty"`
	// Warnings are those of Verified.
	Warnings []string `json:"warnings,omitempty"`
	// Cancelled lists reconciliation runs that Fill has cancelled; in the other modes they are rows like others.
	Cancelled []string `json:"runs_cancelled,omitempty"`
	// Paused lists the releases that hold their tracks. Nobody is offered anything there before an operator lets one go on.
	Paused []string `json:"releases_paused,omitempty"`
	// Pending lists tenants that came back as pending deletion, with the time of their purge.
	Pending []string `json:"tenants_pending_delete,omitempty"`
}

// Nothing reports whether no row was added.
func (r Restored) Nothing() bool {
	return !slices.ContainsFunc(r.Tables, func(t RestoredTable) bool { return t.Added > 0 })
}

// RestoredTable counts the rows of one table.
type RestoredTable struct {
	Name string `json:"name"`
	// Added were written. There are there already, and stay as they are. LeftOut were not written: what belongs to running
	// programs, and what is not wanted.
	Added   int64 `json:"added"`
	There   int64 `json:"there_already"`
	LeftOut int64 `json:"left_out"`
}

// content is THE list of the tables that make a database one with content; what else there is comes by itself.
func content() []string {
	return []string{"tenants", "api_keys", "blobs", "assets", "variants", "reservations", "idempotency_keys", "events"}
}

// Restore brings a snapshot back. It brings the schema up to date first, unless the restore is
// refused; all else happens in one transaction.
func (s *Store) Restore(ctx context.Context, id string, o Options) (Restored, error) {
	v, err := s.Verify(ctx, id)
	if err != nil {
		return Restored{}, err
	}
	if !v.Whole() {
		return Restored{}, fmt.Errorf("the snapshot %s is damaged and is not restored: %s", v.ID, strings.Join(v.Damage, "; "))
	}
	if err := o.alone(s.DB.Alive(ctx)); err != nil {
		return Restored{}, err
	}
	if err := s.migrate(ctx, v.Manifest, o.Mode); err != nil {
		return Restored{}, err
	}
	r := &restore{s: s, m: v.Manifest, mode: o.Mode, tenants: map[string]bool{}, written: map[string]bool{}}
	r.settling.now = meta.Now()
	r.settling.purge = r.settling.now.Add(s.CoolingOff)
	r.out = Restored{ID: v.ID, Mode: o.Mode, Warnings: v.Warnings}
	if r.tables, err = v.readable(); err != nil {
		return r.out, err
	}
	err = s.DB.Exclusive(ctx, func(tx *meta.Tx) error {
		r.tx = tx
		// Some may have been started since; from here on they wait with their first sign of life.
		alive, err := tx.Alive()
		if err := o.alone(alive, err); err != nil {
			return err
		}
		r.alone = len(alive) == 0
		return r.run(ctx, o.Actor)
	})
	return r.out, err
}

// alone refuses when there are programs that work on the database, unless that is asked for.
func (o Options) alone(alive []string, err error) error {
	if err != nil || len(alive) == 0 || o.WhileRunning {
		return err
	}
	return fmt.Errorf("programs work on this database: %s; stop them, or wait 35 seconds if they were killed, or restore all the same with --while-running",
		strings.Join(alive, ", "))
}

// migrate brings the schema up to date, unless the restore is to be refused: then the database stays as it is.
func (s *Store) migrate(ctx context.Context, m Manifest, mode Mode) error {
	tables, err := m.readable()
	if err != nil {
		return err
	}
	applied, err := s.DB.Applied(ctx)
	if err != nil {
		return err
	}
	if mode == IntoEmpty && applied > 0 {
		err := s.DB.ReadAll(ctx, func(r *meta.Reader) error { return mustBeEmpty(contentOf(r, tables)) })
		if err != nil {
			return err
		}
	}
	return s.DB.Migrate(ctx)
}

// restore is one restore under way.
type restore struct {
	s    *Store
	m    Manifest
	mode Mode
	tx   *meta.Tx
	// alone: no program works on the database.
	alone  bool
	tables map[string]meta.Table
	// settling is how rows are changed on their way.
	settling settling
	out      Restored
	// tenants have rows that were added; their sums are computed anew.
	tenants map[string]bool
	// written are the keys and tenants that came back, as <table>/<id>.
	written map[string]bool
	// access is who might get in before.
	access access
	// chain is what becomes of the chain of the audit log.
	chain chain
}

func (r *restore) run(ctx context.Context, actor audit.Actor) error {
	full, err := contentOf(r.tx.Reader(), r.tables)
	if r.mode == IntoEmpty {
		err = mustBeEmpty(full, err)
	}
	if err != nil {
		return err
	}
	last := r.m
	if full != "" {
		// In this transaction: between this snapshot and the first change nobody writes.
		if last, err = r.s.export(ctx, r.tx.Reader(), ReasonBeforeRestore); err != nil {
			return err
		}
		r.out.Before = last.ID
	}
	if r.mode == Fill {
		err = r.fill(ctx, actor)
	} else if err = r.beginChain(); err == nil {
		err = errors.Join(r.replace(ctx), ctx.Err())
	}
	if err != nil {
		return err
	}
	if err := r.goOnChain(); err != nil {
		return fmt.Errorf("the chain of the audit log: %w", err)
	}
	if err := r.tx.RaiseSerials(); err != nil {
		return err
	}
	for id := range r.tenants {
		if _, _, err := (quota.Ledger{}).Correct(r.tx, id); err != nil {
			return fmt.Errorf("ledger of tenant %s: %w", id, err)
		}
	}
	if err := r.stricter(); err != nil {
		return fmt.Errorf("apply again what was shut since the snapshot: %w", err)
	}
	if err := errors.Join(r.pending(), r.paused()); err != nil {
		return err
	}
	return r.record(last, actor)
}

// pending names the tenants that are purged unless somebody takes their deletion back.
func (r *restore) pending() error {
	var list []meta.TenantRow
	if _, err := r.tx.Scan(&list, "SELECT * FROM tenants WHERE state = ? ORDER BY name", storage.TenantPendingDelete); err != nil {
		return fmt.Errorf("look for tenants that are pending deletion: %w", err)
	}
	for _, t := range list {
		switch {
		case !r.tenants[t.ID]: // none of its rows was restored
		case t.Purging():
			r.out.Pending = append(r.out.Pending, fmt.Sprintf("%s (%s): its purge has begun", t.ID, t.Name))
		default:
			r.out.Pending = append(r.out.Pending, fmt.Sprintf("%s (%s): it is purged after %s unless its deletion is taken back",
				t.ID, t.Name, t.DeleteAfter.Time().Format(time.RFC3339)))
		}
	}
	return nil
}

// record writes the restore into the audit log, and the snapshot before it if one was taken.
func (r *restore) record(last Manifest, actor audit.Actor) error {
	tell := func() error { return Record(r.tx, last, actor) }
	if r.out.Before == "" {
		tell = func() error { return remember(r.tx, last) }
	}
	if err := tell(); err != nil {
		return err
	}
	added := map[string]int64{}
	for _, t := range r.out.Tables {
		added[t.Name] = t.Added
	}
	return audit.Write(r.tx, audit.Entry{
		Actor: actor, Action: "snapshot.restore", Target: r.m.ID, Result: audit.OK,
		Data: map[string]any{"mode": r.mode, "before": r.out.Before, "added": added, "taken_at": r.m.CreatedAt, "releases_paused": r.out.Paused},
	})
}

// contentOf names what there is in the database, and is empty when there is nothing. The tables of content are as old as
// the schema.
func contentOf(db *meta.Reader, tables map[string]meta.Table) (string, error) {
	var out []string
	for _, name := range content() {
		n, err := db.Count(tables[name])
		if err != nil {
			return "", err
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("%d rows in %s", n, name))
		}
	}
	return strings.Join(out, ", "), nil
}

func mustBeEmpty(content string, err error) error {
	if err != nil || content == "" {
		return err
	}
	return fmt.Errorf("the database is not empty (%s): choose --replace, which empties it first, or --fill, which only adds what is missing; both take a snapshot first", content)
}
