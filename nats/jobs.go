package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// How a cluster's jobs are delivered.
const (
	DefaultAckWait = 30 * time.Second // the lease: a job whose agent is silent for so long comes again
	MaxDeliver     = 5                // attempts; then it is a dead letter

	// maxAckPending bounds the jobs that all agents of a cluster hold at a time.
	maxAckPending = 256
	// An agent asks for one job a pull and for 10 s; nobody needs more. With more than
	// one job, all but the first would be lost on the way: one answer ends a pull.
	maxRequestBatch   = 1
	maxRequestExpires = pullThreshold
)

// Handling of dead letters: how long one may take, and how soon it comes again after
// its handler returned an error.
const (
	deadLettersConsumer = "handler"
	deadLetterWait      = time.Minute
	deadLetterRetry     = 5 * time.Second
)

// Jobs is the queue of tickets on stream JOBS. A queue is no truth: whoever publishes
// looks into the log whether a job is still wanted, and publishes it again.
type Jobs struct {
	js        jetstream.JetStream
	authority *Authority // names the consumers
	ackWait   time.Duration
	log       *slog.Logger
}

// OpenJobs uses the streams that [Streams.Provision] made. ackWait 0 means
// [DefaultAckWait]; a nil logger discards.
func OpenJobs(nc *natsgo.Conn, authority *Authority, ackWait time.Duration, log *slog.Logger) (*Jobs, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open jobs: %w", err)
	}
	if ackWait == 0 {
		ackWait = DefaultAckWait
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Jobs{js: js, authority: authority, ackWait: ackWait, log: log}, nil
}

// EnsureCluster makes the consumer that all agents of a cluster share. Call it before
// the cluster's first agent links, and at each start; it changes what differs.
func (j *Jobs) EnsureCluster(ctx context.Context, cluster events.ClusterID) error {
	if !events.ValidName(string(cluster)) {
		return fmt.Errorf("make consumer of jobs: %q is no name of a cluster", cluster)
	}
	name, err := j.authority.consumer(string(cluster))
	if err != nil {
		return err
	}
	_, err = j.js.CreateOrUpdateConsumer(ctx, subject.JobsStream, jetstream.ConsumerConfig{
		Durable: name, FilterSubject: subject.JobsOf(cluster),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: j.ackWait, MaxDeliver: MaxDeliver, MaxAckPending: maxAckPending,
		MaxRequestBatch: maxRequestBatch, MaxRequestExpires: maxRequestExpires,
	})
	if err != nil {
		return fmt.Errorf("make consumer of jobs of cluster %s: %w", cluster, err)
	}
	return nil
}

// Publish queues a ticket: JSON of an [events.SignedTicket]. A job that is queued
// already, or in an agent's hands, is left as it is, however long ago it was published.
func (j *Jobs) Publish(ctx context.Context, cluster events.ClusterID, op events.Operation, job events.JobID, ticket []byte) error {
	msg := &natsgo.Msg{Subject: subject.Job(cluster, op, job), Data: ticket}
	// The subject is the job's own, so "nothing there yet" is all that idempotence
	// needs. A message id would also drop a job that is queued again on purpose.
	_, err := j.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(0))
	if err != nil && !isConflict(err) {
		return fmt.Errorf("publish job %s: %w", job, err)
	}
	return nil
}

// maxTold is of how many jobs [Jobs.Queued] tells: the server counts them under a lock, and
// as many fit into one answer of 100 kB.
const maxTold = 1000

// Queued are the jobs that are in the queue or in an agent's hands, by the word of the
// stream's leader. It tells of none, and that these are not all, if they are more than
// [maxTold].
func (j *Jobs) Queued(ctx context.Context) (jobs map[events.JobID]bool, all bool, err error) {
	stream, err := j.js.Stream(ctx, subject.JobsStream) // asks how many there are
	if err != nil {
		return nil, false, fmt.Errorf("ask for queued jobs: %w", err)
	}
	switch state := stream.CachedInfo().State; {
	case state.Msgs == 0:
		return nil, true, nil
	case state.NumSubjects > maxTold:
		return nil, false, nil
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject.AllJobs))
	if err != nil {
		return nil, false, fmt.Errorf("ask for queued jobs: %w", err)
	}
	jobs = make(map[events.JobID]bool, len(info.State.Subjects))
	for name := range info.State.Subjects {
		if _, _, job, ok := subject.ParseJob(name); ok {
			jobs[job] = true
		}
	}
	return jobs, true, nil
}

// Depth is how many tickets are in the queue or in agents' hands, by the word of the stream's leader.
func (j *Jobs) Depth(ctx context.Context) (int, error) {
	stream, err := j.js.Stream(ctx, subject.JobsStream) // asks how many there are
	if err != nil {
		return 0, fmt.Errorf("ask for queued jobs: %w", err)
	}
	return int(stream.CachedInfo().State.Msgs), nil
}

// Remove takes a job off the queue. One that is not there, or done, is no error; an
// agent that holds it already finds out when it asks to start.
func (j *Jobs) Remove(ctx context.Context, cluster events.ClusterID, op events.Operation, job events.JobID) error {
	stream, err := j.js.Stream(ctx, subject.JobsStream)
	if err != nil {
		return fmt.Errorf("remove job %s: %w", job, err)
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subject.Job(cluster, op, job))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove job %s: %w", job, err)
	}
	return j.drop(ctx, stream, msg.Sequence)
}

// drop deletes a ticket; one that is gone already is no error.
func (j *Jobs) drop(ctx context.Context, stream jetstream.Stream, seq uint64) error {
	err := stream.DeleteMsg(ctx, seq)
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == errNoMessage || api.ErrorCode == errDeleteFailed) {
		if _, err := stream.GetMsg(ctx, seq); errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("remove job at %d: %w", seq, err)
	}
	return nil
}

// The server's codes for "no message found" and "message delete failed".
const (
	errNoMessage    jetstream.ErrorCode = 10037
	errDeleteFailed jetstream.ErrorCode = 10057
)

// Dead is a job that no agent will get again.
type Dead struct {
	Cluster    events.ClusterID
	Job        events.JobID
	Ticket     []byte // as published; nil if Refused, because a refused ticket is gone
	Deliveries int
	Refused    bool   // by an agent, for Reason; otherwise no attempt came to an end
	Reason     string // the agent's own words: not to be trusted, nor to be shown as ours
}

// DeadLetters hands each dead job to handle, at least once, until ctx ends. What was
// handled is removed from the queue; what handle returned an error for comes again.
// Several servers may call it; each job goes to one of them at a time. The cluster is
// certain; the job of a refused ticket is what an agent of that cluster says it was.
// NATS counts the last attempt out when the next agent asks for work: while a cluster
// has none, its jobs wait.
func (j *Jobs) DeadLetters(ctx context.Context, handle func(context.Context, Dead) error) error {
	for {
		err := j.deadLetters(ctx, handle)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		j.log.Warn("dead letters cannot be read", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followRetryMax):
		}
	}
}

func (j *Jobs) deadLetters(ctx context.Context, handle func(context.Context, Dead) error) error {
	name, err := j.authority.consumer(deadLettersConsumer)
	if err != nil {
		return err
	}
	consumer, err := j.js.CreateOrUpdateConsumer(ctx, subject.DeadLettersStream, jetstream.ConsumerConfig{
		Durable: name, AckPolicy: jetstream.AckExplicitPolicy, AckWait: deadLetterWait, MaxDeliver: unlimited,
	})
	if err != nil {
		return err
	}
	jobs, err := j.js.Stream(ctx, subject.JobsStream)
	if err != nil {
		return err
	}
	for {
		// One at a time, and a new pull for each: an iterator that is stopped while
		// a pull is open can swallow what comes until it is delivered again.
		msg, err := consumer.Next(jetstream.FetchContext(ctx))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, natsgo.ErrTimeout):
			continue
		case err != nil:
			return err
		}
		if err := j.deadLetter(ctx, jobs, msg, handle); err != nil {
			j.log.Error("a dead letter cannot be handled; it comes again", "err", err)
			_ = msg.NakWithDelay(deadLetterRetry)
		}
	}
}

// advisory is what the server says of a job that it delivers no more.
type advisory struct {
	Consumer   string `json:"consumer"`
	StreamSeq  uint64 `json:"stream_seq"`
	Deliveries int    `json:"deliveries"`
	Reason     string `json:"reason"`
}

func (j *Jobs) deadLetter(ctx context.Context, jobs jetstream.Stream, msg jetstream.Msg, handle func(context.Context, Dead) error) error {
	ctx, cancel := context.WithTimeout(ctx, deadLetterWait)
	defer cancel()
	var a advisory
	if err := json.Unmarshal(msg.Data(), &a); err != nil {
		return msg.TermWithReason("not an advisory")
	}
	cluster, ok := subject.ParseConsumer(a.Consumer)
	if !ok {
		return msg.TermWithReason("not a cluster's consumer")
	}
	dead := Dead{Cluster: events.ClusterID(cluster), Deliveries: a.Deliveries}
	if strings.Contains(msg.Subject(), ".MSG_TERMINATED.") {
		job, reason, _ := strings.Cut(a.Reason, " ") // as package leaf writes it
		if !events.ValidID(job, "j_") {
			return msg.DoubleAck(ctx) // removed while an agent held it, says the server itself
		}
		dead.Refused, dead.Job, dead.Reason = true, events.JobID(job), reason
	} else {
		ticket, err := jobs.GetMsg(ctx, a.StreamSeq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return msg.DoubleAck(ctx) // done after all, or handled before
		}
		if err != nil {
			return fmt.Errorf("read dead job at %d: %w", a.StreamSeq, err)
		}
		_, _, job, ok := subject.ParseJob(ticket.Subject)
		if !ok {
			return msg.TermWithReason("not a job")
		}
		dead.Job, dead.Ticket = job, ticket.Data
	}
	if err := handle(ctx, dead); err != nil {
		return fmt.Errorf("handle dead job %s of cluster %s: %w", dead.Job, dead.Cluster, err)
	}
	// The outcome is a fact now. A crash from here on only repeats the handler.
	if !dead.Refused {
		if err := j.drop(ctx, jobs, a.StreamSeq); err != nil {
			return err
		}
	}
	return msg.DoubleAck(ctx)
}
