package meta

import "gatehouse/storage"

// TaskAttempt is an attempt at a task that did not succeed. Those that did, and those that only waited for something, are not
// written down: there are too many, and the task says all there is to know.
type TaskAttempt struct {
	ID       string `gorm:"primaryKey"`
	TaskID   string
	TenantID string
	Attempt  int
	// Worker is who made it: host, process, and what tells the attempt apart.
	Worker string
	// StartedAt is zero where nobody was left to tell.
	StartedAt Stamp
	EndedAt   Stamp
	Outcome   AttemptOutcome
	Problem   string
}

// AttemptOutcome is how an attempt ended that did not succeed.
type AttemptOutcome string

// The outcomes: AttemptFailed is tried again, AttemptDead is not, AttemptLost had a worker that died or stalled.
const (
	AttemptFailed AttemptOutcome = "failed"
	AttemptDead   AttemptOutcome = "dead"
	AttemptLost   AttemptOutcome = "lost"
)

// LanePause says that a lane is paused, or was: PausedAt is zero when it runs. A lane that never was has no row.
type LanePause struct {
	Name     storage.Lane `gorm:"primaryKey"`
	PausedAt Stamp
	PausedBy string
	Reason   string
}

// TableName names the table.
func (LanePause) TableName() string { return "lanes" }

// BulkRun is something that an operator does to many files at once, from the request to its end.
type BulkRun struct {
	ID string `gorm:"primaryKey"`
	// TenantID is the tenant that the filter names, if any: its purge removes the run.
	TenantID string
	Action   string
	// Filter is an AssetSearch as JSON.
	Filter string
	Reason string
	State  BulkState
	// Expected is how many files there were when it was asked for. Each of them counts in the end as Done, Unchanged (there was
	// nothing to do) or Failed.
	Expected  int64
	Done      int64
	Unchanged int64
	Failed    int64
	// CursorAt is the id of the asset that was dealt with last; they go from the newest to the oldest. It begins right above the
	// newest that was counted, and nothing below FloorAt, the oldest that was counted, belongs to the run.
	CursorAt string
	FloorAt  string
	Problem  string
	// Who asked for it, as in the audit log.
	ActorKind  string
	ActorID    string
	ActorRole  string
	RequestID  string
	Address    string
	UserAgent  string
	CreatedAt  Stamp `gorm:"autoCreateTime:false"`
	UpdatedAt  Stamp `gorm:"autoUpdateTime:false"`
	FinishedAt Stamp
}

// BulkState is how far a run has come.
type BulkState string

// The states of a run; the last three are ends.
const (
	BulkQueued    BulkState = "queued"
	BulkRunning   BulkState = "running"
	BulkDone      BulkState = "done"
	BulkFailed    BulkState = "failed"
	BulkCancelled BulkState = "cancelled"
)
