package command

import (
	"slices"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// Amendment is a change that others must approve.
type Amendment struct {
	events.AmendmentProposed
	Approved []events.UserID
	State    AmendmentState
	Version  int // that it made
}

// AmendmentState is where an amendment stands. An open one that reached its end counts as over.
type AmendmentState string

const (
	AmendmentOpen      AmendmentState = "open"
	AmendmentApplied   AmendmentState = "applied"
	AmendmentRejected  AmendmentState = "rejected"
	AmendmentWithdrawn AmendmentState = "withdrawn"
	AmendmentOver      AmendmentState = "over" // nobody decided it in time, and that was told
)

func (g Governance) moved(id events.AmendmentID, move func(*Amendment)) []Amendment {
	i := slices.IndexFunc(g.Amendments, func(a Amendment) bool { return a.Amendment == id })
	if i < 0 {
		return g.Amendments
	}
	next := slices.Clone(g.Amendments)
	move(&next[i])
	return next
}

// Amendment finds an amendment.
func (g Governance) Amendment(id events.AmendmentID) (Amendment, bool) {
	for _, a := range g.Amendments {
		if a.Amendment == id {
			return a, true
		}
	}
	return Amendment{}, false
}

// amendments says whether a change needs approval by the settings that count now. Once they
// ask for any, changing the settings needs it too, and so do the groups and roles that approve:
// else their approvers could be made.
func amendments(base map[events.ObjectRef]events.Object, set []events.Object, removed []events.ObjectRef) *events.Amendments {
	settings, _ := base[events.Installation].Spec.(events.Settings)
	needs := settings.Amendments
	if needs == nil {
		return nil
	}
	asks := func(r events.ObjectRef) bool {
		return r.Kind == events.KindSettings || slices.Contains(needs.Kinds, r.Kind) ||
			r.Kind == events.KindGroup && slices.Contains(needs.From.Groups, r.Name) ||
			r.Kind == events.KindRole && slices.Contains(needs.From.Roles, r.Name)
	}
	if slices.ContainsFunc(set, func(o events.Object) bool { return asks(o.Ref()) }) || slices.ContainsFunc(removed, asks) {
		return needs
	}
	return nil
}

func (g Governance) open(now time.Time) (n int) {
	for _, a := range g.Amendments {
		if a.State == AmendmentOpen && now.Before(a.Until) {
			n++
		}
	}
	return n
}

// Amend is one word on an amendment.
type Amend struct {
	By      events.UserID
	Fits    bool // whether the amendment's approvers name them
	Comment string

	// As of [Change].
	Initial map[events.ObjectRef]events.Object
	Check   func(objects map[events.ObjectRef]events.Object) error
	Alone   func(base, objects map[events.ObjectRef]events.Object) error // of who approves: nobody agrees to their own rights
}

// ApproveAmendment decides a yes. With the last one the change counts at once, if the governance
// is still the one that it was written for.
func (g Governance) ApproveAmendment(meta Meta, id events.AmendmentID, cmd Amend) ([]events.Fact, error) {
	a, err := g.mayAmend(meta, id, cmd)
	if err != nil {
		return nil, err
	}
	if a.On != g.Version {
		return nil, ErrAmendmentStale
	}
	base := g.Objects
	if g.Version == 0 {
		base = cmd.Initial
	}
	after := amended(base, a.Set, a.Removed)
	if err := cmd.Alone(base, after); err != nil {
		return nil, err
	}
	approved := events.AmendmentApproved{Amendment: id, By: cmd.By, Comment: cmd.Comment}
	if len(a.Approved)+1 < a.Approvals {
		return []events.Fact{approved}, nil
	}
	if err := cmd.Check(after); err != nil {
		return nil, err
	}
	changed, err := g.changed(events.GovernanceChanged{Set: a.Set, Removed: a.Removed, Note: a.Note, Amendment: id}, cmd.Initial)
	if err != nil {
		return nil, err
	}
	return append([]events.Fact{approved}, changed...), nil
}

// RejectAmendment decides a no: one is enough.
func (g Governance) RejectAmendment(meta Meta, id events.AmendmentID, cmd Amend) ([]events.Fact, error) {
	if _, err := g.mayAmend(meta, id, cmd); err != nil {
		return nil, err
	}
	return []events.Fact{events.AmendmentRejected{Amendment: id, By: cmd.By, Comment: cmd.Comment}}, nil
}

// WithdrawAmendment decides that who proposed it takes it back.
func (g Governance) WithdrawAmendment(meta Meta, id events.AmendmentID, by events.UserID) ([]events.Fact, error) {
	a, known := g.Amendment(id)
	switch {
	case !known:
		return nil, ErrAmendmentUnknown
	case a.By != by:
		return nil, ErrNotYourAmendment
	case a.State == AmendmentWithdrawn:
		return nil, nil
	case a.State != AmendmentOpen || !meta.Time.Before(a.Until):
		return nil, ErrAmendmentOver
	}
	return []events.Fact{events.AmendmentWithdrawn{Amendment: id}}, nil
}

func (g Governance) mayAmend(meta Meta, id events.AmendmentID, cmd Amend) (Amendment, error) {
	a, known := g.Amendment(id)
	switch {
	case !known:
		return a, ErrAmendmentUnknown
	case a.State != AmendmentOpen || !meta.Time.Before(a.Until):
		return a, ErrAmendmentOver
	case a.By == cmd.By:
		return a, ErrOwnAmendment
	case slices.Contains(a.Approved, cmd.By):
		return a, ErrAmendmentVoted
	case !cmd.Fits:
		return a, ErrNotAnAmender
	case utf8.RuneCountInString(cmd.Comment) > MaxComment:
		return a, ErrCommentTooLong
	}
	return a, nil
}
