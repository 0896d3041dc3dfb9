// Package meta is the database: gorm models, versioned migrations and every query over them, on SQLite (pure
// Go, WAL), PostgreSQL and MySQL or MariaDB.
//
// There are three handles. DB opens and migrates and answers questions about the whole system (tasks, leases,
// facts). Tx is one transaction; Tenant is bound to one tenant, made from a DB or a Tx, and is the only way to
// its assets, blobs, variants and events: every statement it issues carries the tenant's id, so that tenants
// cannot meet by a forgotten condition (invariant 6).
//
// Times are stored as whole microseconds since the Unix epoch (Stamp), which compares and sorts the same on
// all databases; zero means "not yet". Ids are UUIDv7, so the order of ids is the order of creation and pages
// can be keyset-paged by id alone.
package meta
