package gateway

import (
	"context"
	"fmt"
	"strconv"

	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/seal"
)

func (g *Gateway) heartbeat(ctx context.Context, agent command.Agent, m events.Heartbeat) (events.HeartbeatReply, error) {
	if len(m.Version) > 64 {
		return events.HeartbeatReply{}, errMalformed
	}
	if err := g.Presence.Beat(ctx, agent.ID); err != nil {
		return events.HeartbeatReply{}, fmt.Errorf("note presence of %s: %w", agent.ID, err)
	}
	meta := g.meta(events.AgentActor(agent.ID), events.NewCommandID())
	if agent.State != events.AgentOnline {
		if _, err := command.Execute(ctx, g.Log, events.AgentStream(agent.ID), meta, func(a command.Agent) ([]events.Fact, error) {
			return a.Heard(meta, m.Version)
		}); err != nil {
			return events.HeartbeatReply{}, err
		}
	}
	return events.HeartbeatReply{Time: meta.Time.UTC(), NextSeconds: heartbeatSeconds}, nil
}

func (g *Gateway) renew(ctx context.Context, agent command.Agent, _ events.RenewCredentials) (events.Credentials, error) {
	fresh, err := g.Credentials.Issue(agent.Enrolled.Account, agent.Cluster, agent.Enrolled.UserKey)
	if err != nil {
		return events.Credentials{}, fmt.Errorf("issue credentials of %s: %w", agent.ID, err)
	}
	meta := g.meta(events.AgentActor(agent.ID), events.NewCommandID())
	_, err = command.Execute(ctx, g.Log, events.AgentStream(agent.ID), meta, func(a command.Agent) ([]events.Fact, error) {
		return a.Renewed(meta, fresh.Expires)
	})
	return fresh, err
}

// start grants the lease of a job. JetStream delivered its ticket to this cluster; a
// lost answer makes another attempt, which costs nothing but its number.
func (g *Gateway) start(ctx context.Context, agent command.Agent, m events.StartJob) (events.JobLease, error) {
	meta := g.meta(events.AgentActor(agent.ID), events.NewCommandID())
	started, err := command.Execute(ctx, g.Log, events.RequestStream(m.Request), meta, func(r command.Request) ([]events.Fact, error) {
		return r.StartJob(meta, command.StartJob{Job: m.Job, Agent: agent.ID, Cluster: agent.Cluster})
	})
	if err != nil {
		return events.JobLease{}, err
	}
	if started.State.State != events.StateRunning {
		return events.JobLease{}, command.ErrJobOver // it was tried too often
	}
	return events.JobLease{Attempt: started.State.Attempt, Until: started.State.Until}, nil
}

func (g *Gateway) dataKey(ctx context.Context, agent command.Agent, m events.IssueDataKey) (events.DataKeyGrant, error) {
	h, err := holder(agent)
	if err != nil {
		return events.DataKeyGrant{}, err
	}
	return g.Custody.IssueDataKey(ctx, h, m)
}

func (g *Gateway) handOver(ctx context.Context, agent command.Agent, m events.HandOver) (events.Done, error) {
	h, err := holder(agent)
	if err != nil {
		return events.Done{}, err
	}
	return events.Done{}, g.Custody.HandOver(ctx, h, m)
}

// complete is the same command however often the agent says it.
func (g *Gateway) complete(ctx context.Context, agent command.Agent, m events.CompleteJob) (events.Done, error) {
	h, err := holder(agent)
	if err != nil {
		return events.Done{}, err
	}
	id := events.DeriveCommandID("complete", string(agent.ID), string(m.Job), strconv.Itoa(m.Attempt))
	_, err = g.Custody.Complete(ctx, g.meta(events.AgentActor(agent.ID), id), h, m)
	return events.Done{}, err
}

// fail likewise. What is left of the job's envelopes goes with it.
func (g *Gateway) fail(ctx context.Context, agent command.Agent, m events.FailJob) (events.Done, error) {
	id := events.DeriveCommandID("fail", string(agent.ID), string(m.Job), strconv.Itoa(m.Attempt))
	meta := g.meta(events.AgentActor(agent.ID), id)
	_, err := command.Execute(ctx, g.Log, events.RequestStream(m.Request), meta, func(r command.Request) ([]events.Fact, error) {
		return r.FailJob(meta, command.FailJob{
			Attempt: command.Attempt{Job: m.Job, Agent: agent.ID, Number: m.Attempt}, Cluster: agent.Cluster,
			Code: m.Code, NotWritten: m.NotWritten,
		})
	})
	if err != nil {
		return events.Done{}, err
	}
	return events.Done{}, g.Custody.Destroy(ctx, m.Request)
}

func holder(agent command.Agent) (custody.Holder, error) {
	key, err := seal.ParseRecipientPublic(agent.Enrolled.BoxKey)
	if err != nil {
		return custody.Holder{}, fmt.Errorf("key of agent %s: %w", agent.ID, err)
	}
	return custody.Holder{Agent: agent.ID, Cluster: agent.Cluster, Key: key}, nil
}
