// Package audit is the append-only log of what happened: uploads, verdicts, refusals, deletions and every step
// of an operator. A record is written in the transaction of what it records; the database itself refuses to
// change or remove one.
//
// Who owns the database could do so all the same, so the records are chained: sealer.go seals them (link.go is the
// encoding), sign.go signs the chain, when it is what was sealed, with a key that the
// database does not hold (key.go, checkpoint.go), archive.go takes old
// records to the store. verify.go checks all of it and verdict.go names what is wrong; export.go, file.go and offline.go
// are files that can be checked with the public key alone.
package audit
