// Package tenancy is the two ends of a tenant's life, where rows and objects change together: how a tenant is made,
// and how it is removed for good. What lies between them is a move of the state and needs no package of its own.
//
//	id, key, err := p.Provision(ctx, "name", "plan")     // gateway: `tenant create`
//	n, err := p.FailAbandoned(ctx, tenAgo)                // worker: after a program that died in between
//	err := p.EnsurePlatform(ctx)                          // gateway: when something of a release comes in (platform.go)
//	commit, err := purger.Run(ctx, id, inTx)              // worker: the task purge_tenant
//
// # Provisioning
//
// Provisioning is a list of named steps, each with its compensation (provision.go). The row comes first and says
// "provisioning"; it becomes "active" in the last step. When a step fails, a mark in the row stops every further step,
// then the compensations run in reverse, and the row's own ends it as "failed", with the reason, under another name. All
// of them can be repeated, so whoever finds a row that was left behind does the same.
//
// # Purging
//
// A purge can be interrupted anywhere and begun again. It first takes the way back and the tenant's quota, then the
// reservations: from there on no upload can write a row, not even one that began long ago, because it cannot settle.
// Objects go next, then the rows, then whatever a worker put meanwhile; the state becomes "deleted" in the transaction
// that has found nothing left.
package tenancy
