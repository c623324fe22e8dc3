package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/integrations"
	"secretsbridge/internal/secret"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// maxIntegrations bounds how many there are. Each one that is told is told of every fact.
const maxIntegrations = 200

var (
	errGitOpsOff           = &problem{"gitops_off", "watching rollouts is switched off; an operator sets SB_GITOPS_ENABLED=true on the servers"}
	errTooManyIntegrations = &problem{"too_many_integrations", "there are as many integrations as there may be; remove one first"}
	errWrongKind           = (*problem)(command.ErrIntegrationWrong)
)

// Integrations decides over integrations and keeps their secrets. Package integrations has it.
type Integrations interface {
	Create(ctx context.Context, meta command.Meta, cmd events.IntegrationCreated, url, token secret.Value) (integrations.Done, error)
	Change(ctx context.Context, meta command.Meta, id events.IntegrationID, settings events.IntegrationSettings, token secret.Value) (integrations.Done, error)
	Rotate(ctx context.Context, meta command.Meta, id events.IntegrationID, what events.IntegrationSecret, value secret.Value, overlap time.Duration) (integrations.Done, error)
	Remove(ctx context.Context, meta command.Meta, id events.IntegrationID, reason string) (events.Seq, error)
	Execute(ctx context.Context, meta command.Meta, id events.IntegrationID, decide func(command.Integration) ([]events.Fact, error)) (events.Seq, error)
}

func (a *API) listIntegrations(c *call) (reply, error) {
	q, err := c.query("kind", "state", "cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	filter := projections.IntegrationFilter{Kind: events.IntegrationKind(q.Get("kind")), Cursor: q.Get("cursor")}
	if filter.Kind != "" && !filter.Kind.Valid() {
		return reply{}, errParameter.because("kind is webhook, slack, teams, argo-cd, flux or kubernetes")
	}
	switch filter.State = command.IntegrationState(q.Get("state")); filter.State {
	case "", command.IntegrationActive, command.IntegrationDisabled:
	default:
		return reply{}, errParameter.because("state is active or disabled")
	}
	if filter.Limit, err = limitOf(q); err != nil {
		return reply{}, err
	}
	found, err := a.Views.Integrations(c.ctx(), filter)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Integration]{Items: make([]api.Integration, 0, len(found.Items)), Next: found.Next}
	for _, item := range found.Items {
		page.Items = append(page.Items, a.integrationOf(item))
	}
	return reply{status: http.StatusOK, body: page}, nil
}

// showIntegration answers "not modified" to who has the newest version.
func (a *API) showIntegration(c *call) (reply, error) {
	if _, err := c.query(); err != nil {
		return reply{}, err
	}
	found, err := a.integration(c)
	if err != nil {
		return reply{}, err
	}
	shown := a.integrationOf(found)
	tag := fmt.Sprintf(`"%d"`, found.LastSeq)
	for _, s := range shown.Secrets {
		if s.OverlapUntil != nil { // it ends by itself, without a fact
			tag = fmt.Sprintf(`"%d-overlap"`, found.LastSeq)
		}
	}
	return c.unlessSeen(tag, shown), nil
}

// integration is that of the path, as the view has it.
func (a *API) integration(c *call) (projections.Integration, error) {
	found, err := a.Views.Integration(c.ctx(), events.IntegrationID(c.param("name")))
	if isNotFound(err) {
		err = command.ErrIntegrationUnknown
	}
	return found, err
}

func (a *API) integrationOf(i projections.Integration) api.Integration {
	shown := api.Integration{
		Name: string(i.Name), Kind: string(i.Kind), State: string(i.State), Address: i.Settings.Address, CA: i.Settings.CA,
		Cluster: string(i.Settings.Cluster), Namespace: i.Settings.Namespace, Notices: []string{}, Projects: append([]string{}, i.Settings.Projects...),
		Description: i.Settings.Description, Secrets: []api.IntegrationSecret{}, Mappings: i.Mappings, Reason: i.DisabledReason,
		CreatedAt: i.CreatedAt, ChangedAt: i.ChangedAt, Seq: uint64(i.LastSeq),
	}
	for _, k := range i.Settings.Notices {
		shown.Notices = append(shown.Notices, string(k))
	}
	for _, s := range i.Secrets {
		set := api.IntegrationSecret{Secret: string(s.Secret), Version: s.Version, SetAt: s.SetAt.UTC()}
		if a.Now().Before(s.Overlap) {
			until := s.Overlap.UTC()
			set.OverlapUntil = &until
		}
		shown.Secrets = append(shown.Secrets, set)
	}
	return shown
}

// clearing takes a text out of a body as a value. The text itself is out of reach
// (docs/security/limits.md).
func clearing(text string) secret.Value { return secret.New([]byte(text)) }

func (a *API) createIntegration(c *call) (reply, error) {
	var m api.CreateIntegration
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	kind := events.IntegrationKind(m.Kind)
	if kind.Watched() && a.GitOps == nil {
		return reply{}, errGitOpsOff
	}
	if kind.Told() && m.Address != "" {
		return reply{}, (*problem)(command.ErrIntegrationSettings).because("where messages go is the url, which is kept as a secret")
	}
	if n, err := a.Views.CountIntegrations(c.ctx()); err != nil || n >= maxIntegrations {
		if err == nil {
			err = errTooManyIntegrations
		}
		return reply{}, err
	}
	url, token := clearing(m.URL), clearing(m.Token)
	defer url.Zero()
	defer token.Zero()
	made, err := a.Integrations.Create(c.ctx(), c.meta(), events.IntegrationCreated{
		Integration: events.IntegrationID(m.Name), Kind: kind, Settings: settingsFrom(api.ChangeIntegration{
			Address: m.Address, CA: m.CA, Cluster: m.Cluster, Namespace: m.Namespace, Notices: m.Notices, Projects: m.Projects, Description: m.Description,
		}),
	}, url, token)
	if err != nil {
		return reply{}, err
	}
	defer made.SigningKey.Zero()
	key := string(made.SigningKey.Expose())
	if kind == events.IntegrationWebhook && key == "" {
		return reply{}, errNotReplayable
	}
	return reply{status: http.StatusCreated, seq: made.Seq, body: api.CreatedIntegration{Name: m.Name, SigningKey: key, Seq: uint64(made.Seq)}}, nil
}

func settingsFrom(m api.ChangeIntegration) events.IntegrationSettings {
	s := events.IntegrationSettings{
		Address: m.Address, CA: m.CA, Cluster: events.ClusterID(m.Cluster), Namespace: m.Namespace, Description: m.Description,
	}
	for _, k := range m.Notices {
		s.Notices = append(s.Notices, events.NoticeKind(k))
	}
	s.Projects = append(s.Projects, m.Projects...)
	return s
}

// named is the integration of the path, by a name that one could have.
func (c *call) named() (events.IntegrationID, error) {
	name := c.param("name")
	if !events.ValidName(name) {
		return "", command.ErrIntegrationUnknown
	}
	return events.IntegrationID(name), nil
}

func (a *API) changeIntegration(c *call) (reply, error) {
	var m api.ChangeIntegration
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	id, err := c.named()
	if err != nil {
		return reply{}, err
	}
	token := clearing(m.Token)
	defer token.Zero()
	done, err := a.Integrations.Change(c.ctx(), c.meta(), id, settingsFrom(m), token)
	return doneReply(done.Seq, err)
}

func (a *API) disableIntegration(c *call) (reply, error) {
	var m api.Reason
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	meta := c.meta()
	return a.commandIntegration(c, func(s command.Integration) ([]events.Fact, error) { return s.Disable(meta, m.Reason) })
}

func (a *API) enableIntegration(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	meta := c.meta()
	return a.commandIntegration(c, func(s command.Integration) ([]events.Fact, error) {
		if s.Known() == nil && s.Kind.Watched() && a.GitOps == nil {
			return nil, errGitOpsOff
		}
		return s.Enable(meta)
	})
}

func (a *API) commandIntegration(c *call, decide func(command.Integration) ([]events.Fact, error)) (reply, error) {
	id, err := c.named()
	if err != nil {
		return reply{}, err
	}
	return doneReply(a.Integrations.Execute(c.ctx(), c.meta(), id, decide))
}

func (a *API) removeIntegration(c *call) (reply, error) {
	var m api.Reason
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	id, err := c.named()
	if err != nil {
		return reply{}, err
	}
	return doneReply(a.Integrations.Remove(c.ctx(), c.meta(), id, m.Reason))
}

func (a *API) rotateIntegrationSecret(c *call) (reply, error) {
	var m api.RotateSecret
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	id, err := c.named()
	if err != nil {
		return reply{}, err
	}
	what := events.IntegrationSecret(m.Secret)
	text, other := m.URL, m.Token
	if what == events.IntegrationToken {
		text, other = m.Token, m.URL
	}
	if other != "" {
		return reply{}, (*problem)(command.ErrIntegrationSecret).because("the body holds another secret than the one that it names")
	}
	overlap := time.Duration(0)
	if what == events.IntegrationSigningKey {
		overlap = command.DefaultOverlap
	}
	if m.OverlapSeconds != nil { // beyond the bounds one number is as wrong as another, and none may overflow
		overlap = time.Duration(min(max(*m.OverlapSeconds, -1), int(command.MaxOverlap/time.Second)+1)) * time.Second
	}
	value := clearing(text)
	defer value.Zero()
	done, err := a.Integrations.Rotate(c.ctx(), c.meta(), id, what, value, overlap)
	if err != nil {
		return reply{}, err
	}
	defer done.SigningKey.Zero()
	shown := api.RotatedSecret{Secret: m.Secret, Version: done.Version, SigningKey: string(done.SigningKey.Expose()), Seq: uint64(done.Seq)}
	if what == events.IntegrationSigningKey && shown.SigningKey == "" {
		return reply{}, errNotReplayable
	}
	if !done.Overlap.IsZero() {
		shown.OverlapUntil = &done.Overlap
	}
	return reply{status: http.StatusOK, seq: done.Seq, body: shown}, nil
}
