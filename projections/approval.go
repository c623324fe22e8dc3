package projections

import (
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Fill is what another team does to a request. By is empty while it waits for them.
type Fill struct {
	Team    string        `json:"team"`
	Until   time.Time     `json:"until"` // exclusive
	By      events.UserID `json:"by,omitempty"`
	At      *time.Time    `json:"at,omitempty"`
	Refused bool          `json:"refused,omitempty"`
	Comment string        `json:"comment,omitempty"`
}

// Glass is how a request went without approval.
type Glass struct {
	Reason      string               `json:"reason"`
	ReviewUntil time.Time            `json:"review_until"`
	Overdue     bool                 `json:"overdue,omitempty"` // it was not reviewed by then
	Outcome     events.ReviewOutcome `json:"outcome,omitempty"`
	By          events.UserID        `json:"by,omitempty"`
	At          *time.Time           `json:"at,omitempty"`
	Comment     string               `json:"comment,omitempty"`
}

// ReviewState is where a review stands; empty: there is nothing to review.
type ReviewState string

const (
	ReviewPending ReviewState = "pending"
	ReviewOverdue ReviewState = "overdue"
	ReviewDone    ReviewState = "done"
)

// StepClock is how long the open step of a pending request has been open.
type StepClock struct {
	Step       events.StepID   `json:"step,omitempty" db:"step"`
	OpenedAt   *time.Time      `json:"step_opened_at,omitempty" db:"step_opened_at"`
	Reminders  int             `json:"reminders,omitempty" db:"reminders"`
	RemindedAt *time.Time      `json:"-" db:"reminded_at"`
	Escalated  []events.StepID `json:"escalated" db:"escalated"` // of the votes that count
}

// foldApproval takes what workflows and other teams add to the life of a request.
func (r *Request) foldApproval(fact events.Fact, at time.Time) {
	switch f := fact.(type) {
	case events.ValuesProvided:
		r.State = events.StatePending
		r.filled(f.By, at, f.Comment)
		if r.Patch != nil {
			r.Patch.Changes = changesOf(f.Changes)
		}
	case events.ValuesRefused:
		r.filled(f.By, at, f.Comment)
		if r.Fill != nil {
			r.Fill.Refused = true
		}
		r.ClosingComment = clean(f.Comment)
		r.end(events.StateRefused, at)
	case events.StepReminded:
		r.Reminders, r.RemindedAt = f.Number, &at
	case events.StepEscalated:
		r.Escalated = append(slices.Clip(r.Escalated), clean(f.Step))
	case events.GlassBroken:
		r.Glass = &Glass{Reason: clean(f.Reason), ReviewUntil: stored(f.ReviewUntil)}
	case events.GlassReviewed:
		if r.Glass != nil {
			r.Glass.Outcome, r.Glass.By, r.Glass.At, r.Glass.Comment = clean(f.Outcome), clean(f.By), &at, clean(f.Comment)
		}
	case events.ReviewOverdue:
		if r.Glass != nil {
			r.Glass.Overdue = true
		}
	}
}

func (r *Request) filled(by events.UserID, at time.Time, comment string) {
	if r.Fill != nil {
		r.Fill.By, r.Fill.At, r.Fill.Comment = clean(by), &at, clean(comment)
	}
}

// clock keeps the time of the open step, and says when somebody is to be prompted. Steps of
// before there were workflows have none.
func (r *Request) clock(at time.Time) {
	step, open := r.OpenStep()
	switch {
	case !open || step.Role != "":
		r.StepClock = StepClock{Escalated: r.Escalated}
	case step.ID != r.Step || r.OpenedAt == nil:
		r.StepClock = StepClock{Step: step.ID, OpenedAt: &at, Escalated: r.Escalated}
	}
	r.Review, r.ReviewUntil, r.NextPromptAt = "", nil, nil
	if r.OpenedAt != nil {
		r.promptStep(step)
	}
	if r.Glass == nil {
		return
	}
	r.ReviewUntil = &r.Glass.ReviewUntil
	switch {
	case r.Glass.At != nil:
		r.Review = ReviewDone
	case r.Glass.Overdue:
		r.Review = ReviewOverdue
	default:
		r.Review = ReviewPending
		r.promptAt(r.Glass.ReviewUntil)
	}
}

// OpenStep is the first step of a pending request that lacks approvals.
func (r *Request) OpenStep() (events.Step, bool) {
	if r.State != events.StatePending {
		return events.Step{}, false
	}
	for _, step := range r.Workflow.Steps {
		given := 0
		for _, v := range r.Votes {
			if v.Step == step.ID && v.Decision == Approved {
				given++
			}
		}
		if given < step.Approvals {
			return step, true
		}
	}
	return events.Step{}, false
}

// promptStep says when [command.Request.Prompt] has a word for the approvers of a step.
func (r *Request) promptStep(step events.Step) {
	if step.RemindSeconds > 0 && r.Reminders < command.MaxReminders {
		since := *r.OpenedAt
		if r.RemindedAt != nil {
			since = *r.RemindedAt
		}
		r.promptWithin(since, step.RemindSeconds)
	}
	if step.EscalateSeconds > 0 && !slices.Contains(r.Escalated, step.ID) {
		r.promptWithin(*r.OpenedAt, step.EscalateSeconds)
	}
}

// longestPrompt bounds what a fact may say, far above what rules allow, so that no time
// overflows.
const longestPrompt = 366 * 24 * time.Hour

func (r *Request) promptWithin(since time.Time, seconds int) {
	at := since.Add(time.Duration(min(seconds, int(longestPrompt/time.Second))) * time.Second)
	if at.Before(r.PendingUntil) {
		r.promptAt(at)
	}
}

func (r *Request) promptAt(at time.Time) {
	if r.NextPromptAt == nil || at.Before(*r.NextPromptAt) {
		r.NextPromptAt = &at
	}
}

func cleanApprovers(a events.Approvers) events.Approvers {
	return events.Approvers{
		People: cleanAll(a.People), Groups: cleanAll(a.Groups), Roles: cleanAll(a.Roles), TeamHeads: a.TeamHeads, Owners: a.Owners,
	}
}

// cleanAll leaves no list no list.
func cleanAll[S ~string](texts []S) []S {
	if len(texts) == 0 {
		return nil
	}
	cleaned := make([]S, len(texts))
	for i, t := range texts {
		cleaned[i] = clean(t)
	}
	return cleaned
}
