package jobs

import (
	"context"
	"log/slog"
	"time"

	"gatehouse/storage/meta"
	"gatehouse/worker/tools/clamd"
)

// unreadyInterval is how often a scanner that is not ready is looked at.
const unreadyInterval = time.Second

// WatchScanner looks at the scanner every so often until ctx ends, and tells what it saw: to every program through
// the database, and to whoever reads the log when it changes.
func WatchScanner(ctx context.Context, db *meta.DB, scanner *clamd.Scanner, every time.Duration, log *slog.Logger) {
	var last meta.ScannerFact
	for {
		f := lookAtScanner(ctx, scanner)
		if ctx.Err() != nil {
			return
		}
		if err := db.SetScanner(ctx, f); err != nil && ctx.Err() == nil {
			log.Error("tell what the scanner is", "error", err)
		}
		tellChange(log, last, f)
		last = f
		wait := every
		if !f.Ready {
			wait = min(every, unreadyInterval) // it may be starting: files wait for nothing else
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func lookAtScanner(ctx context.Context, scanner *clamd.Scanner) meta.ScannerFact {
	status, err := scanner.Check(ctx)
	f := meta.ScannerFact{
		Ready: err == nil, Engine: status.Engine, Database: status.Database,
		TestSignatures: status.TestSignaturesOnly, CheckedAt: meta.Now(),
	}
	if err != nil {
		f.Problem = err.Error()
	}
	return f
}

func tellChange(log *slog.Logger, last, now meta.ScannerFact) {
	switch {
	case !now.Ready && (last.Ready || last.CheckedAt == 0):
		log.Error("the scanner is not ready; files wait in quarantine", "error", now.Problem)
	case now.Ready && (!last.Ready || last.Database != now.Database):
		log.Info("the scanner is ready", "engine", now.Engine, "database", now.Database)
		if now.TestSignatures {
			log.Warn("THE SCANNER HAS ONLY THE BUNDLED TEST SIGNATURES: it finds the EICAR test file and no real threat")
		}
	}
}
