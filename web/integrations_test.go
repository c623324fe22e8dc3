package web_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/integrations"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// deliveries remember what was to be tested, and have one message that was given up.
type deliveries struct {
	tested  []events.IntegrationID
	retried []events.DeliveryID
}

const given = events.DeliveryID("n_0123456789abcdefghjkmnpqrs")

func (d *deliveries) OfIntegration(_ context.Context, id events.IntegrationID, cursor string, limit int) (projections.Page[integrations.Delivery], error) {
	if cursor != "" || limit < 1 {
		return projections.Page[integrations.Delivery]{}, projections.ErrCursor
	}
	return projections.Page[integrations.Delivery]{Items: []integrations.Delivery{{
		ID: given, Notice: events.NoticeFailed, State: "dead", Attempts: 12, Code: events.DeliveryTimeout, At: time.Unix(0, 0), Ended: time.Unix(9, 0),
	}}}, nil
}

func (d *deliveries) Retry(_ context.Context, _ events.IntegrationID, delivery events.DeliveryID, record func() error) error {
	if delivery != given {
		return integrations.ErrNoDelivery
	}
	if err := record(); err != nil {
		return err
	}
	d.retried = append(d.retried, delivery)
	return nil
}

func (d *deliveries) Test(_ context.Context, meta command.Meta, id events.IntegrationID) (events.DeliveryID, error) {
	d.tested = append(d.tested, id)
	return events.DeliveryOf(events.EventIDOf(meta.Command, 0), string(id)), nil
}

// gitOps has one application, or a problem.
type gitOps struct {
	problem events.RolloutProblem
	within  projections.Within // that suggestions were asked for
}

func (g *gitOps) Applications(context.Context, events.IntegrationID, int) ([]integrations.Application, bool, events.RolloutProblem) {
	if g.problem != "" {
		return nil, false, g.problem
	}
	return []integrations.Application{
		{Target: events.RolloutTarget{Kind: "Application", Namespace: "argocd", Name: "shop"}, Project: "payments", Sync: "Synced", Health: "Healthy"},
		{Target: events.RolloutTarget{Kind: "Application", Namespace: "argocd", Name: "bank"}},
	}, true, ""
}

func (g *gitOps) Suggestions(_ context.Context, _ events.IntegrationID, within projections.Within, _ int) ([]integrations.Suggestion, bool, events.RolloutProblem) {
	g.within = within
	target := events.RolloutTarget{Kind: "Application", Namespace: "argocd", Name: "shop", Secret: "shop/db"}
	return []integrations.Suggestion{{Connection: "file", Ref: "prod/db", Target: target}, {Connection: "file", Ref: "prod/mq", Target: target}}, false, g.problem
}

func watching(g *gitOps) func(*web.Config) {
	return func(cfg *web.Config) { cfg.GitOps = g }
}

func hook(name string) api.CreateIntegration {
	return api.CreateIntegration{Name: name, Kind: "webhook", URL: "https://Hooks.example.org/in/canary-url-1?sig=canary-url-2"}
}

func argo(name string) api.CreateIntegration {
	return api.CreateIntegration{Name: name, Kind: "argo-cd", Address: "https://argo.example.org", Token: "canary-token-1"}
}

func TestAWebhookFromItsNameToItsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made := read[api.CreatedIntegration](t, r.call(r.admin, "POST", "/integrations", hook("hook")))
	if !strings.HasPrefix(made.SigningKey, integrations.KeyPrefix) {
		t.Errorf("%+v", made)
	}
	url, err := r.vault.Open(t.Context(), "hook", events.IntegrationURL)
	if err != nil || len(url) != 1 || string(url[0].Expose()) != hook("").URL {
		t.Errorf("the url is %d: %v", len(url), err)
	}
	shown := read[api.Integration](t, r.call(r.admin, "GET", "/integrations/hook", nil, r.newest()))
	noon := r.clock.Now()
	want := api.Integration{
		Name: "hook", Kind: "webhook", State: "active", Address: "hooks.example.org", Notices: []string{}, Projects: []string{},
		Secrets: []api.IntegrationSecret{{Secret: "url", Version: 1, SetAt: noon}, {Secret: "signing_key", Version: 1, SetAt: noon}}, CreatedAt: noon, ChangedAt: noon, Seq: made.Seq,
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	r.clock.Add(10 * time.Minute)
	rotated := read[api.RotatedSecret](t, r.call(r.admin, "POST", "/integrations/hook/rotate", api.RotateSecret{Secret: "signing_key"}))
	if until := r.clock.Now().Add(24 * time.Hour); rotated.Version != 2 || rotated.OverlapUntil == nil || !rotated.OverlapUntil.Equal(until) || rotated.SigningKey == made.SigningKey {
		t.Errorf("%+v", rotated)
	}
	if got := r.keysOf("hook"); !slices.Equal(got, []string{rotated.SigningKey, made.SigningKey}) {
		t.Errorf("live keys: %q", got)
	}
	r.clock.Add(24 * time.Hour)

	if got := r.keysOf("hook"); !slices.Equal(got, []string{rotated.SigningKey}) {
		t.Errorf("live keys after the overlap: %q", got)
	}
	if n, err := r.vault.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("swept %d: %v", n, err)
	}
}

// keysOf opens the signing keys that are live.
func (r *rig) keysOf(name events.IntegrationID) (keys []string) {
	r.t.Helper()
	values, err := r.vault.Open(r.t.Context(), name, events.IntegrationSigningKey)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, v := range values {
		keys = append(keys, string(v.Expose()))
	}
	return keys
}

func TestIntegrationsAreDisabledEnabledAndRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.call(r.admin, "POST", "/integrations", hook("hook")).wants(t, 201, "")
	state := func() string {
		return read[api.Integration](t, r.call(r.admin, "GET", "/integrations/hook", nil, r.newest())).State
	}
	r.call(r.admin, "POST", "/integrations/hook/disable", api.Reason{Reason: "noise"}).wants(t, 200, "")
	if got := state(); got != "disabled" {
		t.Error(got)
	}
	r.call(r.admin, "POST", "/integrations/hook/test", nil, r.newest()).wants(t, 409, "integration_disabled")
	r.call(r.admin, "POST", "/integrations/hook/enable", nil).wants(t, 200, "")
	if got := state(); got != "active" {
		t.Error(got)
	}
	test := read[api.IntegrationTest](t, r.call(r.admin, "POST", "/integrations/hook/test", nil, r.newest()))
	if test.Delivery == "" || !slices.Equal(r.deliveries.tested, []events.IntegrationID{"hook"}) {
		t.Errorf("%+v, tested %v", test, r.deliveries.tested)
	}
	r.call(r.admin, "POST", "/integrations/hook/deliveries/"+string(given)+"/retry", nil).wants(t, 200, "")
	r.call(r.admin, "POST", "/integrations/hook/deliveries/n_"+strings.Repeat("0", 26)+"/retry", nil).wants(t, 404, "delivery_unknown")
	sent := read[api.Page[api.Delivery]](t, r.call(r.admin, "GET", "/integrations/hook/deliveries", nil)).Items
	if len(sent) != 1 || sent[0].Code != "timeout" || sent[0].EndedAt == nil || sent[0].NextAt != nil {
		t.Errorf("%+v", sent)
	}
	r.call(r.admin, "POST", "/integrations/hook/remove", api.Reason{}).wants(t, 200, "")
	if _, err := r.vault.Open(t.Context(), "hook", events.IntegrationURL); err == nil {
		t.Error("the url of what was removed opens")
	}
	r.call(r.admin, "GET", "/integrations/hook", nil, r.newest()).wants(t, 404, "integration_unknown")
	r.call(r.admin, "POST", "/integrations", hook("hook")).wants(t, 409, "integration_exists")
	if got := read[api.Page[api.Integration]](t, r.call(r.admin, "GET", "/integrations", nil)); len(got.Items) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestIntegrationsAreListedByKindAndState(t *testing.T) {
	t.Parallel()
	r := newRig(t, watching(&gitOps{}))
	r.call(r.admin, "POST", "/integrations", hook("hook")).wants(t, 201, "")
	r.call(r.admin, "POST", "/integrations", argo("argo")).wants(t, 201, "")
	r.call(r.admin, "POST", "/integrations", api.CreateIntegration{Name: "flux", Kind: "flux", Cluster: "demo"}).wants(t, 201, "")
	r.call(r.admin, "POST", "/integrations/flux/disable", nil).wants(t, 200, "")
	for query, want := range map[string][]string{
		"": {"flux", "argo", "hook"}, "?kind=argo-cd": {"argo"}, "?state=active": {"argo", "hook"}, "?state=disabled&kind=flux": {"flux"}, "?state=disabled&kind=slack": {},
	} {
		page := read[api.Page[api.Integration]](t, r.call(r.admin, "GET", "/integrations"+query, nil, r.newest()))
		names := []string{}
		for _, i := range page.Items {
			names = append(names, i.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%q: %v, want %v", query, names, want)
		}
	}
	first := read[api.Page[api.Integration]](t, r.call(r.admin, "GET", "/integrations?limit=2", nil))
	rest := read[api.Page[api.Integration]](t, r.call(r.admin, "GET", "/integrations?limit=2&cursor="+first.Next, nil))
	if len(first.Items) != 2 || len(rest.Items) != 1 || rest.Next != "" {
		t.Errorf("%d and %d items", len(first.Items), len(rest.Items))
	}
	r.call(r.admin, "GET", "/integrations?kind=jira", nil).wants(t, 400, "parameter_invalid")
	r.call(r.admin, "GET", "/integrations?state=removed", nil).wants(t, 400, "parameter_invalid")
}

func TestMappingsAreAddedListedAndRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t, watching(&gitOps{}))
	r.call(r.admin, "POST", "/integrations", argo("argo")).wants(t, 201, "")
	r.call(r.admin, "POST", "/integrations", hook("hook")).wants(t, 201, "")
	mapping := api.AddMapping{Connection: "file", Ref: "prod/db", Target: api.Target{Kind: "Application", Name: "shop"}}
	made := read[api.Made](t, r.call(r.admin, "POST", "/integrations/argo/mappings", mapping))
	r.call(r.admin, "POST", "/integrations/argo/mappings", mapping).wants(t, 409, "mapping_exists")
	r.call(r.admin, "POST", "/integrations/hook/mappings", mapping).wants(t, 409, "integration_kind_wrong")
	mapping.Connection = "nowhere"
	r.call(r.admin, "POST", "/integrations/argo/mappings", mapping).wants(t, 404, "connection_unknown")
	listed := read[api.Page[api.Mapping]](t, r.call(r.admin, "GET", "/integrations/argo/mappings", nil, r.newest()))
	want := []api.Mapping{{ID: made.ID, Connection: "file", Ref: "prod/db", Target: mapping.Target, Origin: "hand", AddedAt: r.clock.Now()}}
	if diff := cmp.Diff(want, listed.Items); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	apps := read[api.Applications](t, r.call(r.admin, "GET", "/integrations/argo/applications", nil))
	if len(apps.Items) != 2 || !apps.Items[0].Mapped || apps.Items[0].Project != "payments" || apps.Items[1].Mapped || !apps.More {
		t.Errorf("%+v", apps)
	}
	found := read[api.Suggestions](t, r.call(r.admin, "GET", "/integrations/argo/suggestions", nil))
	if len(found.Items) != 2 || !found.Items[0].Mapped || found.Items[1].Mapped {
		t.Errorf("%+v", found)
	}
	r.call(r.admin, "POST", "/integrations/argo/mappings/"+made.ID+"/remove", nil).wants(t, 200, "")
	r.call(r.admin, "POST", "/integrations/argo/mappings/"+made.ID+"/remove", nil).wants(t, 404, "mapping_unknown")
	if got := read[api.Page[api.Mapping]](t, r.call(r.admin, "GET", "/integrations/argo/mappings", nil, r.newest())); len(got.Items) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestSuggestionsAreOfSecretsThatTheCallerSees(t *testing.T) {
	t.Parallel()
	g := &gitOps{}
	r := newRig(t, watching(g))
	r.call(r.admin, "POST", "/integrations", argo("argo")).wants(t, 201, "")
	r.govern(object("hooks", events.Role{Permissions: []string{string(policy.IntegrationList)}}))
	r.setRoles(r.other.ID, "hooks")
	r.call(r.other, "GET", "/secrets", nil).wants(t, 403, "forbidden")
	r.call(r.other, "GET", "/integrations/argo/suggestions", nil, r.newest()).wants(t, 200, "")
	if g.within == nil || len(g.within) > 0 {
		t.Errorf("who sees no secret is suggested those within %v", g.within)
	}
	r.call(r.admin, "GET", "/integrations/argo/suggestions", nil).wants(t, 200, "")
	if g.within != nil {
		t.Errorf("who sees all is suggested those within %v", g.within)
	}
}

func TestWhatIsLookedAtNeedsTheWatch(t *testing.T) {
	t.Parallel()
	off := newRig(t)
	off.call(off.admin, "POST", "/integrations", argo("argo")).wants(t, 409, "gitops_off")

	g := &gitOps{}
	r := newRig(t, watching(g))
	r.call(r.admin, "POST", "/integrations", argo("argo")).wants(t, 201, "")
	got := read[api.IntegrationTest](t, r.call(r.admin, "POST", "/integrations/argo/test", nil, r.newest()))
	if got.Applications == nil || *got.Applications != 2 || got.Delivery != "" {
		t.Errorf("%+v", got)
	}
	g.problem = events.RolloutUnauthorized
	r.call(r.admin, "POST", "/integrations/argo/test", nil).wants(t, 502, "integration_unanswered")
	r.call(r.admin, "GET", "/integrations/argo/applications", nil).wants(t, 502, "integration_unanswered")
	r.call(r.admin, "GET", "/integrations/argo/suggestions", nil).wants(t, 502, "integration_unanswered")
	r.call(r.admin, "GET", "/integrations/argo/deliveries", nil).wants(t, 409, "integration_kind_wrong")
}

func TestATokenDoesNotGoElsewhereWithoutWhoHasIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, watching(&gitOps{}))
	r.call(r.admin, "POST", "/integrations", argo("argo")).wants(t, 201, "")
	elsewhere := api.ChangeIntegration{Address: "https://evil.example.org"}
	r.call(r.admin, "POST", "/integrations/argo/change", elsewhere).wants(t, 422, "integration_token_needed")
	elsewhere.Token = "canary-token-2"
	r.call(r.admin, "POST", "/integrations/argo/change", elsewhere).wants(t, 200, "")
	token, err := r.vault.Open(t.Context(), "argo", events.IntegrationToken)
	if err != nil || len(token) != 1 || string(token[0].Expose()) != "canary-token-2" {
		t.Errorf("%d tokens: %v", len(token), err)
	}
}

// TestSecretsOfIntegrationsNeverComeOut looks for what was taken in wherever it could be: in
// answers, the log of facts, that of the server, and the database. A signing key is in the one
// answer that shows it.
func TestSecretsOfIntegrationsNeverComeOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, watching(&gitOps{}))
	keys := []string{read[api.CreatedIntegration](t, r.call(r.admin, "POST", "/integrations", hook("hook"))).SigningKey}
	keys = append(keys, read[api.RotatedSecret](t, r.call(r.admin, "POST", "/integrations/hook/rotate", api.RotateSecret{Secret: "signing_key"})).SigningKey)
	r.call(r.admin, "POST", "/integrations", argo("argo")).wants(t, 201, "")
	r.call(r.admin, "POST", "/integrations/hook/rotate", api.RotateSecret{Secret: "url", URL: "https://hooks.example.org/canary-url-3"}).wants(t, 200, "")
	r.call(r.admin, "POST", "/integrations/argo/rotate", api.RotateSecret{Secret: "token", Token: "canary-token-3"}).wants(t, 200, "")
	// What is refused is not repeated either.
	for _, bad := range []api.CreateIntegration{
		{Name: "x", Kind: "webhook", URL: "http://hooks.example.org/canary-url-4"}, {Name: "x", Kind: "slack", URL: "https://canary-url-5@hooks.example.org/"},
		{Name: "x", Kind: "argo-cd", Address: "https://canary-url-6@argo.example.org", Token: "canary-token-4"},
		{Name: "x", Kind: "argo-cd", Address: "https://argo.example.org", Token: "canary-token-5\n"}, {Name: "x", Kind: "teams", Token: "canary-token-6"},
		{Name: "x", Kind: "webhook", URL: "https://%zz/canary-url-7"},
	} {
		if got := r.call(r.admin, "POST", "/integrations", bad); got.StatusCode != 422 {
			t.Errorf("%+v: %d", bad.Kind, got.StatusCode)
		}
	}
	r.breaks(func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails })
	r.call(r.admin, "POST", "/integrations/argo/rotate", api.RotateSecret{Secret: "token", Token: "canary-token-7"}).wants(t, 503, "unavailable")
	r.breaks(nil)
	for _, path := range []string{"/integrations", "/integrations/hook", "/integrations/argo", "/integrations/hook/deliveries", "/integrations/argo/mappings"} {
		r.call(r.admin, "GET", path, nil, r.newest()).wants(t, 200, "")
	}
	r.call(r.admin, "POST", "/integrations/hook/test", nil).wants(t, 200, "")
	r.call(r.admin, "POST", "/integrations/argo/test", nil).wants(t, 200, "")

	places := map[string]string{"the server's log": r.logged.String(), "the idempotency marks": r.marks.dump(), "Postgres": r.rows()}
	for _, c := range r.commits() {
		places["the facts"] += string(c.Raw)
	}
	for i, got := range r.seen {
		places[fmt.Sprintf("answer %d, of %s %s", i, got.Request.Method, got.Request.URL.Path)] = fmt.Sprint(got.Header) + string(got.body)
	}
	for _, text := range append([]string{"canary-url", "canary-token"}, keys...) {
		found := 0
		for place, all := range places {
			switch {
			case !slices.ContainsFunc(spelled(text), func(spelling string) bool { return strings.Contains(all, spelling) }):
			case strings.HasPrefix(text, integrations.KeyPrefix) && strings.HasPrefix(place, "answer"):
				found++
			default:
				t.Errorf("%s is in %s", text, place)
			}
		}
		if strings.HasPrefix(text, integrations.KeyPrefix) && found != 1 {
			t.Errorf("a signing key was shown %d times", found)
		}
	}
}
