package events

// FailureCode says why a job failed, in words that a script can branch on.
type FailureCode string

// What can end a job.
const (
	FailureSecretNotFound      FailureCode = "secret_not_found"
	FailureKeyNotFound         FailureCode = "key_not_found"
	FailureForbidden           FailureCode = "provider_forbidden"
	FailureNotABundle          FailureCode = "not_a_key_value_secret"
	FailureOutsideAllowList    FailureCode = "ref_outside_allow_list"
	FailureInvalidRef          FailureCode = "invalid_ref"
	FailureUnknownConnection   FailureCode = "connection_unknown_to_agent"
	FailureSignIn              FailureCode = "provider_sign_in_failed"
	FailureProviderUnavailable FailureCode = "provider_unavailable"
	FailureTooLarge            FailureCode = "value_too_large"
	FailureTicketRefused       FailureCode = "ticket_refused"
	FailureAgentLost           FailureCode = "agent_lost"
	FailureInternal            FailureCode = "agent_internal"
	FailureEnvelopeBroken      FailureCode = "envelope_unreadable"

	FailureSecretExists   FailureCode = "secret_exists"
	FailureWriteConflict  FailureCode = "write_conflict"
	FailureNoKeyLeft      FailureCode = "no_key_left"
	FailureValueRefused   FailureCode = "value_refused_by_provider"
	FailureValuesLost     FailureCode = "values_lost"
	FailureValuesHeld     FailureCode = "values_held_elsewhere"
	FailureNotVerified    FailureCode = "write_not_verified"
	FailureNotWritten     FailureCode = "not_written"
	FailureOutcomeUnknown FailureCode = "outcome_unknown"

	FailureJobExpired     FailureCode = "job_expired"
	FailureFingerprintKey FailureCode = "fingerprint_key_missing"
	FailureListTooLarge   FailureCode = "list_too_large"
)

var sentences = map[FailureCode]string{
	FailureSecretNotFound:      "the provider has no secret at this path; check the ref",
	FailureKeyNotFound:         "the secret exists but has no such key; ask without keys to get all of them",
	FailureForbidden:           "the agent's credentials may not use this secret; ask an operator",
	FailureNotABundle:          "the secret is not a set of keys and values, so no key can be taken from it",
	FailureOutsideAllowList:    "the agent does not serve this path; ask an operator to widen its allow-list",
	FailureInvalidRef:          "the path is not one that the provider can have; check the ref",
	FailureUnknownConnection:   "no agent of the cluster is configured for this connection; ask an operator",
	FailureSignIn:              "the agent could not sign in to the provider; ask an operator",
	FailureProviderUnavailable: "the provider could not be reached for as long as the agent may try; ask again later, or ask an operator whether it is there",
	FailureTooLarge:            "the secret is, or would become, larger than can be handled (512 KiB, 64 keys to read)",
	FailureTicketRefused:       "the agent refused the job: its signature, cluster or time was wrong; ask an operator",
	FailureAgentLost:           "agents took this job and none came back with an outcome; ask an operator, then submit it again",
	FailureInternal:            "the agent met a defect; its log says more; ask an operator",
	FailureEnvelopeBroken:      "the sealed value does not open; submit the request again and tell an operator",

	FailureSecretExists:   "the secret exists already, and the request was to make a new one; submit it without --create to change it",
	FailureWriteConflict:  "others kept changing the secret at the same time, so nothing was written; submit the request again",
	FailureNoKeyLeft:      "the change would leave the secret without a key, so nothing was written; remove the secret at the provider instead",
	FailureValueRefused:   "the provider cannot keep a value exactly as it was given, so nothing was written",
	FailureValuesLost:     "the sealed values are no longer stored, so nothing was written; submit the request again",
	FailureValuesHeld:     "the values are sealed to an agent that did not come back, so nothing was written; submit the request again",
	FailureNotVerified:    "the change was written and reads back differently; compare the secret at the provider",
	FailureNotWritten:     "the change is not at the provider: a write was tried and did not get there; submit the request again",
	FailureOutcomeUnknown: "a write was tried and the secret was changed by others since, so nobody can tell whether it got there; compare the secret's versions at the provider",

	FailureJobExpired:     "the job did not come to its end in the time that it had; start it again, and ask an operator whether the cluster has an agent that works",
	FailureFingerprintKey: "the agent that took the job has no fingerprint key; give all agents the same fingerprint_key_file, then ask again",
	FailureListTooLarge:   "the store, or a part of it, has more secrets than can be listed; ask an operator, whom the agent's log tells where",
}

// Sentence says what happened and what to do, for the requester. It is empty for a
// code that this version does not know.
func (c FailureCode) Sentence() string { return sentences[c] }

// Valid reports whether the code is known.
func (c FailureCode) Valid() bool { return sentences[c] != "" }
