package web

// leaves says what a success of each route leaves in the log: types of facts. The first is always
// there; those behind it where there is a reason, in the same commit or in one that is stored
// together with it. A call that was answered before is answered as it was, and leaves nothing
// more. What the caller may not leaves a denial in their place, and what is wrong with a call
// nothing (docs/how-to/audit.md). A route that is neither here nor in [silent] fails a test.
var leaves = map[string][]string{
	"POST /sessions":               {"sb.access.signed_in.v1", "sb.access.session_revoked.v1"}, // of the browser's session before
	"DELETE /sessions/current":     {"sb.access.signed_out.v1"},
	"POST /sessions/current/renew": {"sb.access.session_renewed.v1"}, // where the token is another from then on
	"POST /sessions/redeem":        {"sb.access.signed_in.v1"},
	"GET /auth/oidc/callback":      {"sb.access.signed_in.v1", "sb.access.session_revoked.v1", "sb.user.added.v1", "sb.user.identity_linked.v1", "sb.user.groups_told.v1"},
	"POST /auth/oidc/logout":       {"sb.access.signed_out.v1"},
	"POST /auth/oidc/backchannel":  {"sb.access.session_revoked.v1"}, // where a session was meant

	"POST /requests":                                  {"sb.request.submitted.v1", "sb.request.approved.v1", "sb.request.glass_broken.v1"},
	"POST /requests/{id}/approve":                     {"sb.request.approval_given.v1", "sb.request.approved.v1"},
	"POST /requests/{id}/reject":                      {"sb.request.rejected.v1"},
	"POST /requests/{id}/cancel":                      {"sb.request.cancelled.v1"},
	"POST /requests/{id}/values":                      {"sb.request.values_provided.v1"},
	"POST /requests/{id}/refuse":                      {"sb.request.values_refused.v1"},
	"POST /requests/{id}/review":                      {"sb.request.glass_reviewed.v1"},
	"POST /requests/{id}/envelopes/{envelope}/reveal": {"sb.request.envelope_revealed.v1"},

	"POST /connections":                 {"sb.connection.created.v1"},
	"POST /connections/{name}/disable":  {"sb.connection.disabled.v1"},
	"POST /connections/{name}/enable":   {"sb.connection.enabled.v1"},
	"POST /connections/{name}/schedule": {"sb.connection.discovery_scheduled.v1"},

	"POST /integrations":                              {"sb.integration.created.v1", "sb.integration.secret_set.v1"},
	"POST /integrations/{name}/change":                {"sb.integration.changed.v1"},
	"POST /integrations/{name}/disable":               {"sb.integration.disabled.v1"},
	"POST /integrations/{name}/enable":                {"sb.integration.enabled.v1"},
	"POST /integrations/{name}/remove":                {"sb.integration.removed.v1"},
	"POST /integrations/{name}/rotate":                {"sb.integration.secret_set.v1"},
	"POST /integrations/{name}/test":                  {"sb.integration.tested.v1"},
	"POST /integrations/{name}/deliveries/{id}/retry": {"sb.integration.delivery_retried.v1"},
	"POST /integrations/{name}/mappings":              {"sb.integration.mapping_added.v1"},
	"POST /integrations/{name}/mappings/{id}/remove":  {"sb.integration.mapping_removed.v1"},

	"POST /jobs":                {"sb.job.queued.v1"},
	"POST /jobs/{id}/cancel":    {"sb.job.cancelled.v1"},
	"GET /jobs/{id}/keys":       {"sb.secret.keys_listed.v1"}, // once, however often it is read while it is there
	"POST /secrets/{id}/assign": {"sb.secret.assigned.v1"},
	"POST /secrets/{id}/keys":   {"sb.job.queued.v1"},
	"POST /ownership":           {"sb.setting.ownership_rules_set.v1"},
	"GET /reports/stale":        {"sb.access.report_exported.v1"}, // as CSV; page by page it is a query
	"GET /reports/unowned":      {"sb.access.report_exported.v1"},
	"GET /reports/out-of-band":  {"sb.access.report_exported.v1"},
	"GET /reports/duplicates":   {"sb.access.report_exported.v1"},

	"POST /agents/invitations": {"sb.agent.enrolment_token_issued.v1"},
	"POST /agents/enrol":       {"sb.agent.enrolled.v1", "sb.agent.credentials_issued.v1"},
	"POST /agents/{id}/revoke": {"sb.agent.revoked.v1"},

	"GET /audit/events":    {"sb.access.audit_read.v1"}, // once in ten minutes
	"GET /audit/facets":    {"sb.access.audit_read.v1"},
	"GET /audit/histogram": {"sb.access.audit_read.v1"},
	"GET /audit/export":    {"sb.access.audit_exported.v1"},

	"GET /audit/holds":            {"sb.access.audit_read.v1"},
	"POST /audit/holds":           {"sb.setting.legal_hold_placed.v1"},
	"POST /audit/holds/{id}/lift": {"sb.setting.legal_hold_lifted.v1"},

	"POST /audit/compare":      {"sb.access.audit_compared.v1"},
	"GET /audit/evidence/{id}": {"sb.access.evidence_exported.v1"},
	"GET /support/bundle":      {"sb.access.support_bundle_taken.v1"},

	"GET /audit/log/checkpoint":  {"sb.access.audit_read.v1"}, // likewise
	"GET /audit/log/tile/{tile}": {"sb.access.audit_read.v1"},
	"GET /audit/log/commits":     {"sb.access.audit_read.v1"},
	"GET /audit/log/inclusion":   {"sb.access.audit_read.v1"},
	"GET /audit/log/consistency": {"sb.access.audit_read.v1"},
	"GET /audit/log/proof/{seq}": {"sb.access.audit_read.v1"},
	"GET /audit/log/keys":        {"sb.access.audit_read.v1"},
	"GET /requests/{id}":         {"sb.access.audit_read.v1"}, // as of a moment; as it is, it is a query
	"GET /secrets/{id}":          {"sb.access.audit_read.v1"},
	"GET /governance":            {"sb.access.audit_read.v1"},

	"POST /me/factors/totp":              {"sb.user.factor_begun.v1"},
	"POST /me/factors/totp/{id}/confirm": {"sb.user.factor_enrolled.v1"},
	"POST /me/factors/passkeys":          {"sb.user.factor_begun.v1"},
	"POST /me/factors/passkeys/finish":   {"sb.user.factor_enrolled.v1"},
	"POST /me/factors/{id}/remove":       {"sb.user.factor_removed.v1"},
	"POST /me/recovery-codes":            {"sb.user.recovery_codes_made.v1"},
	"POST /me/step-up/passkey":           {"sb.access.step_up_begun.v1"},
	"POST /me/step-up":                   {"sb.access.stepped_up.v1"},

	"POST /people":                              {"sb.user.added.v1", "sb.user.link_issued.v1"},
	"POST /people/{id}/reset-link":              {"sb.user.link_issued.v1"},
	"POST /people/{id}/disable":                 {"sb.user.disabled.v1", "sb.access.session_revoked.v1"},
	"POST /people/{id}/enable":                  {"sb.user.enabled.v1"},
	"POST /people/{id}/erase":                   {"sb.user.erased.v1", "sb.access.session_revoked.v1"},
	"POST /people/{id}/sessions/revoke":         {"sb.access.session_revoked.v1"}, // where there was one
	"POST /people/{id}/grants":                  {"sb.user.grant_given.v1"},
	"POST /people/{id}/grants/{grant}/take":     {"sb.user.grant_taken.v1"},
	"POST /me/sessions/{id}/revoke":             {"sb.access.session_revoked.v1"},
	"POST /me/sessions/revoke-others":           {"sb.access.session_revoked.v1"}, // likewise
	"POST /me/sessions/revoke-all":              {"sb.access.session_revoked.v1"},
	"POST /me/password":                         {"sb.user.password_set.v1", "sb.access.session_revoked.v1"},
	"POST /links/redeem":                        {"sb.user.password_set.v1", "sb.access.session_revoked.v1"},
	"POST /me/delegations":                      {"sb.user.delegation_given.v1"},
	"POST /me/delegations/{id}/end":             {"sb.user.delegation_ended.v1"},
	"POST /me/notices":                          {"sb.user.notices_chosen.v1"},
	"POST /me/notices/test":                     {"sb.user.notices_tested.v1"},
	"POST /machines":                            {"sb.user.added.v1"},
	"POST /machines/{id}/disable":               {"sb.user.disabled.v1"},
	"POST /machines/{id}/enable":                {"sb.user.enabled.v1"},
	"POST /machines/{id}/erase":                 {"sb.user.erased.v1"},
	"POST /machines/{id}/tokens":                {"sb.user.token_issued.v1"},
	"POST /machines/{id}/tokens/{token}/revoke": {"sb.user.token_revoked.v1"},

	"POST /governance/apply":         {"sb.governance.changed.v1", "sb.governance.amendment_proposed.v1"}, // one of both
	"POST /amendments/{id}/approve":  {"sb.governance.amendment_approved.v1", "sb.governance.changed.v1"},
	"POST /amendments/{id}/reject":   {"sb.governance.amendment_rejected.v1"},
	"POST /amendments/{id}/withdraw": {"sb.governance.amendment_withdrawn.v1"},
}

// Why a route leaves nothing.
const (
	isQuery    = "query"    // of what the caller may see anyway: who may is on record by their grants, who may not by their denials
	isLive     = "live"     // likewise, as it changes
	isQuestion = "question" // asked with a body, and nothing comes of it
	isPublic   = "public"   // what everybody may know
	isBegun    = "begun"    // nobody is anybody yet, and nothing is released
)

// silent are the routes that leave nothing, and why.
var silent = map[string]string{
	"GET /me": isQuery, "GET /intake": isPublic, "GET /requests": isQuery, "GET /requests/{id}/events": isQuery,
	"GET /requests/{id}/stream": isLive, "GET /connections": isQuery, "GET /connections/{name}": isQuery,
	"GET /integrations": isQuery, "GET /integrations/{name}": isQuery, "GET /integrations/{name}/deliveries": isQuery,
	"GET /integrations/{name}/mappings": isQuery, "GET /integrations/{name}/applications": isQuery, "GET /integrations/{name}/suggestions": isQuery,
	"GET /jobs": isQuery, "GET /jobs/{id}": isQuery, "GET /jobs/{id}/stream": isLive,
	"GET /secrets": isQuery, "GET /secrets/count": isQuery, "GET /secrets/facets": isQuery, "GET /ownership": isQuery,
	"GET /reports/duplicates/coverage": isQuery, "GET /agents": isQuery, "GET /agents/{id}": isQuery, "GET /colleagues": isQuery, "GET /live": isLive,
	"GET /openapi.yaml": isPublic, "GET /me/factors": isQuery, "GET /people": isQuery, "GET /people/{id}": isQuery, "GET /people/{id}/sessions": isQuery,
	"GET /people/{id}/grants": isQuery, "GET /me/sessions": isQuery, "GET /me/delegations": isQuery, "GET /me/notices": isQuery,
	"GET /me/notices/deliveries": isQuery, "GET /machines": isQuery, "GET /auth/methods": isPublic, "GET /installation": isQuery,
	"GET /auth/oidc/start": isBegun, "GET /governance/history": isQuery, "GET /governance/versions/{n}": isQuery,
	"POST /governance/plan": isQuestion, "GET /amendments": isQuery, "GET /amendments/{id}": isQuery, "GET /permissions": isQuery,
	"POST /policy/explain": isQuestion, "POST /policy/simulate": isQuestion,
}

// Leaves are the types of facts that a success of the route leaves, and why it leaves none.
func (r Route) Leaves() (types []string, why string) {
	key := r.Method + " " + r.Path
	return leaves[key], silent[key]
}
