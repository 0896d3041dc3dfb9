package alerts

import (
	"context"
	"errors"
	"fmt"

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
	return fmt.Sprintf(" The worker has said nothing since %s.", at(f.CheckedAt.Time()))
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
			Message: fmt.Sprintf("No worker has looked at its scanner since %s: none runs, or none reaches the database. Files wait in quarantine. Start one with `worker run`.", at(last.CheckedAt.Time())),
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
			Message: fmt.Sprintf("The scanner of the worker on the host %s has not been ready for %s, since %s: %s. Files wait in quarantine. The log of clamd there says more, and `clamconf` there shows its settings.",
				host, spell(look.Now.Time().Sub(f.UnreadySince.Time())), at(f.UnreadySince.Time()), sentence(f.Problem, 400)) + silence(look, f),
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
			Message: fmt.Sprintf("The scanner of the worker on the host %s has signatures of %s, which is %s ago; %s is the limit (alerts.signatures_max_age). `freshclam` there fetches newer ones; see why it does not run by itself.",
				host, at(made), spell(age), spell(look.Limits.SignaturesMaxAge)) + silence(look, f),
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
				Message: fmt.Sprintf("The scanner of the worker on the host %s has only the bundled test signatures: it finds no real threat. `freshclam` there fetches those of ClamAV, and clamd loads them within minutes.", host) + silence(look, f),
				Facts:   map[string]any{"host": host, "engine": f.Engine},
			})
		}
	}
	return out, nil
}
