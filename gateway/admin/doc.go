// Package admin is what operators do. Its use cases serve the command line and the admin API (package api below), so they
// print nothing and know no HTTP: they return what changed, and refuse with a code, a reason and a sentence in two languages.
// Every change is written to the audit log, with what was before and what is after, in its own transaction, and holds from
// the next request on; only the list of snapshots is kept for half a minute, and settings for two seconds.
//
//	overview.go      how the platform stands
//	tenants.go       make and show tenants; tenantlist.go lists them
//	life.go          suspend, resume, delete, restore, purge
//	settings.go      a tenant's plan, quota and overrides
//	export.go        what a tenant can take along, and its purge afterwards
//	keys.go          API keys
//	plans.go         plans
//	assets_*.go      files of all tenants, one of them, many at once
//	tasks.go         tasks and lanes
//	alerts.go        alerts, their rules and channels
//	runtime.go       settings of the platform that change while it runs
//	reconcile.go     runs of the reconciliation
//	snapshots.go     snapshots of the database
//	releases*.go     releases of the desktop application
//	log.go           the audit log; audit_verify.go proves it
package admin
