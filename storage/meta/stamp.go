package meta

import "time"

// Stamp is a point in time in microseconds since the Unix epoch; zero is "not set".
type Stamp int64

// Now is the current time.
func Now() Stamp { return StampOf(time.Now()) }

// StampOf converts; the zero time gives the zero stamp.
func StampOf(t time.Time) Stamp {
	if t.IsZero() {
		return 0
	}
	return Stamp(t.UnixMicro())
}

// Time converts back, in UTC; the zero stamp gives the zero time.
func (s Stamp) Time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(s)).UTC()
}

// TimeIfSet is the time of a stamp, nil when it is not set.
func (s Stamp) TimeIfSet() *time.Time {
	if s == 0 {
		return nil
	}
	at := s.Time()
	return &at
}

// Add moves the stamp by d.
func (s Stamp) Add(d time.Duration) Stamp { return s + Stamp(d.Microseconds()) }

// Epoch is the SQL of the database's clock: whole seconds since the Unix epoch, one clock for all programs.
func (d Dialect) Epoch() string {
	switch d {
	case Postgres:
		// Not now(), which stands still in a transaction.
		return `CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp())) AS bigint)`
	case MySQL:
		return `UNIX_TIMESTAMP()`
	case SQLite:
	}
	return `CAST(strftime('%s', 'now') AS INTEGER)`
}
