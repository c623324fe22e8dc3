package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/policy/files"
	"secretsbridge/rights"
	"secretsbridge/web/api"
)

// Bounds of a plan.
const (
	maxShifted   = 100 // people who gain or lose something
	maxParts     = 20  // places of one permission
	maxFields    = 200 // of one object
	maxFaults    = 200
	planPatience = 3 * time.Second // for who gains and who loses
)

// planGovernance says what a change would do, and does nothing.
func (a *API) planGovernance(c *call) (reply, error) {
	d, err := a.draft(c)
	if err != nil {
		return reply{}, err
	}
	history, seq, err := a.history(c.ctx())
	if err != nil {
		return reply{}, err
	}
	shown := api.Plan{Version: history.Version, Seq: uint64(seq), Changes: []api.ObjectChange{}, Faults: faultsOf(d.faults), People: []api.PersonShift{}}
	if len(shown.Faults) > 0 {
		return reply{status: http.StatusOK, body: shown}, nil // until everybody is known, nothing is
	}
	change, _ := a.change(c, d)
	change.On, change.Removed = history.Version, d.removals(standing(history))
	if d.Version != nil {
		change.On = *d.Version
	}
	p, err := history.Plan(change)
	if err != nil {
		return reply{}, err
	}
	known, failed := a.known(c)
	shown.Faults = faultsOf(a.faults(p.Objects, known, c.now))
	if *failed != nil {
		return reply{}, *failed
	}
	shown.Changes = changesOf(p.Base, p.Set, p.Removed)
	if p.Needs != nil {
		shown.Amendment = &api.AmendmentNeed{Approvals: p.Needs.Approvals, From: p.Needs.From}
	}
	before, after := policy.Compile(0, p.Base), policy.Compile(1, p.Objects)
	shown.OwnRights = a.lifts(c, before, after)
	if err := a.shifts(c, before, after, &shown); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: shown}, nil
}

func faultsOf(faults []policy.Fault) []api.GovernanceFault {
	shown := []api.GovernanceFault{}
	slices.SortStableFunc(faults, func(a, b policy.Fault) int { // what hinders comes first
		return cmp.Compare(bit(a.Warning), bit(b.Warning))
	})
	for i, f := range faults {
		if i == maxFaults-1 && len(faults) > maxFaults {
			return append(shown, api.GovernanceFault{Problem: fmt.Sprintf("and %d more", len(faults)-i), Warning: f.Warning})
		}
		shown = append(shown, api.GovernanceFault{Kind: string(f.Object.Kind), Name: f.Object.Name, Field: f.Field, Problem: f.Problem, Warning: f.Warning})
	}
	return shown
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// changesOf tells a change by its fields.
func changesOf(base map[events.ObjectRef]events.Object, set []events.Object, removed []events.ObjectRef) []api.ObjectChange {
	shown := []api.ObjectChange{}
	tell := func(ref events.ObjectRef, action string, before, after events.Spec) {
		fields := files.Diff(before, after)
		shown = append(shown, api.ObjectChange{
			Kind: string(ref.Kind), Name: ref.Name, Action: action, Fields: append([]files.FieldChange{}, fields[:min(len(fields), maxFields)]...),
			LeftOut: max(len(fields)-maxFields, 0),
		})
	}
	for _, o := range set {
		had, ok := base[o.Ref()]
		switch {
		case !ok:
			tell(o.Ref(), "added", nil, o.Spec)
		case len(files.Diff(had.Spec, o.Spec)) > 0:
			tell(o.Ref(), "changed", had.Spec, o.Spec)
		}
	}
	for _, ref := range removed {
		if had, ok := base[ref]; ok {
			tell(ref, "removed", had.Spec, nil)
		}
	}
	slices.SortStableFunc(shown, func(a, b api.ObjectChange) int {
		return events.ObjectRef{Kind: events.ObjectKind(a.Kind), Name: a.Name}.Compare(events.ObjectRef{Kind: events.ObjectKind(b.Kind), Name: b.Name})
	})
	return shown
}

// shifts tells who gains and who loses permissions, in the order of their ids. People who may not
// be listed are counted only, and so are those that there was no time to look at.
func (a *API) shifts(c *call, before, after *policy.Governance, shown *api.Plan) error {
	if len(shown.Changes) == 0 {
		return nil
	}
	users := slices.DeleteFunc(a.Rights.Users(), func(u command.User) bool { return u.State != command.UserActive })
	slices.SortFunc(users, func(a, b command.User) int { return cmp.Compare(a.ID, b.ID) })
	subjects := make([]policy.Subject, len(users))
	for i, u := range users {
		subjects[i] = rights.SubjectOf(u)
	}
	comparison := policy.Compare(before, after, subjects)
	mayList := c.may(policy.PersonList, policy.Spot{})
	until := a.Now().Add(planPatience)
	var who []events.UserID
	for i, s := range subjects {
		if a.Now().After(until) {
			shown.PeopleLeftOut += len(subjects) - i
			break
		}
		shift := comparison.Shift(s, s, c.now)
		switch {
		case shift.None():
		case !mayList || len(shown.People) == maxShifted:
			shown.PeopleLeftOut++
		default:
			who = append(who, s.User)
			shown.People = append(shown.People, api.PersonShift{
				Person: api.Person{ID: string(s.User)}, Machine: s.Machine, Gained: partsOf(shift.Gained), Lost: partsOf(shift.Lost),
			})
		}
	}
	if !mayList {
		return nil
	}
	names, err := a.People.Names(c.ctx(), append(who, named(shown.Changes)...))
	if err != nil {
		return err
	}
	for i := range shown.People {
		shown.People[i].Person.Name = names[events.UserID(shown.People[i].Person.ID)]
	}
	for id, name := range names {
		if shown.Names == nil {
			shown.Names = map[string]string{}
		}
		shown.Names[string(id)] = name
	}
	return nil
}

// named are the people that changes name.
func named(changes []api.ObjectChange) (who []events.UserID) {
	for _, change := range changes {
		for _, f := range change.Fields {
			for _, text := range []string{f.Before, f.After} {
				if files.IsID(events.UserID(text)) {
					who = append(who, events.UserID(text))
				}
			}
		}
	}
	slices.Sort(who)
	return slices.Compact(who)
}

func partsOf(parts []policy.Part) []api.PermissionShift {
	shown := []api.PermissionShift{}
	for _, p := range parts {
		s := api.PermissionShift{Permission: string(p.Permission), Everywhere: p.Everywhere}
		if !p.Everywhere {
			for _, area := range p.Areas[:min(len(p.Areas), maxParts)] {
				s.At = append(s.At, area.String())
			}
			s.LeftOut = max(len(p.Areas)-maxParts, 0)
		}
		shown = append(shown, s)
	}
	return shown
}
