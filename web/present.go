package web

import (
	"errors"
	"strings"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// requestOf shows a request as the API does. Lists carry no envelopes.
func requestOf(r projections.Request, names map[events.UserID]string) api.Request {
	shown := api.Request{
		ID: string(r.ID), State: string(r.State), Operation: string(r.Operation),
		Secret: string(r.Connection) + "/" + r.Ref, Connection: string(r.Connection), Cluster: string(r.Cluster), Ref: r.Ref,
		Keys: append([]string{}, r.Keys...), Reason: r.Reason, Requester: personOf(r.Requester, names),
		Steps: []api.Step{}, Votes: []api.Vote{}, Envelopes: []api.Envelope{},
		SubmittedAt: r.SubmittedAt, PendingUntil: r.PendingUntil, ApprovedAt: r.ApprovedAt, Until: r.Until, EndedAt: r.EndedAt,
		Attempt: r.Attempt, Agent: string(r.Agent), ProviderVersion: r.ProviderVersion, Comment: r.ClosingComment, Seq: uint64(r.LastSeq),
		Place:  api.Place{Project: r.Project, Environment: r.Environment, Kind: string(r.Kind), Team: r.Team, Owner: r.Owner},
		Ticket: r.Ticket, Rule: r.Workflow.Rule, Workflow: r.Workflow.Name, Direct: r.Workflow.Direct,
		Fill: fillOf(r, names), Glass: glassOf(r, names),
	}
	if veto := r.Workflow.Veto; veto != nil {
		shown.Veto = approversOf(*veto, names)
	}
	given := map[events.StepID]int{}
	for _, v := range r.Votes {
		if v.Decision == projections.Approved {
			given[v.Step]++
		}
		shown.Votes = append(shown.Votes, api.Vote{
			Step: string(v.Step), Approver: personOf(v.Approver, names), Via: peopleOf(v.Via, names), Decision: string(v.Decision), Comment: v.Comment, At: v.At,
		})
	}
	for _, s := range r.Workflow.Steps {
		shown.Steps = append(shown.Steps, stepOf(r, s, given[s.ID], names))
	}
	shown.Patch, shown.Rollout = patchOf(r), rolloutOf(r)
	if r.FailureCode != "" {
		shown.Failure = &api.Failure{Code: string(r.FailureCode), Detail: r.FailureDetail}
	}
	for _, e := range r.Envelopes {
		shown.Envelopes = append(shown.Envelopes, api.Envelope{
			ID: string(e.ID), Key: e.Key, State: string(e.State), Fingerprint: e.Fingerprint, Expires: e.ExpiresAt, At: e.At,
		})
	}
	return shown
}

func personOf(id events.UserID, names map[events.UserID]string) api.Person {
	return api.Person{ID: string(id), Name: names[id]}
}

func connectionOf(c projections.Connection) api.Connection {
	return api.Connection{
		Name: string(c.Name), Provider: string(c.Provider), Cluster: string(c.Cluster), Description: c.Description,
		State: string(c.State), DiscoverEverySeconds: c.DiscoverEvery, CreatedAt: c.CreatedAt, ChangedAt: c.ChangedAt, Seq: uint64(c.LastSeq),
	}
}

func agentOf(a projections.Agent, cosigned *api.Cosigned) api.Agent {
	return api.Agent{
		Cosigned: cosigned,
		ID:       string(a.ID), Name: a.Name, Cluster: string(a.Cluster), State: string(a.State), Version: a.Version,
		InvitedAt: a.InvitedAt, TokenEnds: a.TokenExpiresAt, EnrolledAt: a.EnrolledAt, ConnectedAt: a.ConnectedAt,
		LostAt: a.LostAt, RevokedAt: a.RevokedAt, Seq: uint64(a.LastSeq),
	}
}

// patchOf shows what a request changes.
func patchOf(r projections.Request) *api.Patch {
	p := r.Patch
	if p == nil {
		return nil
	}
	shown := &api.Patch{
		Create: p.Create, Reapprove: string(r.Workflow.Reapprove), Changes: make([]api.Change, len(p.Changes)),
		FirstVersion: p.FirstVersion, Voided: p.Voided, Outcome: string(p.Outcome), PreviousVersion: p.PreviousVersion,
	}
	for i, c := range p.Changes {
		shown.Changes[i] = api.Change{Key: c.Key, Action: string(c.Action), Effect: string(c.Effect)}
	}
	if l := p.Look; l != nil {
		shown.Comparison = &api.Comparison{Number: l.Number, At: l.At, Exists: l.Exists, Version: l.Version}
		shown.Changed = l.Problem == "" && l.Version != p.FirstVersion
		if l.Problem != "" {
			shown.Comparison.Problem = &api.Failure{Code: string(l.Problem), Detail: l.Problem.Sentence()}
		}
	}
	return shown
}

// waitingForApproval says what an approver of a patch should know first.
func waitingForApproval(r projections.Request) string {
	switch {
	case r.Patch == nil:
	case r.Patch.Look == nil:
		return "waiting for an agent of cluster " + string(r.Cluster) + " to compare it with the secret, then for an approval"
	case r.Patch.Voided > 0:
		return "waiting for an approval again: the secret changed after the ones before"
	}
	return "waiting for an approval"
}

func isNotFound(err error) bool { return errors.Is(err, projections.ErrNotFound) }

func joined[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
