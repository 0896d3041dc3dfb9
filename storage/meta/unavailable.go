package meta

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"gatehouse/storage"
)

// translator is gorm's dialect with one more translation: an error that says the database is away becomes
// UNAVAILABLE, so that callers of every layer are told to come back instead of being told of a fault.
type translator struct{ gorm.Dialector }

// Translate is called by gorm for every error of the driver.
func (t translator) Translate(err error) error {
	if away(err) {
		return storage.Refuse(storage.CodeUnavailable, nil).CausedBy(err)
	}
	if inner, ok := t.Dialector.(gorm.ErrorTranslator); ok {
		return inner.Translate(err)
	}
	return err
}

// away reports whether an error means that the database cannot be reached or has no room to work.
func away(err error) bool {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, mysqldriver.ErrInvalidConn) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		// https://www.postgresql.org/docs/current/errcodes-appendix.html: 08 connection exception, 53 insufficient
		// resources (disk full, too many connections), 57P0x the server is going down or coming up.
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P0")
	}
	if my, ok := errors.AsType[*mysqldriver.MySQLError](err); ok {
		// 1021 disk full, 1040 too many connections, 1053 shutdown in progress, 1077 going down.
		return my.Number == 1021 || my.Number == 1040 || my.Number == 1053 || my.Number == 1077
	}
	var lite interface{ Code() int }
	if errors.As(err, &lite) {
		// https://www.sqlite.org/rescode.html: 10 SQLITE_IOERR, 13 SQLITE_FULL, 14 SQLITE_CANTOPEN.
		primary := lite.Code() & 0xff
		return primary == 10 || primary == 13 || primary == 14
	}
	return false
}
