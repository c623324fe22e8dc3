package main

import (
	"context"
	"errors"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/gitops"
	"secretsbridge/gitops/argocd"
	"secretsbridge/projections"
	"secretsbridge/store"
	"secretsbridge/worker"
)

// rolloutViews answers the watcher of rollouts, and the reader of Argo CD, from the projections.
type rolloutViews struct{ views }

var (
	_ gitops.Views     = rolloutViews{}
	_ argocd.Endpoints = rolloutViews{}
)

func (v rolloutViews) Mapped(ctx context.Context, connection events.ConnectionID, ref string, most int) ([]gitops.Mapped, int, error) {
	found, left, err := projections.Integrations{Pool: v.pool}.MappingsFor(ctx, connection, ref, most)
	mapped := make([]gitops.Mapped, len(found))
	for i, f := range found {
		mapped[i] = gitops.Mapped(f)
	}
	return mapped, left, err
}

func (v rolloutViews) OpenWatches(ctx context.Context) ([]gitops.OpenWatch, error) {
	var open []gitops.OpenWatch
	providers := map[events.ConnectionID]events.ProviderKind{}
	for after := events.Seq(0); ; {
		requests, err := projections.Rollouts{Pool: v.pool}.Open(ctx, after, projections.MaxLimit)
		if err != nil || len(requests) == 0 {
			return open, err
		}
		for _, r := range requests {
			after = r.Seq
			if _, known := providers[r.Connection]; !known {
				if providers[r.Connection], err = v.Provider(ctx, r.Connection); err != nil {
					return nil, err
				}
			}
			about := gitops.About{Provider: providers[r.Connection], Ref: r.Ref, Version: r.Rollout.Version, Written: r.Rollout.WrittenAt}
			for _, w := range r.Rollout.Watches {
				if w.State == events.WatchOpen {
					open = append(open, gitops.OpenWatch{
						Request: r.ID, Watch: w.Watch, About: about, Until: r.Rollout.Until, Progress: w.Progress, Begun: r.Rollout.BegunAt,
					})
				}
			}
		}
	}
}

func (v rolloutViews) Enabled(ctx context.Context) (map[events.IntegrationID]bool, error) {
	enabled := map[events.IntegrationID]bool{}
	filter := projections.IntegrationFilter{State: command.IntegrationActive, Limit: projections.MaxLimit}
	for {
		page, err := projections.Integrations{Pool: v.pool}.List(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			enabled[i.Name] = i.Kind.Watched()
		}
		if page.Next == "" {
			return enabled, nil
		}
		filter.Cursor = page.Next
	}
}

func (v rolloutViews) Provider(ctx context.Context, connection events.ConnectionID) (events.ProviderKind, error) {
	c, err := projections.Connections{Pool: v.pool}.Get(ctx, connection)
	return c.Provider, err
}

func (v rolloutViews) Endpoint(ctx context.Context, id events.IntegrationID) (argocd.Endpoint, error) {
	i, err := projections.Integrations{Pool: v.pool}.Get(ctx, id)
	if errors.Is(err, projections.ErrNotFound) || err == nil && (i.State != command.IntegrationActive || i.Kind != events.IntegrationArgoCD) {
		return argocd.Endpoint{}, argocd.ErrDisabled
	}
	at := argocd.Endpoint{Settings: i.Settings}
	for _, s := range i.Secrets {
		if s.Secret == events.IntegrationToken {
			at.Token = s.Version
		}
	}
	return at, err
}

// agentLooks offers looks through the worker, which is made after the watcher.
type agentLooks struct{ st *stack }

func (a agentLooks) OfferObservation(ctx context.Context, id events.RequestID, look events.Observe) error {
	return a.st.worker.OfferObservation(ctx, id, look)
}

func (a agentLooks) WithdrawObservation(ctx context.Context, id events.RequestID, watch events.Watch) error {
	return a.st.worker.WithdrawObservation(ctx, id, watch)
}

// openWatcher makes what watches rollouts. Whether its loops run here is another setting.
func (st *stack) openWatcher() *gitops.Watcher {
	views := rolloutViews{views{pool: st.pool, progress: st.progress}}
	return gitops.New(gitops.Config{
		Log: st.facts, Views: views, States: store.Watches{Pool: st.pool, Now: time.Now}, Agents: agentLooks{st},
		Readers: map[events.IntegrationKind]gitops.Reader{events.IntegrationArgoCD: st.argocd},
		Logger:  st.log, Now: time.Now, Each: st.settings.GitOpsEach, Limit: st.settings.GitOpsLimit,
	})
}

// rolloutLoops are those that the worker of this server takes part in.
func (st *stack) rolloutLoops() []worker.Loop {
	if !st.settings.WorkerGitOps {
		return nil
	}
	return st.watcher.Loops(st.store, store.Loops{Pool: st.pool})
}
