package meta

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// factScanner is the name of the scanner's fact.
const factScanner = "scanner"

// ScannerFact is what the workers last saw of the scanner, for gateways and operators.
type ScannerFact struct {
	// Ready: the last canary scan found the known-bad and passed the known-good.
	Ready bool `json:"ready"`
	// Problem says why not.
	Problem string `json:"problem,omitempty"`
	// Engine and Database are what was known last; a scanner that is not ready keeps them.
	Engine   string `json:"engine"`
	Database string `json:"database"`
	// TestSignatures: only the bundled test signatures are loaded; real malware is not found.
	TestSignatures bool  `json:"test_signatures"`
	CheckedAt      Stamp `json:"checked_at"`
	// NextCheck is when the worker means to look again.
	NextCheck Stamp `json:"next_check"`
}

// scannerGrace is how late a look at the scanner may be: a check of a busy scanner takes its time.
const scannerGrace = time.Minute

// Silent reports whether the fact is too old to be believed: the worker that told it should have looked again.
func (f ScannerFact) Silent(now time.Time) bool {
	return now.Sub(max(f.NextCheck, f.CheckedAt).Time()) > scannerGrace
}

// SetScanner tells what was seen.
func (db *DB) SetScanner(ctx context.Context, f ScannerFact) error {
	raw, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return db.SetFact(ctx, factScanner, string(raw))
}

// Scanner reads what was seen last; storage.ErrNotFound when no worker has looked yet.
func (db *DB) Scanner(ctx context.Context) (ScannerFact, error) {
	var f ScannerFact
	row, err := db.FactByName(ctx, factScanner)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal([]byte(row.Value), &f); err != nil {
		return f, fmt.Errorf("scanner fact: %w", err)
	}
	return f, nil
}
