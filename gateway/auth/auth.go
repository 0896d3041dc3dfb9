package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Scope is what an API key may do.
type Scope string

// The scopes of a tenant's key.
const (
	ScopeRead  Scope = "read"
	ScopeWrite Scope = "write"
)

// AllScopes is what a key has unless it was made with less; it is how scopes are stored.
const AllScopes = "read,write"

// Principal is who a request comes from, and what holds for them now.
type Principal struct {
	TenantID   string
	TenantName string
	Plan       string
	Suspended  bool
	// NoPlan: the plan has no record. Spec is what the tenant has of its own, then, and nothing may be uploaded.
	NoPlan bool
	KeyID  string
	Scopes []string
	Policy storage.Policy
	// Spec is the plan with the tenant's own overrides; Policy follows from it.
	Spec quota.Spec
}

// May refuses with FORBIDDEN when the key lacks the scope.
func (p *Principal) May(s Scope) error {
	if slices.Contains(p.Scopes, string(s)) {
		return nil
	}
	return storage.Refuse(storage.CodeForbidden, storage.Details{"scope": string(s)})
}

// MayUpload refuses with TENANT_SUSPENDED while the tenant is suspended, and while its plan has no record.
func (p *Principal) MayUpload() error {
	if p.Suspended {
		return storage.Refuse(storage.CodeTenantSuspended, nil)
	}
	if p.NoPlan {
		return meta.ErrNoPlan
	}
	return nil
}

// formAllowance is what a form may add to its file: boundaries, headers, small fields.
const formAllowance = 256 << 10

// MaySend refuses a declared length of a request, in bytes, that not even the largest file of any allowed category
// needs. How large the file in it is nobody knows yet.
func (p *Principal) MaySend(declared int64) error {
	largest := int64(0)
	for _, c := range p.Policy.Categories {
		largest = max(largest, c.MaxBytes)
	}
	if declared > largest+formAllowance {
		return storage.Refuse(storage.CodeFileTooLarge, storage.Details{"limit": largest, "request_bytes": declared})
	}
	return nil
}

// LeastFile is how large the file in a request of that length is at least; -1 when the request does not say.
func LeastFile(declared int64) int64 {
	if declared < 0 {
		return -1
	}
	return max(declared-formAllowance, 0)
}

// Keys authenticates API keys.
type Keys struct {
	DB *meta.DB
	// Base is the configured policy, which each tenant's plan refines.
	Base storage.Policy
}

// Authenticate finds the principal of an Authorization header. Everything that is not a valid key of a tenant
// is the same UNAUTHENTICATED.
func (k *Keys) Authenticate(ctx context.Context, authorization string) (*Principal, error) {
	refused := storage.Refuse(storage.CodeUnauthenticated, nil)
	key := bearer(authorization)
	if !wellFormed(key, keyPrefix) {
		return nil, refused
	}
	id, err := k.DB.KeyByHash(ctx, HashKey(key))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("look up API key: %w", err)
	}
	if id.RevokedAt != 0 || (id.ExpiresAt != 0 && id.ExpiresAt < meta.Now()) {
		return nil, refused
	}
	p, err := k.principal(meta.TenantRow{ID: id.TenantID, Name: id.Tenant, Plan: id.Plan, State: id.State, Overrides: id.Overrides}, id.PlanSpec)
	if err != nil {
		return nil, err
	}
	p.KeyID, p.Scopes = id.KeyID, strings.Split(id.Scopes, ",")
	return p, nil
}

// Of is what holds now for a tenant that somebody without a key of it uploads for: an operator for the platform's. The
// principal has no scopes.
func (k *Keys) Of(ctx context.Context, tenantID string) (*Principal, error) {
	t, err := k.DB.Tenant(ctx, tenantID).Row()
	if err != nil {
		return nil, fmt.Errorf("read tenant: %w", err)
	}
	spec, _, err := k.DB.Tenant(ctx, tenantID).Specs()
	if err != nil && !errors.Is(err, meta.ErrNoPlan) {
		return nil, fmt.Errorf("read the tenant's plan: %w", err)
	}
	return k.principal(t, spec)
}

// principal is what a tenant may do on a plan of that spec; "" says that the plan has no record.
func (k *Keys) principal(t meta.TenantRow, planSpec string) (*Principal, error) {
	if err := answered(t.State); err != nil {
		return nil, err
	}
	spec, err := quota.SpecOf(cmp.Or(planSpec, "{}"), t.Overrides)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", t.Plan, err)
	}
	return &Principal{
		TenantID: t.ID, TenantName: t.Name, Plan: t.Plan, Suspended: t.State == storage.TenantSuspended, NoPlan: planSpec == "",
		Policy: quota.PolicyFor(k.Base, spec), Spec: spec,
	}, nil
}

// bearer is what an Authorization header carries; empty when it is of another kind.
func bearer(authorization string) string {
	scheme, key, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

type principalKey struct{}

// Put keeps the principal with its request.
func Put(c *fiber.Ctx, p *Principal) { c.Locals(principalKey{}, p) }

// From gives the principal of a request that passed the guard of its route.
func From(c *fiber.Ctx) *Principal {
	p, ok := c.Locals(principalKey{}).(*Principal)
	if !ok {
		// Only a route that was mounted without its guard can get here, and Mount refuses those.
		panic("auth.From on a route without a guard")
	}
	return p
}
