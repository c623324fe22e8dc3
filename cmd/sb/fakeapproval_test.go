package main

import (
	"net/http/httptest"
	"time"

	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// withApproval takes what an ask says beside its reason.
func withApproval(r *api.Request, in api.Submit) {
	r.Ticket = in.Ticket
	r.Place = api.Place{Project: "shop", Environment: "live", Kind: "prod", Team: "shop-team", Owner: "payments"}
	r.Workflow, r.Rule = "production", "prod"
	r.Veto = &api.Deciders{Groups: []string{"security"}}
	if r.Patch != nil {
		for _, c := range in.Changes {
			r.Keys = append(r.Keys, c.Key)
		}
	}
	if in.Fill != nil {
		r.State, r.Fill = "awaiting_values", &api.Fill{Team: in.Fill.Team, Until: time.Now().Add(time.Duration(in.Fill.WithinSeconds) * time.Second)}
	}
	if in.BreakGlass != nil {
		r.State = "approved"
		r.Glass = &api.Glass{Reason: in.BreakGlass.Reason, ReviewUntil: time.Now().Add(24 * time.Hour), Review: "overdue", Reviewers: api.Deciders{TeamHeads: true, Owners: true}}
	}
}

// waits reports whether somebody has to do something.
func waits(r *api.Request) bool {
	return r.State == "awaiting_values" || r.State == "pending" || r.Glass != nil && r.Glass.Review != "done"
}

func (f *fake) approval(w *httptest.ResponseRecorder, r *api.Request, verb string, body []byte, idempotencyKey string) {
	now, eve := time.Now(), &api.Person{ID: "u_3", Name: "Eve"}
	switch verb {
	case "values":
		var in api.Values
		f.decode(body, &in)
		for i, c := range in.Changes {
			entry, err := seal.OpenProposal(f.intake, seal.Binding{
				Direction: seal.Propose, Request: idempotencyKey, Key: c.Key, Connection: "file", Ref: r.Ref, Agent: "u_1", AgentKey: f.intake.Public().ID(),
			}, c.Sealed)
			if err != nil || c.Key != r.Keys[i] {
				f.t.Errorf("value %d, of %s, does not open, or is out of order: %v", i, c.Key, err)
			}
			f.proposed[c.Key] = string(entry)
		}
		r.State, r.Fill.By, r.Fill.At, r.Fill.Comment = "pending", eve, &now, in.Comment
		r.Steps[0].Escalated, r.Steps[0].Reminders, r.Steps[0].Fallback = true, 2, &api.Deciders{People: []api.Person{*eve}}
		r.Votes = append(r.Votes, api.Vote{Step: "approve", Approver: api.Person{ID: "u_2", Name: "Ada"}, Via: []api.Person{{ID: "u_4", Name: "Bob"}}, Decision: "approved", At: now})
	case "refuse":
		var in api.Refusal
		f.decode(body, &in)
		r.State, r.Comment, r.Fill.By, r.Fill.At, r.Fill.Refused, r.Fill.Comment = "refused", in.Comment, eve, &now, true, in.Comment
	case "review":
		var in api.Review
		f.decode(body, &in)
		if r.Glass == nil {
			problem(w, 409, "nothing_to_review")
			return
		}
		r.Glass.Review, r.Glass.Outcome, r.Glass.By, r.Glass.At, r.Glass.Comment = "done", in.Outcome, eve, &now, in.Comment
	}
	f.write(w, 200, api.Done{Seq: f.seq + 1})
	f.change(r)
}
