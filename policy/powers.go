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
	Told     bool     // comes in by it, whatever it told so far

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
	held    []*grants // one's own with those of small groups, and those of large groups
}

// Powers works out what somebody may do.
func (g *Governance) Powers(s Subject) *Powers {
	p := &Powers{g: g, subject: s}
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
	own := newGrants()
	p.held = []*grants{own}
	for _, h := range s.Grants {
		own.add(g, h)
	}
	for _, name := range p.groups {
		if shared, ok := g.shared[name]; ok {
			p.held = append(p.held, shared)
			continue
		}
		for _, grant := range g.groups[name].Grants {
			own.add(g, Held{Grant: grant})
		}
	}
	return p
}

// Within are the powers that a token of that limit has.
func (p *Powers) Within(l Limit) *Powers {
	limited := *p
	limited.subject.Limit = &l
	return &limited
}

// allows reports whether the limit lets a permission be used at all.
func (p *Powers) allows(permission Permission) bool {
	return p.subject.Limit == nil || slices.Contains(p.subject.Limit.Permissions, permission)
}

// Hold reports whether somebody has a permission at a spot.
func (p *Powers) Hold(permission Permission, at Spot, now time.Time) bool {
	n, ok := numbers[permission]
	if !ok || !p.allows(permission) {
		return false
	}
	if l := p.subject.Limit; l != nil && !p.g.Covers(l.Scope, at) {
		return false
	}
	moment, lineage := now.UnixMicro(), p.g.lineage(at.Place.Team)
	for _, held := range p.held {
		if held.latest[n] > moment && !held.find(at, lineage, func(_ events.Scope, e *entry) bool { return e.until[n] <= moment }) {
			return true
		}
	}
	return false
}

// Anywhere reports whether somebody has a permission in any scope at all.
func (p *Powers) Anywhere(permission Permission, now time.Time) bool {
	n, ok := numbers[permission]
	moment := now.UnixMicro()
	return ok && p.allows(permission) && slices.ContainsFunc(p.held, func(held *grants) bool { return held.latest[n] > moment })
}

// Permissions are those that somebody has anywhere, in order.
func (p *Powers) Permissions(now time.Time) []Permission {
	var all []Permission
	for _, permission := range Catalogue() {
		if p.Anywhere(permission, now) {
			all = append(all, permission)
		}
	}
	return all
}

// User is whose powers they are.
func (p *Powers) User() events.UserID { return p.subject.User }

// Groups are those that somebody is in, by hand or as told, in order.
func (p *Powers) Groups() []string { return p.groups }

// Teams are those that somebody is a member or a head of, in order.
func (p *Powers) Teams() []string {
	if p.subject.Disabled {
		return nil
	}
	return p.g.of[p.subject.User]
}

// Roles are those that somebody has at a spot, in order.
func (p *Powers) Roles(at Spot, now time.Time) []string {
	var all []string
	moment, lineage := now.UnixMicro(), p.g.lineage(at.Place.Team)
	for _, held := range p.held {
		held.find(at, lineage, func(_ events.Scope, e *entry) bool {
			for role, until := range e.roles {
				if until > moment {
					all = append(all, role)
				}
			}
			return true
		})
	}
	slices.Sort(all)
	return slices.Compact(all)
}

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
	moment, lineage := now.UnixMicro(), p.g.lineage(at.Place.Team)
	return slices.ContainsFunc(p.held, func(held *grants) bool {
		return !held.find(at, lineage, func(_ events.Scope, e *entry) bool {
			until, has := e.roles[role]
			return !has || until <= moment
		})
	})
}

// Areas are where somebody has a permission now, for lists: what lies in one of them is covered,
// and nothing else.
func (p *Powers) Areas(permission Permission, now time.Time) Areas {
	n, ok := numbers[permission]
	if !ok || !p.allows(permission) {
		return Areas{}
	}
	var all Areas
	moment := now.UnixMicro()
	for _, held := range p.held {
		for _, s := range held.shapes {
			for scope, e := range s.at {
				if e.until[n] > moment {
					all = all.with(p.g.areas(scope))
				}
			}
		}
	}
	if l := p.subject.Limit; l != nil {
		all = all.within(p.g.areas(l.Scope))
	}
	return all.ordered()
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
		if h.Until.IsZero() || now.Before(h.Until) {
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
