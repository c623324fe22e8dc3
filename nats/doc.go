// Package nats is the control plane's side of NATS JetStream: the embedded server
// with its accounts, the settings of streams and buckets and their proof, the event
// log, job tickets, agent services, and what the running system keeps for a while: leases
// of loops, idempotency marks, rate windows, presence and what caches must forget. Each of
// those has a type for its purpose, and there is no other way into a bucket. The agent's side
// is package nats/leaf; names of all kinds are built in nats/subject.
package nats
