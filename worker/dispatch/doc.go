// Package dispatch brings tasks to the jobs that do them, and their outcomes back into the database.
//
// The task's row is the truth, the doorbell only says "look at it": a ring carries a task's id and nothing else.
// Losing, doubling or reordering every ring loses and doubles no task.
//
//	row queued -> relay rings -> a lane's slot hears the bell -> claim (compare-and-set, with a lease)
//	   -> job runs, heartbeats extend the lease -> commit and end of the task in one transaction
//
// # Files
//
//   - doorbell.go is what a doorbell is; amqp.go and amqp_lane.go ring through RabbitMQ, local.go in this process.
//     Nothing else differs between the distributed and the embedded mode.
//   - relay.go rings for due tasks, and again for those that nobody answered.
//   - lane.go has the slots: each takes one bell at a time. Lanes share nothing, so slow work holds up no other.
//   - attempt.go runs one job and settles its outcome; heartbeat.go keeps its lease.
//   - reap.go takes back tasks whose worker died; schedule.go does what is due by the clock.
//   - metrics.go is what Prometheus sees.
//
// # Stopping
//
// When the context of Run ends, no bell is answered any more. Running jobs have StopTimeout to end; then their
// contexts are cancelled and their tasks go back into the queue at once, without counting the attempt.
package dispatch
