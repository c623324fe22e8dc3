// Package nats is the control plane's side of NATS JetStream: the embedded server
// with its accounts, the settings of streams and buckets and their proof, the event
// log, job tickets, agent services, idempotency marks and presence. The agent's side
// is package nats/leaf; names of all kinds are built in nats/subject.
package nats
