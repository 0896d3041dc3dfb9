// Package remedy is what operators make happen to files and tasks: scan again, make the variants again, delete, retry or
// cancel a task. Both programs need it: the gateway for one file, the worker for many (a bulk run). Each function is one
// step of a transaction that the caller holds; it decides by the states of the rows whether the step is legal,
// refuses with a sentence, and writes the audit record.
//
//	asset.go   one file
//	damage.go  what anybody finds who reads wrong bytes; it holds its own transaction
//	task.go    one task
//	bulk.go    a run over many files: its beginning, its steps, its end
//
// Content is never touched here: what a step changes are rows, and the worker does the rest.
package remedy
