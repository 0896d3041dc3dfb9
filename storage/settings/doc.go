// Package settings is what operators may change while the programs run. What is configured holds until somebody sets something
// else, and again when that is taken back.
//
//	settings.go  THE list: names, bounds, what they mean
//	value.go     values of a setting as JSON, and their bounds
//	live.go      what holds now: read from the database, or a few seconds old
package settings
