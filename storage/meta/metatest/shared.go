package metatest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
)

// Shared are databases that the tests of one package use one after another, emptied in between: to make and migrate one
// takes longer than most tests. A test that changes the schema, or needs two handles, takes a database of its own (Each).
// TestMain calls Drop at the end.
type Shared struct {
	urls map[string]string
	drop []func()
}

// NewShared makes none yet: each kind is made when the first test wants it.
func NewShared() *Shared { return &Shared{urls: map[string]string{}} }

// Drop removes them.
func (s *Shared) Drop() {
	for _, drop := range s.drop {
		drop()
	}
}

// outliving is a test whose cleanups come when all tests are over.
type outliving struct {
	testing.TB
	s *Shared
}

func (o outliving) Cleanup(fn func()) { o.s.drop = append(o.s.drop, fn) }

// Each is the function Each on these databases; a file of SQLite is fresh each time. Tests must not run beside each other.
func (s *Shared) Each(t *testing.T, test func(t *testing.T, db *meta.DB)) {
	t.Helper()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			if d.name == "sqlite" {
				test(t, SQLite(t))
				return
			}
			url, made := s.urls[d.name]
			if !made {
				url = d.url(outliving{t, s})
				s.urls[d.name] = url
			}
			db := Open(t, url)
			if made {
				empty(t, db)
			} else {
				require.NoError(t, db.Migrate(context.Background()))
			}
			test(t, db)
		})
	}
}

// appendOnly are the tables whose triggers refuse to delete.
var appendOnly = []string{"audit_log", "audit_seals", "audit_checkpoints", "audit_archives", "audit_chains"}

// empty deletes all rows, those of the audit log past its triggers.
func empty(t testing.TB, db *meta.DB) {
	t.Helper()
	ctx := context.Background()
	schema := map[meta.Dialect]string{meta.Postgres: "current_schema()", meta.MySQL: "database()"}[db.Dialect()]
	if db.Dialect() == meta.MySQL { // which commits by itself
		for _, table := range appendOnly {
			_, err := db.Exec(ctx, "TRUNCATE TABLE "+table)
			require.NoError(t, err)
		}
	}
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		var tables []string
		_, err := tx.Scan(&tables, "SELECT table_name FROM information_schema.tables WHERE table_schema = "+schema+
			" AND table_type = 'BASE TABLE' AND table_name <> 'migrations'")
		if err != nil {
			return err
		}
		var all []string
		for _, table := range tables {
			all = append(all, "DELETE FROM "+table)
		}
		if db.Dialect() == meta.Postgres {
			for _, table := range appendOnly {
				all = append([]string{"ALTER TABLE " + table + " DISABLE TRIGGER USER"}, append(all, "ALTER TABLE "+table+" ENABLE TRIGGER USER")...)
			}
		}
		for _, statement := range all {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		return nil
	}))
}
