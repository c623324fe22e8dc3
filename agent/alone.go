package agent

import (
	"context"
	"time"

	"secretsbridge/events"
)

// alone works on a job that no request stands behind. It is as [job.do], and differs in
// three things: an attempt goes on where the one before ended; there may be no room for
// it; and if it is delivered again while it is in hand here, that delivery is left alone.
// The lease is one for all deliveries of a ticket, and the one who works renews it. To
// give it back each time would use up the deliveries of a job that takes hours.
func (j job) alone(ctx context.Context, d Delivery, giveSlot func()) verdict {
	switch j.jobs.begin(j.ticket.Job) {
	case running:
		j.log.Info("a job in hand was delivered again")
		return left()
	case finished:
		return doneWith()
	}
	stored := false
	defer func() { j.jobs.end(j.ticket.Job, stored) }()
	leave, ok := j.room.enter(j.ticket.Operation)
	if !ok {
		j.log.Info("there is no room for a job; it comes again")
		return later(j.roomDelay())
	}
	defer leave()
	if overAll(j.ticket.Operation) {
		giveSlot()
	}
	ctx, cancel := context.WithDeadlineCause(ctx, j.ticket.Until, errJobEnded)
	defer cancel()
	defer j.keepLease(ctx, d)()

	began := time.Now()
	grant, err := start[events.JobGrant](ctx, j, events.ServiceTake, events.TakeJob{Job: j.ticket.Job})
	if err != nil {
		return j.notStarted(ctx, err)
	}
	j.attempt = grant.Attempt
	outcome, err := j.outcome(ctx, grant)
	if err == nil {
		_, err = insist[events.Done](ctx, j.Agent, events.ServiceFinish, outcome)
	}
	if err == nil {
		stored = true
		j.log.Info("a job is done", "attempt", j.attempt, "pages", outcome.Pages, "keys", len(outcome.Keys), "took_ms", time.Since(began).Milliseconds())
		return doneWith()
	}
	v, ended := j.settled(ctx, err)
	if ended {
		return v
	}
	v, stored = j.fail(ctx, failureOf(err))
	return v
}

// roomDelay is when the job comes again that found no room.
func (j job) roomDelay() time.Duration {
	if overAll(j.ticket.Operation) {
		return scanRoomDelay
	}
	return namesRoomDelay
}

// outcome does the work itself. What handles values has a guard of its own that erases
// what they leave behind: this one would do so only when hours are over.
func (j job) outcome(ctx context.Context, grant events.JobGrant) (said events.FinishJob, err error) {
	err = j.guarded(func() (err error) {
		switch j.ticket.Operation {
		case events.OperationDiscover:
			said, err = j.discover(ctx, grant)
		case events.OperationFingerprint:
			said, err = j.compareAll(ctx, grant)
		default:
			said, err = j.names(ctx)
		}
		return err
	})
	said.Job, said.Attempt = j.ticket.Job, j.attempt
	return said, err
}
