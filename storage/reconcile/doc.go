// Package reconcile keeps what the database says and what the zones hold in step. It has two halves.
//
// The sweep (Sweep, every few minutes) does what follows from rows alone: it drops abandoned reservations, ends infected
// assets whose retention is over, removes blobs that nobody references any more, queues work that was lost, empties the
// trash of what was there long enough, and forgets old rows.
//
// A run (Begin, Next, Perform; every night, every half hour for tenants that changed, or on demand) compares everything:
//
//	choose    a light run finds the tenants whose rows add up to something else than last time (light.go)
//	compare   both zones' listings and the rows, merged in the order of keys (stream.go, family.go, judge.go, compare.go);
//	          what does not fit is looked at again (recheck.go) and written down as a finding with a planned repair
//	rows      questions to rows alone: counts, sums, rows without their counterpart (rowchecks.go)
//	digests   blobs whose bytes were not read for long are read again, within a budget (digests.go)
//	brake     a run that would touch suspiciously much is held and waits for a person (run.go)
//	repair    each finding is looked at once more under the right locks, and repaired (mend.go, repair*.go)
//
// The phase and the cursor are saved in one transaction with what was found, so a run that is killed goes on where it was
// and finds nothing twice. A run is a task, of which one is open at a time: lease, heartbeat and fencing are the task's
// (Guard). A command holds that same task while it works (command.go). Memory is that of a few pages, whatever the number
// of objects.
//
// # Why a healthy system has no findings
//
// The streams are read at different times while uploads, scans and deletions go on. So nothing counts that they say alone:
// rows, then objects, then rows again are read, and only what is still wrong while the rows have not moved is a finding.
// Objects younger than OrphanGrace may be about to get their row; blobs without references are the sweeper's. Counts and
// sums are each the answer of one statement, which sees one instant of the database.
//
// # Why nothing that is needed is removed
//
// Everybody else puts an object first and writes the row that speaks of it afterwards, so an object without a row may be
// about to get one. Objects without a row are never deleted, they go to the trash, and these things keep even that off what
// is needed:
//
//   - Age. Only objects older than OrphanGrace are touched, and the age is looked at again right before. What an infected
//     blob has in the clean zone is touched at any age: its bytes are back in quarantine by then (repair_infected.go).
//   - Claims. A blob with a row is claimed by its "sweeping" flag (claim.go) and one without by a row made for the purpose
//     (repair_trash.go): uploads of the same bytes wait until the row is gone and put their object after that. The row
//     outlives the last deletion by Settle, so an upload that put its object just before, having seen no row, meets the
//     claim when it writes its own and puts its object once more.
//   - Held tasks. A copy in the wrong zone may be about to become the right one, because a scan copies first and moves the
//     row afterwards. It is touched only while the blob's scan task is held (meta.DB.Hold), so no scan of the blob can run;
//     the same goes for a variant without a row and the media task.
//   - The trash, also for the sweep. Only a blob that the deletion of its last asset left is deleted outright; one that was
//     left because references were counted anew, or of which a run found that records were lost, goes by way of the trash,
//     because rows that were lost may come back. And the trash keeps what may be the only copy, however long it is there,
//     and everything while a full run is not over.
//   - The brake. When much is wrong, the records are more likely to be wrong than the store.
//
// Whoever dies leaves claims and held tasks behind. Claims are taken over after Takeover, held tasks return to the queue
// when their lease runs out.
package reconcile
