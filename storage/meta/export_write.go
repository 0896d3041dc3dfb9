package meta

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Exclusive runs fn once, in one transaction beside which nobody writes anything: whatever fn reads of the whole
// database is its newest state, and stays so until the commit. Others may read meanwhile.
//
// PostgreSQL locks the tables, SQLite has one writer in any case. MySQL cannot lock tables inside of a transaction:
// there every row and every gap is locked by reading it, which has the same effect.
func (db *DB) Exclusive(ctx context.Context, fn func(*Tx) error) error {
	if db.dialect == SQLite {
		return db.once(ctx, fn)
	}
	tables, err := Tables()
	if err != nil {
		return err
	}
	opts := &sql.TxOptions{}
	if db.dialect == MySQL {
		opts.Isolation = sql.LevelRepeatableRead // READ COMMITTED locks no gaps
	}
	for attempt := range txAttempts {
		locked := false
		err = db.g.WithContext(ctx).Transaction(func(g *gorm.DB) error {
			if err := lockAll(g, db.dialect, tables); err != nil {
				return err
			}
			locked = true
			return fn(&Tx{g: g, dialect: db.dialect})
		}, opts)
		if err == nil || locked || !conflicted(err) { // only getting the locks can be tried again
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(1<<min(attempt, 7)) * time.Millisecond):
		}
	}
	return fmt.Errorf("lock the tables: %w", err)
}

func lockAll(g *gorm.DB, d Dialect, tables []Table) error {
	var names []string
	for _, t := range tables {
		names = append(names, t.Name)
	}
	if d == Postgres {
		return g.Exec("LOCK TABLE " + strings.Join(names, ", ") + " IN EXCLUSIVE MODE").Error
	}
	for _, name := range names {
		var n int64
		if err := g.Raw("SELECT COUNT(*) FROM " + name + " FOR UPDATE").Scan(&n).Error; err != nil {
			return err
		}
	}
	return nil
}

// Reader reads whole tables in the transaction. They are of one instant only when nobody writes beside it (Exclusive).
func (tx *Tx) Reader() *Reader { return &Reader{g: tx.g, dialect: tx.dialect} }

// Dialect tells which kind of database the transaction is in.
func (tx *Tx) Dialect() Dialect { return tx.dialect }

// liteParams bounds the parameters of one INSERT on SQLite: its driver looks for each of them among all of them.
const liteParams = 400

// InsertRows inserts rows of the table, pointers to its model, as they are.
func (tx *Tx) InsertRows(t Table, rows []any) error {
	step := max(len(rows), 1)
	if tx.dialect == SQLite {
		step = max(liteParams/len(t.fields), 1)
	}
	for some := range slices.Chunk(rows, step) {
		list := reflect.New(reflect.SliceOf(t.model))
		for _, row := range some {
			list.Elem().Set(reflect.Append(list.Elem(), reflect.ValueOf(row).Elem()))
		}
		if err := tx.g.Create(list.Interface()).Error; err != nil {
			return fmt.Errorf("write %d rows to table %s, the first with the key %v: %w", len(some), t.Name, t.KeyOf(some[0]), err)
		}
	}
	return nil
}

// Existing reads those rows of the table whose primary keys are those of the given rows, by KeyText.
func (tx *Tx) Existing(t Table, rows []any) (map[string]any, error) {
	// By the first two columns of the key at most, group by group: no two of the databases agree on lists of tuples.
	groups := map[any][]any{}
	for _, row := range rows {
		key := t.KeyOf(row)
		if len(key) == 1 {
			groups[nil] = append(groups[nil], key[0])
		} else {
			groups[key[0]] = append(groups[key[0]], key[1])
		}
	}
	out := map[string]any{}
	for first, list := range groups {
		q := tx.g.Where(clause.IN{Column: clause.Column{Name: t.Key[min(len(t.Key)-1, 1)]}, Values: list})
		if len(t.Key) > 1 {
			q = q.Where(t.Key[0]+" = ?", first)
		}
		found := reflect.New(reflect.SliceOf(t.model))
		if err := q.Find(found.Interface()).Error; err != nil {
			return nil, fmt.Errorf("look for rows in table %s: %w", t.Name, err)
		}
		for i := range found.Elem().Len() {
			row := found.Elem().Index(i).Addr().Interface()
			out[t.KeyText(row)] = row
		}
	}
	return out, nil
}

// KeyText is the primary key of a row as one text.
func (t Table) KeyText(row any) string {
	var b strings.Builder
	for _, part := range t.KeyOf(row) {
		s := fmt.Sprint(part)
		fmt.Fprintf(&b, "%d:%s", len(s), s) // the length keeps ("a", "bc") from ("ab", "c")
	}
	return b.String()
}

// RaiseSerials makes the databases' own numbers go on after the rows that are there. SQLite and MySQL do so by
// themselves.
func (tx *Tx) RaiseSerials() error {
	if tx.dialect != Postgres {
		return nil
	}
	tables, err := Tables()
	if err != nil {
		return err
	}
	for _, t := range tables {
		if t.serial == nil {
			continue
		}
		var seq string
		if err := tx.g.Raw("SELECT pg_get_serial_sequence(?, ?)", t.Name, t.serial.DBName).Scan(&seq).Error; err != nil {
			return fmt.Errorf("sequence of table %s: %w", t.Name, err)
		}
		// Never back: a sequence is not rolled back with its transaction, and numbers are given once.
		err := tx.g.Exec(fmt.Sprintf("SELECT setval('%s', m) FROM (SELECT MAX(%s) AS m FROM %s) t, %s s WHERE m > s.last_value OR (m = s.last_value AND NOT s.is_called)",
			seq, t.serial.DBName, t.Name, seq)).Error
		if err != nil {
			return fmt.Errorf("sequence of table %s: %w", t.Name, err)
		}
	}
	return nil
}
