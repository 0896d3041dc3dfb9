// Package audit is the append-only log of what happened: uploads, verdicts, refusals, deletions and every step
// of an operator. A record is written in the transaction of what it records; the database itself refuses to
// change or remove one.
package audit
