package main

import (
	"context"

	"secretsbridge/events"
	"secretsbridge/gitops"
	"secretsbridge/integrations"
	"secretsbridge/projections"
)

// choices asks an Argo CD for what people choose mappings from.
type choices struct {
	lister interface {
		gitops.Lister
		gitops.Finder
	}
	views views
}

func (c choices) Applications(ctx context.Context, id events.IntegrationID, limit int) (all []integrations.Application, more bool, problem events.RolloutProblem) {
	found, more, problem := c.lister.Applications(ctx, id, limit)
	for _, f := range found {
		all = append(all, integrations.Application{Target: f.Target, Sync: f.Sync, Health: f.Health})
	}
	return all, more, problem
}

// Suggestions names each secret that an application takes as the inventory does, in every
// connection whose provider would know it by that key: where that is in none, it suggests nothing.
func (c choices) Suggestions(ctx context.Context, id events.IntegrationID, limit int) (all []integrations.Suggestion, more bool, problem events.RolloutProblem) {
	uses, more, problem := c.lister.Uses(ctx, id, limit)
	if problem != "" || len(uses) == 0 {
		return nil, more, problem
	}
	secrets := projections.Secrets{Pool: c.views.pool}
	filter := projections.SecretFilter{Status: projections.SecretPresent, Limit: projections.MaxLimit}
	for {
		page, err := secrets.List(ctx, filter)
		if err != nil {
			return nil, false, events.RolloutUnreachable
		}
		for _, s := range page.Items {
			for _, u := range uses {
				if !events.SameSecret(s.Provider, s.Ref, u.Key) {
					continue
				}
				if len(all) == limit {
					return all, true, ""
				}
				all = append(all, integrations.Suggestion{Connection: s.Connection, Ref: s.Ref, Target: u.Target})
			}
		}
		if page.Next == "" {
			return all, more, ""
		}
		filter.Cursor = page.Next
	}
}
