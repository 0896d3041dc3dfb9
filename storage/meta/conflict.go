package meta

import (
	"errors"
	"math/rand/v2"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// conflicted reports whether the database aborted the transaction in favour of another one, so that running it
// again is right and likely to work.
func conflicted(err error) bool {
	if errors.Is(err, ErrChanged) {
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		// https://www.postgresql.org/docs/current/errcodes-appendix.html
		return pg.Code == "40001" /* serialization_failure */ || pg.Code == "40P01" /* deadlock_detected */
	}
	if my, ok := errors.AsType[*mysqldriver.MySQLError](err); ok {
		// 1205 lock wait timeout, 1213 deadlock, 1020 record changed since last read (MariaDB snapshot).
		return my.Number == 1205 || my.Number == 1213 || my.Number == 1020
	}
	var lite interface{ Code() int }
	if errors.As(err, &lite) {
		// https://www.sqlite.org/rescode.html: the low byte is 5 (SQLITE_BUSY) or 6 (SQLITE_LOCKED).
		primary := lite.Code() & 0xff
		return primary == 5 || primary == 6
	}
	return false
}

func jitter(d time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(d) + 1))
}
