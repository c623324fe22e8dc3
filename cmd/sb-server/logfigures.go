package main

import (
	"context"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/trace"
)

// countedLog counts what is appended, and what becomes of commands. Appends are spans where
// somebody traces.
type countedLog struct {
	command.Log
	*figures
}

var _ command.Watch = countedLog{}

// Append implements [command.Log].
func (l countedLog) Append(ctx context.Context, stream events.Stream, expected events.Seq, commit []events.Event) (events.Seq, error) {
	ctx, end := l.begin(ctx)
	seq, err := l.Log.Append(ctx, stream, expected, commit)
	end(err)
	if err == nil {
		l.appended(commit)
	}
	return seq, err
}

// AppendAll implements [command.Log].
func (l countedLog) AppendAll(ctx context.Context, commits []command.Commit) ([]events.Seq, error) {
	ctx, end := l.begin(ctx)
	seqs, err := l.Log.AppendAll(ctx, commits)
	end(err)
	if err == nil {
		for _, c := range commits {
			l.appended(c.Events)
		}
	}
	return seqs, err
}

func (l countedLog) begin(ctx context.Context) (context.Context, func(error)) {
	began := time.Now()
	ctx, span := trace.Child(ctx, "append", trace.Client)
	return ctx, func(err error) {
		code := command.CodeOf(err)
		span.End(code)
		if code == "" {
			code = "ok"
		}
		l.appends.WithLabelValues(code).Inc()
		l.appendTook.Observe(time.Since(began).Seconds())
	}
}

// appended counts facts that are in the log now. One whose append was not acknowledged and is
// found there later is not counted.
func (l countedLog) appended(commit []events.Event) {
	for _, e := range commit {
		typ, err := events.TypeOf(e.Fact)
		if err != nil {
			continue
		}
		l.facts.WithLabelValues(typ).Inc()
		switch f := e.Fact.(type) {
		case events.SignedIn:
			l.signIns.WithLabelValues("ok").Inc()
		case events.SignInFailed:
			l.signIns.WithLabelValues(f.Code).Inc()
		}
	}
}

// Took implements [command.Watch].
func (l countedLog) Took(ctx context.Context, t command.Told) {
	by := command.NamedBy(ctx)
	l.commands.WithLabelValues(by, string(t.Outcome), t.Code).Inc()
	l.commandTook.WithLabelValues(by).Observe(t.Took.Seconds())
	for _, e := range t.Events {
		switch state := t.State.(type) {
		case command.Request:
			l.requestMoved(state, e)
		case command.Job:
			l.jobMoved(state, e)
		}
	}
}

// requestMoved counts the job of a request. Looks at secrets and rollouts are jobs without an
// end, and are counted by the calls that tell of them.
func (l countedLog) requestMoved(r command.Request, e events.Event) {
	switch f := e.Fact.(type) {
	case events.JobStarted:
		if f.Attempt == 1 {
			l.began(r.Submitted.Operation, e.Time.Sub(r.Approved))
		}
	case events.RequestExecuted:
		l.ended(r.Submitted.Operation, "done", "", r.Attempt, e.Time, r.Began)
	case events.RequestFailed:
		l.ended(r.Submitted.Operation, "failed", string(f.Code), r.Attempt, e.Time, r.Began)
	}
}

// jobMoved counts a job that no request stands behind.
func (l countedLog) jobMoved(j command.Job, e events.Event) {
	switch f := e.Fact.(type) {
	case events.JobTaken:
		if f.Attempt == 1 {
			l.began(j.Queued.Operation, e.Time.Sub(j.Asked))
		}
	case events.JobFinished:
		l.ended(j.Queued.Operation, "done", "", j.Attempt, e.Time, j.Began)
	case events.JobFailed:
		l.ended(j.Queued.Operation, "failed", string(f.Code), j.Attempt, e.Time, j.Began)
	case events.JobCancelled:
		l.ended(j.Queued.Operation, "cancelled", "", j.Attempt, e.Time, j.Began)
	}
}

func (l countedLog) began(op events.Operation, waited time.Duration) {
	l.jobWaited.WithLabelValues(string(op)).Observe(max(0, waited.Seconds()))
}

func (l countedLog) ended(op events.Operation, outcome, code string, attempts int, at, began time.Time) {
	l.jobs.WithLabelValues(string(op), outcome, code).Inc()
	l.jobAttempts.WithLabelValues(string(op)).Observe(float64(attempts))
	if !began.IsZero() {
		l.jobTook.WithLabelValues(string(op)).Observe(max(0, at.Sub(began).Seconds()))
	}
}
