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
	// OperatorsFor is how long an alert about something that an operator did stays open, and how far back its rule looks.
	OperatorsFor time.Duration
	// FailedLogins within FailedLoginsWindow are an alert; FailuresBeforeLogin make the next success one.
	FailedLogins, FailuresBeforeLogin int64
	FailedLoginsWindow                time.Duration
	// QueriesPerHour is what one account may read.
	QueriesPerHour int64
	// NightFrom and NightUntil, like 22:00, are the hours without changes by the clock of Timezone; nil is UTC.
	NightFrom, NightUntil string
	Timezone              *time.Location
	// MaxWait is how long the oldest due task of a lane may wait; a lane without a limit may for ever.
	MaxWait map[storage.Lane]time.Duration
}

// Rules is THE list of what is watched for. channels are those whose failing is watched.
func Rules(channels []ChannelConfig) []Rule {
	return []Rule{
		{ruleInfected, infected, "Uploads in which a scan found something.", []string{"infected_for"}},
		{"refusals", refusals, "A tenant whose uploads are refused again and again.", []string{"refusals", "refusals_window"}},
		{"quota", quotaLevels, "Tenants that use 80, 95 or 100 % of their bytes.", nil},
		{"dead_tasks", deadTasks, "Tasks that were given up.", nil},
		{"waiting_tasks", waitingTasks, "Lanes whose oldest due task waits too long.", []string{"max_wait"}},
		{"scanner", scannerUnready, "Scanners that are not ready, or no worker that looks.", []string{"scanner_unready"}},
		{"signatures", signaturesOld, "Signatures that are old.", []string{"signatures_max_age"}},
		{"test_signatures", testSignatures, "Scanners that have the bundled test signatures only.", nil},
		{"reconcile", reconcileFindings, "Differences between records and store.", nil},
		{"reconcile_held", reconcileHeld, "Reconciliations that the brake holds.", nil},
		{"reconcile_missing", reconcileMissing, "Full reconciliations that fail or do not come.", []string{"reconcile_max_age"}},
		{"damaged", damagedBlobs, "Files whose bytes are missing or wrong.", nil},
		{"disk", diskUse, "Disks that run full.", []string{"disk_warning_percent", "disk_critical_percent"}},
		{"database", databaseSize, "A database that grows to its limit.", []string{"database_max_bytes", "disk_warning_percent", "disk_critical_percent"}},
		{"snapshot", snapshotMissing, "Snapshots that do not come.", []string{"snapshot_max_age"}},
		{"failed_logins", failedLogins, "Failed logins of operators under one name or from one address.", []string{"failed_logins", "failed_logins_window", "operators_for"}},
		{"guessed_login", guessedLogin, "A login of an operator right after failed ones of the same name.", []string{"failures_before_login", "operators_for"}},
		{"many_queries", manyQueries, "An operator or a token that reads more than people do.", []string{"queries_per_hour", "operators_for"}},
		{"night_changes", nightChanges, "Changes by operators at night.", []string{"night_from", "night_until", "timezone", "operators_for"}},
		{"new_address", newAddress, "An address from which an operator or a token comes for the first time.", []string{"operators_for"}},
		{"refused_calls", refusedCalls, "Calls that an operator had no right to, or no fresh second factor for.", []string{"operators_for"}},
		{"dangerous_calls", dangerousCalls, "Dangerous calls of operators that came to nothing.", []string{"operators_for"}},
		{"release_share", releaseShare, "Versions of clients that many devices have left within a day.", nil},
		{"release_publish_failed", releasePublishFailed, "Releases that were not published, and files that are not what they should be.", []string{"operators_for"}},
		{"release_artifact_damaged", releaseArtifactDamaged, "Published releases that cannot be served, most often for one of their files.", nil},
		{ruleChannel, channelFailing(channels), "Channels that do not get alerts through.", nil},
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
