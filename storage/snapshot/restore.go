package snapshot

import (
	"context"
	"fmt"
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
	// Stricter lists what was shut since the snapshot, as the audit log knows, and was shut again.
	Stricter []string `json:"shut_again,omitempty"`
	// Warnings are those of Verified.
	Warnings []string `json:"warnings,omitempty"`
	// Pending lists tenants that came back as pending deletion, with the time of their purge.
	Pending []string `json:"tenants_pending_delete,omitempty"`
}

// RestoredTable counts the rows of one table.
type RestoredTable struct {
	Name string `json:"name"`
	// Added were written, LeftOut not: what belongs to running programs, and what is there already or not wanted.
	Added   int64 `json:"added"`
	LeftOut int64 `json:"left_out"`
}

// content is THE list of the tables that make a database one with content; what else there is comes by itself.
func content() []string {
	return []string{"tenants", "api_keys", "blobs", "assets", "variants", "reservations", "idempotency_keys", "events"}
}

// Restore brings a snapshot back. It brings the schema up to date first; all else happens in one transaction.
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
	if err := s.DB.Migrate(ctx); err != nil {
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
		if err := o.alone(tx.Alive()); err != nil {
			return err
		}
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

// restore is one restore under way.
type restore struct {
	s      *Store
	m      Manifest
	mode   Mode
	tx     *meta.Tx
	tables map[string]meta.Table
	// settling is how rows are changed on their way.
	settling settling
	out      Restored
	// tenants have rows that were added; their sums are computed anew.
	tenants map[string]bool
	// written are the keys and tenants that came back, as <table>/<id>.
	written map[string]bool
}

func (r *restore) run(ctx context.Context, actor audit.Actor) error {
	full, err := r.content()
	if err != nil {
		return err
	}
	if full != "" && r.mode == IntoEmpty {
		return fmt.Errorf("the database is not empty (%s): choose --replace, which empties it first, or --fill, which only adds what is missing; both take a snapshot first", full)
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
		err = r.fill(ctx)
	} else {
		err = r.replace(ctx)
	}
	if err != nil {
		return err
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
	if err := r.pending(); err != nil {
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

// record writes the restore, and the snapshot before it, into the audit log.
func (r *restore) record(last Manifest, actor audit.Actor) error {
	if err := Record(r.tx, last, actor); err != nil {
		return err
	}
	added := map[string]int64{}
	for _, t := range r.out.Tables {
		added[t.Name] = t.Added
	}
	return audit.Write(r.tx, audit.Entry{
		Actor: actor, Action: "snapshot.restore", Target: r.m.ID, Result: audit.OK,
		Data: map[string]any{"mode": r.mode, "before": r.out.Before, "added": added, "taken_at": r.m.CreatedAt},
	})
}

// content names what there is in the database, and is empty when there is nothing.
func (r *restore) content() (string, error) {
	var out []string
	for _, name := range content() {
		n, err := r.tx.Reader().Count(r.tables[name])
		if err != nil {
			return "", err
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("%d rows in %s", n, name))
		}
	}
	return strings.Join(out, ", "), nil
}

// replace empties every table but the audit log and writes the rows of the snapshot.
func (r *restore) replace(ctx context.Context) error {
	for _, t := range r.tables {
		statement := "DELETE FROM " + t.Name
		switch t.Name {
		case "audit_log":
			continue
		case "facts": // those of programs that run all the same
			statement += " WHERE name NOT LIKE 'alive.%'"
		}
		if _, err := r.tx.Exec(statement); err != nil {
			return fmt.Errorf("empty the table %s: %w", t.Name, err)
		}
	}
	for _, t := range r.m.Tables {
		insert := func(t meta.Table, rows []any) (int64, error) { return int64(len(rows)), r.insert(t, rows) }
		if t.Name == "audit_log" {
			insert = r.appendAudit(t.MaxSerial)
		}
		if err := r.each(ctx, t, insert); err != nil {
			return err
		}
	}
	return nil
}

// insert writes rows, and notes those that may shut somebody out.
func (r *restore) insert(t meta.Table, rows []any) error {
	for _, row := range rows {
		switch row := row.(type) {
		case *meta.TenantRow:
			r.written["tenants/"+row.ID] = true
		case *meta.APIKey:
			r.written["api_keys/"+row.ID] = true
		}
	}
	return r.tx.InsertRows(t, rows)
}

const (
	// batchRows and batchBytes bound one INSERT: databases limit its parameters (32,766 in SQLite) and its length (16 MiB
	// in MySQL).
	batchRows  = 200
	batchBytes = 1 << 20
)

// each gives the rows of a table to write, batch by batch; write returns how many of them it added.
func (r *restore) each(ctx context.Context, t Table, write func(t meta.Table, rows []any) (int64, error)) error {
	table := r.tables[t.Name]
	count := RestoredTable{Name: t.Name}
	var rows []any
	bytes := 0
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		added, err := write(table, rows)
		count.Added += added
		rows, bytes = nil, 0
		return err
	}
	for _, p := range t.Parts {
		err := r.s.readPart(ctx, r.m.ID, table, p, r.m.current(), func(row any, size int) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !r.settling.row(row) {
				return nil
			}
			if tenant, ok := row.(*meta.TenantRow); ok {
				r.tenants[tenant.ID] = true
			}
			if table.Fit(row, r.tx.Dialect()) {
				r.out.Repaired++
			}
			rows, bytes = append(rows, row), bytes+size
			if len(rows) < batchRows && bytes < batchBytes {
				return nil
			}
			return flush()
		})
		if err != nil {
			return fmt.Errorf("restore table %s: %w", t.Name, err)
		}
	}
	if err := flush(); err != nil {
		return fmt.Errorf("restore table %s: %w", t.Name, err)
	}
	count.LeftOut = t.Rows - count.Added
	r.out.Tables = append(r.out.Tables, count)
	return nil
}

// appendAudit adds the records that the log does not have, and returns how many. A record keeps its number unless
// another one has it: then it is one of another database's log and gets a number after all others.
func (r *restore) appendAudit(maxSerial int64) func(t meta.Table, rows []any) (int64, error) {
	next := int64(0)
	return func(t meta.Table, rows []any) (int64, error) {
		if next == 0 {
			if _, err := r.tx.Scan(&next, "SELECT COALESCE(MAX(id), 0) FROM audit_log"); err != nil {
				return 0, err
			}
			next = max(next, maxSerial) + 1
		}
		there, err := r.tx.Existing(t, rows)
		if err != nil {
			return 0, err
		}
		var missing []any
		for _, row := range rows {
			record := row.(*meta.AuditRecord)
			other, taken := there[t.KeyText(row)].(*meta.AuditRecord)
			if taken && *other == *record {
				continue
			}
			if taken {
				known, err := r.knows(*record)
				if err != nil {
					return 0, err
				}
				if known {
					continue
				}
				record.ID = next
				next++
			}
			missing = append(missing, row)
		}
		return int64(len(missing)), r.tx.InsertRows(t, missing)
	}
}

// knows reports whether the log has the record under another number, from an earlier restore.
func (r *restore) knows(record meta.AuditRecord) (bool, error) {
	var same []meta.AuditRecord
	if _, err := r.tx.Scan(&same, "SELECT * FROM audit_log WHERE at = ?", record.At); err != nil {
		return false, err
	}
	for _, other := range same {
		other.ID = record.ID
		if other == record {
			return true, nil
		}
	}
	return false, nil
}
