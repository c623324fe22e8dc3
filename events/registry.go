package events

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Kind is one entry of the catalogue of facts.
type Kind struct {
	Type      string // CloudEvents type; a stored name is forever
	Aggregate Aggregate
	Go        reflect.Type
	Sentence  string // what it tells a person, for the generated catalogue
	decode    func([]byte) (Fact, error)
}

func kind[F Fact](typ string, aggregate Aggregate, sentence string) Kind {
	return Kind{
		Type: typ, Aggregate: aggregate, Go: reflect.TypeFor[F](), Sentence: sentence,
		decode: func(data []byte) (Fact, error) {
			var f F
			err := json.Unmarshal(data, &f)
			return f, err
		},
	}
}

// catalogue lists every version of every fact ever written, in the order of a life.
var catalogue = []Kind{
	kind[RequestSubmitted]("sb.request.submitted.v1", AggregateRequest, "somebody asked for a secret"),
	kind[ApprovalGiven]("sb.request.approval_given.v1", AggregateRequest, "one person agreed to one step"),
	kind[RequestApproved]("sb.request.approved.v1", AggregateRequest, "the last step was approved; the job may run"),
	kind[RequestRejected]("sb.request.rejected.v1", AggregateRequest, "an approver said no"),
	kind[RequestCancelled]("sb.request.cancelled.v1", AggregateRequest, "the requester took the request back"),
	kind[RequestExpired]("sb.request.expired.v1", AggregateRequest, "the request reached its time limit"),
	kind[JobStarted]("sb.request.job_started.v1", AggregateRequest, "an agent took the job"),
	kind[LeaseLost]("sb.request.lease_lost.v1", AggregateRequest, "an agent stopped renewing its lease; another attempt follows"),
	kind[EnvelopeStored]("sb.request.envelope_stored.v1", AggregateRequest, "a sealed value is ready to be revealed once"),
	kind[RequestExecuted]("sb.request.executed.v1", AggregateRequest, "the agent finished the job"),
	kind[RequestFailed]("sb.request.failed.v1", AggregateRequest, "the job cannot be done; the code says why"),
	kind[EnvelopeRevealed]("sb.request.envelope_revealed.v1", AggregateRequest, "the requester opened an envelope; it is used up"),
	kind[RevealFailed]("sb.request.reveal_failed.v1", AggregateRequest, "an envelope was used up but its content did not open"),
	kind[EnvelopeExpired]("sb.request.envelope_expired.v1", AggregateRequest, "an unopened envelope reached its end and was destroyed"),
	kind[PatchCompared]("sb.request.patch_compared.v1", AggregateRequest, "an agent looked at what a patch would change"),
	kind[ApprovalsVoided]("sb.request.approvals_voided.v1", AggregateRequest, "the secret changed after the approvals; they must be given again"),
	kind[EnvelopeDelivered]("sb.request.envelope_delivered.v1", AggregateRequest, "a proposed value was sealed to the agent that writes it"),
	kind[WriteBegun]("sb.request.write_begun.v1", AggregateRequest, "an agent began to write a patch"),
	kind[OutcomeUnknown]("sb.request.outcome_unknown.v1", AggregateRequest, "nobody saw whether a patch was written; it is looked at"),
	kind[ValuesProvided]("sb.request.values_provided.v1", AggregateRequest, "another team filled in the values of a patch"),
	kind[ValuesRefused]("sb.request.values_refused.v1", AggregateRequest, "another team does not provide the values of a patch"),
	kind[StepReminded]("sb.request.step_reminded.v1", AggregateRequest, "the approvers of an open step are to be reminded"),
	kind[StepEscalated]("sb.request.step_escalated.v1", AggregateRequest, "a step was open for too long; its fallback may vote too"),
	kind[GlassBroken]("sb.request.glass_broken.v1", AggregateRequest, "the requester did without approval; others must review it"),
	kind[GlassReviewed]("sb.request.glass_reviewed.v1", AggregateRequest, "somebody reviewed what was done without approval"),
	kind[ReviewOverdue]("sb.request.review_overdue.v1", AggregateRequest, "nobody reviewed in time what was done without approval"),

	kind[RolloutBegun]("sb.request.rollout_begun.v1", AggregateRequest, "a patch was written, and the applications that use the secret are watched"),
	kind[RolloutObserved]("sb.request.rollout_observed.v1", AggregateRequest, "a watched application stands otherwise than before"),
	kind[RolloutSettled]("sb.request.rollout_settled.v1", AggregateRequest, "the watch of one application ended"),
	kind[RequestApplied]("sb.request.applied.v1", AggregateRequest, "the change is live in every watched application"),
	kind[RequestRolloutFailed]("sb.request.rollout_failed.v1", AggregateRequest, "the change is written, and a watched application failed"),
	kind[RequestUnverified]("sb.request.applied_unverified.v1", AggregateRequest, "the change is written, and nobody could tell in time whether it is live"),

	kind[EnrolmentTokenIssued]("sb.agent.enrolment_token_issued.v1", AggregateAgent, "an operator invited an agent"),
	kind[EnrolmentTokenExpired]("sb.agent.enrolment_token_expired.v1", AggregateAgent, "nobody used the invitation of an agent in time"),
	kind[AgentEnrolled]("sb.agent.enrolled.v1", AggregateAgent, "an agent traded its token for credentials"),
	kind[AgentCredentialsIssued]("sb.agent.credentials_issued.v1", AggregateAgent, "an agent got a new short-lived credential"),
	kind[AgentKeyRotated]("sb.agent.key_rotated.v1", AggregateAgent, "an agent made a fresh key for what is sealed to it"),
	kind[AgentConnected]("sb.agent.connected.v1", AggregateAgent, "an agent was heard after silence"),
	kind[AgentLost]("sb.agent.lost.v1", AggregateAgent, "an agent fell silent"),
	kind[AgentRevoked]("sb.agent.revoked.v1", AggregateAgent, "an operator revoked an agent or its token"),

	kind[ConnectionCreated]("sb.connection.created.v1", AggregateConnection, "a secret store was named"),
	kind[ConnectionDisabled]("sb.connection.disabled.v1", AggregateConnection, "new requests to the store are refused"),
	kind[ConnectionEnabled]("sb.connection.enabled.v1", AggregateConnection, "requests to the store are accepted again"),

	kind[DiscoveryScheduled]("sb.connection.discovery_scheduled.v1", AggregateConnection, "an operator said how often the store is scanned"),

	kind[JobQueued]("sb.job.queued.v1", AggregateJob, "a scan, or another job that shows nobody a value, was asked for"),
	kind[JobTaken]("sb.job.taken.v1", AggregateJob, "an agent took the job, or took it over"),
	kind[JobFinished]("sb.job.finished.v1", AggregateJob, "the job is done"),
	kind[JobFailed]("sb.job.failed.v1", AggregateJob, "the job cannot be done; the code says why"),
	kind[JobCancelled]("sb.job.cancelled.v1", AggregateJob, "somebody called the job off"),

	kind[SecretsFound]("sb.inventory.found.v1", AggregateInventory, "a scan met secrets that were not there before"),
	kind[SecretsChanged]("sb.inventory.changed.v1", AggregateInventory, "a scan met secrets with other labels, another version or other times"),
	kind[SecretsGone]("sb.inventory.gone.v1", AggregateInventory, "a complete scan did not meet secrets that were there before"),

	kind[SecretAssigned]("sb.secret.assigned.v1", AggregateSecret, "somebody said whose a secret is and what it serves"),
	kind[SecretKeysListed]("sb.secret.keys_listed.v1", AggregateSecret, "somebody was told the names of a secret's keys"),

	kind[GovernanceChanged]("sb.governance.changed.v1", AggregateGovernance, "roles, teams, groups, projects, bindings, workflows, rules or settings changed"),
	kind[AmendmentProposed]("sb.governance.amendment_proposed.v1", AggregateGovernance, "somebody proposed a change that others must approve"),
	kind[AmendmentApproved]("sb.governance.amendment_approved.v1", AggregateGovernance, "one person agreed to a proposed change"),
	kind[AmendmentRejected]("sb.governance.amendment_rejected.v1", AggregateGovernance, "somebody said no to a proposed change"),
	kind[AmendmentExpired]("sb.governance.amendment_expired.v1", AggregateGovernance, "nobody decided a proposed change in its time"),
	kind[AmendmentWithdrawn]("sb.governance.amendment_withdrawn.v1", AggregateGovernance, "who proposed a change took it back"),

	kind[UserAdded]("sb.user.added.v1", AggregateUser, "a person or a machine may sign in"),
	kind[UserDisabled]("sb.user.disabled.v1", AggregateUser, "somebody is kept out"),
	kind[UserEnabled]("sb.user.enabled.v1", AggregateUser, "somebody is let in again"),
	kind[UserErased]("sb.user.erased.v1", AggregateUser, "somebody's name, e-mail and ways in were destroyed"),
	kind[GrantGiven]("sb.user.grant_given.v1", AggregateUser, "somebody got a role in a scope"),
	kind[GrantTaken]("sb.user.grant_taken.v1", AggregateUser, "somebody lost a role"),
	kind[GroupsTold]("sb.user.groups_told.v1", AggregateUser, "the identity provider said which groups somebody is in"),
	kind[IdentityLinked]("sb.user.identity_linked.v1", AggregateUser, "somebody comes in by an identity provider"),
	kind[LinkIssued]("sb.user.link_issued.v1", AggregateUser, "somebody got a single-use link to set a password"),
	kind[PasswordSet]("sb.user.password_set.v1", AggregateUser, "somebody has another password"),
	kind[FactorBegun]("sb.user.factor_begun.v1", AggregateUser, "somebody was given what a new second factor is made of"),
	kind[FactorEnrolled]("sb.user.factor_enrolled.v1", AggregateUser, "somebody has one more second factor"),
	kind[FactorRemoved]("sb.user.factor_removed.v1", AggregateUser, "a second factor counts no more"),
	kind[RecoveryCodesMade]("sb.user.recovery_codes_made.v1", AggregateUser, "somebody has fresh recovery codes"),
	kind[TokenIssued]("sb.user.token_issued.v1", AggregateUser, "a machine has one more token"),
	kind[TokenRevoked]("sb.user.token_revoked.v1", AggregateUser, "a token opens nothing any more"),
	kind[DelegationGiven]("sb.user.delegation_given.v1", AggregateUser, "somebody lets another person vote for them"),
	kind[DelegationEnded]("sb.user.delegation_ended.v1", AggregateUser, "a delegation ended before its time"),

	kind[LinkExpired]("sb.user.link_expired.v1", AggregateUser, "nobody used a single-use link before its end"),
	kind[TokenExpired]("sb.user.token_expired.v1", AggregateUser, "a machine's token reached its end"),
	kind[FactorAbandoned]("sb.user.factor_abandoned.v1", AggregateUser, "a second factor was begun and never confirmed"),
	kind[DelegationExpired]("sb.user.delegation_expired.v1", AggregateUser, "a delegation reached its end"),

	kind[NoticesChosen]("sb.user.notices_chosen.v1", AggregateUser, "somebody said how they want to be told"),
	kind[NoticesTested]("sb.user.notices_tested.v1", AggregateUser, "somebody had a message sent to themselves to see whether it arrives"),
	kind[NoticeAbandoned]("sb.user.notice_abandoned.v1", AggregateUser, "somebody could not be told, however often it was tried"),

	kind[SignedIn]("sb.access.signed_in.v1", AggregateAccess, "a person opened a session"),
	kind[SignInFailed]("sb.access.sign_in_failed.v1", AggregateAccess, "somebody could not sign in"),
	kind[SignedOut]("sb.access.signed_out.v1", AggregateAccess, "a person closed a session"),
	kind[SessionRevoked]("sb.access.session_revoked.v1", AggregateAccess, "a session was ended from outside"),
	kind[SessionExpired]("sb.access.session_expired.v1", AggregateAccess, "a session reached its end by itself"),
	kind[StepUpBegun]("sb.access.step_up_begun.v1", AggregateAccess, "a session was given a challenge for a passkey"),
	kind[SteppedUp]("sb.access.stepped_up.v1", AggregateAccess, "a person proved a second factor"),
	kind[StepUpFailed]("sb.access.step_up_failed.v1", AggregateAccess, "a person could not prove a second factor"),
	kind[DirectRevealWithheld]("sb.access.direct_reveal_withheld.v1", AggregateAccess, "a rule for reading at once did not count, because the secret is production"),
	kind[AuditExported]("sb.access.audit_exported.v1", AggregateAccess, "somebody took facts of the log with them"),
	kind[AuditRead]("sb.access.audit_read.v1", AggregateAccess, "somebody began to read the audit"),
	kind[AuditCompared]("sb.access.audit_compared.v1", AggregateAccess, "views and audit were compared with the log"),
	kind[ReportExported]("sb.access.report_exported.v1", AggregateAccess, "somebody took a whole report with them"),
	kind[SupportBundleTaken]("sb.access.support_bundle_taken.v1", AggregateAccess, "somebody took a support bundle along"),
	kind[EvidenceExported]("sb.access.evidence_exported.v1", AggregateAccess, "somebody took the evidence of a request with them"),
	kind[SessionRenewed]("sb.access.session_renewed.v1", AggregateAccess, "a session got another token"),
	kind[AccessDenied]("sb.access.denied.v1", AggregateAccess, "somebody tried what they may not do"),

	kind[IntegrationCreated]("sb.integration.created.v1", AggregateIntegration, "something outside was named that is told of facts, or looked at"),
	kind[IntegrationChanged]("sb.integration.changed.v1", AggregateIntegration, "its settings are others"),
	kind[IntegrationSecretSet]("sb.integration.secret_set.v1", AggregateIntegration, "an address, a token or a signing key of it was set or rotated"),
	kind[IntegrationDisabled]("sb.integration.disabled.v1", AggregateIntegration, "it is told nothing, and not looked at"),
	kind[IntegrationEnabled]("sb.integration.enabled.v1", AggregateIntegration, "it goes on"),
	kind[IntegrationRemoved]("sb.integration.removed.v1", AggregateIntegration, "it is no more, and what was sealed of it is destroyed"),
	kind[MappingAdded]("sb.integration.mapping_added.v1", AggregateIntegration, "somebody said which application uses which secrets"),
	kind[MappingRemoved]("sb.integration.mapping_removed.v1", AggregateIntegration, "an application does not use those secrets any more"),
	kind[IntegrationTested]("sb.integration.tested.v1", AggregateIntegration, "somebody tried whether it can be told, or looked at"),
	kind[DeliveryRetried]("sb.integration.delivery_retried.v1", AggregateIntegration, "somebody had a message sent again that was given up"),
	kind[DeliveryAbandoned]("sb.integration.delivery_abandoned.v1", AggregateIntegration, "it could not be told, however often it was tried"),

	kind[KMSKeyRotated]("sb.setting.kms_key_rotated.v1", AggregateSetting, "an operator had another key of the local key manager wrap from now on"),
	kind[RewrapStarted]("sb.setting.rewrap_started.v1", AggregateSetting, "an operator began to move stored envelopes to another key of the key manager"),
	kind[RewrapFinished]("sb.setting.rewrap_finished.v1", AggregateSetting, "the move ended or was stopped; running it again continues"),
	kind[OwnershipRulesSet]("sb.setting.ownership_rules_set.v1", AggregateSetting, "somebody replaced the rules that say whose secrets are"),
	kind[SigningKeyRotated]("sb.setting.signing_key_rotated.v1", AggregateSetting, "an operator gave the control plane a fresh signing key"),
	kind[CheckpointKeyRotated]("sb.setting.checkpoint_key_rotated.v1", AggregateSetting, "an operator had another key sign checkpoints of the log"),
	kind[RowsAdopted]("sb.setting.rows_adopted.v1", AggregateSetting, "from here on rows that let somebody in need a MAC of the control plane"),
	kind[LogRestored]("sb.setting.log_restored.v1", AggregateSetting, "an operator restored the installation from a backup"),
	kind[LegalHoldPlaced]("sb.setting.legal_hold_placed.v1", AggregateSetting, "somebody had nothing removed until further notice"),
	kind[LegalHoldLifted]("sb.setting.legal_hold_lifted.v1", AggregateSetting, "a legal hold ended"),
}

var (
	byType = make(map[string]Kind, len(catalogue))
	byGo   = make(map[reflect.Type]Kind, len(catalogue))
)

func init() {
	for _, k := range catalogue {
		if _, twice := byType[k.Type]; twice {
			panic("fact type listed twice: " + k.Type)
		}
		byType[k.Type] = k
		byGo[k.Go] = k
	}
}

// Catalogue returns every kind of fact, in the order of a life.
func Catalogue() []Kind { return append([]Kind(nil), catalogue...) }

// TypeOf is the CloudEvents type under which a fact is stored.
func TypeOf(f Fact) (string, error) {
	k, ok := byGo[reflect.TypeOf(f)]
	if !ok {
		return "", fmt.Errorf("%T is not in the catalogue of facts", f)
	}
	return k.Type, nil
}

// DecodeFact reads the data of one event. Errors as [Decode].
func DecodeFact(typ string, data []byte) (Fact, error) {
	k, ok := byType[typ]
	if !ok {
		return nil, &UnknownTypeError{Type: typ}
	}
	f, err := k.decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, typ, err)
	}
	return f, nil
}

// SizeOf is how many bytes a fact takes in a commit, about. One that cannot be encoded takes more
// than any commit has.
func SizeOf(f Fact) int {
	data, err := marshalPlain(f)
	if err != nil {
		return MaxCommitBytes + 1
	}
	return len(data)
}
