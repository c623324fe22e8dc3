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

	missing string // the label that was asked for last and is not there
}

func newView(a *Ask, p *Powers, at Spot) *view {
	v := &view{ask: a, place: at.Place, user: p.subject.User, machine: p.subject.Machine, now: a.Now.UTC()}
	v.inGroups, v.inTeams, v.hasRoles = p.groups, p.Teams(), p.Roles(at, a.Now)
	for _, names := range [][]string{v.inGroups, v.inTeams, v.hasRoles} {
		v.long = v.long || len(names) > maxNames // and names are never longer than objects may have
	}
	for _, key := range a.Keys {
		v.long = v.long || len(key) > maxKey
	}
	for name, value := range a.Labels {
		v.long = v.long || len(name) > maxText || len(value) > maxText
	}
	v.long = v.long || len(a.Keys) > maxFew || len(a.Labels) > maxFew || len(a.Ref) > maxPrefix || len(a.Owner) > maxKey ||
		len(a.Provider) > maxName || len(a.Cluster) > maxName || len(a.Connection) > maxName || len(a.Operation) > maxName
	return v
}

// listed is a list of the language, made when a condition asks for it.
func listed(made *ref.Val, items []string) ref.Val {
	if *made == nil {
		*made = types.NewStringList(types.DefaultTypeAdapter, items)
	}
	return *made
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
		return listed(&v.groups, v.inGroups), true
	case "requester.teams":
		return listed(&v.teams, v.inTeams), true
	case "requester.roles":
		return listed(&v.roles, v.hasRoles), true
	case "requester.machine":
		return types.Bool(v.machine), true
	case "create":
		return types.Bool(v.ask.Create), true
	case "secret.labels":
		if v.labels == nil {
			v.labels = types.NewStringStringMap(types.DefaultTypeAdapter, v.ask.Labels)
		}
		return v.labels, true
	case "keys":
		return listed(&v.keys, v.ask.Keys), true
	case "now":
		return types.Timestamp{Time: v.now}, true
	}
	return nil, false
}
