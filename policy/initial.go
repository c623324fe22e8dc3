package policy

import "secretsbridge/events"

// Initial are the objects of an installation whose governance nobody has changed yet: whoever
// has the permission may ask to read and to change anything, and one approver decides. They
// can be changed and removed like any others.
func Initial() map[events.ObjectRef]events.Object {
	objects := map[events.ObjectRef]events.Object{}
	for _, o := range []events.Object{
		{Kind: events.KindWorkflow, Name: "one-approval", Spec: events.WorkflowSpec{
			Description: "one approver decides",
			Steps:       []events.StepSpec{{ID: "approve", Approvals: 1, From: events.Approvers{Roles: []string{RoleApprover}}}},
		}},
		{Kind: events.KindRule, Name: "anything-with-one-approval", Spec: events.Rule{
			Description: "whoever may ask may ask for anything", Priority: -1000, Effect: events.EffectRequire, Workflow: "one-approval",
		}},
	} {
		objects[o.Ref()] = o
	}
	return objects
}
