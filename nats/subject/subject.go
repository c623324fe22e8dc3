// Package subject is the one place that builds and parses NATS names: subjects,
// streams, consumers and buckets. Control plane and agents share it.
package subject

//go:generate go test -run TestTheAsyncAPIIsCurrent -count=1 . -update

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"secretsbridge/events"
)

// The streams and buckets of account CORE.
const (
	EventsStream      = "EVENTS"      // evt.<aggregate>.<id>
	JobsStream        = "JOBS"        // jobs.<cluster>.<operation>.<job>
	DeadLettersStream = "DEADLETTERS" // what the server says of jobs that never come again
	MarksBucket       = "marks"       // idempotency marks, one a key
	PresenceBucket    = "presence"    // agents that were heard, one a key
	WindowsBucket     = "windows"     // rate windows, one a key
	LeasesBucket      = "leases"      // who works at which loop, one a key
	CachesBucket      = "caches"      // <cache>.<id>: of whom something changed
)

// Traceparent is the header of a call that names the span which it is within (W3C Trace Context).
// Nobody signs it: it counts for nothing.
const Traceparent = "traceparent"

// Wildcards over whole families of subjects.
const (
	AllEvents   = "evt.>"
	AllJobs     = "jobs.>"
	AllServices = "agent.*.*" // agent.<account>.<service>
)

// What crosses between CORE and an agent's account. The exports are CORE's; each
// agent's account imports its own instance and no other (decision 0030).
const (
	// ExportServices carries the importer's account at ServicesAccountToken.
	ExportServices       = "agent.*.>"
	ServicesAccountToken = 2

	// ExportPull and ExportAck carry a cluster's consumer, which CORE grants by a
	// signed activation.
	ExportPull = "$JS.API.CONSUMER.MSG.NEXT." + JobsStream + ".*"
	ExportAck  = "$JS.ACK." + JobsStream + ".*.>"

	// LocalPull is what an agent's account calls the pull subject of its cluster.
	LocalPull = "jobs.next"

	// Inbox is the prefix of all that an agent may subscribe to.
	Inbox = "_INBOX"
)

// Advisories about JOBS that mean "never delivered again", by consumer.
const (
	AllMaxDeliveries = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + JobsStream + ".*"
	AllTerminated    = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED." + JobsStream + ".*"
)

// Events is the subject of one aggregate: evt.<aggregate>.<id>.
func Events(s events.Stream) string { return "evt." + string(s.Aggregate) + "." + s.ID }

// ParseEvents reads what [Events] wrote.
func ParseEvents(subject string) (events.Stream, bool) {
	token := strings.Split(subject, ".")
	if len(token) != 3 || token[0] != "evt" {
		return events.Stream{}, false
	}
	s := events.Stream{Aggregate: events.Aggregate(token[1]), ID: token[2]}
	return s, s.Valid()
}

// Job is the subject of one job: jobs.<cluster>.<operation>.<job>.
func Job(cluster events.ClusterID, op events.Operation, job events.JobID) string {
	return fmt.Sprintf("jobs.%s.%s.%s", cluster, op, job)
}

// ParseJob reads what [Job] wrote.
func ParseJob(subject string) (cluster events.ClusterID, op events.Operation, job events.JobID, ok bool) {
	token := strings.Split(subject, ".")
	if len(token) != 4 || token[0] != "jobs" || token[1] == "" || token[2] == "" || token[3] == "" {
		return "", "", "", false
	}
	return events.ClusterID(token[1]), events.Operation(token[2]), events.JobID(token[3]), true
}

// JobsOf covers all jobs of one cluster: jobs.<cluster>.>.
func JobsOf(cluster events.ClusterID) string { return "jobs." + string(cluster) + ".>" }

// Consumer names a durable consumer: <what>-<secret>. A leaf link can make the server
// answer to any acknowledgement it can name, so each consumer that takes them has a
// name that nobody else can guess (decision 0032).
func Consumer(what, secret string) string { return what + "-" + secret }

// ParseConsumer returns what a consumer is for.
func ParseConsumer(name string) (what string, ok bool) {
	at := strings.LastIndexByte(name, '-')
	if at < 1 {
		return "", false
	}
	return name[:at], true
}

// Pull is where the next job of a cluster's consumer is asked for, inside CORE.
func Pull(consumer string) string {
	return "$JS.API.CONSUMER.MSG.NEXT." + JobsStream + "." + consumer
}

// Acks covers the acknowledgements to a cluster's consumer.
func Acks(consumer string) string { return "$JS.ACK." + JobsStream + "." + consumer + ".>" }

// ImportedReply reports whether the reply of a request is one that the server made
// for a request that came through an import. Only then is the request's subject the
// one that was checked: of a request from a leaf link with a reply of the form
// "$JS.ACK.….@subject", the server shows that subject instead (decision 0032).
func ImportedReply(reply string) bool { return strings.HasPrefix(reply, "_R_.") }

// Service is one agent service as one account calls it: agent.<account>.<service>.
func Service(account string, service events.Service) string {
	return "agent." + account + "." + string(service)
}

// ServicesOf covers all services as one account calls them.
func ServicesOf(account string) string { return "agent." + account + ".>" }

// ParseService reads what [Service] wrote.
func ParseService(subject string) (account string, service events.Service, ok bool) {
	token := strings.Split(subject, ".")
	if len(token) != 3 || token[0] != "agent" || token[1] == "" || token[2] == "" {
		return "", "", false
	}
	return token[1], events.Service(token[2]), true
}

// KeyValue is the subject behind a bucket's key: $KV.<bucket>.<key>.
func KeyValue(bucket, key string) string { return "$KV." + bucket + "." + key }

// BucketStream is the stream behind a bucket.
func BucketStream(bucket string) string { return "KV_" + bucket }

// Window is the key of a rate window. Whoever can read NATS must not learn who it is of,
// and addresses and e-mails can be guessed: so it is an HMAC under a key that is not in
// NATS, of both parts, length-prefixed.
func Window(key []byte, purpose, who string) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%d:%s%s", len(purpose), purpose, who)
	return hex.EncodeToString(mac.Sum(nil))
}

// Mark is the key of an idempotency mark. Both parts come from outside, so it is a
// hash of them, length-prefixed.
func Mark(actor events.Actor, key string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(actor), actor, key))
	return hex.EncodeToString(sum[:])
}

// EventsAdmin lists what can change or destroy EVENTS. Only whoever provisions may
// publish there; the connections of the running system may not.
func EventsAdmin() []string {
	var all []string
	for _, verb := range []string{"UPDATE", "DELETE", "PURGE", "RESTORE", "SNAPSHOT", "MSG.DELETE"} {
		all = append(all, "$JS.API.STREAM."+verb+"."+EventsStream)
	}
	return all
}
