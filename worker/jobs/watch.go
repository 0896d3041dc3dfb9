package jobs

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/tools/clamd"
)

// unreadyInterval is how often a scanner that is not ready is looked at.
const unreadyInterval = time.Second

// ScannerWatch looks at the scanner every so often and tells what it saw: to every program through the database, to
// this one through Last, and to whoever reads the log when it changes.
type ScannerWatch struct {
	db      *meta.DB
	scanner *clamd.Scanner
	every   time.Duration
	log     *slog.Logger
	// host names this worker's scanner among those of others; empty when the system does not say.
	host string
	last atomic.Pointer[meta.ScannerFact]
}

// NewScannerWatch makes a watch; nothing is looked at before Run.
func NewScannerWatch(db *meta.DB, scanner *clamd.Scanner, every time.Duration, log *slog.Logger) *ScannerWatch {
	host, err := os.Hostname()
	if err != nil {
		log.Warn("the host has no name; what is wrong with its scanner is told without", "error", err)
	}
	return &ScannerWatch{db: db, scanner: scanner, every: every, log: log, host: host}
}

// Last is what this worker saw last of its scanner, whatever other workers say of theirs.
func (w *ScannerWatch) Last() meta.ScannerFact {
	if f := w.last.Load(); f != nil {
		return *f
	}
	return meta.ScannerFact{Problem: "it has not been looked at yet"}
}

// Run looks until ctx ends.
func (w *ScannerWatch) Run(ctx context.Context) {
	known, err := w.db.Scanner(ctx) // what was known before this worker started
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		w.log.Warn("read what was known of the scanner", "error", err)
	}
	for {
		last := w.Last()
		f := w.look(ctx, known)
		if ctx.Err() != nil {
			return
		}
		known = f
		w.last.Store(&f)
		if err := w.db.SetScanner(ctx, f); err != nil && ctx.Err() == nil {
			w.log.Error("tell what the scanner is", "error", err)
		}
		tellChange(w.log, last, f)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(f.NextCheck.Time())):
		}
	}
}

// look checks the scanner. While it does not answer, its engine and database are those that were known: an upload of
// bytes that have a verdict of that database needs no new scan.
func (w *ScannerWatch) look(ctx context.Context, known meta.ScannerFact) meta.ScannerFact {
	status, err := w.scanner.Check(ctx)
	now := meta.Now()
	f := meta.ScannerFact{
		Ready: err == nil, Engine: status.Engine, Database: status.Database,
		TestSignatures: status.TestSignaturesOnly, CheckedAt: now, NextCheck: now.Add(w.every), Host: w.host,
	}
	if err != nil {
		f.Engine, f.Database, f.TestSignatures = known.Engine, known.Database, known.TestSignatures
		f.Problem = err.Error()
		f.UnreadySince = now
		if last := w.last.Load(); last != nil && !last.Ready {
			f.UnreadySince = last.UnreadySince
		}
		f.NextCheck = now.Add(min(w.every, unreadyInterval)) // it may be starting: files wait for nothing else
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
