package command

import (
	"slices"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// MaxHops is how far a vote may travel: from the one whom a step names, over those who
// delegated it on, to the one who gives it.
const MaxHops = 3

// What can be wrong with a vote or a cancel.
var (
	ErrRequestUnknown  = &Rejection{"request_unknown", "there is no such request, or it is not yours to see"}
	ErrSelfApproval    = &Rejection{"self_approval", "you cannot decide on your own request; ask another approver"}
	ErrFilledIn        = &Rejection{"filled_in", "you filled the values in, so others decide on them; ask another approver"}
	ErrAlreadyVoted    = &Rejection{"already_voted", "you have already decided on this request; each approval needs another person"}
	ErrVoiceCounted    = &Rejection{"voice_counted", "whom you would vote for asked for this, filled it in or is counted already; each approval needs another person"}
	ErrNotAnApprover   = &Rejection{"not_an_approver", "this step is for others to decide; `sb request show` tells whom"}
	ErrNotPending      = &Rejection{"not_pending", "this request is not waiting for approval"}
	ErrCancelled       = &Rejection{"request_cancelled", "the requester cancelled this request"}
	ErrRejected        = &Rejection{"request_rejected", "this request was already rejected"}
	ErrRequestExpired  = &Rejection{"request_expired", "this request reached its time limit; submit it again"}
	ErrNotYourRequest  = &Rejection{"not_your_request", "only the requester can do this"}
	ErrTooLateToCancel = &Rejection{"too_late_to_cancel", "an agent is already working on it, or it has ended"}
	ErrCommentTooLong  = &Rejection{"comment_too_long", "shorten the comment to 2000 characters"}
)

// Vote is somebody's word on the step that is open.
type Vote struct {
	By      events.UserID
	Behind  []events.UserID // who may be a machine that asks; see [Request.asked]
	Voices  []Voice         // in whose name it may count; the first that fits does
	Comment string

	// Comparison is the number of the look at the secret that the approver saw; 0 does
	// not say.
	Comparison int
}

// Voice is one name in which a vote may count.
type Voice struct {
	// Via is whoever delegated to the one who votes, then whoever delegated to them, up to the
	// one in whose name it is given. None: one's own.
	Via []events.UserID

	// Fits reports whether that last one is among some approvers of this request, as of now.
	Fits func(events.Approvers) bool
}

// Approve decides a yes. With the last one the request is approved and its job may
// run.
func (r Request) Approve(meta Meta, cmd Vote) ([]events.Fact, error) {
	if err := r.mayVote(meta, cmd); err != nil {
		return nil, err
	}
	step, _ := r.openStep()
	voice, err := r.voice(cmd, r.approvers(step))
	if err != nil {
		return nil, err
	}
	if err := r.seen(cmd.Comparison); err != nil {
		return nil, err
	}
	given := events.ApprovalGiven{Step: step.ID, Approver: cmd.By, Comment: cmd.Comment, Via: voice.Via}
	after := r.Evolve(events.Event{Command: meta.Command, Time: meta.Time, Fact: given})
	if _, open := after.openStep(); open {
		return []events.Fact{given}, nil
	}
	until := meta.Time.Add(time.Duration(r.Submitted.ApprovalSeconds) * time.Second).UTC()
	return []events.Fact{given, events.RequestApproved{Job: events.JobOf(r.ID), Until: until}}, nil
}

// Reject decides a no: one is enough, of who may approve the open step or has a veto.
func (r Request) Reject(meta Meta, cmd Vote) ([]events.Fact, error) {
	if err := r.mayVote(meta, cmd); err != nil {
		return nil, err
	}
	step, _ := r.openStep()
	who := r.approvers(step)
	if veto := r.Submitted.Workflow.Veto; veto != nil {
		who = append(who, *veto)
	}
	voice, err := r.voice(cmd, who)
	if err != nil {
		return nil, err
	}
	return []events.Fact{events.RequestRejected{Step: step.ID, Approver: cmd.By, Comment: cmd.Comment, Via: voice.Via}}, nil
}

func (r Request) mayVote(meta Meta, cmd Vote) error {
	switch {
	case r.State == "":
		return ErrRequestUnknown
	case r.State == events.StateCancelled:
		return ErrCancelled
	case r.State == events.StateRejected:
		return ErrRejected
	case r.State == events.StateExpired, r.State == events.StatePending && !meta.Time.Before(r.PendingUntil):
		return ErrRequestExpired
	case r.State == events.StateAwaiting:
		return ErrNotPending.because("the values are not filled in yet; there is nothing to decide on")
	case r.State != events.StatePending:
		return ErrNotPending
	case r.asked(cmd.By, cmd.Behind):
		return ErrSelfApproval
	case cmd.By == r.Filler:
		return ErrFilledIn
	case r.counted(cmd.By):
		return ErrAlreadyVoted
	case utf8.RuneCountInString(cmd.Comment) > MaxComment:
		return ErrCommentTooLong
	}
	return nil
}

// approvers are who may vote on a step now: one of them.
func (r Request) approvers(step events.Step) []events.Approvers {
	from := step.From
	if step.Role != "" { // of before there were workflows
		from = events.Approvers{Roles: []string{step.Role}}
	}
	if r.steps.escalated {
		return []events.Approvers{from, step.Fallback}
	}
	return []events.Approvers{from}
}

// voice finds the first name in which a vote counts. The refusal says what is in the way of
// one that is named.
func (r Request) voice(cmd Vote, who []events.Approvers) (Voice, error) {
	refusal := ErrNotAnApprover
	for _, v := range cmd.Voices {
		if !slices.ContainsFunc(who, func(a events.Approvers) bool { return !a.Nobody() && v.Fits(a) }) {
			continue
		}
		switch {
		case len(v.Via) > 0 && !r.Submitted.Workflow.Delegation:
			refusal = ErrNotAnApprover.because("the workflow of this request takes no votes in the name of others")
		case len(v.Via) > MaxHops || r.barred(cmd, v.Via):
			refusal = ErrVoiceCounted
		default:
			return v, nil
		}
	}
	return Voice{}, refusal
}

// barred reports whether one of those over whom a vote came must not be behind it: four eyes
// hold through every hop.
func (r Request) barred(cmd Vote, via []events.UserID) bool {
	for i, hop := range via {
		if hop == cmd.By || r.asked(hop, cmd.Behind) || hop == r.Filler || r.counted(hop) || slices.Contains(via[:i], hop) {
			return true
		}
	}
	return false
}

// asked reports whether somebody is who asks: the requester, or one of those behind a machine,
// who issued a token of it. Nobody can tell which of them used it.
func (r Request) asked(who events.UserID, behind []events.UserID) bool {
	return who == r.Requester || slices.Contains(behind, who)
}

// counted reports whether somebody is behind a vote that counts.
func (r Request) counted(who events.UserID) bool {
	return slices.ContainsFunc(r.votes, func(v events.ApprovalGiven) bool { return v.Approver == who || slices.Contains(v.Via, who) })
}

// Asked is the step that waits for approvals, and false where none does.
func (r Request) Asked() (events.Step, bool) {
	if r.State != events.StatePending {
		return events.Step{}, false
	}
	return r.openStep()
}

// Approvers are whose approvals count, in the order they were given.
func (r Request) Approvers() []events.UserID {
	var all []events.UserID
	for _, v := range r.votes {
		if !slices.Contains(all, v.Approver) {
			all = append(all, v.Approver)
		}
	}
	return all
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
	case r.State != events.StateAwaiting && r.State != events.StatePending && r.State != events.StateApproved:
		return nil, ErrTooLateToCancel
	}
	return []events.Fact{events.RequestCancelled{Comment: cmd.Comment}}, nil
}
