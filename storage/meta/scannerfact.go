package meta

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// factScanner is the name of the scanner's fact; with a dot and a host behind it, of what the worker there sees.
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
	// Host is where the worker runs that saw this; UnreadySince is when it first saw that its scanner is not ready.
	Host         string `json:"host,omitempty"`
	UnreadySince Stamp  `json:"unready_since,omitempty"`
	// NextCheck is when the worker means to look again.
	NextCheck Stamp `json:"next_check"`
}

// scannerGrace is how late a look at the scanner may be: a check of a busy scanner takes its time.
const scannerGrace = time.Minute

// Silent reports whether the fact is too old to be believed: the worker that told it should have looked again.
func (f ScannerFact) Silent(now time.Time) bool {
	return now.Sub(max(f.NextCheck, f.CheckedAt).Time()) > scannerGrace
}

// SetScanner tells what was seen, in general and of the scanner of this host's worker.
func (db *DB) SetScanner(ctx context.Context, f ScannerFact) error {
	raw, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if err := db.SetFact(ctx, factScanner, string(raw)); err != nil || f.Host == "" {
		return err
	}
	sum := sha256.Sum256([]byte(f.Host)) // a host's name may be longer than that of a fact
	return db.SetFact(ctx, factScanner+"."+hex.EncodeToString(sum[:16]), string(raw))
}

// Scanners reads what each host's worker saw last since `since`, by host.
func (db *DB) Scanners(ctx context.Context, since Stamp) (map[string]ScannerFact, error) {
	rows, err := db.FactsLike(ctx, factScanner+".", since)
	if err != nil {
		return nil, err
	}
	out := map[string]ScannerFact{}
	for _, row := range rows {
		var f ScannerFact
		if err := json.Unmarshal([]byte(row.Value), &f); err != nil {
			return nil, fmt.Errorf("scanner fact: %w", err)
		}
		out[f.Host] = f
	}
	return out, nil
}

// ForgetScanners removes the words of workers that have told nothing since `before`.
func (db *DB) ForgetScanners(ctx context.Context, before Stamp) error {
	return db.ForgetFacts(ctx, factScanner+".", before)
}

// Scanner reads what was seen last; storage.ErrNotFound when no worker has looked yet.
func (db *DB) Scanner(ctx context.Context) (ScannerFact, error) {
	return scannerOf(db.FactByName(ctx, factScanner))
}

// Scanners reads what each host's worker saw last, in the transaction; what was told last in general counts when it is of a worker
// whose host has no name.
func (tx *Tx) Scanners() ([]ScannerFact, error) {
	var rows []Fact
	if err := tx.g.Where("name = ? OR name LIKE ?", factScanner, factScanner+".%").Order("name").Find(&rows).Error; err != nil {
		return nil, err
	}
	var out []ScannerFact
	for _, row := range rows {
		f, err := scannerOf(row, nil)
		if err != nil {
			return nil, err
		}
		if row.Name != factScanner || f.Host == "" {
			out = append(out, f)
		}
	}
	return out, nil
}

func scannerOf(row Fact, err error) (ScannerFact, error) {
	var f ScannerFact
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal([]byte(row.Value), &f); err != nil {
		return f, fmt.Errorf("scanner fact: %w", err)
	}
	return f, nil
}
