package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

func TestThePageOfSignInLearnsWhatThereIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if got := read[api.SignInMethods](t, r.call(nobody, "GET", "/auth/methods", nil)); !got.Password || got.SSO != nil {
		t.Errorf("%+v", got)
	}
	r.call(nobody, "GET", "/auth/methods?email=a", nil).wants(t, 400, "parameter_invalid")

	s := newSignOnRig(t)
	b := s.browser()
	got := read[api.SignInMethods](t, b.get("/auth/methods"))
	if diff := cmp.Diff(api.SignInMethods{Password: true, SSO: &api.SingleSignOn{Issuer: s.op.Issuer, Start: "/api/v1/auth/oidc/start"}}, got); diff != "" {
		t.Error(diff)
	}
	b.get(strings.TrimPrefix(got.SSO.Start, web.Prefix)).wants(t, 303, "")
}

// TestAnInstallationTellsOperatorsMore compares all that each of them is told.
func TestAnInstallationTellsOperatorsMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.enrol()
	r.call(nobody, "GET", "/installation", nil).wants(t, 401, "not_signed_in")
	want := api.Installation{
		Version: "1.2.3+test", Passkeys: api.RelyingParty{ID: here.ID, Origins: []string{here.Origin}}, Mail: true,
		Limits: api.InstallationLimits{
			PendingSeconds: int(pendingTTL.Seconds()), ApprovalSeconds: int(approvalTTL.Seconds()), RevealSeconds: int(revealTTL.Seconds()),
			OpenRequests: 200, UploadBytes: 1 << 20, SessionSeconds: 8 * 60 * 60, BrowserIdleSeconds: 15 * 60,
		},
	}
	shown := func(who person) api.Installation {
		return read[api.Installation](t, r.call(who, "GET", "/installation", nil, r.newest()))
	}
	if diff := cmp.Diff(want, shown(r.developer)); diff != "" {
		t.Errorf("to a developer (-want +got):\n%s", diff)
	}
	want.Operation = &api.Operation{StartedAt: r.clock.Now().Truncate(time.Second), KeyManager: "local"}
	want.Agents = &api.AgentCount{Online: 1, Enrolled: 1}
	if diff := cmp.Diff(want, shown(r.admin)); diff != "" {
		t.Errorf("to an administrator (-want +got):\n%s", diff)
	}
	// Who has it in a scope alone operates nothing.
	r.regrant(r.other.ID, events.Grant{Role: "admin", Scope: events.Scope{Connection: "file"}})
	if got := shown(r.other); got.Operation != nil || got.Agents != nil {
		t.Errorf("%+v", got)
	}
}

func TestAnInstallationSaysWhetherRolloutsAreWatched(t *testing.T) {
	t.Parallel()
	r := newRig(t, watching(&gitOps{}))
	if !read[api.Installation](t, r.call(r.developer, "GET", "/installation", nil)).GitOps {
		t.Error("it says no")
	}
}
