package storage

// TaskKind names a job; worker/jobs has one file for each.
type TaskKind string

// The kinds of task.
const (
	TaskScan  TaskKind = "scan"
	TaskImage TaskKind = "image"
	TaskVideo TaskKind = "video"
	TaskSweep TaskKind = "sweep"
	// TaskReconcile has a run's id as its subject; TaskPurge is about one tenant.
	TaskReconcile TaskKind = "reconcile"
	TaskSnapshot  TaskKind = "snapshot"
	TaskPurge     TaskKind = "purge_tenant"
	// TaskVerify has a snapshot's id as its subject.
	TaskVerify TaskKind = "verify_snapshot"
	// TaskBulk has as its subject the run of what an operator does to many files at once.
	TaskBulk TaskKind = "bulk"
)

// Lane is a queue of its own with its own workers, so that slow work never holds up fast work.
type Lane string

// The lanes.
const (
	LaneScan         Lane = "scan"
	LaneImage        Lane = "image"
	LaneVideo        Lane = "video"
	LaneHousekeeping Lane = "housekeeping"
)

// Lanes lists every lane.
var Lanes = []Lane{LaneScan, LaneImage, LaneVideo, LaneHousekeeping}

// lanes is THE table of which kind of task waits in which lane.
var lanes = map[TaskKind]Lane{
	TaskScan:  LaneScan,
	TaskImage: LaneImage,
	TaskVideo: LaneVideo,
	TaskSweep: LaneHousekeeping,

	TaskReconcile: LaneHousekeeping,
	TaskSnapshot:  LaneHousekeeping,
	TaskPurge:     LaneHousekeeping,
	TaskVerify:    LaneHousekeeping,
	TaskBulk:      LaneHousekeeping,
}

// LaneOf is the lane of a kind of task. A kind without a row in the table goes to housekeeping, where it is in
// nobody's way.
func LaneOf(kind TaskKind) Lane {
	if lane, ok := lanes[kind]; ok {
		return lane
	}
	return LaneHousekeeping
}

// TaskState is the state of a task row.
type TaskState string

// The states of a task. Dead tasks stay visible until an operator retries them.
const (
	TaskQueued    TaskState = "queued"
	TaskRunning   TaskState = "running"
	TaskDone      TaskState = "done"
	TaskDead      TaskState = "dead"
	TaskCancelled TaskState = "cancelled"
)

// EventKind names what happened to an asset. Events are recorded in one place (storage/meta) for every reader:
// SSE today, webhooks later.
type EventKind string

// The kinds of asset event.
const (
	EventAccepted     EventKind = "accepted"
	EventScanned      EventKind = "scanned"
	EventVariantReady EventKind = "variant_ready"
	EventMedia        EventKind = "media"
	EventDeleted      EventKind = "deleted"
	// EventDamaged: the stored bytes were found to be missing or wrong. The scan that finds them in order again ends it.
	EventDamaged EventKind = "damaged"
)
