// Package jobs holds what the worker does, one file a kind of task: scan.go decides whether a blob may be read,
// image.go makes the web sizes of a picture, video.go the poster and the web formats of a video (what the two share is
// in media.go), sweep.go cleans up. jobs.go is THE list of them.
//
// # What a job is
//
// A job gets a Run (its task, a log, a fenced transaction) and returns a Commit and an error. The outcome is the
// error:
//
//   - nil: package dispatch runs the Commit and ends the task in ONE transaction, fenced by the task's lease. A
//     worker that lost its lease commits nothing.
//   - Permanent(err): the task is buried at once; the job's Dead hook writes down what that means, in the same
//     transaction.
//   - Wait(err, after): what the job needs is away (scanner, store, database). The attempt does not count.
//   - anything else: the task is tried again with growing pauses, and buried after too many attempts.
//
// # What a job must bear
//
// It may be killed at any point and run again, and a second worker may begin while the first, having lost its
// lease, is still at it. So every step is written to be repeated: objects are put before the rows that speak of
// them, copies come before the originals are deleted, rows move by compare-and-set, and what is left over by a
// crash is an orphan, which package reconcile removes.
//
// Only one task of a kind is open for a blob at a time (its unique key). reconcile relies on it: to delete a
// copy that lies in the wrong zone it holds the key of the blob's scan, so no scan can be writing it.
package jobs
