package gateway

import (
	"context"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/inventory"
)

// Inventory takes what agents list. Package inventory has it.
type Inventory interface {
	Take(ctx context.Context, meta command.Meta, by inventory.Agent, job events.JobID) (events.JobGrant, error)
	Page(ctx context.Context, meta command.Meta, by inventory.Agent, m events.ScanPage) (events.PageTaken, error)
	Prints(ctx context.Context, by inventory.Agent, m events.FingerprintPage) (events.PageTaken, error)
	Finish(ctx context.Context, meta command.Meta, by inventory.Agent, m events.FinishJob) error
	Abandon(ctx context.Context, meta command.Meta, by inventory.Agent, m events.AbandonJob) error
}

// lister is the agent as the inventory knows it.
func (c caller) lister() inventory.Agent { return inventory.Agent{ID: c.ID, Cluster: c.Cluster} }

func (g *Gateway) metaOf(by caller, service events.Service, job events.JobID) command.Meta {
	return g.meta(events.AgentActor(by.ID), by.command(service, string(job)))
}

func (g *Gateway) take(ctx context.Context, by caller, m events.TakeJob) (events.JobGrant, error) {
	return g.Inventory.Take(ctx, g.metaOf(by, events.ServiceTake, m.Job), by.lister(), m.Job)
}

func (g *Gateway) page(ctx context.Context, by caller, m events.ScanPage) (events.PageTaken, error) {
	return g.Inventory.Page(ctx, g.metaOf(by, events.ServicePage, m.Job), by.lister(), m)
}

func (g *Gateway) prints(ctx context.Context, by caller, m events.FingerprintPage) (events.PageTaken, error) {
	return g.Inventory.Prints(ctx, by.lister(), m)
}

func (g *Gateway) finish(ctx context.Context, by caller, m events.FinishJob) (events.Done, error) {
	meta := g.metaOf(by, events.ServiceFinish, m.Job)
	if len(m.Keys) == 0 { // names of keys are in no fact
		var err error
		if meta, err = by.signed(meta, events.ServiceFinish, m); err != nil {
			return events.Done{}, err
		}
	}
	return events.Done{}, g.Inventory.Finish(ctx, meta, by.lister(), m)
}

func (g *Gateway) abandon(ctx context.Context, by caller, m events.AbandonJob) (events.Done, error) {
	meta, err := by.signed(g.metaOf(by, events.ServiceAbandon, m.Job), events.ServiceAbandon, m)
	if err != nil {
		return events.Done{}, err
	}
	return events.Done{}, g.Inventory.Abandon(ctx, meta, by.lister(), m)
}
