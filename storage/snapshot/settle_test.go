package snapshot

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// TestSettle: what a row of weeks ago becomes. A nil is left out.
func TestSettle(t *testing.T) {
	now := meta.Now()
	old := now.Add(-30 * 24 * time.Hour)
	purge := now.Add(48 * time.Hour)
	pending := func(restore storage.TenantState, at meta.Stamp) *meta.TenantRow {
		return &meta.TenantRow{State: storage.TenantPendingDelete, RestoreState: restore, DeleteAfter: at}
	}
	cancelled := &meta.ReconcileRun{State: meta.RunCancelled, Problem: runEnded, FinishedAt: now}
	stopped := &meta.BulkRun{State: meta.BulkCancelled, Problem: bulkEnded, UpdatedAt: now, FinishedAt: now}
	for name, c := range map[string]struct{ in, out any }{
		"a blob in use":            {&meta.Blob{Category: "image", Refs: 1}, &meta.Blob{Category: "image", Refs: 1}},
		"a blob nobody references": {&meta.Blob{Category: "image", UnreferencedAt: old}, &meta.Blob{Category: "image", UnreferencedAt: now}},
		"a blob being swept":       {&meta.Blob{Category: "image", UnreferencedAt: old, Sweeping: true}, &meta.Blob{Category: "image", UnreferencedAt: now}},
		"a claim on an orphan":     {&meta.Blob{UnreferencedAt: old, Sweeping: true}, nil},
		"a running task": {
			&meta.Task{State: storage.TaskRunning, LeaseOwner: "w", LeaseUntil: old, RungAt: old, RungBy: "w"},
			&meta.Task{State: storage.TaskQueued},
		},
		"a tenant that cools off":            {pending(storage.TenantActive, old), pending(storage.TenantActive, purge)},
		"a tenant that cools off for longer": {pending(storage.TenantActive, purge+1), pending(storage.TenantActive, purge+1)},
		"a tenant that is being purged":      {pending("", old), pending("", old)},
		"a tenant":                           {&meta.TenantRow{State: storage.TenantActive, ReservedBytes: 5, ReservedFiles: 1}, &meta.TenantRow{State: storage.TenantActive}},
		"a running run":                      {&meta.ReconcileRun{State: meta.RunRunning}, cancelled},
		"a held run":                         {&meta.ReconcileRun{State: meta.RunHeld, Problem: "too much"}, cancelled},
		"a confirmed run":                    {&meta.ReconcileRun{State: meta.RunConfirmed}, cancelled},
		"a finished run":                     {&meta.ReconcileRun{State: meta.RunDone, FinishedAt: old}, &meta.ReconcileRun{State: meta.RunDone, FinishedAt: old}},
		"a queued bulk run":                  {&meta.BulkRun{State: meta.BulkQueued}, stopped},
		"a running bulk run":                 {&meta.BulkRun{State: meta.BulkRunning}, stopped},
		"a bulk run that is over":            {&meta.BulkRun{State: meta.BulkDone, FinishedAt: old}, &meta.BulkRun{State: meta.BulkDone, FinishedAt: old}},
		"the task of a bulk run":             {&meta.Task{Kind: storage.TaskBulk, State: storage.TaskRunning}, nil},
		"the queued task of a bulk run":      {&meta.Task{Kind: storage.TaskBulk, State: storage.TaskQueued}, nil},
		"a published release": {
			&meta.ClientRelease{State: "published", Percentage: 20, Forced: true, FullAt: old, FallbackID: "f", Revision: 4, UpdatedAt: old},
			&meta.ClientRelease{State: "paused", Percentage: 20, Forced: true, FullAt: old, Revision: 5, UpdatedAt: now},
		},
		"a superseded release": {
			&meta.ClientRelease{State: "superseded", FullAt: old, FallbackID: "f"}, &meta.ClientRelease{State: "superseded", FallbackID: "f"},
		},
		"a reservation":              {&meta.Reservation{ID: "r"}, nil},
		"a session":                  {&meta.OperatorSession{ID: "s"}, nil},
		"a set-up link":              {&meta.OperatorLink{ID: "l"}, nil},
		"a device token":             {&meta.DeviceToken{ID: "d"}, nil},
		"a count of failed attempts": {&meta.OperatorAttempt{Subject: "s"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			keep := settling{now, purge}.row(c.in)
			require.Equal(t, c.out != nil, keep)
			if keep {
				require.Equal(t, c.out, c.in)
			}
		})
	}
}
