// Package auth says who a request comes from. Tenants prove themselves with an API key; the policy that holds
// for them is read with it, fresh on every request, so that suspending a tenant or changing a plan applies at
// once.
package auth
