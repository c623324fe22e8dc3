package main

import (
	"context"

	"secretsbridge/events"
	"secretsbridge/gitops"
	"secretsbridge/gitops/argocd"
	"secretsbridge/integrations"
	"secretsbridge/projections"
	"secretsbridge/web"
)

// maxListed bounds how many secrets of the inventory are compared with what applications take.
const maxListed = 50_000

// applications answers the API with what Argo CD has, in the words of integrations.
type applications struct {
	reader *argocd.Reader
	views  views
}

var _ web.GitOps = applications{}

func (a applications) Applications(ctx context.Context, id events.IntegrationID, limit int) ([]integrations.Application, bool, events.RolloutProblem) {
	found, more, problem := a.reader.Applications(ctx, id, limit)
	all := make([]integrations.Application, len(found))
	for i, f := range found {
		all[i] = integrations.Application{Target: f.Target, Project: f.Project, Sync: f.Sync, Health: f.Health}
	}
	return all, more, problem
}

// Suggestions are what applications take that the inventory has. One secret may be meant by several
// keys, and one key may mean several secrets: people choose.
func (a applications) Suggestions(ctx context.Context, id events.IntegrationID, within projections.Within, limit int) ([]integrations.Suggestion, bool, events.RolloutProblem) {
	uses, more, problem := a.reader.Uses(ctx, id, limit)
	if problem != "" || len(uses) == 0 {
		return nil, more, problem
	}
	var all []integrations.Suggestion
	left, err := a.eachSecret(ctx, within, func(s projections.Secret) bool {
		for _, u := range uses {
			if events.SameSecret(s.Provider, s.Ref, u.Key) {
				if len(all) == limit {
					return false
				}
				all = append(all, suggestionOf(s, u))
			}
		}
		return true
	})
	if err != nil {
		return nil, false, events.RolloutUnreachable
	}
	return all, more || left, ""
}

func suggestionOf(s projections.Secret, u gitops.Use) integrations.Suggestion {
	return integrations.Suggestion{Connection: s.Connection, Ref: s.Ref, Target: u.Target}
}

// eachSecret goes through the inventory within an area until it is told to stop, or has gone through enough.
func (a applications) eachSecret(ctx context.Context, within projections.Within, each func(projections.Secret) bool) (left bool, err error) {
	filter := projections.SecretFilter{Status: projections.SecretPresent, Within: within, Limit: projections.MaxLimit}
	for n := 0; n < maxListed; {
		page, err := projections.Secrets{Pool: a.views.pool}.List(ctx, filter)
		if err != nil {
			return false, err
		}
		for _, s := range page.Items {
			if n++; !each(s) {
				return true, nil
			}
		}
		if filter.Cursor = page.Next; page.Next == "" {
			return false, nil
		}
	}
	return true, nil
}
