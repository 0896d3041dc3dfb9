// Package alerts tells people what they have to know. Rules say what is wrong now (rules.go is THE list), the engine
// turns that into alerts that open once, are repeated and end, and the sender takes what is to be told about them to
// channels.
//
// The engine runs in one worker at a time, by its turn in the database; two that run at once do no harm, because every
// change of an alert is a compare-and-set. The change and the messages about it (notices) are one transaction: a crash
// neither loses nor doubles one. Senders run in every worker and share the notices by claims. A message goes out at
// least once; a webhook's receiver tells a repetition by its delivery id.
package alerts
