package alerts

import (
	"time"

	"gatehouse/storage"
)

// Limits are the thresholds of the rules.
type Limits struct {
	// InfectedFor is how long an infected upload stays an open alert that nobody deletes.
	InfectedFor time.Duration
	// Refusals within RefusalsWindow are a spike.
	Refusals       int64
	RefusalsWindow time.Duration
	// ScannerUnready is how long a scanner may be starting or away.
	ScannerUnready time.Duration
	// SignaturesMaxAge is the age at which signatures are old.
	SignaturesMaxAge time.Duration
	// DiskWarning and DiskCritical are percents in use.
	DiskWarning, DiskCritical int
	// DatabaseMaxBytes is what the database may grow to; 0 says nothing.
	DatabaseMaxBytes int64
	// SnapshotMaxAge is the age at which the last snapshot is too old.
	SnapshotMaxAge time.Duration
	// ReconcileMaxAge is the age at which the last full reconciliation is too old; 0 says nothing: there is no nightly one.
	ReconcileMaxAge time.Duration
	// Trash is how long objects stay in the trash; 0 is not known.
	Trash time.Duration
	// MaxWait is how long the oldest due task of a lane may wait; a lane without a limit may for ever.
	MaxWait map[storage.Lane]time.Duration
}

// Rules is THE list of what is watched for. channels are those whose failing is watched.
func Rules(channels []ChannelConfig) []Rule {
	return []Rule{
		{ruleInfected, infected},
		{"refusals", refusals},
		{"quota", quotaLevels},
		{"dead_tasks", deadTasks},
		{"waiting_tasks", waitingTasks},
		{"scanner", scannerUnready},
		{"signatures", signaturesOld},
		{"test_signatures", testSignatures},
		{"reconcile", reconcileFindings},
		{"reconcile_held", reconcileHeld},
		{"reconcile_missing", reconcileMissing},
		{"damaged", damagedBlobs},
		{"disk", diskUse},
		{"database", databaseSize},
		{"snapshot", snapshotMissing},
		{ruleChannel, channelFailing(channels)},
	}
}

// The rules whose names others must know.
const (
	ruleInfected = "infected"
	ruleChannel  = "channel"
	// ruleSnapshotGone is there where the store can be looked at.
	ruleSnapshotGone = "snapshot_gone"
)

// RuleNames lists the names of all rules.
func RuleNames() []string {
	var names []string
	for _, r := range Rules(nil) {
		names = append(names, r.Name)
	}
	return append(names, ruleSnapshotGone, ruleAuditCheckpoint)
}
