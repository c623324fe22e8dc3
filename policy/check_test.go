package policy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"secretsbridge/events"
	"secretsbridge/policy"
)

const (
	ada  = events.UserID("u_00000000000000000000000001")
	ben  = events.UserID("u_00000000000000000000000002")
	cleo = events.UserID("u_00000000000000000000000003")
)

// sound is a governance with nothing wrong.
func sound() map[events.ObjectRef]events.Object {
	objects := map[events.ObjectRef]events.Object{}
	for name, spec := range map[string]events.Spec{
		"reader":  events.Role{Permissions: []string{"request.create", "request.list"}},
		"company": events.Team{Heads: []events.UserID{cleo}},
		"shop":    events.Team{Parent: "company", Members: []events.UserID{ada}, Heads: []events.UserID{ben}},
		"oncall":  events.Group{Members: []events.UserID{ben}, Grants: []events.Grant{{Role: "approver", Scope: events.Scope{Project: "web"}}}},
		"sso":     events.Group{Claim: "sre", Grants: []events.Grant{{Role: "reader"}}},
		"web": events.Project{Team: "shop", Environments: []events.Environment{
			{Name: "dev", Kind: events.NonProduction}, {Name: "live", Kind: events.Production},
		}},
		"web-dev":  events.Binding{Connection: "main", Prefix: "kv/dev", Project: "web", Environment: "dev", Operations: []events.Operation{"read", "patch"}},
		"web-live": events.Binding{Connection: "main", Prefix: "kv/live", Project: "web", Environment: "live", Operations: []events.Operation{"read", "patch"}, Keys: []string{"password"}},
		"careful": events.WorkflowSpec{
			Steps: []events.StepSpec{
				{ID: "team", Approvals: 1, From: events.Approvers{TeamHeads: true}},
				{ID: "oncall", Approvals: 1, From: events.Approvers{Groups: []string{"oncall"}}, RemindSeconds: 600, EscalateSeconds: 3600, Fallback: events.Approvers{Roles: []string{"approver"}}},
			},
			Veto: events.Approvers{Groups: []string{"sso"}}, Delegation: true, StepUp: events.StepUp{Approve: true},
			Justification:  events.Justification{MinLength: 10, Pattern: "because", Ticket: "[A-Z]+-[0-9]+"},
			PendingSeconds: 86400, ApprovalSeconds: 3600, RevealSeconds: 600, Reapprove: events.ReapproveTouched,
			BreakGlass: &events.BreakGlass{From: events.Approvers{Groups: []string{"oncall"}}, Review: events.Approvers{TeamHeads: true}, ReviewSeconds: 86400, MinLength: 20},
		},
		"anything": events.Rule{Effect: events.EffectRequire, Workflow: "careful", Priority: -1000},
		"look":     events.Rule{Effect: events.EffectReveal, Seconds: 60, Scope: events.Scope{Project: "web", Environment: "dev"}, When: `"oncall" in requester.groups`},
		"nights":   events.Rule{Effect: events.EffectDeny, Scope: events.Scope{Kind: events.Production}, When: `now.getHours("Europe/Berlin") < 6`},
		"installation": events.Settings{
			Amendments: &events.Amendments{Kinds: []events.ObjectKind{events.KindRule}, Approvals: 1, From: events.Approvers{Roles: []string{"admin"}}},
			StepUp:     []string{"request.approve"}, FreshSeconds: 600,
		},
	} {
		put(objects, name, spec)
	}
	return objects
}

func put(objects map[events.ObjectRef]events.Object, name string, spec events.Spec) {
	w := world{naive: naive{objects}}
	w.set(name, spec)
}

// change gives one object another spec.
func change[S events.Spec](objects map[events.ObjectRef]events.Object, name string, by func(*S)) {
	for ref, o := range objects {
		if spec, ok := o.Spec.(S); ok && ref.Name == name {
			by(&spec)
			objects[ref] = events.Object{Kind: ref.Kind, Name: name, Spec: spec}
			return
		}
	}
	panic("there is no " + name)
}

func known() policy.Known {
	return policy.Known{
		Connections: func(id events.ConnectionID) bool { return id == "main" || id == "spare" },
		Users:       func(id events.UserID) bool { return id == ada || id == ben || id == cleo },
	}
}

func TestASoundGovernanceHasNoFaults(t *testing.T) {
	for _, f := range policy.Check(sound(), known()) {
		t.Error(f)
	}
	for _, f := range policy.Check(policy.Initial(), known()) {
		t.Error(f)
	}
	if faults := policy.Check(nil, policy.Known{}); len(faults) > 0 {
		t.Error(faults)
	}
}

type objects = map[events.ObjectRef]events.Object

func TestFaultsNameTheObjectTheFieldAndWhatToDo(t *testing.T) {
	many := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("name-%d", i))
		}
		return names
	}
	rule := func(by func(*events.Rule)) func(objects) {
		return func(o objects) { change(o, "anything", by) }
	}
	look := func(by func(*events.Rule)) func(objects) {
		return func(o objects) { change(o, "look", by) }
	}
	flow := func(by func(*events.WorkflowSpec)) func(objects) {
		return func(o objects) { change(o, "careful", by) }
	}
	bind := func(by func(*events.Binding)) func(objects) {
		return func(o objects) { change(o, "web-live", by) }
	}
	settings := func(by func(*events.Settings)) func(objects) {
		return func(o objects) { change(o, "installation", by) }
	}
	for name, c := range map[string]struct {
		change func(objects)
		want   string // the fault, from its beginning up to what matters
	}{
		"a name with capitals":         {func(o objects) { put(o, "Shop", events.Team{}) }, "Team/Shop: name: "},
		"an object without a spec":     {func(o objects) { o[events.ObjectRef{Kind: events.KindTeam, Name: "x"}] = events.Object{} }, "Team/x: spec: "},
		"an unknown permission":        {func(o objects) { put(o, "odd", events.Role{Permissions: []string{"secret.request"}}) }, `Role/odd: permissions[0]: there is no permission "secret.request"`},
		"a permission twice":           {func(o objects) { put(o, "odd", events.Role{Permissions: []string{"audit.read", "audit.read"}}) }, "Role/odd: permissions[1]: "},
		"a role without permissions":   {func(o objects) { put(o, "odd", events.Role{}) }, "Role/odd: permissions: "},
		"the name of a system role":    {func(o objects) { put(o, "admin", events.Role{Permissions: []string{"audit.read"}}) }, "Role/admin: name: "},
		"an endless description":       {func(o objects) { put(o, "x", events.Team{Description: strings.Repeat("ä", 1001)}) }, "Team/x: description: "},
		"a parent that does not exist": {func(o objects) { put(o, "x", events.Team{Parent: "ghost"}) }, `Team/x: parent: there is no team "ghost"`},
		"teams in a circle":            {func(o objects) { change(o, "company", func(t *events.Team) { t.Parent = "shop" }) }, "Team/company: parent: the teams above go round in a circle: company, shop, company"},
		"a team above itself":          {func(o objects) { change(o, "company", func(t *events.Team) { t.Parent = "company" }) }, "Team/company: parent: "},
		"too many teams above each other": {func(o objects) {
			for i := range 21 {
				put(o, fmt.Sprintf("t-%d", i), events.Team{Parent: fmt.Sprintf("t-%d", i+1)})
			}
			put(o, "t-21", events.Team{})
		}, "Team/t-0: parent: there are 22 teams"},
		"somebody unknown in a team": {func(o objects) { put(o, "x", events.Team{Members: []events.UserID{"u_00000000000000000000000009"}}) }, "Team/x: members[0]: there is no user"},
		"an e-mail instead of an id": {func(o objects) { put(o, "x", events.Team{Heads: []events.UserID{"ada@demo.local"}}) }, "Team/x: heads[0]: "},
		"somebody twice in a team":   {func(o objects) { put(o, "x", events.Team{Members: []events.UserID{ada, ada}}) }, "Team/x: members[1]: "},
		"a group of too many":        {func(o objects) { put(o, "x", events.Group{Members: make([]events.UserID, 501)}) }, "Group/x: members: it has 501 entries"},
		"an endless claim":           {func(o objects) { put(o, "x", events.Group{Claim: strings.Repeat("x", 257)}) }, "Group/x: claim: "},
		"a grant of no role":         {func(o objects) { put(o, "x", events.Group{Grants: []events.Grant{{Role: "ghost"}}}) }, `Group/x: grants[0].role: there is no role "ghost"`},
		"a grant twice":              {func(o objects) { put(o, "x", events.Group{Grants: []events.Grant{{Role: "reader"}, {Role: "reader"}}}) }, "Group/x: grants[1]: "},
		"a grant in a ghost team": {func(o objects) {
			put(o, "x", events.Group{Grants: []events.Grant{{Role: "reader", Scope: events.Scope{Team: "ghost"}}}})
		}, "Group/x: grants[0].scope.team: "},
		"a project of a ghost team":      {func(o objects) { change(o, "web", func(p *events.Project) { p.Team = "ghost" }) }, "Project/web: team: "},
		"a project without environments": {func(o objects) { put(o, "x", events.Project{}) }, "Project/x: environments: "},
		"an environment twice": {func(o objects) {
			change(o, "web", func(p *events.Project) { p.Environments = append(p.Environments, p.Environments[0]) })
		}, "Project/web: environments[2].name: "},
		"an environment of no kind": {func(o objects) {
			put(o, "x", events.Project{Environments: []events.Environment{{Name: "dev", Kind: "staging"}}})
		}, `Project/x: environments[0].kind: "staging"`},
		"an environment with an odd name": {func(o objects) {
			put(o, "x", events.Project{Environments: []events.Environment{{Name: "Dev", Kind: "prod"}}})
		}, "Project/x: environments[0].name: "},
		"a binding of no connection":        {bind(func(b *events.Binding) { b.Connection = "ghost" }), `Binding/web-live: connection: there is no connection "ghost"`},
		"a binding without a connection":    {bind(func(b *events.Binding) { b.Connection = "" }), "Binding/web-live: connection: "},
		"a prefix that climbs":              {bind(func(b *events.Binding) { b.Prefix = "kv/../live" }), "Binding/web-live: prefix: no ref begins with it"},
		"a prefix that begins with a slash": {bind(func(b *events.Binding) { b.Prefix = "/kv" }), "Binding/web-live: prefix: "},
		"a prefix of two slashes":           {bind(func(b *events.Binding) { b.Prefix = "kv//" }), "Binding/web-live: prefix: "},
		"an encoded prefix":                 {bind(func(b *events.Binding) { b.Prefix = "kv%2flive" }), "Binding/web-live: prefix: "},
		"the same prefix twice":             {bind(func(b *events.Binding) { b.Prefix = "kv/dev" }), `Binding/web-live: prefix: binding "web-dev"`},
		"a binding to no project":           {bind(func(b *events.Binding) { b.Project = "ghost" }), "Binding/web-live: project: "},
		"a binding to no environment":       {bind(func(b *events.Binding) { b.Environment = "qa" }), `Binding/web-live: environment: project "web" does not have an environment "qa"`},
		"a binding of no operation":         {bind(func(b *events.Binding) { b.Operations = nil }), "Binding/web-live: operations: "},
		"a binding of an unknown operation": {bind(func(b *events.Binding) { b.Operations = []events.Operation{"compare"} }), "Binding/web-live: operations[0]: "},
		"a binding of an empty key":         {bind(func(b *events.Binding) { b.Keys = []string{""} }), "Binding/web-live: keys[0]: "},
		"a workflow without steps":          {flow(func(w *events.WorkflowSpec) { w.Steps = nil }), "Workflow/careful: steps: "},
		"eleven steps":                      {flow(func(w *events.WorkflowSpec) { w.Steps = make([]events.StepSpec, 11) }), "Workflow/careful: steps: "},
		"a step twice":                      {flow(func(w *events.WorkflowSpec) { w.Steps = []events.StepSpec{w.Steps[0], w.Steps[0]} }), "Workflow/careful: steps[1].id: "},
		"a step without a name":             {flow(func(w *events.WorkflowSpec) { w.Steps = []events.StepSpec{{Approvals: 1, From: w.Steps[0].From}} }), "Workflow/careful: steps[0].id: "},
		"no approval":                       {flow(func(w *events.WorkflowSpec) { w.Steps = []events.StepSpec{{ID: "x", From: w.Steps[0].From}} }), "Workflow/careful: steps[0].approvals: it is 1 to 20"},
		"twenty-one approvals": {flow(func(w *events.WorkflowSpec) {
			w.Steps = []events.StepSpec{{ID: "x", Approvals: 21, From: w.Steps[0].From}}
		}), "Workflow/careful: steps[0].approvals: "},
		"a step that names nobody": {flow(func(w *events.WorkflowSpec) { w.Steps = []events.StepSpec{{ID: "x", Approvals: 1}} }), "Workflow/careful: steps[0].from: it names nobody"},
		"two approvals of one person": {flow(func(w *events.WorkflowSpec) {
			w.Steps = []events.StepSpec{{ID: "x", Approvals: 2, From: events.Approvers{People: []events.UserID{ada}}}}
		}), "Workflow/careful: steps[0].from: it names 1 people"},
		"a step of a ghost group": {flow(func(w *events.WorkflowSpec) {
			w.Steps = []events.StepSpec{{ID: "x", Approvals: 1, From: events.Approvers{Groups: []string{"ghost"}}}}
		}), "Workflow/careful: steps[0].from.groups[0]: "},
		"a step of a ghost role": {flow(func(w *events.WorkflowSpec) {
			w.Steps = []events.StepSpec{{ID: "x", Approvals: 1, From: events.Approvers{Roles: []string{"ghost"}}}}
		}), "Workflow/careful: steps[0].from.roles[0]: "},
		"a fallback that never comes": {flow(func(w *events.WorkflowSpec) {
			w.Steps = []events.StepSpec{{ID: "x", Approvals: 1, From: w.Steps[0].From, Fallback: w.Steps[0].From}}
		}), "Workflow/careful: steps[0].fallback: it never counts"},
		"an escalation to nobody": {flow(func(w *events.WorkflowSpec) {
			w.Steps = []events.StepSpec{{ID: "x", Approvals: 1, From: w.Steps[0].From, EscalateSeconds: 60}}
		}), "Workflow/careful: steps[0].escalate_after_seconds: nobody would come in"},
		"a reminder each second": {flow(func(w *events.WorkflowSpec) {
			w.Steps = []events.StepSpec{{ID: "x", Approvals: 1, From: w.Steps[0].From, RemindSeconds: 1}}
		}), "Workflow/careful: steps[0].remind_after_seconds: it is 60 to"},
		"a reminder after the end":    {flow(func(w *events.WorkflowSpec) { w.PendingSeconds = 600 }), "Workflow/careful: steps[1].remind_after_seconds: it never comes"},
		"an escalation after the end": {flow(func(w *events.WorkflowSpec) { w.PendingSeconds = 3600 }), "Workflow/careful: steps[1].escalate_after_seconds: it never comes"},
		"a veto of a ghost":           {flow(func(w *events.WorkflowSpec) { w.Veto = events.Approvers{Groups: []string{"ghost"}} }), "Workflow/careful: veto.groups[0]: "},
		"a reason without end":        {flow(func(w *events.WorkflowSpec) { w.Justification.MinLength = 1001 }), "Workflow/careful: justification.min_length: "},
		"a pattern that is none":      {flow(func(w *events.WorkflowSpec) { w.Justification.Pattern = "(?=x)" }), "Workflow/careful: justification.pattern: it is no RE2 pattern"},
		"an endless pattern":          {flow(func(w *events.WorkflowSpec) { w.Justification.Ticket = strings.Repeat("x", 513) }), "Workflow/careful: justification.ticket: "},
		"pending for a second":        {flow(func(w *events.WorkflowSpec) { w.PendingSeconds = 1 }), "Workflow/careful: pending_ttl_seconds: it is 60 to 7776000, or 0"},
		"approved for a year":         {flow(func(w *events.WorkflowSpec) { w.ApprovalSeconds = 365 * 86400 }), "Workflow/careful: approval_ttl_seconds: "},
		"revealed for two days":       {flow(func(w *events.WorkflowSpec) { w.RevealSeconds = 2 * 86400 }), "Workflow/careful: reveal_ttl_seconds: "},
		"another word for reapprove":  {flow(func(w *events.WorkflowSpec) { w.Reapprove = "always" }), "Workflow/careful: reapprove: "},
		"glass for nobody by name": {flow(func(w *events.WorkflowSpec) {
			w.BreakGlass = &events.BreakGlass{From: events.Approvers{Owners: true}, Review: w.BreakGlass.Review, ReviewSeconds: 60}
		}), "Workflow/careful: break_glass.from: "},
		"glass that nobody reviews": {flow(func(w *events.WorkflowSpec) {
			w.BreakGlass = &events.BreakGlass{From: w.BreakGlass.From, ReviewSeconds: 60}
		}), "Workflow/careful: break_glass.review: "},
		"glass that one reviews oneself": {flow(func(w *events.WorkflowSpec) {
			w.BreakGlass = &events.BreakGlass{From: events.Approvers{People: []events.UserID{ada}}, Review: events.Approvers{People: []events.UserID{ada}}, ReviewSeconds: 60}
		}), "Workflow/careful: break_glass.review: nobody reviews what they did themselves"},
		"glass without an end of the review": {flow(func(w *events.WorkflowSpec) {
			w.BreakGlass = &events.BreakGlass{From: w.BreakGlass.From, Review: w.BreakGlass.Review}
		}), "Workflow/careful: break_glass.review_within_seconds: "},
		"a rule without an effect":           {rule(func(r *events.Rule) { r.Effect = "" }), "Rule/anything: effect: "},
		"an effect of another world":         {rule(func(r *events.Rule) { r.Effect = "allow" }), `Rule/anything: effect: "allow"`},
		"a priority beyond":                  {rule(func(r *events.Rule) { r.Priority = 1001 }), "Rule/anything: priority: "},
		"a rule for no operation":            {rule(func(r *events.Rule) { r.Operations = []events.Operation{"reveal"} }), "Rule/anything: operations[0]: "},
		"a condition of an unknown name":     {rule(func(r *events.Rule) { r.When = `secret.type == "x"` }), "Rule/anything: when: line 1, column 7: undeclared"},
		"a condition that is no question":    {rule(func(r *events.Rule) { r.When = `secret.ref` }), "Rule/anything: when: it says neither"},
		"a rule that names no workflow":      {rule(func(r *events.Rule) { r.Workflow = "" }), "Rule/anything: workflow: name the workflow"},
		"a rule of a ghost workflow":         {rule(func(r *events.Rule) { r.Workflow = "ghost" }), `Rule/anything: workflow: there is no workflow "ghost"`},
		"a rule of require with an end":      {rule(func(r *events.Rule) { r.Seconds = 60 }), "Rule/anything: reveal_ttl_seconds: "},
		"a deny with a workflow":             {func(o objects) { change(o, "nights", func(r *events.Rule) { r.Workflow = "careful" }) }, "Rule/nights: workflow: a rule of deny has no workflow"},
		"a prefix without a connection":      {rule(func(r *events.Rule) { r.Scope = events.Scope{Prefix: "kv"} }), "Rule/anything: scope.prefix: "},
		"a scope of a ghost project":         {rule(func(r *events.Rule) { r.Scope = events.Scope{Project: "ghost"} }), "Rule/anything: scope.project: "},
		"a scope of a ghost environment":     {rule(func(r *events.Rule) { r.Scope = events.Scope{Project: "web", Environment: "qa"} }), "Rule/anything: scope.environment: "},
		"an environment that no project has": {rule(func(r *events.Rule) { r.Scope = events.Scope{Environment: "qa"} }), "Rule/anything: scope.environment: no project has"},
		"a scope of a ghost kind":            {rule(func(r *events.Rule) { r.Scope = events.Scope{Kind: "production"} }), "Rule/anything: scope.environment_kind: "},
		"a scope of a ghost connection":      {rule(func(r *events.Rule) { r.Scope = events.Scope{Connection: "ghost"} }), "Rule/anything: scope.connection: "},
		"reveal without an end":              {look(func(r *events.Rule) { r.Seconds = 0 }), "Rule/look: reveal_ttl_seconds: it is 10 to 900"},
		"reveal for patches":                 {look(func(r *events.Rule) { r.Operations = []events.Operation{"read", "patch"} }), "Rule/look: operations: "},
		"reveal with a workflow":             {look(func(r *events.Rule) { r.Workflow = "careful" }), "Rule/look: workflow: "},
		"reveal of production":               {look(func(r *events.Rule) { r.Scope = events.Scope{Kind: events.Production} }), "Rule/look: scope.environment_kind: "},
		"reveal of a production environment": {look(func(r *events.Rule) { r.Scope.Environment = "live" }), "Rule/look: scope.environment: "},
		"reveal of any live environment":     {look(func(r *events.Rule) { r.Scope = events.Scope{Environment: "live"} }), "Rule/look: scope.environment: "},
		"settings of another name":           {func(o objects) { put(o, "other", events.Settings{}) }, "Settings/other: name: "},
		"step-up for what is not":            {settings(func(s *events.Settings) { s.StepUp = []string{"secret.reveal"} }), "Settings/installation: step_up[0]: "},
		"a factor fresh for a day":           {settings(func(s *events.Settings) { s.FreshSeconds = 86400 }), "Settings/installation: step_up_fresh_seconds: "},
		"amendments of nothing":              {settings(func(s *events.Settings) { s.Amendments = &events.Amendments{Approvals: 1, From: s.Amendments.From} }), "Settings/installation: amendments.kinds: "},
		"amendments of an unknown kind": {settings(func(s *events.Settings) {
			s.Amendments = &events.Amendments{Kinds: []events.ObjectKind{"Secret"}, Approvals: 1, From: s.Amendments.From}
		}), "Settings/installation: amendments.kinds[0]: "},
		"amendments by owners": {settings(func(s *events.Settings) {
			s.Amendments = &events.Amendments{Kinds: s.Amendments.Kinds, Approvals: 1, From: events.Approvers{Owners: true}}
		}), "Settings/installation: amendments.from: the governance has no place"},
		"amendments by nobody": {settings(func(s *events.Settings) { s.Amendments = &events.Amendments{Kinds: s.Amendments.Kinds, Approvals: 1} }), "Settings/installation: amendments.from: it names nobody"},
		"amendments without approval": {settings(func(s *events.Settings) {
			s.Amendments = &events.Amendments{Kinds: s.Amendments.Kinds, From: s.Amendments.From}
		}), "Settings/installation: amendments.approvals: "},
		"an endless list": {bind(func(b *events.Binding) { b.Keys = many(501) }), "Binding/web-live: keys: it has 501 entries"},
		"a rule too many": {func(o objects) {
			for i := range policy.MaxRules {
				put(o, fmt.Sprintf("r-%d", i), events.Rule{Effect: events.EffectDeny})
			}
		}, "Rule/r-997: at most 2000 rules"},
	} {
		t.Run(name, func(t *testing.T) {
			o := sound()
			c.change(o)
			faults := policy.Check(o, known())
			if !slices.ContainsFunc(faults, func(f policy.Fault) bool { return !f.Warning && strings.HasPrefix(f.String(), c.want) }) {
				t.Errorf("want %q, got %v", c.want, faults)
			}
		})
	}
}

func TestWarningsHinderNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(objects)
		want   string
	}{
		"a role without effect in a scope": {func(o objects) {
			put(o, "x", events.Group{Grants: []events.Grant{{Role: "auditor", Scope: events.Scope{Project: "web"}}}})
		}, "Group/x: grants[0]: in a scope the role gives no agent.list, audit.read"},
		"a rule for a place that nothing is bound to": {func(o objects) {
			change(o, "web", func(p *events.Project) {
				p.Environments = append(p.Environments, events.Environment{Name: "qa", Kind: events.NonProduction})
			})
			put(o, "dead", events.Rule{Effect: events.EffectDeny, Scope: events.Scope{Project: "web", Environment: "qa"}})
		}, "Rule/dead: scope: it covers nothing"},
		"a binding that no rule serves": {func(o objects) {
			delete(o, events.ObjectRef{Kind: events.KindRule, Name: "anything"})
		}, "Binding/web-live: no rule allows"},
		"a binding that only a rule for other operations serves": {func(o objects) {
			change(o, "web-live", func(b *events.Binding) { b.Operations = []events.Operation{"read"} })
			change(o, "anything", func(r *events.Rule) { r.Operations = []events.Operation{"patch"} })
		}, "Binding/web-live: no rule allows"},
		"a step of an empty group": {func(o objects) {
			change(o, "oncall", func(g *events.Group) { g.Members = nil })
		}, "Workflow/careful: steps[1].from: nobody is in the groups"},
	} {
		t.Run(name, func(t *testing.T) {
			o := sound()
			c.change(o)
			faults := policy.Check(o, known())
			if !slices.ContainsFunc(faults, func(f policy.Fault) bool { return f.Warning && strings.HasPrefix(f.String(), c.want) }) {
				t.Errorf("want %q, got %v", c.want, faults)
			}
			for _, f := range faults {
				if !f.Warning {
					t.Errorf("not only warned: %s", f)
				}
			}
		})
	}
	o := sound()
	delete(o, events.ObjectRef{Kind: events.KindRule, Name: "anything"})
	put(o, "below", events.Rule{Effect: events.EffectRequire, Workflow: "careful", Scope: events.Scope{Connection: "main", Prefix: "kv/live/db"}})
	for _, f := range policy.Check(o, known()) {
		t.Errorf("a rule for a part of a binding serves it: %s", f)
	}
}

func TestFaultsComeInTheSameOrder(t *testing.T) {
	o := sound()
	for ref := range o {
		if ref.Kind == events.KindTeam || ref.Kind == events.KindWorkflow || ref.Kind == events.KindProject {
			delete(o, ref)
		}
	}
	first := policy.Check(o, known())
	if len(first) < 5 {
		t.Fatalf("only %v", first)
	}
	for range 20 {
		if again := policy.Check(maps.Clone(o), known()); !slices.Equal(first, again) {
			t.Fatalf("%v\nand then\n%v", first, again)
		}
	}
}
