package storage

import "slices"

// PlatformTenant is the tenant that owns the files of all releases. Its id is the same everywhere, so that nothing has to be
// configured; it is made when it is first needed (tenancy.EnsurePlatform), on the plan PlatformPlan.
const (
	PlatformTenant = "00000000-0000-7000-8000-000000000001"
	PlatformPlan   = "platform"
)

// TenantState says where in its life a tenant is.
type TenantState string

// The states of a tenant.
const (
	// TenantProvisioning is being made; nobody has a key yet.
	TenantProvisioning TenantState = "provisioning"
	TenantActive       TenantState = "active"
	// TenantSuspended may read and delete, not upload.
	TenantSuspended TenantState = "suspended"
	// TenantPendingDelete is cooling off: nothing is served, nothing is removed yet.
	TenantPendingDelete TenantState = "pending_delete"
	// TenantDeleted has no bytes and no rows but its own.
	TenantDeleted TenantState = "deleted"
	// TenantFailed could not be made; what there was of it has been cleaned up.
	TenantFailed TenantState = "failed"
)

// TenantStates lists every state, in the order of a tenant's life.
var TenantStates = []TenantState{
	TenantProvisioning, TenantActive, TenantSuspended, TenantPendingDelete, TenantDeleted, TenantFailed,
}

// tenantMoves is THE table of legal moves between tenant states. A tenant that is pending deletion goes back to the
// state it came from; nothing leaves "deleted" and "failed".
var tenantMoves = map[TenantState][]TenantState{
	TenantProvisioning:  {TenantActive, TenantFailed},
	TenantActive:        {TenantSuspended, TenantPendingDelete},
	TenantSuspended:     {TenantActive, TenantPendingDelete},
	TenantPendingDelete: {TenantActive, TenantSuspended, TenantDeleted},
	TenantDeleted:       {},
	TenantFailed:        {},
}

// CanMoveTenant reports whether a tenant may go from one state to another.
func CanMoveTenant(from, to TenantState) bool { return slices.Contains(tenantMoves[from], to) }

// Served reports whether a tenant's content may be read, with its keys and by its links.
func (s TenantState) Served() bool { return s == TenantActive || s == TenantSuspended }

// Over reports whether the tenant is one no more: there is nothing left of it but its row.
func (s TenantState) Over() bool { return s == TenantDeleted || s == TenantFailed }
