// Package snapshot exports the whole database into the store and brings it back: after a disaster, or into another
// kind of database.
//
//	s := snapshot.Store{DB: db, Zone: zones.Snapshots, Version: "1.4", Keep: snapshot.Keep{Daily: 30, Monthly: 12}}
//	m, err := s.Create(ctx, snapshot.ReasonManual)
//	rep, err := s.Verify(ctx, m.ID)
//	res, err := s.Restore(ctx, m.ID, snapshot.Options{Mode: snapshot.Fill})
//
// # What a snapshot is
//
// A folder of the third zone, named by its time: parts of bounded size with the rows of one table each, as JSON lines
// packed with zstd, and manifest.json, which names every part with its rows, bytes and SHA-256 and has a checksum of its
// own. The manifest is written last: a folder without one is no snapshot, only what is left of an attempt.
//
// All rows are of one instant (meta.DB.ReadAll), so sums and references agree in it. They are typed by the models of
// package meta and know nothing of the kind of database they came from.
//
// # What is confidential in it
//
// Everything that the database holds is in it: names of tenants and of their files, digests, verdicts, the audit log with
// the addresses and user agents of clients, alerts. API keys are there as hashes only, and neither the bytes of files
// nor secrets of the configuration are in it. Whoever may read the zone knows all the records of all tenants, so it is
// never served and should be as private as the database. A snapshot outlives the rows: what was deleted is in the
// snapshots taken before, until Prune removes them.
//
// # Coming back
//
// Restore verifies every part first and then works in one transaction: all or nothing. Into an empty database it puts
// everything; Replace empties one that has content first; Fill adds the rows that are missing and changes no other. The
// last two take a snapshot of what is there before, in the same transaction, beside which nobody writes. The audit log
// is only ever appended to.
//
// What is true only of running programs stays behind: signs of life, turns, what was seen of the scanner, leases, and
// reservations; sums are computed from the rows afterwards. What was shut since the snapshot does not open again: what the
// audit log knows of is shut again, sessions and device tokens stay behind, and releases are paused.
package snapshot
