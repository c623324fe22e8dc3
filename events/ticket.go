package events

import "time"

// Ticket tells an agent what to do. It travels on JOBS as the payload of a
// [SignedTicket] and holds no value: only where one is.
type Ticket struct {
	Request    RequestID    `json:"request"`
	Job        JobID        `json:"job"`
	Operation  Operation    `json:"operation"`
	Cluster    ClusterID    `json:"cluster"`
	Connection ConnectionID `json:"connection"`
	Provider   ProviderKind `json:"provider"`
	Ref        string       `json:"ref"`
	Keys       []string     `json:"keys,omitempty"` // none means all keys
	Issued     time.Time    `json:"issued"`
	Until      time.Time    `json:"until"` // exclusive
	Trace      Traceparent  `json:"traceparent,omitempty"`

	Changes []Change `json:"changes,omitempty"` // of a patch, and of a look at one
	Create  bool     `json:"create,omitempty"`  // likewise

	Observe *Observe `json:"observe,omitempty"` // of a look at a rollout: what is looked at
}

// SignedTicket is a ticket with the control plane's Ed25519 signature over exactly
// the bytes of Ticket. Agents pinned the key when they enrolled.
type SignedTicket struct {
	Ticket    []byte `json:"ticket"` // JSON of a Ticket
	Signer    string `json:"signer"` // id of the control plane's signing key
	Signature []byte `json:"signature"`
}

// TicketDomain separates ticket signatures from all others of the same key.
const TicketDomain = "secrets-bridge job ticket v1"
