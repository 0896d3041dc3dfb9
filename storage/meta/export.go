package meta

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"
)

// exportPage is how many rows a reader holds at once.
const exportPage = 500

// Reader reads whole tables as they are at one instant.
type Reader struct {
	g       *gorm.DB
	dialect Dialect
}

// ReadAll runs fn over one read transaction: all it reads is of the same instant, and no writer waits for it. It must
// not last for hours: until it ends the database keeps the old versions of what changes (SQLite: in the WAL file).
func (db *DB) ReadAll(ctx context.Context, fn func(*Reader) error) error {
	// PostgreSQL and MySQL take their snapshot with the first query. For SQLite a read-only transaction is a deferred
	// one, which in WAL mode reads beside the writers.
	opts := &sql.TxOptions{ReadOnly: true}
	if db.dialect != SQLite {
		opts.Isolation = sql.LevelRepeatableRead
	}
	return db.g.WithContext(ctx).Transaction(func(g *gorm.DB) error { return fn(&Reader{g: g, dialect: db.dialect}) }, opts)
}

// Each gives every row of the table to fn, as a pointer to its model, in the order of the primary key.
func (r *Reader) Each(t Table, fn func(row any) error) error {
	var after []any
	for {
		list := reflect.New(reflect.SliceOf(t.model))
		q := r.g.Order(strings.Join(t.Key, ", ")).Limit(exportPage)
		if after != nil {
			where, args := t.beyond(r.dialect, after)
			q = q.Where(where, args...)
		}
		if err := q.Find(list.Interface()).Error; err != nil {
			return fmt.Errorf("read table %s: %w", t.Name, err)
		}
		rows := list.Elem()
		for i := range rows.Len() {
			row := rows.Index(i).Addr()
			if err := fn(row.Interface()); err != nil {
				return err
			}
		}
		if rows.Len() < exportPage {
			return nil
		}
		after = t.KeyOf(rows.Index(rows.Len() - 1).Addr().Interface())
	}
}

// Count counts the rows of the table.
func (r *Reader) Count(t Table) (int64, error) {
	var n int64
	err := r.g.Table(t.Name).Count(&n).Error
	return n, err
}

// beyond is the condition for keys greater than the given one. MySQL finds no range in a comparison of rows, the other
// two find none in the long form.
func (t Table) beyond(d Dialect, key []any) (string, []any) {
	if d != MySQL || len(key) == 1 {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(key)), ", ")
		return fmt.Sprintf("(%s) > (%s)", strings.Join(t.Key, ", "), marks), key
	}
	var either []string
	var args []any
	for i := range key {
		var all []string
		for j := range i {
			all = append(all, t.Key[j]+" = ?")
			args = append(args, key[j])
		}
		either = append(either, strings.Join(append(all, t.Key[i]+" > ?"), " AND "))
		args = append(args, key[i])
	}
	return "(" + strings.Join(either, ") OR (") + ")", args
}

// SchemaNumber is the place of a schema version among those that this program knows, and false for one it does not
// know: then it is of a newer program.
func SchemaNumber(version string) (int, bool) {
	for i, m := range migrations {
		if m.id == version {
			return i, true
		}
	}
	return 0, false
}
