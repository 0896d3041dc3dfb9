package meta

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
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
func away(err error) bool { return cut(err) || refused(err) }

// cut: the connection is gone, never came, or gave no answer in time.
func cut(err error) bool {
	for _, gone := range []error{
		driver.ErrBadConn, sql.ErrConnDone, mysqldriver.ErrInvalidConn, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF,
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	_, network := errors.AsType[*net.OpError](err)
	_, connect := errors.AsType[*pgconn.ConnectError](err)
	return network || connect
}

// refused: the database itself says that it cannot work now.
func refused(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		// https://www.postgresql.org/docs/current/errcodes-appendix.html: 08 connection exception, 53 insufficient
		// resources (disk full, too many connections), 57P0x the server is going down or coming up.
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P0")
	}
	if my, ok := errors.AsType[*mysqldriver.MySQLError](err); ok {
		// 1021 disk full, 1040 too many connections, 1053 shutdown in progress, 1077 going down.
		return slices.Contains([]uint16{1021, 1040, 1053, 1077}, my.Number)
	}
	var lite interface{ Code() int }
	if errors.As(err, &lite) {
		// https://www.sqlite.org/rescode.html: 10 SQLITE_IOERR, 13 SQLITE_FULL, 14 SQLITE_CANTOPEN.
		return slices.Contains([]int{10, 13, 14}, lite.Code()&0xff)
	}
	return false
}
