package clamd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// TestSignaturesPrefix opens the database fingerprint of a clamd that has nothing but the bundled test
// signatures: it finds EICAR, and no real threat.
const TestSignaturesPrefix = "test-signatures:"

// version is what clamd says of itself.
type version struct {
	engine   string
	database string
}

// version asks clamd for its engine and database. It changes as soon as clamd scans with another database.
func (s *Scanner) version(ctx context.Context) (version, error) {
	answer, err := s.command(ctx, "VERSION")
	if errors.Is(err, errCut) {
		// No file is in play yet, so this never counts against one.
		err = unavailable("ask for clamd's version", err)
	}
	if err != nil {
		return version{}, err
	}
	v, err := parseVersion(answer)
	if err != nil {
		return version{}, unavailable("ask for clamd's version", err)
	}
	if v.database != "" {
		return v, nil
	}
	if s.fingerprint == nil {
		return version{}, fmt.Errorf("%w: clamd names no signature database and no fingerprint is configured", ErrUnavailable)
	}
	if v.database, err = s.fingerprint(ctx); err != nil {
		return version{}, unavailable("fingerprint the signature database", err)
	}
	if v.database == "" {
		return version{}, fmt.Errorf("%w: the configured database fingerprint is empty", ErrUnavailable)
	}
	return v, nil
}

// parseVersion reads "ClamAV 1.4.6/27800/Mon Nov 16 09:25:31 2026", or only "ClamAV 1.4.6" when the official
// "daily" database is not loaded. The database becomes "daily:27800/Mon Nov 16 09:25:31 2026": the date stays
// as clamd writes it, because it bears no time zone.
func parseVersion(answer string) (version, error) {
	engine, database, named := strings.Cut(answer, "/")
	if !strings.HasPrefix(engine, "ClamAV ") || !printable(answer) {
		return version{}, fmt.Errorf("clamd answered %.200q to VERSION", answer)
	}
	v := version{engine: engine}
	if !named {
		return v, nil
	}
	number, date, dated := strings.Cut(database, "/")
	if number == "" || strings.Trim(number, "0123456789") != "" || !dated || date == "" {
		return version{}, fmt.Errorf("clamd answered %.200q to VERSION", answer)
	}
	v.database = "daily:" + database
	return v, nil
}

// DatabaseDate is when the official signatures were made that a fingerprint names, for those that name any. clamd
// bears no time zone; read as UTC it is right to a day, which is what the age of signatures is counted in.
func DatabaseDate(database string) (time.Time, bool) {
	version, named := strings.CutPrefix(database, "daily:")
	_, date, dated := strings.Cut(version, "/")
	if !named || !dated {
		return time.Time{}, false
	}
	made, err := time.Parse(time.ANSIC, strings.TrimSpace(date))
	return made, err == nil
}
