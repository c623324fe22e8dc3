package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/policy/files"
	"secretsbridge/web/api"
)

// dana is who the one e-mail that the fake knows belongs to.
const dana = events.UserID("u_0123456789abcdefghjkmnpqrs")

// fakeGovernance is the governance of a fake. Every version is kept.
type fakeGovernance struct {
	versions   []map[events.ObjectRef]events.Object // from 0
	notes      []string
	approval   bool // changes need it
	amendments []*fakeAmendment
}

type fakeAmendment struct {
	api.Amendment
	change api.ChangeGovernance
}

func (g *fakeGovernance) now() map[events.ObjectRef]events.Object {
	if g.versions == nil {
		g.versions, g.notes = []map[events.ObjectRef]events.Object{policy.Initial()}, []string{""}
	}
	return g.versions[len(g.versions)-1]
}

func (g *fakeGovernance) version() int {
	g.now()
	return len(g.versions) - 1
}

// plan works out a change as the server does.
func (g *fakeGovernance) plan(change api.ChangeGovernance) (next map[events.ObjectRef]events.Object, p api.Plan) {
	p = api.Plan{Version: g.version(), Changes: []api.ObjectChange{}, Faults: []api.GovernanceFault{}, People: []api.PersonShift{}}
	next = map[events.ObjectRef]events.Object{}
	for ref, o := range g.now() {
		next[ref] = o
	}
	for _, o := range change.Set {
		o = files.MapPeople(o, func(path string, who events.UserID) events.UserID {
			if who == "dana@example.org" {
				return dana
			}
			if !files.IsID(who) {
				p.Faults = append(p.Faults, api.GovernanceFault{Kind: string(o.Kind), Name: o.Name, Field: path, Problem: "nobody has this e-mail"})
			}
			return who
		})
		had, ok := next[o.Ref()]
		if fields := files.Diff(had.Spec, o.Spec); !ok {
			p.Changes = append(p.Changes, api.ObjectChange{Kind: string(o.Kind), Name: o.Name, Action: "added", Fields: files.Diff(nil, o.Spec)})
		} else if len(fields) > 0 {
			p.Changes = append(p.Changes, api.ObjectChange{Kind: string(o.Kind), Name: o.Name, Action: "changed", Fields: fields})
		}
		next[o.Ref()] = o
	}
	for _, ref := range change.Removed {
		p.Changes = append(p.Changes, api.ObjectChange{Kind: string(ref.Kind), Name: ref.Name, Action: "removed", Fields: files.Diff(next[ref].Spec, nil)})
		delete(next, ref)
	}
	p.Names = map[string]string{string(dana): "Dana \x1b[2J"}
	if g.approval {
		p.Amendment = &api.AmendmentNeed{Approvals: 1, From: events.Approvers{Groups: []string{"security"}}}
	}
	if len(p.Changes) > 0 {
		p.People = []api.PersonShift{{
			Person: api.Person{ID: string(dana), Name: "Dana"}, Gained: []api.PermissionShift{{Permission: "request.create", At: []string{"file/prod/"}, LeftOut: 2}},
			Lost: []api.PermissionShift{{Permission: "audit.read", Everywhere: true}},
		}}
		p.PeopleLeftOut = 1
	}
	return next, p
}

func (g *fakeGovernance) show(version int) api.Governance {
	shown := api.Governance{Version: version, Objects: []events.Object{}}
	for _, o := range g.versions[version] {
		shown.Objects = append(shown.Objects, o)
	}
	slices.SortFunc(shown.Objects, func(a, b events.Object) int { return strings.Compare(a.Ref().String(), b.Ref().String()) })
	return shown
}

// queryGovernance answers what is asked of the governance; false: it is none.
func (f *fake) queryGovernance(w *httptest.ResponseRecorder, r *http.Request, part []string) bool {
	g := &f.governance
	g.now()
	switch path := strings.Join(part, "/"); {
	case path == "governance":
		shown := g.show(g.version())
		shown.AsOf = f.asOf(r)
		reply(w, 200, shown)
	case path == "governance/history":
		var all []api.GovernanceVersion
		for v := g.version(); v > 0; v-- {
			all = append(all, api.GovernanceVersion{Version: v, At: time.Now(), Actor: "user:" + string(dana), Name: "Dana", Note: g.notes[v], Set: []events.ObjectRef{{Kind: "Team", Name: "a"}}})
		}
		reply(w, 200, api.Page[api.GovernanceVersion]{Items: all})
	case len(part) == 3 && part[1] == "versions":
		n, _ := strconv.Atoi(part[2])
		if n > g.version() {
			problem(w, 404, "version_unknown")
			return true
		}
		reply(w, 200, g.show(n))
	case path == "amendments":
		all := []api.Amendment{}
		for _, m := range g.amendments {
			all = append(all, m.Amendment)
		}
		reply(w, 200, api.Page[api.Amendment]{Items: all})
	case part[0] == "amendments" && g.amendment(part[1]) != nil:
		reply(w, 200, g.amendment(part[1]).Amendment)
	default:
		return false
	}
	return true
}

func (g *fakeGovernance) amendment(id string) *fakeAmendment {
	for _, m := range g.amendments {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// commandGovernance does what is asked of the governance; false: it is none.
func (f *fake) commandGovernance(w *httptest.ResponseRecorder, part []string, body []byte) bool {
	g := &f.governance
	var change api.ChangeGovernance
	switch path := strings.Join(part, "/"); {
	case path == "governance/plan" || path == "governance/apply":
		f.decode(body, &change)
		if *change.Version != g.version() {
			problem(w, 409, "governance_moved")
			return true
		}
		next, p := g.plan(change)
		switch {
		case path == "governance/plan":
			reply(w, 200, p)
		case g.approval:
			m := &fakeAmendment{change: change, Amendment: api.Amendment{
				ID: "m_" + strconv.Itoa(len(g.amendments)+1), State: "open", By: api.Person{ID: string(dana), Name: "Dana"}, On: g.version(), Approvals: 1,
				From: p.Amendment.From, Changes: p.Changes, Now: p.Changes, Note: change.Note, ProposedAt: time.Now(), Until: time.Now().Add(time.Hour),
			}}
			g.amendments = append(g.amendments, m)
			f.write(w, 200, api.Applied{Amendment: m.ID})
		default:
			if !reflect.DeepEqual(next, g.now()) {
				g.versions, g.notes = append(g.versions, next), append(g.notes, change.Note)
			}
			f.write(w, 200, api.Applied{Version: g.version()})
		}
	case part[0] == "amendments" && len(part) == 3 && g.amendment(part[1]) != nil:
		var said api.Comment
		f.decode(body, &said)
		m := g.amendment(part[1])
		m.State = map[string]string{"approve": "applied", "reject": "rejected", "withdraw": "withdrawn"}[part[2]]
		m.Words = append(m.Words, api.AmendmentWord{Person: api.Person{Name: "Ada"}, Decision: part[2], Comment: said.Comment, At: time.Now()})
		done := api.Applied{Amendment: m.ID}
		if part[2] == "approve" {
			next, _ := g.plan(m.change)
			g.versions, g.notes = append(g.versions, next), append(g.notes, m.Note)
			done.Version = g.version()
		}
		f.write(w, 200, done)
	case path == "policy/explain":
		var ask api.ExplainPolicy
		f.decode(body, &ask)
		f.explained, _ = json.Marshal(ask)
		reply(w, 200, api.Explanation{
			Secret: ask.Secret, Allowed: true, Rule: "reads", Effect: "require", Workflow: "two-eyes", Place: &api.Place{Project: "shop", Kind: "prod"},
			Clauses: []api.PolicyClause{{About: "rule", Name: "reads", Outcome: "decided", Why: "it asks for what the workflow \"two-eyes\" approves", When: "operation == \"read\""},
				{About: "rule", Name: "old", Outcome: "disabled", Why: "it is disabled\x1b[2J"}},
			Steps: []api.PolicyStep{{Step: "approve", Approvals: 2, Voters: 1, Fallback: 1, Stranded: true, People: []api.Person{{ID: string(dana), Name: "Dana"}}}},
		})
	case path == "policy/simulate":
		f.decode(body, &change)
		_, p := g.plan(change)
		reply(w, 200, api.Simulation{
			Faults: p.Faults, Replayed: 3, LeftOut: 1, Idle: 1, Changes: []api.RequestShift{{
				Request: "r_1", Kinds: []string{"denied"}, Before: api.RequestWay{Allowed: true, Workflow: "two-eyes", Rule: "reads", Approvals: 2}, After: api.RequestWay{Refusal: "no_rule"},
			}}, Stranded: []api.StrandedPlace{{Binding: "shop", Rule: "reads", Workflow: "two-eyes", Step: "approve", Why: "it needs 2 different people, and 1 could vote"}},
		})
	default:
		return false
	}
	return true
}
