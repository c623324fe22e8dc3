package policy

import (
	"slices"
	"time"

	"secretsbridge/events"
)

// Subject is somebody as facts tell them.
type Subject struct {
	User     events.UserID
	Machine  bool
	Disabled bool // or erased, or never added: has nothing
	Grants   []Held
	Groups   []string // that the identity provider told

	// Limit bounds what a token may do, whatever the grants give. Nil: no bound.
	Limit *Limit
}

// Held is a grant, with its end if it has one.
type Held struct {
	events.Grant
	Until time.Time // exclusive; zero: none
}

// Limit is what a token is good for, at most.
type Limit struct {
	Permissions []Permission
	Scope       events.Scope
}

// Powers are what somebody may do under one governance. They never change; grants end by the
// time that is asked about.
type Powers struct {
	g       *Governance
	subject Subject
	groups  []string
	scopes  map[Permission][]reach
}

type reach struct {
	scope events.Scope
	until time.Time
}

func (r reach) counts(now time.Time) bool { return r.until.IsZero() || now.Before(r.until) }

// Powers works out what somebody may do.
func (g *Governance) Powers(s Subject) *Powers {
	p := &Powers{g: g, subject: s, scopes: map[Permission][]reach{}}
	if s.Disabled || s.User == "" {
		return p
	}
	p.groups = slices.Clone(g.members[s.User])
	for _, told := range s.Groups {
		if g.groups[told].Claim != "" {
			p.groups = append(p.groups, told)
		}
	}
	slices.Sort(p.groups)
	p.groups = slices.Compact(p.groups)
	held := slices.Clone(s.Grants)
	for _, name := range p.groups {
		for _, grant := range g.groups[name].Grants {
			held = append(held, Held{Grant: grant})
		}
	}
	for _, h := range held {
		for permission := range g.roles[h.Role] {
			if s.Limit == nil || slices.Contains(s.Limit.Permissions, permission) {
				p.scopes[permission] = append(p.scopes[permission], reach{h.Scope, h.Until})
			}
		}
	}
	return p
}

// Hold reports whether somebody has a permission at a spot.
func (p *Powers) Hold(permission Permission, at Spot, now time.Time) bool {
	if l := p.subject.Limit; l != nil && !p.g.Covers(l.Scope, at) {
		return false
	}
	for _, r := range p.scopes[permission] {
		if r.counts(now) && p.g.Covers(r.scope, at) {
			return true
		}
	}
	return false
}

// Anywhere reports whether somebody has a permission in any scope at all.
func (p *Powers) Anywhere(permission Permission, now time.Time) bool {
	return slices.ContainsFunc(p.scopes[permission], func(r reach) bool { return r.counts(now) })
}

// Permissions are those that somebody has anywhere, in order.
func (p *Powers) Permissions(now time.Time) []Permission {
	var all []Permission
	for permission := range p.scopes {
		if p.Anywhere(permission, now) {
			all = append(all, permission)
		}
	}
	slices.Sort(all)
	return all
}

// Groups are those that somebody is in, by hand or as told, in order.
func (p *Powers) Groups() []string { return p.groups }

// Teams are those that somebody is a member or a head of.
func (p *Powers) Teams() []string { return p.g.of[p.subject.User] }

// Fit reports whether somebody is one of some approvers for a spot, owner being the owner of
// the secret. Whether they may do it too, [Powers.Hold] says.
func (p *Powers) Fit(a events.Approvers, at Spot, now time.Time) bool {
	user := p.subject.User
	switch {
	case p.subject.Disabled || user == "":
		return false
	case slices.Contains(a.People, user),
		slices.ContainsFunc(a.Groups, func(g string) bool { return slices.Contains(p.groups, g) }),
		a.TeamHeads && slices.ContainsFunc(p.g.lineage(at.Place.Team), func(t string) bool { return slices.Contains(p.g.heads[user], t) }),
		a.Owners && at.Place.Owner != "" && (slices.Contains(p.groups, at.Place.Owner) || slices.Contains(p.g.of[user], at.Place.Owner)):
		return true
	}
	return slices.ContainsFunc(a.Roles, func(role string) bool { return p.hasRole(role, at, now) })
}

func (p *Powers) hasRole(role string, at Spot, now time.Time) bool {
	fits := func(grant events.Grant, until time.Time) bool {
		return grant.Role == role && (reach{until: until}).counts(now) && p.g.Covers(grant.Scope, at)
	}
	if slices.ContainsFunc(p.subject.Grants, func(h Held) bool { return fits(h.Grant, h.Until) }) {
		return true
	}
	return slices.ContainsFunc(p.groups, func(name string) bool {
		return slices.ContainsFunc(p.g.groups[name].Grants, func(grant events.Grant) bool { return fits(grant, time.Time{}) })
	})
}

// Areas are where somebody has a permission now, for lists: what lies in one of them is covered,
// and nothing else.
func (p *Powers) Areas(permission Permission, now time.Time) Areas {
	var all Areas
	for _, r := range p.scopes[permission] {
		if r.counts(now) {
			all = all.with(p.g.areas(r.scope))
		}
	}
	if l := p.subject.Limit; l != nil {
		all = all.within(p.g.areas(l.Scope))
	}
	return all
}

// Governance is the one that the powers were worked out under.
func (p *Powers) Governance() *Governance { return p.g }

// Grants are those that count now, one's own and then those of the groups, with the group that
// each comes from. A token's limit is not in them.
func (p *Powers) Grants(now time.Time) []GroupGrant {
	var all []GroupGrant
	if p.subject.Disabled || p.subject.User == "" {
		return nil
	}
	for _, h := range p.subject.Grants {
		if (reach{until: h.Until}).counts(now) {
			all = append(all, GroupGrant{Held: h})
		}
	}
	for _, name := range p.groups {
		for _, grant := range p.g.groups[name].Grants {
			all = append(all, GroupGrant{Held: Held{Grant: grant}, Group: name})
		}
	}
	return all
}

// GroupGrant is a grant with the group that gives it; empty: it is one's own.
type GroupGrant struct {
	Held
	Group string
}
