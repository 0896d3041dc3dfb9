package snapshot

import (
	"context"
	"fmt"

	"gatehouse/storage/meta"
)

// replace empties every table but the audit log and writes the rows of the snapshot.
func (r *restore) replace(ctx context.Context) error {
	var err error
	if r.access, err = readAccess(r.tx); err != nil {
		return fmt.Errorf("who gets in: %w", err)
	}
	for _, t := range r.tables {
		statement := "DELETE FROM " + t.Name
		switch t.Name {
		case "audit_log", "audit_seals", "audit_checkpoints", "audit_archives", "audit_chains", "audit_state":
			continue
		case "facts": // those of programs that run all the same
			statement += " WHERE name NOT LIKE 'alive.%'"
		}
		if _, err := r.tx.Exec(statement); err != nil {
			return fmt.Errorf("empty the table %s: %w", t.Name, err)
		}
	}
	for _, t := range r.m.Tables {
		insert := func(t meta.Table, rows []any) (added, there int64, err error) {
			return int64(len(rows)), 0, r.insert(t, rows)
		}
		if t.Name == "audit_log" {
			insert = r.appendAudit(t.MaxSerial)
		} else if r.chain.of(t.Name) {
			insert = r.chainRows
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

// each gives the rows of a table to write, batch by batch; write returns how many of them it added, and how many it found.
func (r *restore) each(ctx context.Context, t Table, write func(t meta.Table, rows []any) (added, there int64, err error)) error {
	table := r.tables[t.Name]
	count := RestoredTable{Name: t.Name}
	var rows []any
	bytes := 0
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		added, there, err := write(table, rows)
		count.Added, count.There = count.Added+added, count.There+there
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
	count.LeftOut = t.Rows - count.Added - count.There
	r.out.Tables = append(r.out.Tables, count)
	return nil
}

// appendAudit adds the records that the log does not have. A record keeps its number unless
// another one has it: then it is one of another database's log and gets a number after all others.
func (r *restore) appendAudit(maxSerial int64) func(t meta.Table, rows []any) (added, there int64, err error) {
	next := int64(0)
	return func(t meta.Table, rows []any) (int64, int64, error) {
		if next == 0 {
			if _, err := r.tx.Scan(&next, "SELECT COALESCE(MAX(id), 0) FROM audit_log"); err != nil {
				return 0, 0, err
			}
			next = max(next, maxSerial) + 1
		}
		there, err := r.tx.Existing(t, rows)
		if err != nil {
			return 0, 0, err
		}
		var missing []any
		for _, row := range rows {
			record := row.(*meta.AuditRecord)
			other, taken := there[t.KeyText(row)].(*meta.AuditRecord)
			if taken && *other == *record {
				continue
			}
			if taken || record.ID <= r.chain.watermark { // there, nobody may come any more
				known, err := r.knows(*record)
				if err != nil {
					return 0, 0, err
				}
				if known {
					continue
				}
				record.ID = next
				next++
			}
			missing = append(missing, row)
		}
		return int64(len(missing)), int64(len(rows) - len(missing)), r.tx.InsertRows(t, missing)
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
