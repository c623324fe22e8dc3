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

	user                       events.UserID
	machine                    bool
	groups, teams, roles, keys ref.Val
	labels                     ref.Val
	now                        time.Time
}

func newView(a *Ask, p *Powers, at Spot) *view {
	v := &view{ask: a, place: at.Place, user: p.subject.User, machine: p.subject.Machine, now: a.Now.UTC()}
	v.groups, v.teams, v.roles, v.keys = v.list(p.groups), v.list(p.Teams()), v.list(p.Roles(at, a.Now)), v.list(a.Keys)
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
	switch name {
	case "requester.id":
		return types.String(v.user), true
	case "requester.groups":
		return v.groups, true
	case "requester.teams":
		return v.teams, true
	case "requester.roles":
		return v.roles, true
	case "requester.machine":
		return types.Bool(v.machine), true
	case "operation":
		return types.String(v.ask.Operation), true
	case "create":
		return types.Bool(v.ask.Create), true
	case "secret.provider":
		return types.String(v.ask.Provider), true
	case "secret.cluster":
		return types.String(v.ask.Cluster), true
	case "secret.connection":
		return types.String(v.ask.Connection), true
	case "secret.ref":
		return types.String(v.ask.Ref), true
	case "secret.labels":
		return v.labels, true
	case "secret.project":
		return types.String(v.place.Project), true
	case "secret.environment":
		return types.String(v.place.Environment), true
	case "secret.environment_kind":
		return types.String(v.place.Kind), true
	case "secret.team":
		return types.String(v.place.Team), true
	case "secret.owner":
		return types.String(v.place.Owner), true
	case "keys":
		return v.keys, true
	case "now":
		return types.Timestamp{Time: v.now}, true
	}
	return nil, false
}
