// Package admin is what operators do. Its use cases serve the command line now and the admin API later, so they print
// nothing and know no HTTP: they return what changed, and refuse with a code, a reason and a sentence in two languages.
// Every change is written to the audit log, with what was before and what is after, in its own transaction, and holds
// from the next request on: nothing is cached anywhere.
//
//	tenants.go   make and show tenants; tenantlist.go lists them
//	overview.go  how the platform stands
//	export.go    what a tenant can take along, and its purge afterwards
//	log.go       the audit log
//	life.go      suspend, resume, delete, restore, purge
//	settings.go  a tenant's plan, quota and overrides
//	plans.go     plans
//	keys.go      API keys
//	assets_*.go  files of all tenants, one of them, many at once
//	tasks.go     tasks and lanes
package admin
