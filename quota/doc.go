// Package quota holds the plans and the ledger.
//
// The ledger of a tenant is two numbers in its row: used_bytes, the sum of its stored blobs and variants, and
// reserved_bytes, the sum of its open reservations. used + reserved never exceeds the quota while something is
// added: every step is one conditional UPDATE, so it holds under any concurrency and across gateways
// (invariant 4). Lowering a quota below what is used blocks new reservations and loses nothing.
package quota
