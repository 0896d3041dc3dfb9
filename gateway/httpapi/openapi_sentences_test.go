package httpapi

import "strings"

// sentences say in a few words what each call of operators does, by the name that the route table and the audit log have for
// it. Calls that share an action may have sentences of their own, by their address: auth/mfa/setup is auth.mfa.setup.
var sentences = map[string]string{
	"api.document": "Read this document",

	"auth.setup":               "Set the first password with a one-time link",
	"auth.login":               "Log in with name and password",
	"auth.mfa.setup":           "Begin to set up the second factor",
	"auth.mfa.confirm":         "Confirm the second factor with its first code",
	"auth.sessions":            "List one's own sessions",
	"auth.sessions.id":         "End one of one's own sessions",
	"operator.setup":           "Set the first password with a one-time link",
	"operator.login":           "Log in with name and password",
	"operator.enroll":          "Set up the second factor",
	"operator.verify":          "Give a code of the second factor",
	"operator.recover":         "Give a recovery code instead of one of the second factor",
	"operator.password":        "Change one's own password",
	"operator.step_up":         "Give a fresh code, for dangerous calls",
	"operator.session":         "Show the session: stage, role, CSRF token",
	"operator.logout":          "Log out",
	"operator.sessions":        "List the sessions of an operator",
	"operator.session_revoke":  "End a session",
	"operator.sessions_revoke": "End all sessions of an operator",

	"overview.show": "Show everything at a glance",

	"tenant.list":      "List tenants",
	"tenant.show":      "Show a tenant with what it uses and its recent events",
	"tenant.create":    "Create a tenant and its first API key",
	"tenant.rename":    "Rename a tenant",
	"tenant.plan":      "Put a tenant on another plan",
	"tenant.quota":     "Give a tenant a storage quota of its own",
	"tenant.overrides": "Give a tenant settings of its own",
	"tenant.suspend":   "Suspend a tenant: its uploads are refused",
	"tenant.resume":    "Resume a suspended tenant",
	"tenant.delete":    "Mark a tenant for deletion",
	"tenant.restore":   "Take a tenant back from deletion",
	"tenant.export":    "Export what there is of a tenant",
	"tenant.purge_now": "Delete a tenant with all its files, for good",

	"key.list":   "List the API keys of a tenant",
	"key.create": "Create an API key; it is shown this once",
	"key.revoke": "Revoke an API key",

	"alert.notice":                        "Show what became of a test message",
	"client_releases.id.artifacts.upload": "Upload a file of a release",
	"asset.bulk_cancel":                   "Cancel what is being done to many assets",
	"asset.bulk_list":                     "List what was done to many assets at once",
	"asset.bulk_show":                     "Show what was done to many assets at once",
	"asset.history":                       "List what is recorded about an asset",
	"setting.unset":                       "Give a setting its configured value again",
	"snapshot.check":                      "Have a snapshot verified",
	"snapshot.remove":                     "Remove a snapshot",
	"snapshot.start":                      "Have a snapshot taken",
	"tenant.events":                       "List what the audit log has of a tenant",
	"tenant.manifest":                     "List all assets of a tenant, for handing out",
	"asset.list":                          "List assets across tenants",
	"asset.show":                          "Show an asset with its whole history",
	"asset.retry":                         "Retry what failed of an asset",
	"asset.rescan":                        "Scan an asset again",
	"asset.rescan_infected":               "Scan an infected asset again, which sets it free if nothing is found",
	"asset.delete":                        "Delete an asset",
	"asset.bulk":                          "Retry, rescan or delete all assets of a filter, or count them",
	"asset.bulk_delete":                   "Delete all assets of a filter, or count them",

	"release.list":            "List releases of the desktop application",
	"release.show":            "Show a release with its files",
	"release.create":          "Create a draft of a release",
	"release.edit":            "Change a draft of a release",
	"release.artifact_add":    "Make an asset of the platform a file of a draft",
	"release.artifact_remove": "Take a file out of a draft",
	"release.check":           "Say why a release cannot be published, by what is recorded",
	"release.publish":         "Publish a draft, after reading every byte of it",
	"release.percentage":      "Set how many devices get a release",
	"release.pause":           "Pause a release: nobody else gets it",
	"release.resume":          "Let a paused release go on",
	"release.unpublish":       "Take a release back",
	"release.foresee":         "Say what going back to a release would do",
	"release.rollback":        "Go back to a release that was published before",
	"release.force":           "Say which clients must update to a release",
	"release.archive":         "Put a release away for good",

	"task.list":   "List tasks",
	"task.show":   "Show a task with its attempts and errors",
	"task.retry":  "Retry a task",
	"task.cancel": "Cancel a task",

	"lane.list":   "List the lanes: depth, rate, age",
	"lane.pause":  "Pause a lane",
	"lane.resume": "Resume a lane",

	"plan.list":   "List plans",
	"plan.show":   "Show a plan",
	"plan.create": "Create a plan like another",
	"plan.set":    "Change a plan, for all tenants on it",
	"plan.remove": "Remove a plan that no tenant is on",

	"operator.list":         "List operators",
	"operator.show":         "Show an operator",
	"operator.create":       "Create an operator; the answer has a one-time set-up link",
	"operator.role":         "Give an operator another role",
	"operator.activate":     "Let a deactivated operator in again",
	"operator.deactivate":   "Deactivate an operator and end all sessions",
	"operator.reset":        "Reset an operator: a new set-up link, a new second factor",
	"operator.unlock":       "Unlock an operator after too many failed logins",
	"operator.token_list":   "List operators' API tokens",
	"operator.token_create": "Create an API token for a program; it is shown this once",
	"operator.token_revoke": "Revoke an API token",

	"network.list":   "List the networks that operators may come from",
	"network.add":    "Let operators come from a network",
	"network.remove": "Take a network from the list",

	"reconcile.list":     "List reconciliation runs",
	"reconcile.show":     "Show a reconciliation run",
	"reconcile.findings": "List the findings of a reconciliation run",
	"reconcile.start":    "Start a reconciliation run",
	"reconcile.confirm":  "Confirm what a reconciliation run holds back",
	"reconcile.cancel":   "Cancel a reconciliation run",

	"release.metrics_versions":    "Show which versions the devices in use have",
	"release.metrics_installs":    "List the devices in use of each tenant",
	"release.metrics_leaderboard": "Show which tenants have the most devices in use",

	"snapshot.list": "List snapshots",
	"snapshot.show": "Show a snapshot",

	"alert.list":        "List alerts",
	"alert.show":        "Show an alert",
	"alert.acknowledge": "Acknowledge an alert",
	"alert.rules":       "List the rules that raise alerts",
	"alert.channels":    "List the channels that alerts go to",
	"alert.test":        "Send a test alert to a channel",

	"setting.list": "List the settings that may change at run time",
	"setting.set":  "Change a setting",

	"audit.search":      "Search the audit log",
	"audit.show":        "Show an audit record",
	"audit.verify":      "Verify the audit log",
	"audit.checkpoints": "List the signed checkpoints of the audit log",
	"audit.key":         "Show the public key that checkpoints are signed with",
}

// sentence says what the row's call does.
func (r Route) sentence() string {
	if s := sentences[r.address()]; s != "" {
		return s
	}
	return sentences[r.Action]
}

// address is the row's path as a name: /api/admin/auth/sessions/:id is auth.sessions.id.
func (r Route) address() string {
	return strings.NewReplacer("/", ".", "-", "_", ":", "").Replace(r.below())
}
