package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/gorilla/mux"

	"secretsbridge/accounts"
	"secretsbridge/circumstances"
	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/identity/oidc"
	"secretsbridge/internal/window"
	"secretsbridge/kms"
	"secretsbridge/projections"
	"secretsbridge/rights"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// problem is an error of HTTP's own, with its code in the same table.
type problem command.Rejection

func (p *problem) Error() string { return p.Code + ": " + p.Detail }

func (p *problem) because(detail string) *problem { return &problem{Code: p.Code, Detail: detail} }

var (
	errNotSignedIn      = &problem{"not_signed_in", "sign in first: `sb login`"}
	errSessionExpired   = &problem{"session_expired", "your session has ended; sign in again"}
	errSignature        = &problem{"signature_invalid", "this session takes only what its own key signed, and this call is not: it was changed on its way, or somebody else sent it; sign in again"}
	errSignatureExpired = &problem{"signature_expired", "the call was signed more than a minute ago, or by a clock that is a minute off; set the clock and sign it again"}
	errSignatureUsed    = &problem{"signature_used", "this call came before, and a signature counts once; sign it again"}
	errSignIn           = &problem{"sign_in_failed", "the e-mail or the password is wrong, or too many attempts failed; wait a little and try again"}
	errForbidden        = &problem{"forbidden", "your roles do not allow this; ask an operator"}
	errNotFound         = &problem{"not_found", "there is nothing here; openapi.yaml lists what there is"}
	errMethod           = &problem{"method_not_allowed", "this path does not take that method; see openapi.yaml"}
	errBodyMalformed    = &problem{"body_malformed", "the body is not what this call takes; see openapi.yaml"}
	errBodyTooLarge     = &problem{"body_too_large", "the body is too long"}
	errContentType      = &problem{"content_type_unsupported", "send the body as application/json"}
	errKeyMissing       = &problem{"idempotency_key_missing", "send an Idempotency-Key header with a fresh random value, and the same one when you try again"}
	errKeyInvalid       = &problem{"idempotency_key_invalid", "the Idempotency-Key has 1 to 128 visible ASCII characters"}
	errKeyReused        = &problem{"idempotency_key_reused", "this Idempotency-Key was used for another call; use a fresh one"}
	errInFlight         = &problem{"idempotency_in_flight", "the same call is still being answered; try again in a moment"}
	errNotReplayable    = &problem{"idempotency_not_replayable", "this call was answered before, and what it showed is shown once; make a new one with a fresh key"}
	errOperation        = &problem{"operation_unknown", "operation is read, with keys, or patch, with changes"}
	errParameter        = &problem{"parameter_invalid", "a parameter is not what this call takes; see openapi.yaml"}
	errCursor           = &problem{"cursor_invalid", "the cursor is none of this list; start without one"}
	errCredential       = &problem{"credential_in_body", "the body has a field for a credential: those belong to the agent's own configuration and are never sent through the control plane"}
	errSecretGone       = &problem{"secret_gone", "the last scan did not meet this secret any more; if it is there again, a scan brings it back: `sb discover CONNECTION`"}
	errNotFinished      = &problem{"job_not_finished", "the job is not done yet; follow it, and ask when it is"}
	errNamesGone        = &problem{"key_names_gone", "the names are not here any more: they are kept for ten minutes; make a new job"}
	errReportTooLong    = &problem{"report_too_long", "the report is longer than one answer may be; narrow it by a filter, or read its pages"}
	errTooMany          = &problem{"too_many_requests", "too many attempts; wait as long as Retry-After says"}
	errTooManyOpen      = &problem{"too_many_open_requests", "you have as many open requests as one person may have; cancel some, or wait until some have ended"}
	errAbsent           = &problem{"you_are_absent", "you said that you are away, so whoever you named votes for you; end the delegation first: `sb delegation end`"}
	errStepUpRequired   = &problem{"step_up_required", "prove a second factor first: `sb step-up`, or a passkey in a browser"}
	errSignInStale      = &problem{"sign_in_stale", "the first factor is enrolled within five minutes after signing in; sign in again: `sb login`"}
	errFactorMissing    = &problem{"factor_missing", "this needs a second factor and you have none; enrol one first: `sb factor add-totp`"}
	errStepUpFailed     = &problem{"step_up_failed", "this proves no factor of yours: the code is wrong or was used, or the passkey's answer is not to the newest challenge, for this site, with user verification; try again"}
	errFactorLocked     = &problem{"factor_locked", "too many codes were wrong, so none counts for a while; wait as long as Retry-After says, or use another factor"}
	errFactorCloned     = &problem{"factor_cloned", "the counter of this passkey went back, so there may be a copy of it; it was removed. Step up with another factor, and tell an operator"}
	errViewBehind       = &problem{"view_behind", "the views have not caught up yet; try again in a moment"}
	errUnavailable      = &problem{"unavailable", "this cannot be done now; try again. Nothing that was acknowledged is lost"}
	errNoticeURL        = &problem{"notice_url_invalid", "slack and teams need the address of an incoming webhook, https://HOST/PATH, and email and none have no address"}
	errToken            = &problem{"token_refused", "this token opens nothing: it has ended, was revoked, or its machine is disabled"}
	errPeopleOnly       = &problem{"people_only", "machines have no sessions, passwords, second factors and delegations, and decide nothing; a person must sign in for this"}
	errInternal         = &problem{"internal", "the server failed; its log says more under this instance"}
)

// Of the governance.
var (
	errInvalidGovernance = &problem{command.ErrGovernanceInvalid.Code, command.ErrGovernanceInvalid.Detail}
	errOwnRights         = &problem{command.ErrOwnRights.Code, command.ErrOwnRights.Detail}
	errVersion           = &problem{"version_unknown", "there is no such version; `sb governance history` lists them"}
)

// Of proofs.
var (
	errNoCheckpoint = &problem{"checkpoint_unknown", "no checkpoint was signed yet, or none that as many witnesses cosigned; try again in some seconds, or ask for fewer"}
	errTile         = &problem{"tile_unknown", "the newest checkpoint has no such tile"}
	errProofSize    = &problem{"proof_size_unknown", "no tree of that size can be proven by the newest checkpoint"}
	errCommit       = &problem{"commit_unknown", "the checkpoint has no such commit; a newer one has to wait for the next checkpoint"}
)

// statuses is the one table of codes. What is not in it is "internal" outside, and
// logged inside.
var statuses = map[string]int{
	"not_signed_in": 401, "session_expired": 401, "sign_in_failed": 401,
	"signature_invalid": 401, "signature_expired": 401, "signature_used": 401, "sign_in_unreadable": 422, "session_not_renewable": 409,
	"forbidden": 403, "not_found": 404, "method_not_allowed": 405,
	"body_malformed": 400, "body_too_large": 413, "content_type_unsupported": 415,
	"idempotency_key_missing": 400, "idempotency_key_invalid": 400, "idempotency_key_reused": 422,
	"idempotency_in_flight": 409, "idempotency_not_replayable": 409,
	"parameter_invalid": 400, "not_recorded_then": 404, "cursor_invalid": 400, "too_many_requests": 429, "too_many_open_requests": 409,
	"unavailable": 503, "view_behind": 503, "internal": 500,

	"request_unknown": 404, "self_approval": 403, "already_voted": 409, "not_an_approver": 403, "not_pending": 409,
	"request_cancelled": 409, "request_rejected": 409, "request_expired": 409,
	"not_your_request": 403, "too_late_to_cancel": 409,
	"reveal_not_allowed": 403, "already_revealed": 410, "envelope_expired": 410, "envelope_unknown": 404,
	"envelope_lost": 410, "envelope_unreadable": 410, "not_executed": 409, "nothing_to_reveal": 409,
	"reason_missing": 422, "reason_too_long": 422, "reason_invalid": 422, "ref_invalid": 422, "keys_invalid": 422,
	"changes_invalid": 422, "operation_unknown": 422, "value_invalid": 422, "intake_key_unknown": 409, "recipient_invalid": 422,
	"not_compared": 409, "comparison_moved": 409,
	"comment_too_long": 422, "connection_unknown": 404, "connection_disabled": 409, "policy_denied": 403,
	"connection_exists": 409, "connection_name_invalid": 422, "provider_unknown": 422, "description_too_long": 422,
	"agent_unknown": 404, "agent_name_invalid": 422, "token_life_invalid": 422, "revocation_reason_invalid": 422,
	"credential_in_body": 400, "scan_running": 409, "job_type_unknown": 422, "job_unknown": 404, "job_over": 409, "cancel_reason_invalid": 422,
	"job_not_finished": 409, "key_names_gone": 410, "schedule_invalid": 422,
	"secret_unknown": 404, "secret_gone": 409, "assignment_invalid": 422, "ownership_rule_invalid": 422, "ownership_rules_moved": 409,
	"too_many_rules": 422, "report_too_long": 413,
	"reason_too_short": 422, "reason_pattern": 422, "ticket_invalid": 422, "filled_in": 403, "voice_counted": 409, "you_are_absent": 403,
	"break_glass_not_allowed": 403, "break_glass_reason": 422, "review_overdue": 403, "nothing_to_review": 409, "own_review": 403,
	"not_a_reviewer": 403, "already_reviewed": 409, "review_invalid": 422, "comment_too_short": 422, "comment_invalid": 422,
	"fill_invalid": 422, "own_fill": 403, "not_the_team": 403, "not_awaiting_values": 409, "values_mismatch": 422,
	"step_up_required": 401, "sign_in_stale": 401, "factor_missing": 403, "step_up_failed": 403, "factor_locked": 429, "factor_cloned": 403,
	"factor_unknown": 404, "too_many_factors": 409, "factor_exists": 409, "factor_name_invalid": 422, "factor_proof_invalid": 422,
	"agent_key_invalid": 422, "agent_suite_refused": 422, "message_malformed": 422, "enrolment_token_refused": 403, "agent_revoked": 403,

	"token_refused": 401, "people_only": 403, "person_unknown": 404, "person_erased": 409, "person_disabled": 409, "person_above_you": 403,
	"not_a_person": 409, "not_a_machine": 409, "machine_disabled": 409, "email_invalid": 422, "email_taken": 409, "person_name_invalid": 422,
	"machine_name_invalid": 422, "machine_exists": 409, "link_refused": 403, "password_refused": 422, "password_wrong": 403, "session_unknown": 404,
	"own_rights": 403, "last_admin": 409, "role_unknown": 422, "scope_invalid": 422, "scope_unknown": 422, "grant_beyond_scope": 403, "grant_unknown": 404,
	"too_many_grants": 409, "end_invalid": 422, "token_unknown": 404, "token_name_invalid": 422, "token_rights_invalid": 422, "too_many_tokens": 409,
	"delegate_invalid": 422, "delegation_unknown": 404, "too_many_delegations": 409,
	"channel_unknown": 422, "notice_unknown": 422, "quiet_hours_invalid": 422, "digest_invalid": 422, "notice_url_invalid": 422,
	"sso_not_configured": 404, "sso_unavailable": 503, "sso_state_invalid": 400, "sso_denied": 403, "sso_token_refused": 403,
	"sso_email_unverified": 403, "sso_email_taken": 403, "sso_person_disabled": 403, "sso_code_invalid": 403, "logout_token_invalid": 400,

	"checkpoint_unknown": 404, "tile_unknown": 404, "proof_size_unknown": 404, "commit_unknown": 404,

	"governance_moved": 409, "governance_invalid": 422, "governance_too_large": 422, "too_many_objects": 422, "object_unknown": 422, "object_twice": 422,
	"integration_unknown": 404, "integration_exists": 409, "integration_name_invalid": 422, "integration_kind_unknown": 422,
	"integration_settings_invalid": 422, "integration_secret_invalid": 422, "integration_token_needed": 422, "integration_disabled": 409,
	"integration_kind_wrong": 409, "integration_unanswered": 502, "too_many_integrations": 409,
	"mapping_invalid": 422, "mapping_unknown": 404, "mapping_exists": 409, "too_many_mappings": 409, "delivery_unknown": 404, "gitops_off": 409,
	"hold_reason_invalid": 422, "hold_unknown": 404, "too_many_holds": 409, "legal_hold": 409,
	"version_unknown": 404, "amendment_unknown": 404, "amendment_over": 409, "amendment_stale": 409, "own_amendment": 403,
	"not_your_amendment": 403, "too_many_amendments": 409,
}

// denials are the codes that say "you may not", or that something was tried again that
// works once. Each becomes a fact.
var denials = map[string]bool{
	"forbidden": true, "self_approval": true, "not_an_approver": true, "not_your_request": true,
	"reveal_not_allowed": true, "already_revealed": true, "envelope_expired": true, "policy_denied": true,
	"filled_in": true, "you_are_absent": true, "break_glass_not_allowed": true, "review_overdue": true, "own_review": true, "not_a_reviewer": true,
	"own_fill": true, "not_the_team": true, "voice_counted": true,
	"request_hidden": true, "job_hidden": true, "secret_hidden": true, "connection_hidden": true, "too_many_open_requests": true, "signature_invalid": true, "signature_expired": true, "signature_used": true,
	"step_up_required": true, "sign_in_stale": true, "factor_missing": true,
	"people_only": true, "person_above_you": true, "own_rights": true, "link_refused": true, "password_wrong": true, "grant_beyond_scope": true,
	"grant_hidden":  true,
	"own_amendment": true, "not_your_amendment": true, "person_hidden": true, "legal_hold": true, string(oidc.CodeLogout): true,
}

// unproven are the codes that say "nobody knows who you are". Whoever scans for a way in meets
// them again and again, so they become one fact a minute of each address, and of each person: of a
// session that ended under their hands.
var unproven = map[string]bool{errNotSignedIn.Code: true, errSessionExpired.Code: true, errToken.Code: true}

// These look like not found outside and are denials inside: it is there, and not the
// caller's to see.
var (
	errHidden    = &problem{"request_hidden", command.ErrRequestUnknown.Detail}
	errJobHidden = &problem{"job_hidden", command.ErrJobUnknown.Detail}

	errGrantHidden      = (*problem)(accounts.ErrGrantHidden)
	errSecretHidden     = &problem{"secret_hidden", command.ErrSecretUnlisted.Detail}
	errConnectionHidden = &problem{"connection_hidden", command.ErrConnectionUnknown.Detail}

	errPersonHidden = &problem{"person_hidden", command.ErrUserUnknown.Detail}

	hidden = map[string]*problem{
		errHidden.Code: (*problem)(command.ErrRequestUnknown), errJobHidden.Code: (*problem)(command.ErrJobUnknown),
		errGrantHidden.Code:  (*problem)(command.ErrGrantUnknown),
		errSecretHidden.Code: (*problem)(command.ErrSecretUnlisted), errConnectionHidden.Code: (*problem)(command.ErrConnectionUnknown),
		errPersonHidden.Code: (*problem)(command.ErrUserUnknown),
	}
)

// fail answers an error. A denial is recorded first; where it cannot be, nothing is
// said but that the server cannot work.
func (a *API) fail(c *call, route Route, err error) {
	p, known := explain(err)
	if !known {
		a.Logger.ErrorContext(c.ctx(), "call failed", "call", c.id, "route", route.Method+" "+route.Path, "err", err)
	}
	// Each denial is a fact, so there is an end to them. What is not there counts along: else it would
	// be told from what is hidden once the end is reached.
	if denials[p.Code] || likeHidden(p) {
		if err := a.limit(c, window.Denials, a.who(c), 1); err != nil {
			p, _ = explain(err)
		}
	}
	if denials[p.Code] {
		denied := events.AccessDenied{Action: string(route.Permission), Resource: resource(c), Code: p.Code}
		if _, err := a.record(c, c.actor, denied); err != nil {
			p = errUnavailable
		}
	}
	folded := p.Code == errTooMany.Code && c.session != "" || unproven[p.Code] && route.Permission != public
	if folded && a.recordFolded(c, route, p.Code) != nil {
		p = errUnavailable
	}
	if looks, ok := hidden[p.Code]; ok {
		p = looks
	}
	watchedOf(c.ctx()).code = p.Code
	writeProblem(c.w, c.id, p)
}

// who is whom a call counts as: the actor, or the address of somebody whom nobody knows.
func (a *API) who(c *call) string {
	if c.actor == events.Anonymous {
		return "address " + a.network(c.r)
	}
	return string(c.actor)
}

// foreign refuses what a page of another site has a browser send. It has no route, and is on
// record once a minute of each address.
func (a *API) foreign(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r, id: callID(r.Context()), actor: events.Anonymous, now: a.Now()}
	p := errForbidden.because("a page of another site sent this; use the command line, or this server's own pages")
	if err := a.limit(c, window.CallsOfAddress, a.network(r), window.ChangeCost); err != nil {
		p, _ = explain(err)
	} else if a.recordFolded(c, Route{Permission: "cross-origin"}, p.Code) != nil {
		p = errUnavailable
	}
	watchedOf(r.Context()).code = p.Code
	writeProblem(w, c.id, p)
}

// likeHidden reports whether a problem is what something hidden looks like.
func likeHidden(p *problem) bool {
	for _, looks := range hidden {
		if p.Code == looks.Code {
			return true
		}
	}
	return false
}

// explain finds the problem in an error, and whether it is a result of the rules: all
// others are faults, for the log.
func explain(err error) (p *problem, known bool) {
	var rejection *command.Rejection
	switch {
	case errors.As(err, &p):
		return p, true
	case errors.Is(err, accounts.ErrGrantHidden):
		return errGrantHidden, true
	case errors.As(err, &rejection):
		if _, listed := statuses[rejection.Code]; listed {
			return (*problem)(rejection), true
		}
	case errors.Is(err, projections.ErrNotFound):
		return errNotFound, true
	case errors.Is(err, projections.ErrCursor):
		return errCursor, true
	case errors.Is(err, oidc.ErrAway):
		return errSignOnAway, false
	case errors.Is(err, store.ErrFull):
		return errUnavailable, false
	case errors.Is(err, custody.ErrNoEnvelope):
		return (*problem)(command.ErrEnvelopeUnknown), true
	case errors.Is(err, command.ErrOutcomeUnknown), errors.Is(err, command.ErrConflict),
		errors.Is(err, command.ErrNotStored), errors.Is(err, command.ErrLogAway), errors.Is(err, command.ErrLogUnsafe),
		errors.Is(err, kms.ErrUnavailable), errors.Is(err, kms.ErrRefused), errors.Is(err, kms.ErrUnknownKey),
		errors.Is(err, projections.ErrBehind), errors.Is(err, projections.ErrNoOwner), errors.Is(err, rights.ErrBehind), errors.Is(err, circumstances.ErrBehind), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		unreachable(err):
		return errUnavailable, false
	}
	return errInternal, false
}

// tellable is what a fact may hold of a path: ids, names and numbers. Somebody may type an e-mail
// there, or paste a token.
var tellable = regexp.MustCompile(`^([a-z]{1,3}_[0-9a-z]{26}|[a-z][0-9a-z-]{0,39}|[0-9]{1,9})$`)

// resource is the route with its parameters, and "?" for one that is neither id nor name.
func resource(c *call) string {
	path := c.route.Path
	for name, value := range mux.Vars(c.r) {
		if !tellable.MatchString(value) {
			value = "?"
		}
		path = strings.Replace(path, "{"+name+"}", value, 1)
	}
	return c.r.Method + " " + Prefix + path
}

func writeProblem(w http.ResponseWriter, id string, p *problem) {
	status, listed := statuses[p.Code]
	if !listed {
		p, status = errInternal, http.StatusInternalServerError
	}
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	switch {
	case p.Code == errStepUpRequired.Code || p.Code == errSignInStale.Code: // it says how fresh a proof must be
	case status == http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="secrets-bridge"`)
	default:
		header.Del("WWW-Authenticate")
	}
	if p == errUnavailable || p == errViewBehind || p == errInFlight || p == errSignOnAway {
		header.Set("Retry-After", "1")
	}
	body, err := json.Marshal(api.Problem{
		Type: "about:blank#" + p.Code, Title: http.StatusText(status), Status: status, Detail: p.Detail, Code: p.Code, Instance: id,
	})
	if err != nil {
		panic(err) // strings and a number: a defect
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
