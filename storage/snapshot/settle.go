package snapshot

import (
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// settling makes rows those of a system where no program runs, and of now: a time that was near when the snapshot was
// taken is long past, and what waits for it must not happen at once.
type settling struct {
	now meta.Stamp
	// purge is the earliest time at which a tenant that was pending deletion is purged.
	purge meta.Stamp
}

// runEnded is why a reconciliation run that had not ended is cancelled.
const runEnded = "the records were restored from a snapshot; what the run had found and decided is of another time"

// bulkEnded is why a bulk run that had not ended is cancelled: it may have been cancelled since.
const bulkEnded = "the records were restored from a snapshot; the run may have been cancelled since, and its files may be others"

// row changes a row; false leaves it out.
func (s settling) row(row any) bool {
	switch r := row.(type) {
	case *meta.Reservation:
		return false // its upload has ended
	case *meta.OperatorSession, *meta.OperatorLink, *meta.OperatorAttempt, *meta.DeviceToken:
		return false // what was ended or used since must not work again
	case *meta.TenantRow:
		r.ReservedBytes, r.ReservedFiles = 0, 0
		// Its deletion may have been taken back since.
		if r.State == storage.TenantPendingDelete && !r.Purging() {
			r.DeleteAfter = max(r.DeleteAfter, s.purge)
		}
	case *meta.Blob:
		return s.blob(r)
	case *meta.Task:
		return s.task(r)
	case *meta.ReconcileRun:
		switch r.State {
		case meta.RunRunning, meta.RunHeld, meta.RunConfirmed:
			r.State, r.Problem, r.FinishedAt = meta.RunCancelled, runEnded, s.now
		}
	case *meta.BulkRun:
		if r.State == meta.BulkQueued || r.State == meta.BulkRunning {
			r.State, r.Problem, r.UpdatedAt, r.FinishedAt = meta.BulkCancelled, bulkEnded, s.now, s.now
		}
	case *meta.ClientRelease:
		s.release(r)
	case *meta.Fact:
		return !r.IsSignOfLife() && !strings.HasPrefix(r.Name, "turn.") && !strings.HasPrefix(r.Name, "scanner")
	}
	return true
}

// task queues one again that was running. That of a bulk run is left out: the run is cancelled.
func (s settling) task(t *meta.Task) bool {
	if t.Kind == storage.TaskBulk && (t.State == storage.TaskQueued || t.State == storage.TaskRunning) {
		return false
	}
	if t.State == storage.TaskRunning {
		t.State = storage.TaskQueued
	}
	t.LeaseOwner, t.LeaseUntil, t.RungAt, t.RungBy = "", 0, 0, ""
	return true
}

// blob ends a sweep that was under way, and gives one that nobody referenced its grace time anew: the same bytes may
// have been uploaded again since, and the first sweep would delete them.
func (s settling) blob(b *meta.Blob) bool {
	if b.OnlyClaim() {
		return false
	}
	b.Sweeping = false
	if b.Refs == 0 {
		b.UnreferencedAt = s.now
	}
	return true
}
