package policy

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"secretsbridge/events"
)

// view is an ask as conditions look at it. Lists become values of the language once.
type view struct {
	ask   *Ask
	place events.Place
	long  bool // something is longer than estimates reckon with

	user                        events.UserID
	machine                     bool
	inGroups, inTeams, hasRoles []string
	groups, teams, roles, keys  ref.Val
	labels                      ref.Val
	now                         time.Time
}

func newView(a *Ask, p *Powers, at Spot) *view {
	v := &view{ask: a, place: at.Place, user: p.subject.User, machine: p.subject.Machine, now: a.Now.UTC()}
	v.inGroups, v.inTeams, v.hasRoles = p.groups, p.Teams(), p.Roles(at, a.Now)
	v.groups, v.teams, v.roles, v.keys = v.list(v.inGroups), v.list(v.inTeams), v.list(v.hasRoles), v.list(a.Keys)
	v.labels = types.NewStringStringMap(types.DefaultTypeAdapter, a.Labels)
	v.long = v.long || len(a.Labels) > maxListed || len(a.Ref) > maxText
	for name, value := range a.Labels {
		v.long = v.long || len(name) > maxText || len(value) > maxText
	}
	return v
}

func (v *view) list(items []string) ref.Val {
	v.long = v.long || len(items) > maxListed
	for _, item := range items {
		v.long = v.long || len(item) > maxText
	}
	return types.NewStringList(types.DefaultTypeAdapter, items)
}

// Parent implements [cel.Activation].
func (v *view) Parent() cel.Activation { return nil }

// ResolveName implements [cel.Activation].
func (v *view) ResolveName(name string) (any, bool) {
	if of, ok := texts[name]; ok {
		return types.String(of(v)), true
	}
	switch name {
	case "requester.groups":
		return v.groups, true
	case "requester.teams":
		return v.teams, true
	case "requester.roles":
		return v.roles, true
	case "requester.machine":
		return types.Bool(v.machine), true
	case "create":
		return types.Bool(v.ask.Create), true
	case "secret.labels":
		return v.labels, true
	case "keys":
		return v.keys, true
	case "now":
		return types.Timestamp{Time: v.now}, true
	}
	return nil, false
}
