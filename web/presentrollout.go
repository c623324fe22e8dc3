package web

import (
	"net/url"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// rolloutOf shows whether a written patch is live, without what each application looks like.
func rolloutOf(r projections.Request) *api.Rollout {
	if r.Rollout == nil {
		return nil
	}
	live, total := r.Rollout.Pods()
	return &api.Rollout{
		State: string(r.Rollout.State()), WrittenAt: r.Rollout.WrittenAt, Until: r.Rollout.Until, Version: r.Rollout.Version, Left: r.Rollout.Left,
		Live: live, Total: total, Watches: []api.Watch{},
	}
}

// watchesOf shows each application. Addresses are those of Argo CD by the integration's name.
func watchesOf(r projections.Request, addresses map[events.IntegrationID]string) []api.Watch {
	shown := []api.Watch{}
	for _, w := range r.Rollout.Watches {
		p, t := w.Progress, w.Target
		one := api.Watch{
			Number: w.Number, Integration: string(w.Integration), Kind: string(w.Kind), State: string(w.State),
			Target: api.WatchTarget{Kind: t.Kind, Namespace: t.Namespace, Name: t.Name, Selector: t.Selector, Secret: t.Secret},
			Sync:   p.Sync, Health: p.Health, Revision: p.Revision, Proof: string(p.Proof), Live: p.Live, Total: p.Total,
			Laggards: append([]string{}, p.Laggards...), Problem: string(p.Problem), SeenAt: w.SeenAt,
			Link: applicationPage(addresses[w.Integration], t),
		}
		if !p.Reached.IsZero() {
			reached := p.Reached.UTC()
			one.ReachedAt = &reached
		}
		shown = append(shown, one)
	}
	return shown
}

// addressesOf are where the Argo CDs are that look for a request.
func (a *API) addressesOf(c *call, r projections.Request) (map[events.IntegrationID]string, error) {
	addresses := map[events.IntegrationID]string{}
	for _, w := range r.Rollout.Watches {
		if _, known := addresses[w.Integration]; known || w.Kind != events.IntegrationArgoCD {
			continue
		}
		integration, err := a.Views.Integration(c.ctx(), w.Integration)
		if err != nil && !isNotFound(err) {
			return nil, err
		}
		addresses[w.Integration] = integration.Settings.Address // none of one that was removed
	}
	return addresses, nil
}

// applicationPage is the page of an application in Argo CD; none where that is not known.
func applicationPage(address string, t events.RolloutTarget) string {
	if address == "" || t.Kind != "Application" {
		return ""
	}
	parts := []string{"applications"}
	if t.Namespace != "" {
		parts = append(parts, url.PathEscape(t.Namespace))
	}
	page, err := url.JoinPath(address, append(parts, url.PathEscape(t.Name))...)
	if err != nil {
		return ""
	}
	return page
}
