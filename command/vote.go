package command

import (
	"slices"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// What can be wrong with a vote or a cancel.
var (
	ErrRequestUnknown  = &Rejection{"request_unknown", "there is no such request, or it is not yours to see"}
	ErrSelfApproval    = &Rejection{"self_approval", "you cannot decide on your own request; ask another approver"}
	ErrAlreadyVoted    = &Rejection{"already_voted", "you have already decided on this request; each approval needs another person"}
	ErrNotAnApprover   = &Rejection{"not_an_approver", "this step asks for a role that you do not have"}
	ErrNotPending      = &Rejection{"not_pending", "this request is no longer waiting for approval"}
	ErrCancelled       = &Rejection{"request_cancelled", "the requester cancelled this request"}
	ErrRejected        = &Rejection{"request_rejected", "this request was already rejected"}
	ErrRequestExpired  = &Rejection{"request_expired", "this request reached its time limit; submit it again"}
	ErrNotYourRequest  = &Rejection{"not_your_request", "only the requester can do this"}
	ErrTooLateToCancel = &Rejection{"too_late_to_cancel", "an agent is already working on it, or it has ended"}
	ErrCommentTooLong  = &Rejection{"comment_too_long", "shorten the comment to 2000 characters"}
)

// Vote is one approver's word on the step that is open.
type Vote struct {
	By      events.UserID
	Roles   []string // as they stand now
	Comment string

	// Comparison is the number of the look at the secret that the approver saw; 0 does
	// not say.
	Comparison int
}

// Approve decides a yes. With the last one the request is approved and its job may
// run.
func (r Request) Approve(meta Meta, cmd Vote) ([]events.Fact, error) {
	step, err := r.mayVote(meta, cmd)
	if err != nil {
		return nil, err
	}
	if err := r.seen(cmd.Comparison); err != nil {
		return nil, err
	}
	given := events.ApprovalGiven{Step: step.ID, Approver: cmd.By, Comment: cmd.Comment}
	after := r.Evolve(events.Event{Command: meta.Command, Fact: given})
	if _, open := after.openStep(); open {
		return []events.Fact{given}, nil
	}
	until := meta.Time.Add(time.Duration(r.Submitted.ApprovalSeconds) * time.Second).UTC()
	return []events.Fact{given, events.RequestApproved{Job: events.JobOf(r.ID), Until: until}}, nil
}

// Reject decides a no: one is enough.
func (r Request) Reject(meta Meta, cmd Vote) ([]events.Fact, error) {
	step, err := r.mayVote(meta, cmd)
	if err != nil {
		return nil, err
	}
	return []events.Fact{events.RequestRejected{Step: step.ID, Approver: cmd.By, Comment: cmd.Comment}}, nil
}

func (r Request) mayVote(meta Meta, cmd Vote) (events.Step, error) {
	switch {
	case r.State == "":
		return events.Step{}, ErrRequestUnknown
	case r.State == events.StateCancelled:
		return events.Step{}, ErrCancelled
	case r.State == events.StateRejected:
		return events.Step{}, ErrRejected
	case r.State == events.StateExpired, r.State == events.StatePending && !meta.Time.Before(r.PendingUntil):
		return events.Step{}, ErrRequestExpired
	case r.State != events.StatePending:
		return events.Step{}, ErrNotPending
	case cmd.By == r.Requester:
		return events.Step{}, ErrSelfApproval
	case r.voted(cmd.By):
		return events.Step{}, ErrAlreadyVoted
	case utf8.RuneCountInString(cmd.Comment) > MaxComment:
		return events.Step{}, ErrCommentTooLong
	}
	step, _ := r.openStep() // a pending request has one
	if !slices.Contains(cmd.Roles, step.Role) {
		return events.Step{}, ErrNotAnApprover
	}
	return step, nil
}

// Cancel is the requester taking a request back, before an agent works on it.
type Cancel struct {
	By      events.UserID
	Comment string
}

// Cancel decides it.
func (r Request) Cancel(_ Meta, cmd Cancel) ([]events.Fact, error) {
	switch {
	case r.State == "":
		return nil, ErrRequestUnknown
	case cmd.By != r.Requester:
		return nil, ErrNotYourRequest
	case utf8.RuneCountInString(cmd.Comment) > MaxComment:
		return nil, ErrCommentTooLong
	case r.State == events.StateCancelled:
		return nil, nil
	case r.State != events.StatePending && r.State != events.StateApproved:
		return nil, ErrTooLateToCancel
	}
	return []events.Fact{events.RequestCancelled{Comment: cmd.Comment}}, nil
}
