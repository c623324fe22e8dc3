package events

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
)

// Identifiers are opaque. Each is a letter, an underscore and 26 characters that
// carry 128 random bits, so none says anything about a person or a secret.
type (
	RequestID    string // r_…
	AgentID      string // a_…
	UserID       string // u_…
	JobID        string // j_…
	EnvelopeID   string // e_…
	SessionID    string // s_…
	GrantID      string // g_…
	TokenID      string // t_…
	FactorID     string // f_…
	DelegationID string // d_…
	AmendmentID  string // m_…
	HoldID       string // h_…
	SealedID     string // w_…: a secret of an integration, or of a person, as it lies sealed
	ConnectionID string // a name of [a-z0-9-], at most 40: people choose it
	ClusterID    string // likewise: the workload network that an agent serves
	StepID       string // a name inside one workflow
	EventID      string // the command and the event's place in its commit
)

// CommandID is one intention. Taking the same command twice changes nothing.
type CommandID string

// CorrelationID joins what one request set in motion, over streams and processes.
type CorrelationID string

// Actor is who caused something: "user:u_…", "agent:a_…", "system:worker" or
// "anonymous:-" for a caller who has not signed in.
type Actor string

// Anonymous is a caller who has not signed in.
const Anonymous Actor = "anonymous:-"

// UserActor, AgentActor and SystemActor name the three kinds of actors.
func UserActor(id UserID) Actor     { return Actor("user:" + id) }
func AgentActor(id AgentID) Actor   { return Actor("agent:" + id) }
func SystemActor(name string) Actor { return Actor("system:" + name) }

// User returns the person behind an actor, and false for an agent or a system.
func (a Actor) User() (UserID, bool) {
	id, ok := strings.CutPrefix(string(a), "user:")
	return UserID(id), ok
}

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

func newID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand, Go 1.24
	return prefix + idEncoding.EncodeToString(b[:])
}

// NewAgentID and its siblings make fresh identifiers.
func NewAgentID() AgentID             { return AgentID(newID("a_")) }
func NewUserID() UserID               { return UserID(newID("u_")) }
func NewSessionID() SessionID         { return SessionID(newID("s_")) }
func NewFactorID() FactorID           { return FactorID(newID("f_")) }
func NewSealedID() SealedID           { return SealedID(newID("w_")) }
func NewCommandID() CommandID         { return CommandID(newID("c_")) }
func NewCorrelationID() CorrelationID { return CorrelationID(newID("x_")) }

// DeriveCommandID makes the same command id from the same parts, so that a process
// that tries again after a crash tries the same command. Parts are length-prefixed.
func DeriveCommandID(parts ...string) CommandID { return CommandID(derive("c_", parts)) }

// JobOf is the one job of a request. A retry is another attempt of the same job.
func JobOf(id RequestID) JobID { return JobID(derive("j_", []string{"job", string(id)})) }

// ComparisonOf is the job that looks at the secret of a patch, however often.
func ComparisonOf(id RequestID) JobID {
	return JobID(derive("j_", []string{"comparison", string(id)}))
}

// ProposalOf is the envelope of a value that a patch sets.
func ProposalOf(request RequestID, key string) EnvelopeID {
	return EnvelopeID(derive("e_", []string{"proposal", string(request), key}))
}

// ProvidedOf is the envelope of a value that another team fills in. Each command has its own, so
// that of two at once the one that is refused leaves the other's values alone.
func ProvidedOf(id CommandID, key string) EnvelopeID {
	return EnvelopeID(derive("e_", []string{"provided", string(id), key}))
}

// RequestOf is the request that a submit command makes, so that sending the same
// command twice cannot make two requests.
func RequestOf(id CommandID) RequestID {
	return RequestID(derive("r_", []string{"request", string(id)}))
}

// GrantOf and its siblings are what a command makes, so that sending the same command twice
// cannot make two.
func GrantOf(id CommandID) GrantID { return GrantID(derive("g_", []string{"grant", string(id)})) }
func TokenOf(id CommandID) TokenID { return TokenID(derive("t_", []string{"token", string(id)})) }
func DelegationOf(id CommandID) DelegationID {
	return DelegationID(derive("d_", []string{"delegation", string(id)}))
}
func AmendmentOf(id CommandID) AmendmentID {
	return AmendmentID(derive("m_", []string{"amendment", string(id)}))
}

func HoldOf(id CommandID) HoldID { return HoldID(derive("h_", []string{"hold", string(id)})) }

// MappingOf is the mapping that a command adds.
func MappingOf(id CommandID) MappingID {
	return MappingID(derive("p_", []string{"mapping", string(id)}))
}

// DeliveryOf is the message about one event to one recipient: however often it is worked out, it
// is one message.
func DeliveryOf(event EventID, recipient string) DeliveryID {
	return DeliveryID(derive("n_", []string{"delivery", string(event), recipient}))
}

// ObservationOf is the look of an agent at one watch of a request.
func ObservationOf(request RequestID, watch int) JobID {
	return JobID(derive("j_", []string{"observation", string(request), fmt.Sprint(watch)}))
}

// EnvelopeOf is the envelope of one value of one attempt: asking twice for its data
// key, after a lost answer, makes no second envelope.
func EnvelopeOf(job JobID, attempt int, key string) EnvelopeID {
	return EnvelopeID(derive("e_", []string{"envelope", string(job), itoa(attempt), key}))
}

// EventIDOf is the id of the n-th event of a command's commit.
func EventIDOf(id CommandID, n int) EventID { return EventID(fmt.Sprintf("%s.%d", id, n)) }

func derive(prefix string, parts []string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return prefix + idEncoding.EncodeToString(h.Sum(nil)[:16])
}

// ValidID reports whether s is an identifier with that prefix, such as "r_".
func ValidID(s, prefix string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok || len(rest) != 26 {
		return false
	}
	_, err := idEncoding.DecodeString(rest)
	return err == nil
}

// ValidName reports whether s can name a connection or a cluster: 1 to 40 of a-z,
// 0-9 and "-", beginning with a letter.
func ValidName(s string) bool {
	if s == "" || len(s) > 40 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
