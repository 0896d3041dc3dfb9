package operator

import "slices"

// Role is what an operator may do. Each role may do all that the one before it may.
type Role string

// The roles. An auditor reads and exports and never writes; ops steers tenants, files and tasks; super also makes operators,
// changes what protects them, and does what cannot be taken back.
const (
	Auditor Role = "auditor"
	Ops     Role = "ops"
	Super   Role = "super"
)

// Roles lists them, the least first.
var Roles = []Role{Auditor, Ops, Super}

// Known reports whether there is such a role.
func (r Role) Known() bool { return slices.Contains(Roles, r) }

// Covers reports whether r may do what takes at least the role least.
func (r Role) Covers(least Role) bool {
	return r.Known() && least.Known() && slices.Index(Roles, r) >= slices.Index(Roles, least)
}
