// Package reconcile compares what the database says with what the zones hold, and heals the difference. It is the
// sweeper: the other end of every promise of the kind "a crash here leaves only an orphan".
//
//	report, err := r.Run(ctx)
//
// One run expires abandoned reservations, ends infected assets whose retention is over, removes blobs that nobody
// references any more, removes objects that no row speaks of, queues work that was lost, and forgets old rows.
// Memory is constant: rows come in batches, objects in one ordered stream for each zone.
//
// # Why nothing that is needed is deleted
//
// Everybody else puts an object first and writes the row that speaks of it afterwards, so an object without a row
// may be about to get one. Three things keep the sweeper off it:
//
//   - Age. Only objects older than OrphanGrace are looked at, and the age is looked at again right before the
//     deletion: a put makes an object young.
//   - Claims. A blob with a row is claimed by its "sweeping" flag and one without by a row made for the purpose
//     (claim.go): uploads of the same bytes wait until the row is gone and put their object after that. The row
//     outlives the last deletion by Settle, so an upload that put its object just before the deletion, having seen
//     no row, meets the claim when it writes its own and puts its object once more.
//   - Held tasks. A copy in the wrong zone may be about to become the right one, because a scan copies first and
//     moves the row afterwards. The sweeper deletes it only while it holds the blob's scan task (meta.DB.Hold), so
//     no scan of the blob can run; the same goes for a variant without a row and the image task (stray.go).
//
// A sweeper that dies leaves claims and held tasks behind. Claims are taken over after Takeover, held tasks return
// to the queue when their lease runs out.
//
// # Repairs
//
// repair.go has the table of what is done about each finding. A repair looks again, under the claim or the hold that a
// deletion would need, and ends its finding and writes the audit record in one transaction. None loses bytes:
//
//   - What no row speaks of is moved under trash/<zone>/<key> in quarantine, from which nothing is served: first the copy,
//     then the claim, then the deletion of the original. The sweep purges it when its time is over (trash.go).
//   - A row without its bytes is marked as damaged. Only a scan ends that, because it reads every byte: bytes that turn up,
//     in a zone, in the trash or by an upload of the same file, go into quarantine, and the blob is unscanned again.
//   - A row that is gone is made anew from its asset, unscanned too.
//
// Every night a share of all bytes is read again (digests.go), so that bytes that rot are found.
package reconcile
