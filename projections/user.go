package projections

import (
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// User is one person or machine, with what facts tell of their rights.
type User struct {
	ID          events.UserID            `json:"id" db:"id"`
	Seq         events.Seq               `json:"seq" db:"seq"`
	LastSeq     events.Seq               `json:"last_seq" db:"last_seq"`
	Kind        events.UserKind          `json:"kind" db:"kind"`
	State       command.UserState        `json:"state" db:"state"`
	BreakGlass  bool                     `json:"break_glass" db:"break_glass"`
	AddedAt     time.Time                `json:"added_at" db:"added_at"`
	AddedBy     events.Actor             `json:"added_by" db:"added_by"`
	Grants      []events.GrantGiven      `json:"grants" db:"grants"` // in the order they were given
	Groups      []string                 `json:"groups" db:"groups"` // that the identity provider told
	Tokens      []events.TokenIssued     `json:"tokens" db:"tokens"`
	Delegations []events.DelegationGiven `json:"delegations" db:"delegations"`
	Factors     []events.FactorEnrolled  `json:"factors" db:"factors"`
}

// fold takes one event, as the decider's state does. What comes before somebody was added
// counts for nothing, there as here.
func (u *User) fold(seq events.Seq, e events.Event) {
	if _, ok := e.Fact.(events.UserAdded); ok && u.ID == "" {
		*u = User{ID: events.UserID(e.Stream.ID), Seq: seq, AddedAt: stored(e.Time), AddedBy: clean(e.Actor)}
	}
	if u.ID == "" {
		return
	}
	u.LastSeq = seq
	e.Fact = cleanUserFact(e.Fact)
	next := u.Rights().Evolve(e)
	u.Kind, u.State, u.BreakGlass = next.Kind, next.State, next.BreakGlass
	u.Grants, u.Groups, u.Tokens = some(next.Grants), some(next.Groups), some(next.Tokens)
	u.Delegations, u.Factors = some(next.Delegated), some(next.Factors)
}

// Rights is the user as deciders know them, without the commands that were taken.
func (u User) Rights() command.User {
	return command.User{
		ID: u.ID, Kind: u.Kind, BreakGlass: u.BreakGlass, State: u.State, Grants: u.Grants, Groups: u.Groups,
		Tokens: u.Tokens, Delegated: u.Delegations, Factors: u.Factors,
	}
}

// some makes none an empty list, which is not null in JSON.
func some[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// cleanUserFact makes the texts of a fact ones that Postgres takes, and its times UTC.
func cleanUserFact(fact events.Fact) events.Fact {
	switch f := fact.(type) {
	case events.UserAdded:
		f.Kind = clean(f.Kind)
		return f
	case events.GrantGiven:
		f.Grant, f.Role, f.Scope, f.Until, f.Reason = clean(f.Grant), clean(f.Role), cleanScope(f.Scope), stored(f.Until), clean(f.Reason)
		return f
	case events.GrantTaken:
		f.Grant = clean(f.Grant)
		return f
	case events.GroupsTold:
		f.Groups = cleanKeys(f.Groups)
		return f
	case events.TokenIssued:
		f.Token, f.Name, f.Permissions = clean(f.Token), clean(f.Name), cleanKeys(f.Permissions)
		f.Scope, f.Until = cleanScope(f.Scope), stored(f.Until)
		return f
	case events.TokenRevoked:
		f.Token = clean(f.Token)
		return f
	case events.DelegationGiven:
		f.Delegation, f.To, f.Reason = clean(f.Delegation), clean(f.To), clean(f.Reason)
		f.Since, f.Until = stored(f.Since), stored(f.Until)
		return f
	case events.DelegationEnded:
		f.Delegation = clean(f.Delegation)
		return f
	case events.TokenExpired:
		f.Token = clean(f.Token)
		return f
	case events.DelegationExpired:
		f.Delegation = clean(f.Delegation)
		return f
	case events.FactorEnrolled:
		f.Factor, f.Kind = clean(f.Factor), clean(f.Kind)
		return f
	case events.FactorRemoved:
		f.Factor = clean(f.Factor)
		return f
	}
	return fact
}

func cleanScope(s events.Scope) events.Scope {
	return events.Scope{
		Team: clean(s.Team), Project: clean(s.Project), Environment: clean(s.Environment), Kind: clean(s.Kind),
		Connection: clean(s.Connection), Prefix: clean(s.Prefix),
	}
}
