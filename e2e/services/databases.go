package services

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver "mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// statementTimeout bounds creating or dropping a database on a busy machine.
const statementTimeout = time.Minute

// fresh is a name that no other test has: letters and digits, so that it needs no quoting anywhere.
func fresh() string { return "t" + strings.ToLower(rand.Text()) }

// PostgresDSN makes a database for this test alone, as a URL; it is dropped when the test ends.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	name := fresh()
	url := func(db string) string {
		return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", user, password, address(t, postgresPort), db)
	}
	execute(t, "postgres", "pgx", url("postgres"), "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, "postgres", "pgx", url("postgres"), "DROP DATABASE "+name+" WITH (FORCE)") })
	return url(name)
}

// MySQLDSN makes a database for this test alone in MariaDB, as a URL (mysql://user:password@host:port/name);
// it is dropped when the test ends.
func MySQLDSN(t testing.TB) string {
	t.Helper()
	name, addr := fresh(), address(t, mariadbPort)
	admin := fmt.Sprintf("%s:%s@tcp(%s)/?timeout=5s", user, password, addr)
	execute(t, "mariadb", "mysql", admin, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, "mariadb", "mysql", admin, "DROP DATABASE "+name) })
	return fmt.Sprintf("mysql://%s:%s@%s/%s", user, password, addr, name)
}

// execute runs one statement on a connection of its own.
func execute(t testing.TB, service, driver, dsn, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatalf("open %s: %v", service, err)
	}
	defer func() { _ = db.Close() }()
	if err := db.PingContext(ctx); err != nil {
		t.Fatalf("%s does not answer (%v); %s", service, err, hint)
	}
	if _, err := db.ExecContext(ctx, statement); err != nil {
		t.Fatalf("%s: %s: %v", service, statement, err)
	}
}
