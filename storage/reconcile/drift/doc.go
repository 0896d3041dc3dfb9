// Package drift holds the proof that a reconciliation (package reconcile) works; it is made of tests alone.
//
// drift_test.go makes small systems that are in order (world_test.go), lets every kind of drift come over them in random
// mixes (kinds_test.go), reconciles them while a stand-in does the worker's jobs (worker_test.go), and holds the outcome
// against what was there before (truth_test.go), without asking the code under test.
//
//	GATEHOUSE_DRIFT_ROUNDS=1000 go test ./storage/reconcile/drift    how many rounds (make drift)
//	GATEHOUSE_DRIFT_SEED=17                                          begin with the round of that seed: 1, or in make drift the time
package drift
