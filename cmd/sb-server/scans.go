package main

import (
	"context"
	"errors"
	"time"

	"secretsbridge/events"
	"secretsbridge/inventory"
	"secretsbridge/projections"
)

// OpenScans answers the worker.
func (v views) OpenScans(ctx context.Context) ([]events.JobID, error) {
	var ids []events.JobID
	for after := events.Seq(0); ; {
		open, err := projections.Jobs{Pool: v.pool}.Open(ctx, after, projections.MaxLimit)
		if err != nil || len(open) == 0 {
			return ids, err
		}
		for _, job := range open {
			ids = append(ids, job.ID)
		}
		after = open[len(open)-1].Seq
	}
}

// known answers the inventory from the projections.
type known struct{ views }

func (k known) OpenJobs(ctx context.Context) ([]events.JobID, error) { return k.OpenScans(ctx) }

func (k known) PresentAfter(ctx context.Context, connection events.ConnectionID, after events.SecretID, limit int) ([]inventory.Name, error) {
	found, err := projections.Secrets{Pool: k.pool}.PresentAfter(ctx, connection, after, limit)
	if err != nil {
		return nil, err
	}
	names := make([]inventory.Name, len(found))
	for i, n := range found {
		names[i] = inventory.Name{ID: n.ID, Ref: n.Ref}
	}
	return names, nil
}

func (k known) LastNumber(ctx context.Context, connection events.ConnectionID, op events.Operation) (int, error) {
	last, err := k.last(ctx, connection, op)
	return last.Number, err
}

// last is the newest job of a kind, or the zero one.
func (k known) last(ctx context.Context, connection events.ConnectionID, op events.Operation) (projections.Job, error) {
	last, err := projections.Jobs{Pool: k.pool}.Last(ctx, connection, op)
	if errors.Is(err, projections.ErrNotFound) {
		return projections.Job{}, nil
	}
	return last, err
}

func (k known) Schedules(ctx context.Context) ([]inventory.Schedule, error) {
	var all []inventory.Schedule
	filter := projections.ConnectionFilter{State: projections.ConnectionActive, Limit: projections.MaxLimit}
	for {
		page, err := projections.Connections{Pool: k.pool}.List(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, c := range page.Items {
			if c.DiscoverEvery == 0 {
				continue
			}
			last, err := k.last(ctx, c.Name, events.OperationDiscover)
			if err != nil {
				return nil, err
			}
			s := inventory.Schedule{Connection: c.Name, Every: time.Duration(c.DiscoverEvery) * time.Second, Number: last.Number}
			if last.EndedAt != nil {
				s.Last = *last.EndedAt
			}
			all = append(all, s)
		}
		if page.Next == "" {
			return all, nil
		}
		filter.Cursor = page.Next
	}
}
