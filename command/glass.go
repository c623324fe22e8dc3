package command

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// The shortest words of who does without approval, and of who thinks about it or refuses, in
// characters.
const (
	MinGlassReason = 10
	MinComment     = 10
)

// What can be wrong with doing without approval, and with its review.
var (
	ErrGlass           = &Rejection{"break_glass_not_allowed", "you may not do without approval here; submit it without --break-glass"}
	ErrGlassReason     = &Rejection{"break_glass_reason", "say why it cannot wait for approval, in other words than the reason of the request"}
	ErrReviewDue       = &Rejection{"review_overdue", "something that you did without approval was not reviewed in time; have it reviewed first"}
	ErrNothingToReview = &Rejection{"nothing_to_review", "this request did not do without approval"}
	ErrOwnReview       = &Rejection{"own_review", "you cannot review what you did; ask another reviewer"}
	ErrNotAReviewer    = &Rejection{"not_a_reviewer", "the workflow of this request names others as its reviewers"}
	ErrReviewed        = &Rejection{"already_reviewed", "this was reviewed already"}
	ErrReviewInvalid   = &Rejection{"review_invalid", "say whether it was justified or unjustified"}
	ErrCommentInvalid  = &Rejection{"comment_invalid", "the comment holds control characters; write plain text"}
	ErrCommentTooShort = &Rejection{"comment_too_short", fmt.Sprintf("say why, in at least %d characters", MinComment)}
)

// Glass is how a request went without approval.
type Glass struct {
	Reason  string
	Until   time.Time // when it must be reviewed
	Overdue bool
	Review  *events.GlassReviewed // nil: not yet
}

// BreakGlass is the requester's wish to do without approval.
type BreakGlass struct {
	Reason string // the second one
	Fits   bool   // the requester is one of those who may, as of now
}

func (r Request) evolveGlass(fact events.Fact) Request {
	glass := Glass{}
	if r.Glass != nil {
		glass = *r.Glass
	}
	switch f := fact.(type) {
	case events.GlassBroken:
		glass, r.unseen = Glass{Reason: f.Reason, Until: f.ReviewUntil}, true
	case events.GlassReviewed:
		glass.Review = &f
	case events.ReviewOverdue:
		glass.Overdue = true
	}
	r.Glass = &glass
	return r
}

// breakGlass decides what follows from a submit that does without approval.
func (cmd Submit) breakGlass(meta Meta, reason string) (events.Fact, error) {
	rules, second := cmd.Workflow.BreakGlass, strings.TrimSpace(cmd.BreakGlass.Reason)
	switch {
	case utf8.RuneCountInString(second) > MaxReason:
		return nil, ErrGlassReason.because(fmt.Sprintf("shorten the reason why it cannot wait to %d characters", MaxReason))
	case rules == nil || !cmd.BreakGlass.Fits:
		return nil, ErrGlass
	case cmd.Fill != nil:
		return nil, ErrGlass.because("values that another team fills in cannot do without approval")
	case cmd.OverdueReviews > 0:
		return nil, ErrReviewDue
	}
	switch least := max(MinGlassReason, rules.MinLength); {
	case utf8.RuneCountInString(second) < least:
		return nil, ErrGlassReason.because(fmt.Sprintf("say in at least %d characters why it cannot wait for approval", least))
	case !utf8.ValidString(second), hasControl(second):
		return nil, ErrGlassReason.because("the reason why it cannot wait holds control characters; write plain text")
	case second == reason:
		return nil, ErrGlassReason
	}
	return events.GlassBroken{Reason: second, ReviewUntil: meta.Time.Add(seconds(rules.ReviewSeconds)).UTC()}, nil
}

// Review is what somebody thinks of a request that went without approval.
type Review struct {
	By      events.UserID
	Behind  []events.UserID // as of [Vote]
	Fits    bool            // is one of its reviewers, as of now
	Outcome events.ReviewOutcome
	Comment string
}

// Review decides it. It may come late, once.
func (r Request) Review(_ Meta, cmd Review) ([]events.Fact, error) {
	why, err := comment(cmd.Comment, MinComment)
	switch {
	case r.State == "":
		return nil, ErrRequestUnknown
	case errors.Is(err, ErrCommentTooLong):
		return nil, err
	case r.Glass == nil:
		return nil, ErrNothingToReview
	case r.asked(cmd.By, cmd.Behind):
		return nil, ErrOwnReview
	case !cmd.Fits:
		return nil, ErrNotAReviewer
	case r.Glass.Review != nil:
		return nil, ErrReviewed
	case cmd.Outcome != events.ReviewJustified && cmd.Outcome != events.ReviewUnjustified:
		return nil, ErrReviewInvalid
	case err != nil:
		return nil, err
	}
	return []events.Fact{events.GlassReviewed{By: cmd.By, Outcome: cmd.Outcome, Comment: why}}, nil
}

// Overdue decides whether a review did not come in time, once.
func (r Request) Overdue(meta Meta) []events.Fact {
	if r.Glass == nil || r.Glass.Review != nil || r.Glass.Overdue || meta.Time.Before(r.Glass.Until) {
		return nil
	}
	return []events.Fact{events.ReviewOverdue{}}
}
