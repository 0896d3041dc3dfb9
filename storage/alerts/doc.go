// Package alerts is what both programs know about alerts: how they look from outside, how somebody takes one on, and how a
// channel is tried. What raises alerts, and what tells people, is the worker's (worker/alerts).
//
//	view.go         alerts and events as others see them
//	list.go         open and closed alerts with what became of the messages
//	acknowledge.go  take one on
//	configured.go   the rules and channels of the worker, which it tells the others
//	test.go         a message about nothing, to try a channel
package alerts
