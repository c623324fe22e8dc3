package web

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"secretsbridge/policy"
)

// Prefix is where the API begins.
const Prefix = "/api/v1"

// How long the body of a call may be, in bytes. Only sealed values are longer than what a
// person types: as many as one secret may hold (package agent), in base64.
const (
	maxBody      = 64 << 10
	maxPatchBody = 1 << 20
)

// Contract is the OpenAPI text.
//
//go:embed openapi.yaml
var Contract []byte

// Who may call a route, beside those with a permission.
const (
	public  policy.Permission = "public"
	session policy.Permission = "session" // everybody who is signed in
)

// idempotency is how a POST is protected from being done twice.
type idempotency int

const (
	none     idempotency = iota // GET, DELETE, and POSTs of callers without a session, or that change nothing
	replayed                    // the first answer is repeated
	shown                       // likewise, but it holds something that is shown once
	single                      // the command itself happens once, whatever the key
)

// reach is where a permission must be held.
type reach int

const (
	unasked   reach = iota // of routes that everybody, or everybody with a session, may call
	placeless              // by a grant without a scope: what the route is about has no place
	placed                 // in some scope; the handler looks whether it covers what is asked for
)

// Route is one line of the table.
type Route struct {
	Method     string
	Path       string // below [Prefix]
	Permission policy.Permission
	Reach      reach
	Twice      idempotency
	handle     func(*API, *call) (reply, error)
}

// live reports whether a route answers for as long as its caller listens.
func (r Route) live() bool { return strings.HasSuffix(r.Path, "/stream") || r.Path == "/live" }

// idle reports whether a call of the route says nothing about somebody being there: a browser
// opens it by itself, again and again.
func (r Route) idle() bool { return r.Path == "/live" }

// decisions are what only people decide, and how they let others in. Whoever has a token is
// whoever read it: the same person with a token in the other hand is no second pair of eyes, and
// a token that is good for a little must not issue one that is good for more.
var decisions = []string{
	"/requests/{id}/approve", "/requests/{id}/reject", "/requests/{id}/values", "/requests/{id}/refuse", "/requests/{id}/review",
	"/amendments/{id}/approve", "/amendments/{id}/reject", "/machines/{id}/tokens", "/people/{id}/reset-link",
}

// personal reports whether a person must be behind a call: machines have no sessions, passwords,
// factors and delegations, and decide nothing.
func (r Route) personal() bool {
	return strings.HasPrefix(r.Path, "/me/") || strings.HasPrefix(r.Path, "/sessions/current") || r.Path == "/colleagues" || r.Path == "/auth/oidc/logout" || slices.Contains(decisions, r.Path)
}

// pattern is the route's path as the router takes it. The path of a tile has slashes.
func (r Route) pattern() string { return strings.Replace(r.Path, "{tile}", "{tile:.+}", 1) }

// maxBody is how long the body of a call of the route may be.
func (r Route) maxBody() int64 {
	if r.Method == http.MethodPost && (r.Path == "/requests" || r.Path == "/requests/{id}/values") {
		return maxPatchBody
	}
	if r.Method == http.MethodPost && slices.Contains([]string{"/governance/plan", "/governance/apply", "/policy/simulate"}, r.Path) {
		return maxGovernanceBody
	}
	return maxBody
}

// Routes is the table of all routes: a route that is not here does not exist.
var Routes = []Route{
	{"POST", "/sessions", public, unasked, none, (*API).signIn},
	{"DELETE", "/sessions/current", session, unasked, none, (*API).signOut},
	{"POST", "/sessions/current/renew", session, unasked, none, (*API).renewSession},
	{"GET", "/me", session, unasked, none, (*API).me},

	{"GET", "/intake", public, unasked, none, (*API).intakeKeys},
	{"POST", "/requests", policy.RequestCreate, placed, replayed, (*API).submit},
	{"GET", "/requests", policy.RequestList, placed, none, (*API).listRequests},
	{"GET", "/requests/{id}", policy.RequestList, placed, none, (*API).showRequest},
	{"GET", "/requests/{id}/events", policy.RequestList, placed, none, (*API).requestHistory},
	{"GET", "/requests/{id}/stream", policy.RequestList, placed, none, (*API).streamRequest},
	{"POST", "/requests/{id}/approve", policy.RequestList, placed, replayed, (*API).approve},
	{"POST", "/requests/{id}/reject", policy.RequestList, placed, replayed, (*API).reject},
	{"POST", "/requests/{id}/cancel", policy.RequestCancel, placed, replayed, (*API).cancel},
	{"POST", "/requests/{id}/values", policy.ValueProvide, placed, replayed, (*API).provide},
	{"POST", "/requests/{id}/refuse", policy.ValueProvide, placed, replayed, (*API).refuse},
	{"POST", "/requests/{id}/review", policy.RequestReview, placed, replayed, (*API).review},
	{"POST", "/requests/{id}/envelopes/{envelope}/reveal", policy.EnvelopeReveal, placed, single, (*API).reveal},

	{"GET", "/connections", policy.ConnectionList, placed, none, (*API).listConnections},
	{"POST", "/connections", policy.ConnectionManage, placed, replayed, (*API).createConnection},
	{"GET", "/connections/{name}", policy.ConnectionList, placed, none, (*API).showConnection},
	{"POST", "/connections/{name}/disable", policy.ConnectionManage, placed, replayed, (*API).disableConnection},
	{"POST", "/connections/{name}/enable", policy.ConnectionManage, placed, replayed, (*API).enableConnection},
	{"POST", "/connections/{name}/schedule", policy.ConnectionManage, placed, replayed, (*API).scheduleConnection},

	{"GET", "/integrations", policy.IntegrationList, placeless, none, (*API).listIntegrations},
	{"POST", "/integrations", policy.IntegrationManage, placeless, shown, (*API).createIntegration},
	{"GET", "/integrations/{name}", policy.IntegrationList, placeless, none, (*API).showIntegration},
	{"POST", "/integrations/{name}/change", policy.IntegrationManage, placeless, replayed, (*API).changeIntegration},
	{"POST", "/integrations/{name}/disable", policy.IntegrationManage, placeless, replayed, (*API).disableIntegration},
	{"POST", "/integrations/{name}/enable", policy.IntegrationManage, placeless, replayed, (*API).enableIntegration},
	{"POST", "/integrations/{name}/remove", policy.IntegrationManage, placeless, replayed, (*API).removeIntegration},
	{"POST", "/integrations/{name}/rotate", policy.IntegrationManage, placeless, shown, (*API).rotateIntegrationSecret},
	{"POST", "/integrations/{name}/test", policy.IntegrationManage, placeless, replayed, (*API).testIntegration},
	{"GET", "/integrations/{name}/deliveries", policy.IntegrationList, placeless, none, (*API).listDeliveries},
	{"POST", "/integrations/{name}/deliveries/{id}/retry", policy.IntegrationManage, placeless, replayed, (*API).retryDelivery},
	{"GET", "/integrations/{name}/mappings", policy.IntegrationList, placeless, none, (*API).listMappings},
	{"POST", "/integrations/{name}/mappings", policy.IntegrationManage, placeless, replayed, (*API).addMapping},
	{"POST", "/integrations/{name}/mappings/{id}/remove", policy.IntegrationManage, placeless, replayed, (*API).removeMapping},
	{"GET", "/integrations/{name}/applications", policy.IntegrationList, placeless, none, (*API).listApplications},
	{"GET", "/integrations/{name}/suggestions", policy.IntegrationList, placeless, none, (*API).listSuggestions},

	{"POST", "/jobs", policy.JobManage, placed, replayed, (*API).queueJob},
	{"GET", "/jobs", policy.JobList, placed, none, (*API).listJobs},
	{"GET", "/jobs/{id}", session, unasked, none, (*API).showJob},
	{"GET", "/jobs/{id}/stream", session, unasked, none, (*API).streamJob},
	{"POST", "/jobs/{id}/cancel", policy.JobManage, placed, replayed, (*API).cancelJob},
	{"GET", "/jobs/{id}/keys", session, unasked, none, (*API).keyNames},

	{"GET", "/secrets", policy.SecretList, placed, none, (*API).listSecrets},
	{"GET", "/secrets/count", policy.SecretList, placed, none, (*API).countSecrets},
	{"GET", "/secrets/facets", policy.SecretList, placed, none, (*API).labelFacets},
	{"GET", "/secrets/{id}", policy.SecretList, placed, none, (*API).showSecret},
	{"POST", "/secrets/{id}/assign", policy.SecretAssign, placed, replayed, (*API).assignSecret},
	{"POST", "/secrets/{id}/keys", policy.SecretKeys, placed, replayed, (*API).queueKeys},
	{"GET", "/ownership", policy.SecretList, placed, none, (*API).showOwnership},
	{"POST", "/ownership", policy.OwnershipManage, placeless, replayed, (*API).setOwnership},

	{"GET", "/reports/stale", policy.ReportRead, placed, none, (*API).reportStale},
	{"GET", "/reports/unowned", policy.ReportRead, placed, none, (*API).reportUnowned},
	{"GET", "/reports/out-of-band", policy.ReportRead, placed, none, (*API).reportOutOfBand},
	{"GET", "/reports/duplicates", policy.ReportRead, placed, none, (*API).reportDuplicates},
	{"GET", "/reports/duplicates/coverage", policy.ReportRead, placed, none, (*API).reportCoverage},

	{"GET", "/agents", policy.AgentList, placeless, none, (*API).listAgents},
	{"GET", "/agents/{id}", policy.AgentList, placeless, none, (*API).showAgent},
	{"POST", "/agents/invitations", policy.AgentManage, placeless, shown, (*API).inviteAgent},
	{"POST", "/agents/enrol", public, unasked, none, (*API).enrolAgent},
	{"POST", "/agents/{id}/revoke", policy.AgentManage, placeless, replayed, (*API).revokeAgent},

	{"GET", "/colleagues", policy.DelegationManage, placed, none, (*API).listColleagues},
	{"GET", "/live", session, unasked, none, (*API).live},

	{"GET", "/audit/events", policy.AuditRead, placeless, none, (*API).listAudit},
	{"GET", "/audit/facets", policy.AuditRead, placeless, none, (*API).auditFacets},
	{"GET", "/audit/export", policy.AuditRead, placeless, none, (*API).exportAudit},
	{"POST", "/audit/compare", policy.AuditRead, placeless, none, (*API).compareAudit},
	{"GET", "/audit/histogram", policy.AuditRead, placeless, none, (*API).auditHistogram},
	{"GET", "/audit/holds", policy.AuditRead, placeless, none, (*API).listHolds},
	{"POST", "/audit/holds", policy.HoldManage, placeless, replayed, (*API).placeHold},
	{"POST", "/audit/holds/{id}/lift", policy.HoldManage, placeless, replayed, (*API).liftHold},

	{"GET", "/support/bundle", policy.SupportBundle, placeless, none, (*API).takeSupportBundle},
	{"GET", "/audit/evidence/{id}", policy.AuditRead, placeless, none, (*API).exportEvidence},
	{"GET", "/audit/log/checkpoint", policy.AuditRead, placeless, none, (*API).logCheckpoint},
	{"GET", "/audit/log/tile/{tile}", policy.AuditRead, placeless, none, (*API).logTile},
	{"GET", "/audit/log/commits", policy.AuditRead, placeless, none, (*API).logCommits},
	{"GET", "/audit/log/inclusion", policy.AuditRead, placeless, none, (*API).logInclusion},
	{"GET", "/audit/log/consistency", policy.AuditRead, placeless, none, (*API).logConsistency},
	{"GET", "/audit/log/proof/{seq}", policy.AuditRead, placeless, none, (*API).logProof},
	{"GET", "/audit/log/keys", policy.AuditRead, placeless, none, (*API).logKeys},
	{"GET", "/openapi.yaml", public, unasked, none, (*API).contract},

	{"GET", "/me/factors", session, unasked, none, (*API).listFactors},
	{"POST", "/me/factors/totp", session, unasked, shown, (*API).startTOTP},
	{"POST", "/me/factors/totp/{id}/confirm", session, unasked, replayed, (*API).confirmTOTP},
	{"POST", "/me/factors/passkeys", session, unasked, shown, (*API).startPasskey},
	{"POST", "/me/factors/passkeys/finish", session, unasked, replayed, (*API).finishPasskey},
	{"POST", "/me/factors/{id}/remove", session, unasked, replayed, (*API).removeFactor},
	{"POST", "/me/recovery-codes", session, unasked, shown, (*API).makeRecoveryCodes},
	{"POST", "/me/step-up/passkey", session, unasked, shown, (*API).askPasskey},
	{"POST", "/me/step-up", session, unasked, replayed, (*API).proveFactor},

	{"GET", "/people", policy.PersonList, placeless, none, (*API).listPeople},
	{"POST", "/people", policy.PersonManage, placeless, shown, (*API).invitePerson},
	{"GET", "/people/{id}", policy.PersonList, placeless, none, (*API).showPerson},
	{"POST", "/people/{id}/reset-link", policy.PersonManage, placeless, shown, (*API).resetPerson},
	{"POST", "/people/{id}/disable", policy.PersonManage, placeless, replayed, (*API).disablePerson},
	{"POST", "/people/{id}/enable", policy.PersonManage, placeless, replayed, (*API).enablePerson},
	{"POST", "/people/{id}/erase", policy.PersonManage, placeless, replayed, (*API).erasePerson},
	{"GET", "/people/{id}/sessions", policy.PersonList, placeless, none, (*API).personSessions},
	{"POST", "/people/{id}/sessions/revoke", policy.PersonManage, placeless, replayed, (*API).endPersonSessions},
	{"GET", "/people/{id}/grants", policy.GrantManage, placed, none, (*API).listGrants},
	{"POST", "/people/{id}/grants", policy.GrantManage, placed, replayed, (*API).giveGrant},
	{"POST", "/people/{id}/grants/{grant}/take", policy.GrantManage, placed, replayed, (*API).takeGrant},

	{"GET", "/me/sessions", session, unasked, none, (*API).mySessions},
	{"POST", "/me/sessions/{id}/revoke", session, unasked, replayed, (*API).endMySession},
	{"POST", "/me/sessions/revoke-others", session, unasked, replayed, (*API).endMyOthers},
	{"POST", "/me/sessions/revoke-all", session, unasked, replayed, (*API).endAllMine},
	{"POST", "/me/password", session, unasked, single, (*API).changePassword},
	{"POST", "/links/redeem", public, unasked, none, (*API).redeemLink},
	{"GET", "/me/delegations", policy.DelegationManage, placed, none, (*API).myDelegations},
	{"POST", "/me/delegations", policy.DelegationManage, placed, replayed, (*API).delegate},
	{"POST", "/me/delegations/{id}/end", policy.DelegationManage, placed, replayed, (*API).endDelegation},

	{"GET", "/me/notices", session, unasked, none, (*API).showNotices},
	{"POST", "/me/notices", session, unasked, replayed, (*API).chooseNotices},
	{"GET", "/me/notices/deliveries", session, unasked, none, (*API).myDeliveries},
	{"POST", "/me/notices/test", session, unasked, replayed, (*API).testNotices},

	{"GET", "/machines", policy.MachineManage, placeless, none, (*API).listMachines},
	{"POST", "/machines", policy.MachineManage, placeless, replayed, (*API).createMachine},
	{"POST", "/machines/{id}/disable", policy.MachineManage, placeless, replayed, (*API).disableMachine},
	{"POST", "/machines/{id}/enable", policy.MachineManage, placeless, replayed, (*API).enableMachine},
	{"POST", "/machines/{id}/erase", policy.MachineManage, placeless, replayed, (*API).eraseMachine},
	{"POST", "/machines/{id}/tokens", policy.MachineManage, placeless, shown, (*API).issueToken},
	{"POST", "/machines/{id}/tokens/{token}/revoke", policy.MachineManage, placeless, replayed, (*API).revokeToken},

	{"GET", "/auth/methods", public, unasked, none, (*API).signInMethods},
	{"GET", "/installation", session, unasked, none, (*API).showInstallation},
	{"GET", "/auth/oidc/start", public, unasked, none, (*API).beginSignOn},
	{"GET", "/auth/oidc/callback", public, unasked, none, (*API).finishSignOn},
	{"POST", "/auth/oidc/logout", session, unasked, none, (*API).signOff},
	{"POST", "/auth/oidc/backchannel", public, unasked, none, (*API).backchannel},
	{"POST", "/sessions/redeem", public, unasked, none, (*API).redeemCode},

	{"GET", "/governance", policy.GovernanceRead, placeless, none, (*API).showGovernance},
	{"GET", "/governance/history", policy.GovernanceRead, placeless, none, (*API).governanceHistory},
	{"GET", "/governance/versions/{n}", policy.GovernanceRead, placeless, none, (*API).showVersion},
	{"POST", "/governance/plan", policy.GovernanceRead, placeless, none, (*API).planGovernance},
	{"POST", "/governance/apply", policy.GovernanceManage, placeless, replayed, (*API).applyGovernance},
	{"GET", "/amendments", policy.GovernanceRead, placeless, none, (*API).listAmendments},
	{"GET", "/amendments/{id}", policy.GovernanceRead, placeless, none, (*API).showAmendment},
	{"POST", "/amendments/{id}/approve", policy.AmendmentApprove, placeless, replayed, (*API).approveAmendment},
	{"POST", "/amendments/{id}/reject", policy.AmendmentApprove, placeless, replayed, (*API).rejectAmendment},
	{"POST", "/amendments/{id}/withdraw", policy.GovernanceManage, placeless, replayed, (*API).withdrawAmendment},
	{"GET", "/permissions", session, unasked, none, (*API).listPermissions},
	{"POST", "/policy/explain", session, unasked, none, (*API).explainPolicy},
	{"POST", "/policy/simulate", policy.GovernanceRead, placeless, none, (*API).simulatePolicy},
}

func (a *API) router() http.Handler {
	// A path is taken as it was sent: none is cleaned, and nobody is sent elsewhere.
	r := mux.NewRouter().StrictSlash(false).UseEncodedPath().SkipClean(true)
	for _, route := range Routes {
		r.Methods(route.Method).Path(Prefix + route.pattern()).Handler(a.guard(route))
	}
	if a.spa != nil {
		r.MatcherFunc(func(req *http.Request, _ *mux.RouteMatch) bool { return a.spa.serves(req) }).Handler(a.spa)
	} else {
		r.Methods(http.MethodGet).Path("/").HandlerFunc(plainHome)
	}
	r.NotFoundHandler = a.missing(r)
	r.MethodNotAllowedHandler = r.NotFoundHandler
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(a.foreign))
	return a.outermost(origins.Handler(r))
}

// missing answers for what no route takes. It looks for routes that take the path with
// another method itself: mux forgets them when a later route fits no better.
func (a *API) missing(r *mux.Router) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var allowed []string
		for _, route := range Routes {
			other := *req
			other.Method = route.Method
			var match mux.RouteMatch
			if !slices.Contains(allowed, route.Method) && r.Match(&other, &match) && match.MatchErr == nil {
				allowed = append(allowed, route.Method)
			}
		}
		if len(allowed) == 0 {
			watchedOf(req.Context()).code = errNotFound.Code
			writeProblem(w, callID(req.Context()), errNotFound)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", ")) // RFC 9110, section 15.5.6
		watchedOf(req.Context()).code = errMethod.Code
		writeProblem(w, callID(req.Context()), errMethod)
	})
}

func (a *API) contract(*call) (reply, error) {
	return reply{status: http.StatusOK, raw: Contract, contentType: "application/yaml"}, nil
}
