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
	none     idempotency = iota // GET, DELETE, and POSTs of callers without a session
	replayed                    // the first answer is repeated
	shown                       // likewise, but it holds something that is shown once
	single                      // the command itself happens once, whatever the key
)

// Route is one line of the table.
type Route struct {
	Method     string
	Path       string // below [Prefix]
	Permission policy.Permission
	Twice      idempotency
	handle     func(*API, *call) (reply, error)
}

// live reports whether a route answers for as long as its caller listens.
func (r Route) live() bool { return strings.HasSuffix(r.Path, "/stream") }

// maxBody is how long the body of a call of the route may be.
func (r Route) maxBody() int64 {
	if r.Method == http.MethodPost && r.Path == "/requests" {
		return maxPatchBody
	}
	return maxBody
}

// Routes is the table of all routes: a route that is not here does not exist.
var Routes = []Route{
	{"POST", "/sessions", public, none, (*API).signIn},
	{"DELETE", "/sessions/current", session, none, (*API).signOut},
	{"GET", "/me", session, none, (*API).me},

	{"GET", "/intake", public, none, (*API).intakeKeys},
	{"POST", "/requests", policy.RequestCreate, replayed, (*API).submit},
	{"GET", "/requests", policy.RequestList, none, (*API).listRequests},
	{"GET", "/requests/{id}", policy.RequestList, none, (*API).showRequest},
	{"GET", "/requests/{id}/events", policy.RequestList, none, (*API).requestHistory},
	{"GET", "/requests/{id}/stream", policy.RequestList, none, (*API).streamRequest},
	{"POST", "/requests/{id}/approve", policy.RequestApprove, replayed, (*API).approve},
	{"POST", "/requests/{id}/reject", policy.RequestApprove, replayed, (*API).reject},
	{"POST", "/requests/{id}/cancel", policy.RequestCancel, replayed, (*API).cancel},
	{"POST", "/requests/{id}/envelopes/{envelope}/reveal", policy.EnvelopeReveal, single, (*API).reveal},

	{"GET", "/connections", policy.ConnectionList, none, (*API).listConnections},
	{"POST", "/connections", policy.ConnectionManage, replayed, (*API).createConnection},
	{"GET", "/connections/{name}", policy.ConnectionList, none, (*API).showConnection},
	{"POST", "/connections/{name}/disable", policy.ConnectionManage, replayed, (*API).disableConnection},
	{"POST", "/connections/{name}/enable", policy.ConnectionManage, replayed, (*API).enableConnection},
	{"POST", "/connections/{name}/schedule", policy.ConnectionManage, replayed, (*API).scheduleConnection},

	{"POST", "/jobs", policy.JobManage, replayed, (*API).queueJob},
	{"GET", "/jobs", policy.JobList, none, (*API).listJobs},
	{"GET", "/jobs/{id}", session, none, (*API).showJob},
	{"GET", "/jobs/{id}/stream", session, none, (*API).streamJob},
	{"POST", "/jobs/{id}/cancel", policy.JobManage, replayed, (*API).cancelJob},
	{"GET", "/jobs/{id}/keys", session, none, (*API).keyNames},

	{"GET", "/secrets", policy.SecretList, none, (*API).listSecrets},
	{"GET", "/secrets/count", policy.SecretList, none, (*API).countSecrets},
	{"GET", "/secrets/facets", policy.SecretList, none, (*API).labelFacets},
	{"GET", "/secrets/{id}", policy.SecretList, none, (*API).showSecret},
	{"POST", "/secrets/{id}/assign", policy.SecretAssign, replayed, (*API).assignSecret},
	{"POST", "/secrets/{id}/keys", policy.SecretKeys, replayed, (*API).queueKeys},
	{"GET", "/ownership", policy.SecretList, none, (*API).showOwnership},
	{"POST", "/ownership", policy.OwnershipManage, replayed, (*API).setOwnership},

	{"GET", "/reports/stale", policy.ReportRead, none, (*API).reportStale},
	{"GET", "/reports/unowned", policy.ReportRead, none, (*API).reportUnowned},
	{"GET", "/reports/out-of-band", policy.ReportRead, none, (*API).reportOutOfBand},
	{"GET", "/reports/duplicates", policy.ReportRead, none, (*API).reportDuplicates},
	{"GET", "/reports/duplicates/coverage", policy.ReportRead, none, (*API).reportCoverage},

	{"GET", "/agents", policy.AgentList, none, (*API).listAgents},
	{"GET", "/agents/{id}", policy.AgentList, none, (*API).showAgent},
	{"POST", "/agents/invitations", policy.AgentManage, shown, (*API).inviteAgent},
	{"POST", "/agents/enrol", public, none, (*API).enrolAgent},
	{"POST", "/agents/{id}/revoke", policy.AgentManage, replayed, (*API).revokeAgent},

	{"GET", "/audit/events", policy.AuditRead, none, (*API).listAudit},
	{"GET", "/openapi.yaml", public, none, (*API).contract},

	{"GET", "/me/factors", session, none, (*API).listFactors},
	{"POST", "/me/factors/totp", session, shown, (*API).startTOTP},
	{"POST", "/me/factors/totp/{id}/confirm", session, replayed, (*API).confirmTOTP},
	{"POST", "/me/factors/passkeys", session, shown, (*API).startPasskey},
	{"POST", "/me/factors/passkeys/finish", session, replayed, (*API).finishPasskey},
	{"POST", "/me/factors/{id}/remove", session, replayed, (*API).removeFactor},
	{"POST", "/me/recovery-codes", session, shown, (*API).makeRecoveryCodes},
	{"POST", "/me/step-up/passkey", session, shown, (*API).askPasskey},
	{"POST", "/me/step-up", session, replayed, (*API).stepUp},
}

func (a *API) router() http.Handler {
	// A path is taken as it was sent: none is cleaned, and nobody is sent elsewhere.
	r := mux.NewRouter().StrictSlash(false).UseEncodedPath().SkipClean(true)
	for _, route := range Routes {
		r.Methods(route.Method).Path(Prefix + route.Path).Handler(a.guard(route))
	}
	r.Methods(http.MethodGet).Path("/").HandlerFunc(home)
	r.NotFoundHandler = a.missing(r)
	r.MethodNotAllowedHandler = r.NotFoundHandler
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(a.plain(errForbidden.because("a page of another site sent this; use the command line, or this server's own pages")))
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
			writeProblem(w, callID(req.Context()), errNotFound)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", ")) // RFC 9110, section 15.5.6
		writeProblem(w, callID(req.Context()), errMethod)
	})
}

func (a *API) contract(*call) (reply, error) {
	return reply{status: http.StatusOK, raw: Contract, contentType: "application/yaml"}, nil
}
