package alerts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/tools/clamd"
)

// scanners lists what the workers see of their scanners, by host. Of workers that are gone, only the last words that
// have an open alert of the rule count.
func scanners(ctx context.Context, look *Look) (map[string]meta.ScannerFact, error) {
	all, err := look.DB.Scanners(ctx, look.Now.Add(-wordsKept))
	if err != nil {
		return nil, err
	}
	for host, f := range all {
		if f.Silent(look.Now.Time()) && !look.isOpen(host) {
			delete(all, host)
		}
	}
	return all, nil
}

// silence says, behind a message, that the worker has told nothing newer.
func silence(look *Look, f meta.ScannerFact) string {
	if !f.Silent(look.Now.Time()) {
		return ""
	}
	return fmt.Sprintf(" The worker has said nothing since %s.", f.CheckedAt.Time().Format(time.RFC3339))
}

// scannerUnready tells of scanners that do not work, one alert a host, and of a scanner that nobody looks at.
func scannerUnready(ctx context.Context, look *Look) ([]Finding, error) {
	var out []Finding
	last, err := look.DB.Scanner(ctx)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil // no worker has looked yet, not even this one
	case err != nil:
		return nil, err
	case last.Silent(look.Now.Time().Add(-look.Limits.ScannerUnready)):
		out = append(out, Finding{
			Subject: "all", Severity: Critical,
			Message: fmt.Sprintf("No worker has looked at its scanner since %s. Files wait in quarantine.", last.CheckedAt.Time().Format(time.RFC3339)),
			Facts:   map[string]any{"checked_at": last.CheckedAt.Time()},
		})
	}
	all, err := scanners(ctx, look)
	if err != nil {
		return nil, err
	}
	for host, f := range all {
		if f.Ready || f.UnreadySince.Add(look.Limits.ScannerUnready) > look.Now {
			continue
		}
		out = append(out, Finding{
			Subject: host, Severity: Critical,
			Message: fmt.Sprintf("The scanner of the worker on %s has not been ready for %s: %s Files wait in quarantine.", host,
				spell(look.Now.Time().Sub(f.UnreadySince.Time())), clip(f.Problem, 400)+".") + silence(look, f),
			Facts: map[string]any{"host": host, "problem": f.Problem, "since": f.UnreadySince.Time()},
		})
	}
	return out, nil
}

// signaturesOld tells of scanners whose signatures are of days ago: what is new since then passes. Signatures of
// one's own bear no date, and nothing is said of them.
func signaturesOld(ctx context.Context, look *Look) ([]Finding, error) {
	all, err := scanners(ctx, look)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for host, f := range all {
		made, dated := clamd.DatabaseDate(f.Database)
		age := look.Now.Time().Sub(made)
		if !dated || age <= look.Limits.SignaturesMaxAge {
			continue
		}
		out = append(out, Finding{
			Subject: host, Severity: Warning,
			Message: fmt.Sprintf("The scanner of the worker on %s has signatures of %s, which is %s ago; %s is the limit. Does freshclam run?",
				host, made.Format(time.DateOnly), spell(age), spell(look.Limits.SignaturesMaxAge)) + silence(look, f),
			Facts: map[string]any{"host": host, "database": f.Database, "engine": f.Engine, "signatures_at": made},
		})
	}
	return out, nil
}

// testSignatures tells of scanners that find the EICAR test file and nothing else.
func testSignatures(ctx context.Context, look *Look) ([]Finding, error) {
	all, err := scanners(ctx, look)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for host, f := range all {
		if f.TestSignatures {
			out = append(out, Finding{
				Subject: host, Severity: Warning,
				Message: fmt.Sprintf("The scanner of the worker on %s has only the bundled test signatures: it finds no real threat. Install a ClamAV database.", host) + silence(look, f),
				Facts:   map[string]any{"host": host, "engine": f.Engine},
			})
		}
	}
	return out, nil
}
