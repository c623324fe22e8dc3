package command

import (
	"crypto/subtle"
	"strings"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// MaxTokenLife is the longest that an enrolment token may live.
const MaxTokenLife = 15 * time.Minute

// What can be wrong with a command about an agent.
var (
	ErrAgentUnknown     = &Rejection{"agent_unknown", "there is no such agent"}
	ErrAgentNameInvalid = &Rejection{"agent_name_invalid", "name the agent and its cluster with 1 to 40 of a-z, 0-9 and -, beginning with a letter"}
	ErrTokenLife        = &Rejection{"token_life_invalid", "an enrolment token lives at least one second and at most 15 minutes"}
	ErrTokenRefused     = &Rejection{"enrolment_token_refused", "the token is unknown, used, revoked or past its end; ask an operator for a new one"}
	ErrAgentRevoked     = &Rejection{"agent_revoked", "this agent was revoked; enrol it again with a new token"}
	ErrRenewedAlready   = &Rejection{"renewed_already", "the credential was renewed lately; ask again when a quarter of its life is over"}
	ErrReasonNeeded     = &Rejection{"revocation_reason_invalid", "say why in 1 to 2000 characters of plain text"}
)

// Agent is one agent, from its invitation on.
type Agent struct {
	ID        events.AgentID
	Name      string
	Cluster   events.ClusterID
	State     events.AgentState // empty: unknown
	TokenHash string
	TokenEnds time.Time
	Enrolled  events.AgentEnrolled

	keys         []AgentKey // the oldest first; never written to
	issued, ends time.Time  // life of the newest credential
	taken        taken
}

// Evolve implements [State].
func (a Agent) Evolve(e events.Event) Agent {
	switch f := e.Fact.(type) {
	case events.EnrolmentTokenIssued:
		a.ID, a.Name, a.Cluster, a.State = f.Agent, f.Name, f.Cluster, events.AgentInvited
		a.TokenHash, a.TokenEnds = f.TokenHash, f.Expires
	case events.EnrolmentTokenExpired:
		a.State = events.AgentExpired
	case events.AgentEnrolled:
		a.State, a.Enrolled, a.keys = events.AgentOffline, f, []AgentKey{{Public: f.BoxKey}}
	case events.AgentCredentialsIssued:
		a.issued, a.ends = e.Time, f.Expires
	case events.AgentKeyRotated:
		return a.rotated(e.Time, f.BoxKey) // each key was there once: no other memory is needed
	case events.AgentConnected:
		a.State = events.AgentOnline
	case events.AgentLost:
		a.State = events.AgentOffline
	case events.AgentRevoked:
		a.State = events.AgentGone
	}
	a.taken = a.taken.with(e.Command)
	return a
}

// Took implements [State].
func (a Agent) Took(id events.CommandID) bool { return a.taken.has(id) }

// Invite is an operator issuing a one-time enrolment token. The caller made the
// token and shows it once; only its hash comes here.
type Invite struct {
	Agent     events.AgentID
	Name      string
	Cluster   events.ClusterID
	TokenHash string
	Life      time.Duration
}

// Invite decides it.
func (a Agent) Invite(meta Meta, cmd Invite) ([]events.Fact, error) {
	switch {
	case !events.ValidName(cmd.Name) || !events.ValidName(string(cmd.Cluster)):
		return nil, ErrAgentNameInvalid
	case cmd.Life < time.Second || cmd.Life > MaxTokenLife:
		return nil, ErrTokenLife
	}
	return []events.Fact{events.EnrolmentTokenIssued{
		Agent: cmd.Agent, Name: cmd.Name, Cluster: cmd.Cluster,
		TokenHash: cmd.TokenHash, Expires: meta.Time.Add(cmd.Life).UTC(),
	}}, nil
}

// Enrol is an agent trading its token. Account was made for it by the caller.
type Enrol struct {
	TokenHash string
	Account   string
	UserKey   string
	BoxKey    string
	SignKey   string
	Version   string
	Expires   time.Time // of the first user JWT
}

// Enrol decides it: of many that come with the same token, one append wins.
func (a Agent) Enrol(meta Meta, cmd Enrol) ([]events.Fact, error) {
	known := subtle.ConstantTimeCompare([]byte(a.TokenHash), []byte(cmd.TokenHash)) == 1
	if a.State != events.AgentInvited || !known || a.TokenHash == "" || !meta.Time.Before(a.TokenEnds) {
		return nil, ErrTokenRefused
	}
	return []events.Fact{
		events.AgentEnrolled{Account: cmd.Account, UserKey: cmd.UserKey, BoxKey: cmd.BoxKey, SignKey: cmd.SignKey, Version: cmd.Version},
		events.AgentCredentialsIssued{UserKey: cmd.UserKey, Expires: cmd.Expires.UTC()},
	}, nil
}

// ExpireToken decides the end of a token that nobody used in time.
func (a Agent) ExpireToken(meta Meta) ([]events.Fact, error) {
	if a.State != events.AgentInvited || meta.Time.Before(a.TokenEnds) {
		return nil, nil
	}
	return []events.Fact{events.EnrolmentTokenExpired{}}, nil
}

// Renewed decides a new credential for the same key. An agent asks at half of its
// life, or when it is told to because what it has was issued before the key of now signed
// (current, zero if that is the first); one that asks all the time would only make its history
// long.
func (a Agent) Renewed(meta Meta, current, expires time.Time) ([]events.Fact, error) {
	if err := a.active(); err != nil {
		return nil, err
	}
	if !a.Outdated(meta.Time, current) && meta.Time.Before(a.issued.Add(a.ends.Sub(a.issued)/4)) {
		return nil, ErrRenewedAlready
	}
	return []events.Fact{events.AgentCredentialsIssued{UserKey: a.Enrolled.UserKey, Expires: expires.UTC()}}, nil
}

// Outdated reports whether the newest credential was issued before the key of now signed, which it
// does since current; zero if it is the first.
func (a Agent) Outdated(now, current time.Time) bool {
	return !current.IsZero() && !now.Before(current) && a.issued.Before(current)
}

// CredentialEnds is the end of the newest credential.
func (a Agent) CredentialEnds() time.Time { return a.ends }

// Heard decides a heartbeat: only the first after silence is a fact.
func (a Agent) Heard(_ Meta, version string) ([]events.Fact, error) {
	if err := a.active(); err != nil {
		return nil, err
	}
	if a.State == events.AgentOnline {
		return nil, nil
	}
	return []events.Fact{events.AgentConnected{Version: version}}, nil
}

// Silent decides that an agent was lost.
func (a Agent) Silent(_ Meta, lastSeen time.Time) ([]events.Fact, error) {
	if a.State != events.AgentOnline {
		return nil, nil
	}
	return []events.Fact{events.AgentLost{LastSeen: lastSeen.UTC()}}, nil
}

// Revoke decides the end of an agent or of an unused token.
func (a Agent) Revoke(_ Meta, reason string) ([]events.Fact, error) {
	reason = strings.TrimSpace(reason)
	switch {
	case a.State == "":
		return nil, ErrAgentUnknown
	case reason == "" || utf8.RuneCountInString(reason) > MaxReason, hasControl(reason):
		return nil, ErrReasonNeeded
	case a.State == events.AgentGone, a.State == events.AgentExpired:
		return nil, nil
	}
	return []events.Fact{events.AgentRevoked{Reason: reason}}, nil
}

func (a Agent) active() error {
	switch a.State {
	case events.AgentOffline, events.AgentOnline:
		return nil
	case events.AgentGone:
		return ErrAgentRevoked
	}
	return ErrAgentUnknown
}
