// Package auth says who a request comes from. Tenants prove themselves with an API key; the policy that holds
// for them is read with it, fresh on every request, so that suspending a tenant or changing a plan applies at
// once. A link proves itself by its signature, and a device by its device token; whose token that is, the statement finds out that
// does what the device asks for. Operators are package operator.
//
//	auth.go    who asks, kept with the request
//	key.go     secrets: made, told from others, hashed
//	link.go    the signatures of links
//	device.go  device tokens
//	state.go   how the keys of a tenant in each state are answered
package auth
