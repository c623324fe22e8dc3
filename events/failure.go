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
)

var sentences = map[FailureCode]string{
	FailureSecretNotFound:      "the provider has no secret at this path; check the ref",
	FailureKeyNotFound:         "the secret exists but has no such key; ask without keys to get all of them",
	FailureForbidden:           "the agent's credentials may not read this secret; ask an operator",
	FailureNotABundle:          "the secret is not a set of keys and values, so no key can be taken from it",
	FailureOutsideAllowList:    "the agent does not serve this path; ask an operator to widen its allow-list",
	FailureInvalidRef:          "the path is not one that the provider can have; check the ref",
	FailureUnknownConnection:   "no agent of the cluster is configured for this connection; ask an operator",
	FailureSignIn:              "the agent could not sign in to the provider; ask an operator",
	FailureProviderUnavailable: "the provider could not be reached while the request was open; submit it again later",
	FailureTooLarge:            "the secret is larger than can be revealed (512 KiB a value, 64 keys)",
	FailureTicketRefused:       "the agent refused the job: its signature, cluster or time was wrong; ask an operator",
	FailureAgentLost:           "agents took this job and none came back with an outcome; ask an operator, then submit it again",
	FailureInternal:            "the agent met a defect; its log says more; ask an operator",
	FailureEnvelopeBroken:      "the sealed value does not open; submit the request again and tell an operator",
}

// Sentence says what happened and what to do, for the requester. It is empty for a
// code that this version does not know.
func (c FailureCode) Sentence() string { return sentences[c] }

// Valid reports whether the code is known.
func (c FailureCode) Valid() bool { return sentences[c] != "" }
