package command

import (
	"time"

	"secretsbridge/events"
)

// ends folds what is given for a while, and what brings it to an end.
func (u User) ends(fact events.Fact) User {
	switch f := fact.(type) {
	case events.FactorBegun:
		u.Begun = append(without(u.Begun, func(b events.FactorBegun) bool { return b.Kind == f.Kind }), f)
	case events.FactorAbandoned:
		u.Begun = without(u.Begun, func(b events.FactorBegun) bool { return b.Factor == f.Factor })
	case events.LinkIssued:
		u.Links = append(without(u.Links, func(l events.LinkIssued) bool { return l.Purpose == f.Purpose }), f)
	case events.LinkExpired:
		u.Links = without(u.Links, func(l events.LinkIssued) bool { return l.Purpose == f.Purpose })
	case events.TokenExpired:
		u.Tokens = without(u.Tokens, func(t events.TokenIssued) bool { return t.Token == f.Token })
	case events.DelegationExpired:
		u.Delegated = without(u.Delegated, func(d events.DelegationGiven) bool { return d.Delegation == f.Delegation })
	}
	return u
}

// Expire decides what of somebody's has reached its end: links that nobody used, tokens,
// delegations, and factors that nobody confirmed. Nothing of it opened anything any more.
func (u User) Expire(meta Meta) ([]events.Fact, error) { return u.Ended(meta.Time), nil }

// Ended is what reached its end by a time, and was not told yet. An erased person has nothing.
func (u User) Ended(now time.Time) (ended []events.Fact) {
	over := func(until time.Time) bool { return !now.Before(until) }
	for _, l := range u.Links {
		if over(l.Until) {
			ended = append(ended, events.LinkExpired{Purpose: l.Purpose})
		}
	}
	for _, t := range u.Tokens {
		if over(t.Until) {
			ended = append(ended, events.TokenExpired{Token: t.Token})
		}
	}
	for _, d := range u.Delegated {
		if over(d.Until) {
			ended = append(ended, events.DelegationExpired{Delegation: d.Delegation})
		}
	}
	for _, b := range u.Begun {
		if over(b.Until) {
			ended = append(ended, events.FactorAbandoned{Factor: b.Factor, Kind: b.Kind})
		}
	}
	return ended
}

// Expire decides which amendments nobody decided in their time.
func (g Governance) Expire(meta Meta) ([]events.Fact, error) { return g.Ended(meta.Time), nil }

// Ended are the amendments that reached their end by a time, and of which it was not told yet.
func (g Governance) Ended(now time.Time) (ended []events.Fact) {
	for _, a := range g.Amendments {
		if a.State == AmendmentOpen && !now.Before(a.Until) {
			ended = append(ended, events.AmendmentExpired{Amendment: a.Amendment})
		}
	}
	return ended
}
