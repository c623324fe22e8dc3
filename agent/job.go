package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/erase"
	"secretsbridge/internal/trace"
)

// startPause lies before the second and last try to start a job: the link is back
// within two seconds. An answer that is lost costs an attempt, and the control plane
// allows two for each delivery (command.MaxAttempts).
const startPause = 2 * time.Second

// unansweredDelay is when a job comes again whose start nobody answered; refusedDelay,
// when the control plane does not let this agent start anything.
const (
	unansweredDelay = 5 * time.Second
	refusedDelay    = time.Minute
)

// outageDelays are for a job whose provider is away, by attempt. Together with the
// tries inside each attempt they last about two minutes. After them the job fails: one
// delivery of the five (package nats, MaxDeliver) is left for an agent that dies.
var outageDelays = []time.Duration{10 * time.Second, 30 * time.Second, time.Minute}

// errJobEnded is the cause of a job's end when its ticket ends.
var errJobEnded = errors.New("the job has reached its end")

// job is one attempt at one ticket. It belongs to one goroutine.
type job struct {
	*Agent
	ticket  events.Ticket
	attempt int
	log     *slog.Logger
}

// handle does a job and ends its delivery, exactly once. The context of a scan ends
// sooner, and it gives its slot back.
func (a *Agent) handle(ctx, scans context.Context, d Delivery, giveSlot func()) {
	ticket, err := a.readTicket(ctx, d.Data(), time.Now())
	if errors.Is(err, errNotLearnt) {
		a.Logger.Warn("a job waits until its signer is known", "err", err)
		a.end(ctx, d, later(unansweredDelay))
		return
	}
	if errors.Is(err, errForged) {
		a.Logger.Error("a job is refused", "err", err)
		a.end(ctx, d, refuse(err.Error()))
		return
	}
	j := job{Agent: a, ticket: ticket, log: a.Logger.With("job", ticket.Job, "operation", ticket.Operation)}
	if ticket.Request != "" {
		j.log = j.log.With("request", ticket.Request)
	}
	ctx, span := a.within(ctx, ticket)
	scans = trace.Into(scans, ctx)
	defer func() { span.End("") }() // how it went is what its calls say
	if err != nil {
		j.log.Error("a job is refused", "err", err)
		if looks(ticket.Operation) {
			a.end(ctx, d, doneWith()) // there is nothing to fail, and another look is offered
			return
		}
		a.end(ctx, d, j.decline(ctx, err.Error()))
		return
	}
	switch {
	case ticket.Operation == events.OperationCompare:
		a.end(ctx, d, j.look(ctx, d))
	case ticket.Operation == events.OperationObserve:
		a.end(ctx, d, j.observe(ctx, d))
	case overAll(ticket.Operation):
		a.end(ctx, d, j.alone(scans, d, giveSlot))
	case ticket.Operation.Standalone():
		a.end(ctx, d, j.alone(ctx, d, giveSlot))
	default:
		a.end(ctx, d, j.do(ctx, d))
	}
}

// within puts a context within the job's span. A job that nobody traces has none.
func (a *Agent) within(ctx context.Context, t events.Ticket) (context.Context, trace.Span) {
	if !t.Trace.Valid() {
		return ctx, trace.From(ctx)
	}
	return trace.Begin(ctx, a.Tracer, trace.Start{Name: "job " + string(t.Operation), Kind: trace.Consumer, Parent: t.Trace, Attrs: []trace.Attr{
		trace.Of(trace.Request, t.Request), trace.Of(trace.Job, t.Job), trace.Of(trace.Agent, a.Agent),
		trace.Of(trace.Operation, t.Operation), trace.Of(trace.Provider, t.Provider),
	}})
}

// decline tells the control plane that this agent must not do the job.
func (j job) decline(ctx context.Context, reason string) verdict {
	ctx, cancel := context.WithTimeout(ctx, j.Lease)
	defer cancel()
	err := j.report(ctx, &failure{code: events.FailureTicketRefused})
	switch refusedWith(err) {
	case "":
		if err != nil {
			return later(unansweredDelay)
		}
		return doneWith()
	case "job_over", "job_unknown":
		return doneWith()
	case "attempt_stale":
		return left() // another agent works on it
	}
	return refuse(reason)
}

// do works on a job whose ticket is good. When it returns, no renewal of the lease is
// under way and no value is left.
func (j job) do(ctx context.Context, d Delivery) verdict {
	switch j.jobs.begin(j.ticket.Job) {
	case running:
		j.log.Info("a job in hand was delivered again")
		return later(j.Lease)
	case finished:
		return doneWith() // its outcome is a fact, and only the acknowledgement was lost
	}
	stored := false
	defer func() { j.jobs.end(j.ticket.Job, stored) }()
	ctx, cancel := context.WithDeadlineCause(ctx, j.ticket.Until, errJobEnded)
	defer cancel()
	defer j.keepLease(ctx, d)()

	began := time.Now()
	lease, err := start[events.JobLease](ctx, j, events.ServiceStart, events.StartJob{Request: j.ticket.Request, Job: j.ticket.Job})
	if err != nil {
		return j.notStarted(ctx, err)
	}
	j.attempt = lease.Attempt
	outcome, err := j.execute(ctx)
	if err == nil {
		// The values are handed over; from here on only this call is missing.
		_, err = insist[events.Done](ctx, j.Agent, events.ServiceComplete, outcome)
	}
	if err == nil {
		stored = true
		j.log.Info("a job is done", "attempt", j.attempt, "values", len(outcome.Envelopes), "took_ms", time.Since(began).Milliseconds())
		return doneWith()
	}
	v, ended := j.settled(ctx, err)
	if ended {
		return v
	}
	v, stored = j.fail(ctx, failureOf(err))
	return v
}

// start asks for an attempt at the job, at most twice.
func start[R any](ctx context.Context, j job, service events.Service, question any) (R, error) {
	granted, err := call[R](ctx, j.Agent, service, question)
	if err == nil || ctx.Err() != nil || !passing(err) {
		return granted, err
	}
	if err := sleep(ctx, jitter(startPause)); err != nil {
		return granted, err
	}
	return call[R](ctx, j.Agent, service, question)
}

// notStarted decides about a job that could not be started.
func (j job) notStarted(ctx context.Context, err error) verdict {
	if v, ended := j.settled(ctx, err); ended {
		return v
	}
	j.log.Warn("a job was not started", "err", err)
	if refusedWith(err) != "" {
		return later(refusedDelay) // such as a revoked agent: another may do it
	}
	return later(unansweredDelay)
}

// settled decides where the job is not this agent's any more, or the agent has to
// leave. ended is false where the job is still to be failed or done.
func (j job) settled(ctx context.Context, err error) (v verdict, ended bool) {
	code := refusedWith(err)
	switch {
	case errors.Is(context.Cause(ctx), errJobEnded):
		j.log.Warn("a job reached its end before it was done", "err", err)
		return doneWith(), true
	case ctx.Err() != nil:
		j.log.Warn("a job goes back to the queue", "err", context.Cause(ctx))
		return later(0), true
	case code == "approvals_voided":
		j.log.Info("the secret changed after its approvals; they are asked for again")
		return doneWith(), true
	case code == "job_over" || code == "job_unknown" || errors.Is(err, errNothingToDo):
		j.log.Info("a job has ended meanwhile", "err", err)
		return doneWith(), true
	case code == "attempt_stale":
		j.log.Warn("another attempt at the job has started; this one is given up", "attempt", j.attempt)
		return left(), true
	case code == "job_not_yours":
		j.log.Error("a job is refused", "err", err)
		return refuse(code), true
	}
	return verdict{}, false
}

// fail reports a job that cannot be done, or gives it back while its provider may
// still come to itself.
func (j job) fail(ctx context.Context, f *failure) (v verdict, stored bool) {
	passes := f.code == events.FailureProviderUnavailable || f.code == events.FailureValuesHeld
	if passes && j.attempt <= len(outageDelays) {
		delay := outageDelays[j.attempt-1]
		if time.Now().Add(delay + j.ReadTimeout).Before(j.ticket.Until) { // and one more try
			j.log.Warn("a job cannot be done now and comes again", "code", f.code, "attempt", j.attempt, "after", delay, "err", f.err)
			return later(delay), false
		}
	}
	j.log.Log(ctx, f.level(), "a job failed", "attempt", j.attempt, "code", f.code, "err", f.err)
	err := j.report(ctx, f)
	if refusedWith(err) == "failure_code_unknown" {
		err = j.report(ctx, &failure{code: events.FailureInternal, notWritten: f.notWritten})
	}
	if err == nil {
		return doneWith(), true
	}
	if v, ended := j.settled(ctx, err); ended {
		return v, false
	}
	j.log.Error("the control plane does not take a job's failure", "err", err)
	return later(refusedDelay), false
}

// report tells the control plane that the job cannot be done.
func (j job) report(ctx context.Context, f *failure) error {
	if j.ticket.Operation.Standalone() {
		_, err := insist[events.Done](ctx, j.Agent, events.ServiceAbandon, events.AbandonJob{Job: j.ticket.Job, Attempt: j.attempt, Code: f.code})
		return err
	}
	_, err := insist[events.Done](ctx, j.Agent, events.ServiceFail, events.FailJob{
		Request: j.ticket.Request, Job: j.ticket.Job, Attempt: j.attempt, Code: f.code, NotWritten: f.notWritten,
	})
	return err
}

// execute does the work itself.
func (j job) execute(ctx context.Context) (outcome events.CompleteJob, err error) {
	err = j.guard(func() (err error) {
		if j.ticket.Operation == events.OperationPatch {
			outcome, err = j.patch(ctx)
		} else {
			outcome, err = j.deliver(ctx)
		}
		return err
	})
	return outcome, err
}

// guard turns a panic into a failure: one secret that breaks a provider's library must
// not take the other jobs along. What was said in panic may hold a value, so the log
// gets the stack only. What do leaves in memory is erased. Every goroutine of a job needs
// one.
func (j job) guard(do func() error) (err error) {
	erase.Do(func() { err = j.guarded(do) })
	return err
}

func (j job) guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			j.log.Error("a job panicked", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = &failure{code: events.FailureInternal, err: errors.New("panic")}
		}
	}()
	return do()
}
