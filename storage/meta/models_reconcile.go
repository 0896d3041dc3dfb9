package meta

import (
	"errors"

	"gatehouse/storage"
)

// ErrRunMoved says that a run is no longer in the state that it was in: somebody cancelled or confirmed it.
var ErrRunMoved = errors.New("the run has been moved on by somebody else")

// ReconcileRun is one comparison of records and store, from its request to its end.
type ReconcileRun struct {
	ID string `gorm:"primaryKey"`
	// Kind is RunFull or RunLight.
	Kind  string
	State string
	// RequestedBy is "schedule", or who asked for it.
	RequestedBy string
	// Phase and CursorAt say where a run that was interrupted goes on.
	Phase    string
	CursorAt string
	// Tenants is a JSON list of the tenants a run is confined to; "[]" means all. A light run chooses its own: "[]" until
	// it has, and for ever when nobody's records changed.
	Tenants string
	// Objects and RowCount are how many were compared; Planned is how many findings a repair is planned for.
	Objects  int64
	RowCount int64
	// ForeignObjects are those whose key is none of ours; they are left alone.
	ForeignObjects int64
	Findings       int64
	Planned        int64
	Repaired       int64
	Failed         int64
	Verified       int64
	VerifiedBytes  int64
	// Problem says why the run is held or has failed.
	Problem     string
	ConfirmedBy string
	ConfirmedAt Stamp
	StartedAt   Stamp
	UpdatedAt   Stamp `gorm:"autoUpdateTime:false"`
	FinishedAt  Stamp
}

// The kinds of run: a full one compares everything and repairs, a light one compares tenants that changed and repairs nothing.
const (
	RunFull  = "full"
	RunLight = "light"
)

// The states of a run. A held one waits for a person; a confirmed one repairs.
const (
	RunRunning   = "running"
	RunHeld      = "held"
	RunConfirmed = "confirmed"
	RunDone      = "done"
	RunFailed    = "failed"
	RunCancelled = "cancelled"
)

// ReconcileFinding is one difference that a run found, and what became of it.
type ReconcileFinding struct {
	ID        string `gorm:"primaryKey"`
	RunID     string
	TenantID  string
	Kind      storage.DriftKind
	Zone      storage.Zone
	SHA256    string `gorm:"column:sha256"`
	Preset    string
	ObjectKey string
	// Detail is a small JSON object with the facts: what was expected, what was there.
	Detail string
	Repair storage.Repair
	State  string
	// Problem says why a repair failed.
	Problem string
	// FoundAgain is the later light run that has found the same; it counts when that is done.
	FoundAgain string
	FoundAt    Stamp
	EndedAt    Stamp
}

// The states of a finding. One that is marked is of a file whose bytes are lost: nothing is repaired, its tenant sees that
// it is damaged. One that is gone was in order again when its repair began.
const (
	FindingOpen     = "open"
	FindingRepaired = "repaired"
	FindingMarked   = "marked"
	FindingFailed   = "failed"
	FindingGone     = "gone"
)

// FindingStates lists them.
func FindingStates() []string {
	return []string{FindingOpen, FindingRepaired, FindingMarked, FindingFailed, FindingGone}
}

// ReconcileMark is what a tenant's rows added up to when they were last compared with the store.
type ReconcileMark struct {
	TenantID string `gorm:"primaryKey"`
	Mark     string
}
