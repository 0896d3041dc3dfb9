// Package quota holds the plans and the ledger.
//
// The ledger of a tenant is four numbers in its row: used_bytes, the sum of its stored blobs and variants, and
// reserved_bytes, the sum of its open reservations; used_files, its assets that are not deleted, and reserved_files, the
// number of its open reservations. used + reserved never exceeds the quota while something is added, nor are more uploads
// under way or begun in a minute than the plan allows: a reservation is one conditional UPDATE (Limits), so it holds under
// any concurrency and across gateways (invariant 4). Lowering a quota below what is used blocks new reservations and
// loses nothing.
//
// Whoever changes rows that the ledger counts changes the ledger in the same transaction, last: the tenant's row is locked
// after blob and asset. meta.DB.LedgerDrift compares the two, and Ledger.Correct sets the one to the other.
//
// Spec (plan.go) is what a plan does, SpecOf (spec.go) what holds for a tenant: the plan with the tenant's own overrides.
package quota
