package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/integrations"
	"secretsbridge/notices"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// maxFound is how many applications or suggestions one answer has.
const maxFound = 1000

var (
	errUnanswered      = &problem{"integration_unanswered", "the other side did not answer as it should"}
	errDeliveryUnknown = &problem{"delivery_unknown", "there is no such delivery that was given up; `sb integration deliveries` lists those of the last 30 days"}
)

// GitOps asks those that are looked at when somebody wants to know. The problem says why there
// is no answer. Package gitops has it.
type GitOps interface {
	Applications(ctx context.Context, id events.IntegrationID, limit int) (all []integrations.Application, more bool, problem events.RolloutProblem)

	// Suggestions are of secrets within an area alone.
	Suggestions(ctx context.Context, id events.IntegrationID, within projections.Within, limit int) (all []integrations.Suggestion, more bool, problem events.RolloutProblem)
}

// Deliveries are the messages to integrations. Package notices has them.
type Deliveries interface {
	// OfIntegration returns them, newest first. Errors: [projections.ErrCursor].
	OfIntegration(ctx context.Context, id events.IntegrationID, cursor string, limit int) (projections.Page[integrations.Delivery], error)

	// Retry has one that was given up tried again. Errors: [integrations.ErrNoDelivery].
	// record is called before it is; where it fails, nothing was done.
	Retry(ctx context.Context, id events.IntegrationID, delivery events.DeliveryID, record func() error) error

	// Test has a message sent that says nothing but that it arrived. The same command again
	// is the same message.
	Test(ctx context.Context, meta command.Meta, id events.IntegrationID) (events.DeliveryID, error)
}

// acting is the integration of the path, of one of the kinds and enabled.
func (a *API) acting(c *call, is func(events.IntegrationKind) bool, enabled bool) (projections.Integration, error) {
	found, err := a.integration(c)
	switch {
	case err != nil:
		return found, err
	case !is(found.Kind):
		return found, errWrongKind
	case enabled && found.State == command.IntegrationDisabled:
		return found, command.ErrIntegrationDisabled
	}
	return found, nil
}

func isArgo(k events.IntegrationKind) bool { return k == events.IntegrationArgoCD }

// testIntegration has an integration told, or looked at. What came of it no fact holds.
func (a *API) testIntegration(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	// Somebody tries what they have just made, so the view must have it.
	if err := a.freshEnough(c); err != nil {
		return reply{}, err
	}
	able := func(k events.IntegrationKind) bool { return k.Told() || isArgo(k) }
	found, err := a.acting(c, able, true)
	if err != nil {
		return reply{}, err
	}
	if found.Kind.Told() && a.Deliveries == nil {
		return reply{}, errUnavailable
	}
	if !found.Kind.Told() && a.GitOps == nil {
		return reply{}, errGitOpsOff
	}
	fact := events.IntegrationTested{}
	if found.Kind.Told() {
		fact.Delivery = notices.Test(c.command, notices.ToIntegration(found.Name), c.now).ID
	}
	seq, err := a.Integrations.Execute(c.ctx(), c.meta(), found.Name, func(command.Integration) ([]events.Fact, error) {
		return []events.Fact{fact}, nil
	})
	if err != nil {
		return reply{}, err
	}
	answer := api.IntegrationTest{Seq: uint64(seq)}
	if found.Kind.Told() {
		delivery, err := a.Deliveries.Test(c.ctx(), c.meta(), found.Name)
		if err != nil {
			return reply{}, err
		}
		answer.Delivery = string(delivery)
		return reply{status: http.StatusOK, seq: seq, body: answer}, nil
	}
	all, _, wrong := a.GitOps.Applications(c.ctx(), found.Name, maxFound)
	if wrong != "" {
		return reply{}, unanswered(wrong)
	}
	n := len(all)
	answer.Applications = &n
	return reply{status: http.StatusOK, body: answer}, nil
}

// unanswered says what was wrong, and what to do.
func unanswered(wrong events.RolloutProblem) error {
	says := map[events.RolloutProblem]string{
		events.RolloutUnreachable:  "it was not reached, did not answer in time, or has a fault of its own; check the address, and that the servers may reach it",
		events.RolloutUnauthorized: "it does not take the token; set another one: `sb integration rotate`",
		events.RolloutForbidden:    "the token may not do that; give its account the rights of docs/how-to/integrations.md",
		events.RolloutNotFound:     "there is no such thing at that address; check its path",
		events.RolloutMalformed:    "what it answered is none of its API; check the address: it may be that of a login page",
		events.RolloutTooLarge:     "it answered more than is read",
		events.RolloutUntrusted:    "its certificate is not trusted; give the authorities that sign it",
		events.RolloutNoAgent:      "no agent of its cluster is there to look",
		events.RolloutDisabled:     "it is disabled; enable it first",
	}
	if detail, ok := says[wrong]; ok {
		return errUnanswered.because(detail)
	}
	return errUnanswered
}

func (a *API) listDeliveries(c *call) (reply, error) {
	q, err := c.query("cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	limit, err := limitOf(q)
	if err != nil {
		return reply{}, err
	}
	integration, err := a.acting(c, events.IntegrationKind.Told, false)
	if err == nil && a.Deliveries == nil {
		err = errUnavailable
	}
	if err != nil {
		return reply{}, err
	}
	if limit == 0 {
		limit = projections.MaxLimit / 4
	}
	found, err := a.Deliveries.OfIntegration(c.ctx(), integration.Name, q.Get("cursor"), limit)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Delivery]{Items: make([]api.Delivery, 0, len(found.Items)), Next: found.Next}
	for _, d := range found.Items {
		page.Items = append(page.Items, deliveryOf(d))
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func deliveryOf(d integrations.Delivery) api.Delivery {
	shown := api.Delivery{
		ID: string(d.ID), Notice: string(d.Notice), State: d.State, Attempts: d.Attempts, Code: string(d.Code), Request: string(d.Request), At: d.At.UTC(),
	}
	for to, at := range map[**time.Time]time.Time{&shown.NextAt: d.Next.UTC(), &shown.EndedAt: d.Ended.UTC()} {
		if !at.IsZero() {
			*to = &at
		}
	}
	return shown
}

func (a *API) retryDelivery(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	found, err := a.acting(c, events.IntegrationKind.Told, true)
	if err == nil && a.Deliveries == nil {
		err = errUnavailable
	}
	if err != nil {
		return reply{}, err
	}
	var seq events.Seq
	delivery := events.DeliveryID(c.param("id"))
	err = a.Deliveries.Retry(c.ctx(), found.Name, delivery, func() (err error) {
		seq, err = a.Integrations.Execute(c.ctx(), c.meta(), found.Name, func(command.Integration) ([]events.Fact, error) {
			return []events.Fact{events.DeliveryRetried{Delivery: delivery}}, nil
		})
		return err
	})
	if errors.Is(err, integrations.ErrNoDelivery) {
		err = errDeliveryUnknown
	}
	if err != nil {
		return reply{}, err
	}
	return doneReply(seq, nil)
}

func (a *API) listMappings(c *call) (reply, error) {
	q, err := c.query("cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	limit, err := limitOf(q)
	if err != nil {
		return reply{}, err
	}
	integration, err := a.integration(c)
	if err != nil {
		return reply{}, err
	}
	found, err := a.Views.MappingsOf(c.ctx(), integration.Name, q.Get("cursor"), limit)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Mapping]{Items: make([]api.Mapping, 0, len(found.Items)), Next: found.Next}
	for _, m := range found.Items {
		page.Items = append(page.Items, api.Mapping{
			ID: string(m.ID), Connection: string(m.Connection), Ref: m.Ref, Labels: m.Labels, Target: shownTarget(m.Target), Origin: string(m.Origin), AddedAt: m.AddedAt,
		})
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func shownTarget(t events.RolloutTarget) api.Target {
	return api.Target{Kind: t.Kind, Namespace: t.Namespace, Name: t.Name, Selector: t.Selector, Secret: t.Secret}
}

func (a *API) addMapping(c *call) (reply, error) {
	var m api.AddMapping
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	id, err := c.named()
	if err != nil {
		return reply{}, err
	}
	if _, err := a.Views.Connection(c.ctx(), events.ConnectionID(m.Connection)); isNotFound(err) {
		return reply{}, command.ErrConnectionUnknown
	} else if err != nil {
		return reply{}, err
	}
	meta := c.meta()
	secrets := events.MappedSecrets{Connection: events.ConnectionID(m.Connection), Ref: m.Ref, Labels: m.Labels}
	target := events.RolloutTarget{Kind: m.Target.Kind, Namespace: m.Target.Namespace, Name: m.Target.Name, Selector: m.Target.Selector, Secret: m.Target.Secret}
	seq, err := a.Integrations.Execute(c.ctx(), meta, id, func(s command.Integration) ([]events.Fact, error) {
		return s.Map(meta, secrets, target, m.Discovered)
	})
	return madeReply(events.MappingOf(meta.Command), seq, err)
}

func (a *API) removeMapping(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	meta := c.meta()
	return a.commandIntegration(c, func(s command.Integration) ([]events.Fact, error) {
		return s.Unmap(meta, events.MappingID(c.param("id")))
	})
}

// chooseFrom is what is asked of an Argo CD for a list that people choose from, with the mappings
// that there are.
func (a *API) chooseFrom(c *call) (projections.Integration, []projections.Mapping, error) {
	if _, err := c.query(); err != nil {
		return projections.Integration{}, nil, err
	}
	found, err := a.acting(c, isArgo, true)
	if err == nil && a.GitOps == nil {
		err = errGitOpsOff
	}
	if err != nil {
		return found, nil, err
	}
	mapped, err := a.Views.MappingsOf(c.ctx(), found.Name, "", projections.MaxLimit) // as many as there may be
	return found, mapped.Items, err
}

func (a *API) listApplications(c *call) (reply, error) {
	integration, mapped, err := a.chooseFrom(c)
	if err != nil {
		return reply{}, err
	}
	all, more, wrong := a.GitOps.Applications(c.ctx(), integration.Name, maxFound)
	if wrong != "" {
		return reply{}, unanswered(wrong)
	}
	list := api.Applications{Items: make([]api.Application, 0, len(all)), More: more}
	for _, app := range all {
		shown := api.Application{Target: shownTarget(app.Target), Project: app.Project, Sync: app.Sync, Health: app.Health}
		for _, m := range mapped {
			shown.Mapped = shown.Mapped || sameTarget(m.Target, app.Target, integration)
		}
		list.Items = append(list.Items, shown)
	}
	return reply{status: http.StatusOK, body: list}, nil
}

// sameTarget compares what a mapping names with what there is. A mapping may leave out the
// namespace, and say which Secret it means.
func sameTarget(mapped, there events.RolloutTarget, of projections.Integration) bool {
	space := mapped.Namespace
	if space == "" {
		space = of.Settings.Namespace
	}
	return mapped.Kind == there.Kind && mapped.Name == there.Name && (space == "" || space == there.Namespace)
}

// listSuggestions compares with the inventory as far as the caller sees it: the permission to see
// integrations shows no names of secrets.
func (a *API) listSuggestions(c *call) (reply, error) {
	integration, mapped, err := a.chooseFrom(c)
	if err != nil {
		return reply{}, err
	}
	all, more, wrong := a.GitOps.Suggestions(c.ctx(), integration.Name, c.within(policy.SecretList), maxFound)
	if wrong != "" {
		return reply{}, unanswered(wrong)
	}
	list := api.Suggestions{Items: make([]api.Suggestion, 0, len(all)), More: more}
	for _, s := range all {
		shown := api.Suggestion{Connection: string(s.Connection), Ref: s.Ref, Target: shownTarget(s.Target)}
		for _, m := range mapped {
			shown.Mapped = shown.Mapped || m.Connection == s.Connection && m.Ref == s.Ref && sameTarget(m.Target, s.Target, integration)
		}
		list.Items = append(list.Items, shown)
	}
	return reply{status: http.StatusOK, body: list}, nil
}
