package command

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// Bounds of the governance.
const (
	MaxObjects     = 20_000
	MaxChanged     = 5_000 // objects of one change; the commit has a size too
	MaxAmendments  = 100   // open at the same time
	AmendmentLife  = 14 * 24 * time.Hour
	maxChangeBytes = events.MaxCommitBytes - 64<<10
)

// What can be wrong with a change of the governance.
var (
	ErrGovernanceMoved    = &Rejection{"governance_moved", "somebody else changed it since you read it; read it again and change that"}
	ErrGovernanceInvalid  = &Rejection{"governance_invalid", "the objects do not fit together"}
	ErrTooManyObjects     = &Rejection{"too_many_objects", fmt.Sprintf("at most %d objects are allowed, and %d in one change", MaxObjects, MaxChanged)}
	ErrObjectUnknown      = &Rejection{"object_unknown", "there is no such object"}
	ErrObjectTwice        = &Rejection{"object_twice", "an object is named twice in one change"}
	ErrAmendmentUnknown   = &Rejection{"amendment_unknown", "there is no such amendment"}
	ErrAmendmentOver      = &Rejection{"amendment_over", "this amendment was decided, taken back, or reached its end"}
	ErrAmendmentStale     = &Rejection{"amendment_stale", "the governance has changed since; propose it again on top of what is there now"}
	ErrOwnAmendment       = &Rejection{"own_amendment", "you cannot decide on your own amendment; ask somebody else"}
	ErrAmendmentVoted     = &Rejection{"already_voted", ErrAlreadyVoted.Detail}
	ErrNotAnAmender       = &Rejection{"not_an_approver", "the settings do not name you for this"}
	ErrTooManyAmendments  = &Rejection{"too_many_amendments", fmt.Sprintf("at most %d amendments may be open; decide some", MaxAmendments)}
	ErrNotYourAmendment   = &Rejection{"not_your_amendment", "only who proposed it can take it back"}
	ErrGovernanceTooLarge = &Rejection{"governance_too_large", "the change is too large for one step; make several"}
)

// Governance is all objects, as the history tells them.
type Governance struct {
	Version    int // 0: nobody changed what the installation began with
	Objects    map[events.ObjectRef]events.Object
	Amendments []Amendment // in the order they were proposed

	claims map[string]string // group, also one that was removed → the claim that it is told by
	taken  taken
}

// Evolve implements [State].
func (g Governance) Evolve(e events.Event) Governance {
	g.taken = g.taken.with(e.Command)
	switch f := e.Fact.(type) {
	case events.GovernanceChanged:
		g.Version, g.Objects = f.Version, amended(g.Objects, f.Set, f.Removed)
		g.claims = claimed(g.claims, f.Set)
		g.Amendments = g.moved(f.Amendment, func(a *Amendment) { a.State, a.Version = AmendmentApplied, f.Version })
	case events.AmendmentProposed:
		g.Amendments = append(slices.Clip(g.Amendments), Amendment{AmendmentProposed: f, State: AmendmentOpen})
	case events.AmendmentApproved:
		g.Amendments = g.moved(f.Amendment, func(a *Amendment) { a.Approved = append(slices.Clip(a.Approved), f.By) })
	case events.AmendmentRejected:
		g.Amendments = g.moved(f.Amendment, func(a *Amendment) { a.State = AmendmentRejected })
	case events.AmendmentExpired:
		g.Amendments = g.moved(f.Amendment, func(a *Amendment) { a.State = AmendmentOver })
	case events.AmendmentWithdrawn:
		g.Amendments = g.moved(f.Amendment, func(a *Amendment) { a.State = AmendmentWithdrawn })
	}
	return g
}

// Took implements [State].
func (g Governance) Took(id events.CommandID) bool { return g.taken.has(id) }

// claimed are the claims of groups after a change.
func claimed(claims map[string]string, set []events.Object) map[string]string {
	next := claims
	for _, o := range set {
		if group, ok := o.Spec.(events.Group); ok && group.Claim != "" && claims[o.Name] != group.Claim {
			if next = maps.Clone(next); next == nil {
				next = map[string]string{}
			}
			next[o.Name] = group.Claim
		}
	}
	return next
}

// sameClaims refuses another claim for the name of a group: facts tell by that name who is in
// it, and those whom the old claim put there would have what the new one gives.
func (g Governance) sameClaims(set []events.Object) error {
	for _, o := range set {
		group, _ := o.Spec.(events.Group)
		if had, ok := g.claims[o.Name]; ok && o.Kind == events.KindGroup && group.Claim != "" && group.Claim != had {
			return ErrGovernanceInvalid.because(o.Ref().String() + ": people are in it by another claim until they sign in again; take another name for the group")
		}
	}
	return nil
}

// amended is the objects after a change.
func amended(objects map[events.ObjectRef]events.Object, set []events.Object, removed []events.ObjectRef) map[events.ObjectRef]events.Object {
	next := make(map[events.ObjectRef]events.Object, len(objects)+len(set))
	maps.Copy(next, objects)
	for _, ref := range removed {
		delete(next, ref)
	}
	for _, o := range set {
		next[o.Ref()] = o
	}
	return next
}

// Change wants other objects.
type Change struct {
	By      events.UserID
	On      int // the version that the caller has read
	Set     []events.Object
	Removed []events.ObjectRef
	Note    string

	// Initial are the objects of a governance that nobody changed yet.
	Initial map[events.ObjectRef]events.Object

	// Check says what is wrong with all objects together, as a [*Rejection]: package policy knows.
	Check func(objects map[events.ObjectRef]events.Object) error

	// Alone says, likewise, what nobody may do without others who approve it.
	Alone func(base, objects map[events.ObjectRef]events.Object) error
}

// Planned is what a change comes to.
type Planned struct {
	Base    map[events.ObjectRef]events.Object // before it
	Set     []events.Object                    // what is new or different, sorted
	Removed []events.ObjectRef                 // likewise
	Objects map[events.ObjectRef]events.Object // after it
	Needs   *events.Amendments                 // who must approve it; nil: nobody
}

// Plan works out what a change comes to, and decides nothing. What is the same already is left
// out.
func (g Governance) Plan(cmd Change) (Planned, error) {
	if cmd.On != g.Version {
		return Planned{}, ErrGovernanceMoved
	}
	p := Planned{Base: g.Objects}
	if g.Version == 0 {
		p.Base = cmd.Initial
	}
	var err error
	if p.Set, p.Removed, err = difference(p.Base, cmd.Set, cmd.Removed); err != nil {
		return Planned{}, err
	}
	if err := g.sameClaims(p.Set); err != nil {
		return Planned{}, err
	}
	p.Objects = amended(p.Base, p.Set, p.Removed)
	if len(p.Objects) > MaxObjects || len(p.Set)+len(p.Removed) > MaxChanged {
		return Planned{}, ErrTooManyObjects
	}
	p.Needs = amendments(p.Base, p.Set, p.Removed)
	return p, nil
}

// Change decides a change, or that it is an amendment which others must approve first. Nothing
// that differs is nothing to decide.
func (g Governance) Change(meta Meta, cmd Change) ([]events.Fact, error) {
	if utf8.RuneCountInString(cmd.Note) > MaxReason {
		return nil, ErrReasonTooLong
	}
	p, err := g.Plan(cmd)
	if err != nil || len(p.Set)+len(p.Removed) == 0 {
		return nil, err
	}
	if err := cmd.Check(p.Objects); err != nil {
		return nil, err
	}
	if p.Needs != nil {
		if g.open(meta.Time) >= MaxAmendments {
			return nil, ErrTooManyAmendments
		}
		return fits(events.AmendmentProposed{
			Amendment: events.AmendmentOf(meta.Command), By: cmd.By, On: g.Version, Set: p.Set, Removed: p.Removed, Note: cmd.Note,
			Approvals: p.Needs.Approvals, From: p.Needs.From, Until: meta.Time.Add(AmendmentLife).UTC(),
		})
	}
	if err := cmd.Alone(p.Base, p.Objects); err != nil {
		return nil, err
	}
	return g.changed(events.GovernanceChanged{Set: p.Set, Removed: p.Removed, Note: cmd.Note}, cmd.Initial)
}

// changed is the fact of a change. The first one holds what the installation began with, too:
// from then on the log alone tells everything.
func (g Governance) changed(f events.GovernanceChanged, initial map[events.ObjectRef]events.Object) ([]events.Fact, error) {
	f.Version = g.Version + 1
	if g.Version == 0 {
		next := amended(initial, f.Set, f.Removed)
		f.Set, f.Removed = sorted(next), nil
	}
	return fits(f)
}

// fits refuses a fact that no commit can hold.
func fits(f events.Fact) ([]events.Fact, error) {
	if events.SizeOf(f) > maxChangeBytes {
		return nil, ErrGovernanceTooLarge
	}
	return []events.Fact{f}, nil
}

func sorted(objects map[events.ObjectRef]events.Object) []events.Object {
	return slices.SortedFunc(maps.Values(objects), func(a, b events.Object) int { return a.Ref().Compare(b.Ref()) })
}

// difference is what of a change is one.
func difference(base map[events.ObjectRef]events.Object, set []events.Object, removed []events.ObjectRef) ([]events.Object, []events.ObjectRef, error) {
	seen := map[events.ObjectRef]bool{}
	var news []events.Object
	for _, o := range set {
		if seen[o.Ref()] {
			return nil, nil, ErrObjectTwice.because(o.Ref().String() + " is named twice in one change")
		}
		seen[o.Ref()] = true
		if had, ok := base[o.Ref()]; !ok || !reflect.DeepEqual(had, o) {
			news = append(news, o)
		}
	}
	for _, ref := range removed {
		if seen[ref] {
			return nil, nil, ErrObjectTwice.because(ref.String() + " is named twice in one change")
		}
		seen[ref] = true
		if _, ok := base[ref]; !ok {
			return nil, nil, ErrObjectUnknown.because("there is no " + ref.String())
		}
	}
	slices.SortFunc(news, func(a, b events.Object) int { return a.Ref().Compare(b.Ref()) })
	removed = slices.Clone(removed)
	slices.SortFunc(removed, events.ObjectRef.Compare)
	return news, removed, nil
}
