package web

import (
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/rights"
)

// faults are what is wrong with objects together: what package policy sees, and settings that
// nobody could change again.
func (a *API) faults(objects map[events.ObjectRef]events.Object, known policy.Known, now time.Time) []policy.Fault {
	found := policy.Check(objects, known)
	if fault, locked := a.lockedIn(objects, now); locked {
		found = append(found, fault)
	}
	return found
}

// lockedIn reports settings that ask more people for approval than there are who may give it:
// who fits and holds the permission, beside whoever proposes. Under those every change would
// wait for ever.
func (a *API) lockedIn(objects map[events.ObjectRef]events.Object, now time.Time) (policy.Fault, bool) {
	settings, _ := objects[events.Installation].Spec.(events.Settings)
	needs := settings.Amendments
	if needs == nil {
		return policy.Fault{}, false
	}
	g := policy.Compile(0, objects)
	approvers, others := 0, false // who may propose without being one of them
	for _, u := range a.Rights.Users() {
		if u.State != command.UserActive {
			continue
		}
		powers := g.Powers(rights.SubjectOf(u))
		approves := u.Kind == events.UserPerson && powers.Hold(policy.AmendmentApprove, policy.Spot{}, now) && powers.Fit(needs.From, policy.Spot{}, now)
		if approves {
			approvers++
		}
		others = others || !approves && powers.Hold(policy.GovernanceManage, policy.Spot{}, now)
	}
	enough := approvers >= needs.Approvals
	if !others {
		enough = approvers > needs.Approvals
	}
	return policy.Fault{
		Object: events.Installation, Field: "amendments.from",
		Problem: fmt.Sprintf("only %d who may sign in fit this and hold %s everywhere, too few for %d approvals beside who proposes: give the role to more people first",
			approvers, policy.AmendmentApprove, needs.Approvals),
	}, !enough
}
