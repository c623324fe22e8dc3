package projections

import (
	"time"

	"secretsbridge/events"
)

// Agent is one agent, from its invitation on.
type Agent struct {
	ID             events.AgentID    `json:"id" db:"id"`
	Seq            events.Seq        `json:"seq" db:"seq"`
	LastSeq        events.Seq        `json:"last_seq" db:"last_seq"`
	State          events.AgentState `json:"state" db:"state"`
	Name           string            `json:"name" db:"name"`
	Cluster        events.ClusterID  `json:"cluster" db:"cluster"`
	Account        string            `json:"account,omitempty" db:"account"`
	UserKey        string            `json:"user_key,omitempty" db:"user_key"`
	BoxKey         string            `json:"box_key,omitempty" db:"box_key"`
	Version        string            `json:"version,omitempty" db:"version"`
	TokenHash      string            `json:"-" db:"token_hash"`
	TokenExpiresAt time.Time         `json:"token_expires_at" db:"token_expires_at"` // exclusive
	InvitedAt      time.Time         `json:"invited_at" db:"invited_at"`
	InvitedBy      events.Actor      `json:"invited_by" db:"invited_by"`
	EnrolledAt     *time.Time        `json:"enrolled_at,omitempty" db:"enrolled_at"`

	CredentialsExpireAt *time.Time `json:"credentials_expire_at,omitempty" db:"credentials_expire_at"`
	ConnectedAt         *time.Time `json:"connected_at,omitempty" db:"connected_at"` // newest transition
	LostAt              *time.Time `json:"lost_at,omitempty" db:"lost_at"`           // newest transition
	LastSeenAt          *time.Time `json:"last_seen_at,omitempty" db:"last_seen_at"` // before it was lost
	RevokedAt           *time.Time `json:"revoked_at,omitempty" db:"revoked_at"`
	RevokedReason       string     `json:"revoked_reason,omitempty" db:"revoked_reason"`
}

// fold takes one event. Nothing brings back an agent that was revoked.
func (a *Agent) fold(seq events.Seq, e events.Event) {
	at := stored(e.Time)
	if f, ok := e.Fact.(events.EnrolmentTokenIssued); ok && a.ID == "" {
		*a = Agent{
			ID: events.AgentID(e.Stream.ID), Seq: seq, State: events.AgentInvited,
			Name: clean(f.Name), Cluster: clean(f.Cluster), TokenHash: clean(f.TokenHash),
			TokenExpiresAt: stored(f.Expires), InvitedAt: at, InvitedBy: clean(e.Actor),
		}
	}
	if a.ID == "" {
		return
	}
	a.LastSeq = seq
	switch f := e.Fact.(type) {
	case events.EnrolmentTokenExpired:
		a.become(events.AgentExpired)
	case events.AgentEnrolled:
		a.become(events.AgentOffline)
		a.Account, a.UserKey, a.BoxKey = clean(f.Account), clean(f.UserKey), clean(f.BoxKey)
		a.Version, a.EnrolledAt = clean(f.Version), &at
	case events.AgentCredentialsIssued:
		a.UserKey, a.CredentialsExpireAt = clean(f.UserKey), storedAt(f.Expires)
	case events.AgentKeyRotated:
		a.BoxKey = clean(f.BoxKey)
	case events.AgentConnected:
		a.become(events.AgentOnline)
		a.Version, a.ConnectedAt = clean(f.Version), &at
	case events.AgentLost:
		a.become(events.AgentOffline)
		a.LostAt, a.LastSeenAt = &at, storedAt(f.LastSeen)
	case events.AgentRevoked:
		a.become(events.AgentGone)
		a.RevokedAt, a.RevokedReason = &at, clean(f.Reason)
	}
}

func (a *Agent) become(state events.AgentState) {
	if a.State != events.AgentGone {
		a.State = state
	}
}
