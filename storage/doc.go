// Package storage holds the nouns of Gatehouse: assets, blobs, variants, verdicts, tasks, events, the codes
// of every refusal, and the table of legal moves between states.
//
// It imports the standard library only. Everything else in the program may import it; it imports nothing of
// the program. Rows live in storage/meta, bytes in storage/blob.
package storage
