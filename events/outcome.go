package events

import "slices"

// Outcome says whether a fact is something that happened, or something that somebody was kept
// from.
type Outcome string

const (
	OutcomeDone   Outcome = "done"
	OutcomeDenied Outcome = "denied"
)

// Outcomes are all there are.
var Outcomes = []Outcome{OutcomeDone, OutcomeDenied}

// outcomes has every type of fact. A decision against a request is something that happened; so is
// a job that failed. What was denied is what somebody tried who may not, or could not prove to be
// who they said.
var outcomes = map[Outcome][]string{
	OutcomeDenied: {
		"sb.access.denied.v1", "sb.access.sign_in_failed.v1", "sb.access.step_up_failed.v1",
	},
	OutcomeDone: {
		"sb.request.submitted.v1", "sb.request.approval_given.v1", "sb.request.approved.v1", "sb.request.rejected.v1", "sb.request.cancelled.v1",
		"sb.request.expired.v1", "sb.request.job_started.v1", "sb.request.lease_lost.v1", "sb.request.envelope_stored.v1", "sb.request.executed.v1",
		"sb.request.failed.v1", "sb.request.envelope_revealed.v1", "sb.request.reveal_failed.v1", "sb.request.envelope_expired.v1",
		"sb.request.patch_compared.v1", "sb.request.approvals_voided.v1", "sb.request.envelope_delivered.v1", "sb.request.write_begun.v1",
		"sb.request.outcome_unknown.v1", "sb.request.values_provided.v1", "sb.request.values_refused.v1", "sb.request.step_reminded.v1",
		"sb.request.step_escalated.v1", "sb.request.glass_broken.v1", "sb.request.glass_reviewed.v1", "sb.request.review_overdue.v1",
		"sb.agent.enrolment_token_issued.v1", "sb.agent.enrolled.v1", "sb.agent.credentials_issued.v1", "sb.agent.key_rotated.v1", "sb.agent.connected.v1",
		"sb.agent.lost.v1", "sb.agent.revoked.v1",
		"sb.connection.created.v1", "sb.connection.disabled.v1", "sb.connection.enabled.v1", "sb.connection.discovery_scheduled.v1",
		"sb.job.queued.v1", "sb.job.taken.v1", "sb.job.finished.v1", "sb.job.failed.v1", "sb.job.cancelled.v1",
		"sb.inventory.found.v1", "sb.inventory.changed.v1", "sb.inventory.gone.v1",
		"sb.secret.assigned.v1", "sb.secret.keys_listed.v1",
		"sb.governance.changed.v1", "sb.governance.amendment_proposed.v1", "sb.governance.amendment_approved.v1", "sb.governance.amendment_rejected.v1",
		"sb.governance.amendment_withdrawn.v1",
		"sb.user.added.v1", "sb.user.disabled.v1", "sb.user.enabled.v1", "sb.user.erased.v1", "sb.user.grant_given.v1", "sb.user.grant_taken.v1",
		"sb.user.groups_told.v1", "sb.user.identity_linked.v1", "sb.user.link_issued.v1", "sb.user.password_set.v1", "sb.user.factor_enrolled.v1",
		"sb.user.factor_removed.v1", "sb.user.recovery_codes_made.v1", "sb.user.token_issued.v1", "sb.user.token_revoked.v1", "sb.user.delegation_given.v1",
		"sb.user.delegation_ended.v1",
		"sb.access.signed_in.v1", "sb.access.signed_out.v1", "sb.access.session_revoked.v1", "sb.access.stepped_up.v1", "sb.access.direct_reveal_withheld.v1",
		"sb.access.audit_exported.v1",
		"sb.request.rollout_begun.v1", "sb.request.rollout_observed.v1", "sb.request.rollout_settled.v1", "sb.request.applied.v1",
		"sb.request.rollout_failed.v1", "sb.request.applied_unverified.v1", "sb.agent.enrolment_token_expired.v1",
		"sb.user.notices_chosen.v1", "sb.user.notice_abandoned.v1", "sb.access.session_expired.v1",
		"sb.integration.created.v1", "sb.integration.changed.v1", "sb.integration.secret_set.v1", "sb.integration.disabled.v1",
		"sb.integration.enabled.v1", "sb.integration.removed.v1", "sb.integration.mapping_added.v1", "sb.integration.mapping_removed.v1",
		"sb.integration.delivery_abandoned.v1",
		"sb.setting.kms_key_rotated.v1", "sb.setting.rewrap_started.v1", "sb.setting.rewrap_finished.v1", "sb.setting.ownership_rules_set.v1",
		"sb.setting.signing_key_rotated.v1", "sb.setting.log_restored.v1", "sb.setting.checkpoint_key_rotated.v1", "sb.setting.rows_adopted.v1", "sb.setting.legal_hold_placed.v1", "sb.setting.legal_hold_lifted.v1",
		"sb.access.audit_read.v1", "sb.access.audit_compared.v1", "sb.access.evidence_exported.v1", "sb.access.support_bundle_taken.v1", "sb.access.session_renewed.v1",
		"sb.user.link_expired.v1", "sb.user.token_expired.v1", "sb.user.factor_abandoned.v1", "sb.user.delegation_expired.v1",
		"sb.governance.amendment_expired.v1",
		"sb.user.factor_begun.v1", "sb.user.notices_tested.v1", "sb.access.step_up_begun.v1", "sb.access.report_exported.v1",
		"sb.integration.tested.v1", "sb.integration.delivery_retried.v1",
	},
}

// TypesOf are the types of facts with an outcome.
func TypesOf(o Outcome) []string { return slices.Clone(outcomes[o]) }
