// Package hammer holds the proof that a reconciliation finds nothing where nothing is wrong, whatever goes on meanwhile; it
// is made of tests alone. Uploads, deletions, changes of quota, scans, media jobs and sweeps hammer one store while runs
// compare it, one after another: no finding is allowed, no accepted upload may be lost, no ledger may be off.
package hammer
