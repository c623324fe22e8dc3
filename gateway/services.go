package gateway

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// proofWindow is how old the time in a heartbeat may be. An agent beats each 10 seconds,
// so it has one that is new unless a beat was lost; then it asks again at once.
const proofWindow = 2 * heartbeatSeconds * time.Second

// validVersion reports whether an agent's own version can be shown: short, plain ASCII.
func validVersion(v string) bool {
	return len(v) <= 64 && !strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' })
}

// heartbeat counts only if the agent proves that it heard this control plane lately: a
// recorded heartbeat would keep a dead agent alive. Without a proof the answer is one,
// for the next.
func (g *Gateway) heartbeat(ctx context.Context, agent caller, m events.Heartbeat) (events.HeartbeatReply, error) {
	if !validVersion(m.Version) {
		return events.HeartbeatReply{}, errMalformed
	}
	meta := g.meta(events.AgentActor(agent.ID), agent.command(events.ServiceHeartbeat))
	reply := events.HeartbeatReply{Time: meta.Time.UTC(), NextSeconds: heartbeatSeconds, Suites: g.suites(), TakesCalls: g.Figures != nil, Renew: agent.Outdated(meta.Time, g.Credentials.Current())}
	if meta.Time.Sub(m.Heard).Abs() > proofWindow {
		reply.Again = true
		return reply, nil
	}
	fresh, err := g.Presence.Beat(ctx, agent.ID, m.Heard)
	if err != nil {
		return events.HeartbeatReply{}, fmt.Errorf("note presence of %s: %w", agent.ID, err)
	}
	if fresh && g.Figures != nil && len(m.Calls) > 0 { // a repetition counts nothing again
		if events.ValidCalls(m.Calls) {
			g.Figures.Called(m.Calls)
		} else {
			g.Figures.Uncounted()
		}
	}
	if !fresh || agent.State == events.AgentOnline {
		return reply, nil
	}
	_, err = command.Execute(ctx, g.Log, events.AgentStream(agent.ID), meta, func(a command.Agent) ([]events.Fact, error) {
		return a.Heard(meta, m.Version)
	})
	return reply, err
}

// renew makes new credentials for the same key. A repetition is refused like one that
// comes too early.
func (g *Gateway) renew(ctx context.Context, agent caller, _ events.RenewCredentials) (events.Credentials, error) {
	fresh, err := g.Credentials.Issue(agent.Enrolled.Account, agent.Cluster, agent.Enrolled.UserKey)
	if err != nil {
		return events.Credentials{}, fmt.Errorf("issue credentials of %s: %w", agent.ID, err)
	}
	meta := g.meta(events.AgentActor(agent.ID), agent.command(events.ServiceRenew))
	renewed, err := command.Execute(ctx, g.Log, events.AgentStream(agent.ID), meta, func(a command.Agent) ([]events.Fact, error) {
		return a.Renewed(meta, g.Credentials.Current(), fresh.Expires)
	})
	switch {
	case err != nil:
		return events.Credentials{}, err
	case renewed.Repeated && !renewed.State.CredentialEnds().Equal(fresh.Expires): // else it was this very call
		return events.Credentials{}, command.ErrRenewedAlready
	}
	return fresh, nil
}

// start grants the lease of a job. JetStream delivered its ticket to this cluster; a
// lost answer makes another attempt, which costs nothing but its number. The same frame
// again is the same start.
func (g *Gateway) start(ctx context.Context, agent caller, m events.StartJob) (events.JobLease, error) {
	meta := g.meta(events.AgentActor(agent.ID), agent.command(events.ServiceStart, string(m.Job)))
	started, err := command.Execute(ctx, g.Log, events.RequestStream(m.Request), meta, func(r command.Request) ([]events.Fact, error) {
		return r.StartJob(meta, command.StartJob{Job: m.Job, Agent: agent.ID, Cluster: agent.Cluster})
	})
	switch {
	case err != nil:
		return events.JobLease{}, err
	case started.State.State != events.StateRunning:
		return events.JobLease{}, command.ErrJobOver // it was tried too often
	case !started.State.StartedBy(meta.Command):
		return events.JobLease{}, command.ErrAttemptStale
	}
	return events.JobLease{Attempt: started.State.Attempt, Until: started.State.Until}, nil
}

func (g *Gateway) dataKey(ctx context.Context, agent caller, m events.IssueDataKey) (events.DataKeyGrant, error) {
	h, err := g.holder(agent)
	if err != nil {
		return events.DataKeyGrant{}, err
	}
	if _, err := g.takes(h.Key.String()); err != nil {
		return events.DataKeyGrant{}, err
	}
	return g.Custody.IssueDataKey(ctx, h, m)
}

func (g *Gateway) handOver(ctx context.Context, agent caller, m events.HandOver) (events.Done, error) {
	h, err := g.holder(agent)
	if err != nil {
		return events.Done{}, err
	}
	return events.Done{}, g.Custody.HandOver(ctx, h, m)
}

// complete is the same command however often the agent says it.
func (g *Gateway) complete(ctx context.Context, agent caller, m events.CompleteJob) (events.Done, error) {
	h, err := g.holder(agent)
	if err != nil {
		return events.Done{}, err
	}
	id := events.DeriveCommandID("complete", string(agent.ID), string(m.Job), strconv.Itoa(m.Attempt))
	meta, err := agent.signed(g.meta(events.AgentActor(agent.ID), id), events.ServiceComplete, m)
	if err != nil {
		return events.Done{}, err
	}
	_, err = g.Custody.Complete(ctx, meta, h, m)
	return events.Done{}, err
}

// fail likewise. What is left of the job's envelopes goes with it.
func (g *Gateway) fail(ctx context.Context, agent caller, m events.FailJob) (events.Done, error) {
	id := events.DeriveCommandID("fail", string(agent.ID), string(m.Job), strconv.Itoa(m.Attempt))
	meta, err := agent.signed(g.meta(events.AgentActor(agent.ID), id), events.ServiceFail, m)
	if err != nil {
		return events.Done{}, err
	}
	_, err = command.Execute(ctx, g.Log, events.RequestStream(m.Request), meta, func(r command.Request) ([]events.Fact, error) {
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
