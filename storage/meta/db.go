package meta

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"gatehouse/storage"
)

// Dialect is one of the three kinds of database.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
	MySQL    Dialect = "mysql"
)

// Config says where the database is and how to use it.
type Config struct {
	// URL is sqlite:///path, postgres://... or mysql://user:password@host:port/name.
	URL             string
	MaxOpenConns    int
	MaxIdleConns    int
	ConnMaxLifetime time.Duration
	// BusyTimeout is how long a SQLite writer waits for the writer of the other program.
	BusyTimeout time.Duration
	// SearchWindow is how many of the newest files are looked at for a keyword where there is no index of names; 0 is 200,000.
	SearchWindow int
}

// DB is the whole database. It is safe for concurrent use; close it once.
type DB struct {
	g       *gorm.DB
	dialect Dialect
	// farWindow is Config.SearchWindow.
	farWindow int
	// write has one slot and admits one SQLite writer of this process at a time: waiting here is fair and cheap,
	// waiting for SQLite's file lock is polling.
	write chan struct{}
}

// Open connects; it does not migrate.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	dialect, dialector, err := dialectorFor(cfg)
	if err != nil {
		return nil, err
	}
	g, err := gorm.Open(translator{dialector}, &gorm.Config{
		// Every statement that must be atomic with another is in an explicit transaction.
		SkipDefaultTransaction: true,
		TranslateError:         true,
		DisableAutomaticPing:   true,
		// Errors are logged once, at the edge, by whoever decides what they mean.
		Logger: logger.Discard,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s database: %w", dialect, err)
	}
	pool, err := g.DB()
	if err != nil {
		return nil, fmt.Errorf("open %s database: %w", dialect, err)
	}
	pool.SetMaxOpenConns(cfg.MaxOpenConns)
	pool.SetMaxIdleConns(cfg.MaxIdleConns)
	pool.SetConnMaxLifetime(cfg.ConnMaxLifetime)
	db := &DB{g: g, dialect: dialect, farWindow: cmp.Or(cfg.SearchWindow, farWindow), write: make(chan struct{}, 1)}
	if err := db.Ping(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return db, nil
}

// Close closes all connections.
func (db *DB) Close() error {
	pool, err := db.g.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// Ping asks the database for an answer.
func (db *DB) Ping(ctx context.Context) error {
	pool, err := db.g.DB()
	if err != nil {
		return err
	}
	if err := pool.PingContext(ctx); err != nil {
		return fmt.Errorf("reach the %s database: %w", db.dialect, err)
	}
	return nil
}

// Dialect tells which kind of database this is.
func (db *DB) Dialect() Dialect { return db.dialect }

func dialectorFor(cfg Config) (Dialect, gorm.Dialector, error) {
	scheme, rest, ok := strings.Cut(cfg.URL, "://")
	if !ok {
		return "", nil, errors.New("database URL has no scheme: want sqlite://, postgres:// or mysql://")
	}
	switch scheme {
	case "sqlite":
		busy := cfg.BusyTimeout
		if busy <= 0 {
			busy = 30 * time.Second
		}
		// synchronous(FULL) in WAL mode: a commit is on the disk before it is acknowledged (invariant 1).
		q := url.Values{"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()),
			"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
		}, "_txlock": {"immediate"}}
		return SQLite, sqlite.Open("file:" + rest + "?" + q.Encode()), nil
	case "postgres", "postgresql":
		return Postgres, postgres.Open(cfg.URL), nil
	case "mysql":
		dsn, err := mysqlDSN(cfg.URL)
		if err != nil {
			return "", nil, err
		}
		return MySQL, mysql.New(mysql.Config{DSN: dsn, DisableWithReturning: true, SkipInitializeWithVersion: true}), nil
	}
	return "", nil, fmt.Errorf("database URL scheme %q: want sqlite, postgres or mysql", scheme)
}

func mysqlDSN(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The error of url.Parse repeats the URL, which holds the password.
		return "", errors.New("database URL: not a valid mysql:// URL")
	}
	c := mysqldriver.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.Net, c.Addr = "tcp", u.Host
	c.DBName = strings.TrimPrefix(u.Path, "/")
	// Rows found, not rows changed: a compare-and-set that writes the same value must still count as won.
	c.ClientFoundRows = true
	c.InterpolateParams = true
	c.Collation = "utf8mb4_bin"
	c.Timeout = 10 * time.Second
	c.Params = map[string]string{"sql_mode": "'TRADITIONAL,NO_ENGINE_SUBSTITUTION'"}
	return c.FormatDSN(), nil
}

// Tx is one transaction.
type Tx struct {
	g       *gorm.DB
	dialect Dialect
}

// Exec runs one statement and tells how many rows it touched (matched, on MySQL). It is for package quota,
// whose ledger is a handful of conditional updates.
func (tx *Tx) Exec(sql string, args ...any) (int64, error) {
	r := tx.g.Exec(sql, args...)
	return r.RowsAffected, r.Error
}

// Create inserts one row of a model of this package; it is for the packages beside this one.
func (tx *Tx) Create(row any) error { return tx.g.Create(row).Error }

// Scan runs a query and scans its first row or rows into dest.
func (tx *Tx) Scan(dest any, sql string, args ...any) (int64, error) {
	r := tx.g.Raw(sql, args...).Scan(dest)
	return r.RowsAffected, r.Error
}

// Exec runs one statement that is a transaction by itself, and tells how many rows it touched.
func (db *DB) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	r := db.g.WithContext(ctx).Exec(sql, args...)
	return r.RowsAffected, r.Error
}

// txAttempts bounds how often a transaction is tried again after the database itself gave up on it. With the pauses
// below that is about three seconds: sixteen uploads of the same new bytes at once on MariaDB need one of them.
const txAttempts = 25

// InTx runs fn in one transaction and commits when it returns nil. A transaction that the database aborts in
// favour of another (deadlock, serialization, busy) is run again: fn must do nothing that outlives the
// transaction.
func (db *DB) InTx(ctx context.Context, fn func(*Tx) error) error {
	var err error
	for attempt := range txAttempts {
		if err = db.once(ctx, fn); err == nil || !conflicted(err) {
			return err
		}
		pause := time.Duration(1<<min(attempt, 7)) * time.Millisecond
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause + jitter(pause)):
		}
	}
	return storage.Refuse(storage.CodeUnavailable, nil).CausedBy(fmt.Errorf("gave up after %d conflicts: %w", txAttempts, err))
}

func (db *DB) once(ctx context.Context, fn func(*Tx) error) error {
	if db.dialect == SQLite {
		select {
		case db.write <- struct{}{}:
			defer func() { <-db.write }()
		case <-ctx.Done():
			return storage.Refuse(storage.CodeUnavailable, nil).CausedBy(ctx.Err())
		}
	}
	opts := &sql.TxOptions{}
	if db.dialect == MySQL {
		// Gap locks of its default level make unrelated uploads deadlock; every guard here is a conditional
		// UPDATE or a unique key, which READ COMMITTED keeps.
		opts.Isolation = sql.LevelReadCommitted
	}
	return db.g.WithContext(ctx).Transaction(func(g *gorm.DB) error {
		return fn(&Tx{g: g, dialect: db.dialect})
	}, opts)
}

// notFound turns the not-found of gorm into the domain's.
func notFound(err error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return storage.ErrNotFound
	}
	return err
}
