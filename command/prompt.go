package command

import (
	"time"

	"secretsbridge/events"
)

// MaxReminders bounds the reminders of one step.
const MaxReminders = 20

// stepClock is how long the open step has been open.
type stepClock struct {
	opened    time.Time // by the submit, the values, the vote before, or what made the votes void
	prompted  time.Time // of the last reminder
	reminded  int
	escalated bool
}

// Prompt decides all that has come due while nobody acted: a reminder, an escalation, a review
// that is overdue. Nothing due is nothing to do.
func (r Request) Prompt(meta Meta) ([]events.Fact, error) {
	return append(append(r.Remind(meta), r.Escalate(meta)...), r.Overdue(meta)...), nil
}

// Remind decides whether the approvers of the open step are to be reminded. After a time in
// which nobody looked there is one reminder, and not all that were missed.
func (r Request) Remind(meta Meta) []events.Fact {
	step, open := r.waits(meta)
	since := r.steps.opened
	if r.steps.reminded > 0 {
		since = r.steps.prompted
	}
	if !open || step.RemindSeconds <= 0 || r.steps.reminded >= MaxReminders || meta.Time.Before(since.Add(seconds(step.RemindSeconds))) {
		return nil
	}
	return []events.Fact{events.StepReminded{Step: step.ID, Number: r.steps.reminded + 1}}
}

// Escalate decides whether the open step has been open for too long, once.
func (r Request) Escalate(meta Meta) []events.Fact {
	step, open := r.waits(meta)
	if !open || step.EscalateSeconds <= 0 || r.steps.escalated || meta.Time.Before(r.steps.opened.Add(seconds(step.EscalateSeconds))) {
		return nil
	}
	return []events.Fact{events.StepEscalated{Step: step.ID}}
}

// waits is the step for whose approvers a request waits.
func (r Request) waits(meta Meta) (events.Step, bool) {
	if r.State != events.StatePending || !meta.Time.Before(r.PendingUntil) {
		return events.Step{}, false
	}
	return r.openStep()
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
