package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/nats"
	"secretsbridge/projections"
	"secretsbridge/store"
	"secretsbridge/worker"
)

// views answers the worker and the gateway from the projections.
type views struct {
	pool     *pgxpool.Pool
	progress *projections.Progress
}

func (v views) WaitFor(ctx context.Context, seq events.Seq) error {
	return v.progress.WaitFor(ctx, seq)
}

func (v views) OpenJobs(ctx context.Context) ([]events.RequestID, error) {
	var ids []events.RequestID
	err := v.open(ctx, func(r projections.Request) {
		if r.State == events.StateApproved || r.State == events.StateRunning {
			ids = append(ids, r.ID)
		}
	})
	return ids, err
}

func (v views) Writers(ctx context.Context, connection events.ConnectionID, ref string) ([]events.RequestID, error) {
	var writers []projections.Request
	err := v.open(ctx, func(r projections.Request) {
		if r.Patch != nil && r.Connection == connection && r.Ref == ref && (r.State == events.StateApproved || r.State == events.StateRunning) {
			writers = append(writers, r)
		}
	})
	slices.SortStableFunc(writers, func(a, b projections.Request) int {
		if a.State != b.State {
			return strings.Compare(string(b.State), string(a.State)) // running before approved
		}
		return a.ApprovedAt.Compare(*b.ApprovedAt)
	})
	ids := make([]events.RequestID, len(writers))
	for i, r := range writers {
		ids[i] = r.ID
	}
	return ids, err
}

func (v views) OpenPatches(ctx context.Context) ([]worker.OpenPatch, error) {
	var patches []worker.OpenPatch
	err := v.open(ctx, func(r projections.Request) {
		if r.Patch != nil && (r.State == events.StatePending || r.State == events.StateUnknown) {
			patches = append(patches, worker.OpenPatch{Request: r.ID, State: r.State, Submitted: r.SubmittedAt})
		}
	})
	return patches, err
}

// open goes through the open requests, oldest first.
func (v views) open(ctx context.Context, each func(projections.Request)) error {
	for after := events.Seq(0); ; {
		open, err := projections.Requests{Pool: v.pool}.Open(ctx, after, projections.MaxLimit)
		if err != nil || len(open) == 0 {
			return err
		}
		for _, r := range open {
			after = r.Seq
			each(r)
		}
	}
}

func (v views) Due(ctx context.Context, now time.Time, after worker.Mark, limit int) ([]worker.Due, error) {
	return due(projections.Requests{Pool: v.pool}.Due(ctx, now, projections.Due{At: after.At, Seq: after.Seq}, limit))
}

func (v views) Prompts(ctx context.Context, now time.Time, after worker.Mark, limit int) ([]worker.Due, error) {
	return due(projections.Requests{Pool: v.pool}.Prompts(ctx, now, projections.Due{At: after.At, Seq: after.Seq}, limit))
}

func due(found []projections.Due, err error) ([]worker.Due, error) {
	all := make([]worker.Due, len(found))
	for i, d := range found {
		all[i] = worker.Due{Request: d.ID, Mark: worker.Mark{At: d.At, Seq: d.Seq}}
	}
	return all, err
}

func (v views) Invitations(ctx context.Context, now time.Time, limit int) ([]events.AgentID, error) {
	return projections.Agents{Pool: v.pool}.Unused(ctx, now, limit)
}

func (v views) OnlineAgents(ctx context.Context) ([]events.AgentID, error) {
	var ids []events.AgentID
	err := v.agents(ctx, projections.AgentFilter{States: []events.AgentState{events.AgentOnline}}, func(a projections.Agent) {
		ids = append(ids, a.ID)
	})
	return ids, err
}

// clusters are all that an agent was ever invited to.
func (v views) clusters(ctx context.Context) ([]events.ClusterID, error) {
	var names []events.ClusterID
	err := v.agents(ctx, projections.AgentFilter{}, func(a projections.Agent) {
		if !slices.Contains(names, a.Cluster) {
			names = append(names, a.Cluster)
		}
	})
	return names, err
}

func (v views) agents(ctx context.Context, filter projections.AgentFilter, each func(projections.Agent)) error {
	filter.Limit = projections.MaxLimit
	for {
		page, err := projections.Agents{Pool: v.pool}.List(ctx, filter)
		if err != nil {
			return err
		}
		for _, a := range page.Items {
			each(a)
		}
		if page.Next == "" {
			return nil
		}
		filter.Cursor = page.Next
	}
}

func (v views) AgentByAccount(ctx context.Context, account string) (events.AgentID, error) {
	agent, err := projections.Agents{Pool: v.pool}.ByAccount(ctx, account)
	if errors.Is(err, projections.ErrNotFound) {
		return "", command.ErrAgentUnknown
	}
	return agent.ID, err
}

// queue hands the worker dead letters in its own words.
type queue struct{ *nats.Jobs }

func (q queue) DeadLetters(ctx context.Context, handle func(context.Context, worker.DeadLetter) error) error {
	return q.Jobs.DeadLetters(ctx, func(ctx context.Context, d nats.Dead) error {
		return handle(ctx, worker.DeadLetter{Cluster: d.Cluster, Job: d.Job, Refused: d.Refused})
	})
}

// ended hands the worker sessions in its own words.
type ended struct{ store.Sessions }

func (e ended) Ended(ctx context.Context, limit int) ([]worker.EndedSession, error) {
	found, err := e.Sessions.Ended(ctx, limit)
	all := make([]worker.EndedSession, len(found))
	for i, s := range found {
		all[i] = worker.EndedSession(s)
	}
	return all, err
}
