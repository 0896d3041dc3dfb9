package meta

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
)

// migration is one step of the schema, written in SQL so that it stays what it was when the models move on.
// The braces stand for what the three databases call differently (see typeNames).
type migration struct {
	id   string
	up   func(d Dialect) []string
	down func(d Dialect) []string
}

// THE list of migrations, oldest first. A migration that was released is never edited.
var migrations = []migration{
	{"0001_initial", initialUp, initialDown},
	{"0002_audit_append_only", auditTriggersUp, auditTriggersDown},
	{"0003_media_facts", mediaFactsUp, mediaFactsDown},
	{"0004_tenant_life", tenantLifeUp, tenantLifeDown},
	{"0005_reconcile", reconcileUp, reconcileDown},
	{"0006_alerts", alertsUp, alertsDown},
	{"0007_audit_role", auditRoleUp, auditRoleDown},
	{"0008_operators", operatorsUp, operatorsDown},
	{"0009_audit_chain", auditChainUp, auditChainDown},
	{"0010_operations", operationsUp, operationsDown},
	{"0011_rollups", rollupsUp, rollupsDown},
	{"0012_settings", settingsUp, settingsDown},
	{"0013_releases", releasesUp, releasesDown},
}

// typeNames maps the braces of a statement to a database's own words.
var typeNames = map[Dialect]*strings.Replacer{
	SQLite: strings.NewReplacer("{id}", "varchar(36)", "{hash}", "varchar(64)", "{text}", "text", "{bool}", "boolean",
		"{real}", "double", "{serial}", "integer PRIMARY KEY AUTOINCREMENT", "{table}", ""),
	Postgres: strings.NewReplacer("{id}", "varchar(36)", "{hash}", "varchar(64)", "{text}", "text", "{bool}", "boolean",
		"{real}", "double precision", "{serial}", "bigserial PRIMARY KEY", "{table}", ""),
	MySQL: strings.NewReplacer("{id}", "varchar(36)", "{hash}", "varchar(64)", "{text}", "mediumtext", "{bool}", "boolean",
		"{real}", "double", "{serial}", "bigint AUTO_INCREMENT PRIMARY KEY",
		"{table}", " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"),
}

// Migrate brings the schema up to this program's version. It is safe to run from several programs at once:
// the losers wait or find the work done.
func (db *DB) Migrate(ctx context.Context) error {
	return db.withMigrationLock(ctx, func(g *gorm.DB) error {
		if err := db.migrator(g).Migrate(); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		return nil
	})
}

// RollbackLast undoes the newest migration that was applied.
func (db *DB) RollbackLast(ctx context.Context) error {
	return db.withMigrationLock(ctx, func(g *gorm.DB) error {
		if err := db.migrator(g).RollbackLast(); err != nil {
			return fmt.Errorf("roll back: %w", err)
		}
		return nil
	})
}

// ErrSchema says that the database lacks tables or columns that this program needs.
var ErrSchema = errors.New("run `gateway migrate`")

// SchemaCurrent reports an error, ErrSchema, when a migration of this program has not been applied.
func (db *DB) SchemaCurrent(ctx context.Context) error {
	last := SchemaVersion()
	var n int64
	if err := db.g.WithContext(ctx).Table("migrations").Where("id = ?", last).Count(&n).Error; err != nil {
		if name, empty := db.withoutSchema(ctx); empty {
			return fmt.Errorf("the database %s has no tables yet: %w", name, ErrSchema)
		}
		return fmt.Errorf("read schema version: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("the database schema is older than this program (%s is missing): %w", last, ErrSchema)
	}
	return nil
}

// Applied counts the migrations that the database has had; none in one without tables.
func (db *DB) Applied(ctx context.Context) (int64, error) {
	var n int64
	err := db.g.WithContext(ctx).Table("migrations").Count(&n).Error
	if err == nil {
		return n, nil
	}
	if _, empty := db.withoutSchema(ctx); empty {
		return 0, nil
	}
	return 0, fmt.Errorf("read schema version: %w", err)
}

// SchemaVersion names the newest migration of this program.
func SchemaVersion() string { return migrations[len(migrations)-1].id }

// schemaLookup asks each kind of database for its name, and whether it has the table of the migrations.
var schemaLookup = map[Dialect]string{
	SQLite: "SELECT file AS name, (SELECT count(*) FROM sqlite_master m WHERE m.name = 'migrations') AS n " +
		"FROM pragma_database_list WHERE name = 'main'",
	Postgres: "SELECT current_database() AS name, (SELECT count(*) FROM information_schema.tables " +
		"WHERE table_schema = current_schema() AND table_name = 'migrations') AS n",
	MySQL: "SELECT database() AS name, (SELECT count(*) FROM information_schema.tables " +
		"WHERE table_schema = database() AND table_name = 'migrations') AS n",
}

// withoutSchema reports whether the database answers and was never migrated.
func (db *DB) withoutSchema(ctx context.Context) (name string, empty bool) {
	var found struct {
		Name string
		N    int64
	}
	if err := db.g.WithContext(ctx).Raw(schemaLookup[db.dialect]).Scan(&found).Error; err != nil {
		return "", false // the caller has an error that says more
	}
	return found.Name, found.N == 0
}

func (db *DB) migrator(g *gorm.DB) *gormigrate.Gormigrate {
	names := typeNames[db.dialect]
	run := func(statements []string) func(*gorm.DB) error {
		return func(tx *gorm.DB) error {
			for _, s := range statements {
				if err := tx.Exec(names.Replace(s)).Error; err != nil {
					return fmt.Errorf("%s: %w", firstLine(s), err)
				}
			}
			return nil
		}
	}
	list := make([]*gormigrate.Migration, 0, len(migrations))
	for _, m := range migrations {
		list = append(list, &gormigrate.Migration{ID: m.id, Migrate: run(m.up(db.dialect)), Rollback: run(m.down(db.dialect))})
	}
	// MySQL commits DDL implicitly; the other two migrate whole steps or nothing.
	opts := &gormigrate.Options{TableName: "migrations", IDColumnName: "id", IDColumnSize: 190, UseTransaction: db.dialect != MySQL}
	return gormigrate.New(g, opts, list)
}

// withMigrationLock lets one program migrate at a time.
func (db *DB) withMigrationLock(ctx context.Context, fn func(*gorm.DB) error) error {
	return db.g.WithContext(ctx).Connection(func(conn *gorm.DB) error {
		g := conn.Session(&gorm.Session{NewDB: true, Context: ctx}) // every statement starts clean, on this connection
		var lock, unlock string
		switch db.dialect {
		case Postgres:
			lock, unlock = "SELECT pg_advisory_lock(71170001)", "SELECT pg_advisory_unlock(71170001)"
		case MySQL:
			lock, unlock = "SELECT GET_LOCK('gatehouse_migrate', 120)", "SELECT RELEASE_LOCK('gatehouse_migrate')"
		case SQLite:
			// The immediate transactions of SQLite already admit one writer at a time.
			return fn(g)
		}
		if err := takeLock(g, db.dialect, lock); err != nil {
			return err
		}
		err := fn(g)
		if uerr := g.Exec(unlock).Error; uerr != nil && err == nil {
			err = fmt.Errorf("release the migration lock: %w", uerr)
		}
		return err
	})
}

func takeLock(g *gorm.DB, d Dialect, lock string) error {
	if d != MySQL { // waits until it has the lock
		if err := g.Exec(lock).Error; err != nil {
			return fmt.Errorf("take the migration lock: %w", err)
		}
		return nil
	}
	var got int64
	if err := g.Raw(lock).Scan(&got).Error; err != nil {
		return fmt.Errorf("take the migration lock: %w", err)
	}
	if got != 1 {
		return errors.New("another program has been migrating for two minutes; try again when it has ended")
	}
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
