// Package devices is the part of the release API that knows devices: the tokens that a tenant's backend mints for its devices,
// and the heartbeats that devices send with them.
//
//	api.go        what the handlers need
//	tokens.go     tokens: minted, listed, revoked
//	heartbeat.go  heartbeats
//
// Which versions the devices have is counted from the heartbeats by the worker every few minutes; what is shown comes
// from these counts. The one exception is the outlook of a rollback (package storage/release), which counts the devices of its track.
package devices
