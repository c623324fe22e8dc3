package gateway

import (
	"context"

	"secretsbridge/command"
	"secretsbridge/events"
)

// maxCompared bounds what a comparison may say before the decider looks at it.
const maxCompared = command.MaxKeys

func (g *Gateway) fingerprint(ctx context.Context, agent caller, m events.AskFingerprintKey) (events.FingerprintKey, error) {
	h, err := g.holder(agent)
	if err != nil {
		return events.FingerprintKey{}, err
	}
	return g.Custody.FingerprintKey(ctx, h, m)
}

// compare takes what an agent saw. Saying it twice says nothing new: the decider knows
// what it was told before, and the history knows the frame.
func (g *Gateway) compare(ctx context.Context, agent caller, m events.ComparePatch) (events.Comparison, error) {
	if len(m.Keys) > maxCompared {
		return events.Comparison{}, command.ErrComparisonInvalid
	}
	attempt := command.Attempt{Job: m.Job, Agent: agent.ID, Number: m.Attempt}
	meta, err := agent.signed(g.metaOf(agent, events.ServiceCompare, m.Job), events.ServiceCompare, m)
	if err != nil {
		return events.Comparison{}, err
	}
	done, err := command.Execute(ctx, g.Log, events.RequestStream(m.Request), meta, func(r command.Request) ([]events.Fact, error) {
		return r.Compare(meta, command.Compare{
			Attempt: attempt, Cluster: agent.Cluster, Exists: m.Exists, Version: m.Version, Keys: m.Keys,
			Problem: m.Problem, NotWritten: m.NotWritten,
		})
	})
	if err != nil {
		return events.Comparison{}, err
	}
	if m.Job == done.State.Job && done.State.State == events.StatePending {
		return events.Comparison{}, command.ErrApprovalsVoided
	}
	next, outcome := done.State.Next(attempt, m.Keys)
	return events.Comparison{Next: next, Outcome: outcome}, nil
}

func (g *Gateway) fetch(ctx context.Context, agent caller, m events.FetchValue) (events.ProposedValue, error) {
	h, err := g.holder(agent)
	if err != nil {
		return events.ProposedValue{}, err
	}
	return g.Custody.Fetch(ctx, g.meta(events.AgentActor(agent.ID), agent.command(events.ServiceFetch, string(m.Job), m.Key)), h, m)
}
