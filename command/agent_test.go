package command_test

import (
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

func TestAgents(t *testing.T) {
	issued := events.EnrolmentTokenIssued{Agent: first, Name: "one", Cluster: "demo", TokenHash: "h", Expires: noon.Add(10 * time.Minute)}
	enrolled := events.AgentEnrolled{Account: "A1", UserKey: "U1", BoxKey: "x25519:k", Version: "1"}
	credentials := events.AgentCredentialsIssued{UserKey: "U1", Expires: noon.Add(time.Hour)}
	connected, lost := events.AgentConnected{Version: "1"}, events.AgentLost{LastSeen: noon}
	revoked := events.AgentRevoked{Reason: "stolen"}
	trade := func(hash string, at time.Time) func(command.Agent) ([]events.Fact, error) {
		return func(a command.Agent) ([]events.Fact, error) {
			return a.Enrol(command.Meta{Time: at}, command.Enrol{
				TokenHash: hash, Account: "A1", UserKey: "U1", BoxKey: "x25519:k", Version: "1", Expires: noon.Add(time.Hour),
			})
		}
	}
	invite := func(name string, life time.Duration) func(command.Agent) ([]events.Fact, error) {
		return func(a command.Agent) ([]events.Fact, error) {
			return a.Invite(meta, command.Invite{Agent: first, Name: name, Cluster: "demo", TokenHash: "h", Life: life})
		}
	}
	heard := func(a command.Agent) ([]events.Fact, error) { return a.Heard(meta, "1") }
	silent := func(a command.Agent) ([]events.Fact, error) { return a.Silent(meta, noon) }
	revoke := func(a command.Agent) ([]events.Fact, error) { return a.Revoke(meta, "stolen") }
	renew := func(a command.Agent) ([]events.Fact, error) { return a.Renewed(meta, time.Time{}, noon.Add(time.Hour)) }
	// Facts of a given history are of noon or a little before; a key of now is later by so much.
	rekeyed := func(after time.Duration) func(command.Agent) ([]events.Fact, error) {
		return func(a command.Agent) ([]events.Fact, error) {
			return a.Renewed(command.Meta{Time: noon.Add(time.Minute)}, noon.Add(after), noon.Add(time.Hour))
		}
	}
	expired := events.EnrolmentTokenExpired{}
	ends := func(at time.Time) func(command.Agent) ([]events.Fact, error) {
		return func(a command.Agent) ([]events.Fact, error) { return a.ExpireToken(command.Meta{Time: at}) }
	}
	tests := []struct {
		name  string
		given []events.Fact
		when  func(command.Agent) ([]events.Fact, error)
		then  []events.Fact
		err   error
	}{
		{"an operator invites", nil, invite("one", 10*time.Minute), []events.Fact{issued}, nil},
		{"a token of sixteen minutes is refused", nil, invite("one", 16*time.Minute), nil, command.ErrTokenLife},
		{"a strange name is refused", nil, invite("One!", time.Minute), nil, command.ErrAgentNameInvalid},
		{"the token is traded", []events.Fact{issued}, trade("h", noon), []events.Fact{enrolled, credentials}, nil},
		{"a wrong token is refused", []events.Fact{issued}, trade("x", noon), nil, command.ErrTokenRefused},
		{"a token at its end is refused", []events.Fact{issued}, trade("h", issued.Expires), nil, command.ErrTokenRefused},
		{"a used token is refused", []events.Fact{issued, enrolled}, trade("h", noon), nil, command.ErrTokenRefused},
		{"a revoked token is refused", []events.Fact{issued, revoked}, trade("h", noon), nil, command.ErrTokenRefused},
		{"an unused token ends", []events.Fact{issued}, ends(issued.Expires), []events.Fact{expired}, nil},
		{"but not early", []events.Fact{issued}, ends(issued.Expires.Add(-time.Nanosecond)), nil, nil},
		{"nor twice", []events.Fact{issued, expired}, ends(issued.Expires), nil, nil},
		{"nor when it was traded", []events.Fact{issued, enrolled}, ends(issued.Expires), nil, nil},
		{"nor when it was revoked", []events.Fact{issued, revoked}, ends(issued.Expires), nil, nil},
		{"a token whose end was told is refused, whatever the clock says", []events.Fact{issued, expired}, trade("h", noon), nil, command.ErrTokenRefused},
		{"and there is nothing to revoke", []events.Fact{issued, expired}, revoke, nil, nil},
		{"no token at all is refused", nil, trade("", noon), nil, command.ErrTokenRefused},
		{"the first heartbeat is a fact", []events.Fact{issued, enrolled}, heard, []events.Fact{connected}, nil},
		{"the next one is not", []events.Fact{issued, enrolled, connected}, heard, nil, nil},
		{"one after silence is", []events.Fact{issued, enrolled, connected, lost}, heard, []events.Fact{connected}, nil},
		{"silence is a fact once", []events.Fact{issued, enrolled, connected}, silent, []events.Fact{lost}, nil},
		{"silence of the silent is not", []events.Fact{issued, enrolled, connected, lost}, silent, nil, nil},
		{"a revoked agent is not heard", []events.Fact{issued, enrolled, revoked}, heard, nil, command.ErrAgentRevoked},
		{"nor renewed", []events.Fact{issued, enrolled, revoked}, renew, nil, command.ErrAgentRevoked},
		{"an invited one is not renewed", []events.Fact{issued}, renew, nil, command.ErrAgentUnknown},
		{"a credential is renewed when its life goes on", []events.Fact{issued, enrolled, events.AgentCredentialsIssued{UserKey: "U1", Expires: noon.Add(-time.Hour)}}, renew, []events.Fact{credentials}, nil},
		{"and not right after it was issued", []events.Fact{issued, enrolled, credentials}, renew, nil, command.ErrRenewedAlready},
		{"but when it was issued before the key of now signed", []events.Fact{issued, enrolled, credentials}, rekeyed(time.Second), []events.Fact{credentials}, nil},
		{"and not before that key signs", []events.Fact{issued, enrolled, credentials}, rekeyed(2 * time.Hour), nil, command.ErrRenewedAlready},
		{"an operator revokes", []events.Fact{issued, enrolled}, revoke, []events.Fact{revoked}, nil},
		{"not without a reason", []events.Fact{issued, enrolled}, func(a command.Agent) ([]events.Fact, error) { return a.Revoke(meta, " ") }, nil, command.ErrReasonNeeded},
		{"twice is once", []events.Fact{issued, enrolled, revoked}, revoke, nil, nil},
		{"nobody to revoke", nil, revoke, nil, command.ErrAgentUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.when(commandtest.Fold[command.Agent](tt.given...))
			commandtest.Then(t, got, err, tt.then, tt.err)
		})
	}
}

func TestConnections(t *testing.T) {
	created := events.ConnectionCreated{Connection: "file", Provider: events.ProviderFile, Cluster: "demo"}
	create := func(c events.ConnectionCreated) func(command.Connection) ([]events.Fact, error) {
		return func(s command.Connection) ([]events.Fact, error) { return s.Create(meta, c) }
	}
	disable := func(c command.Connection) ([]events.Fact, error) { return c.Disable(meta, "broken") }
	enable := func(c command.Connection) ([]events.Fact, error) { return c.Enable(meta) }
	disabled := events.ConnectionDisabled{Reason: "broken"}
	strange, nowhere := created, created
	strange.Provider, nowhere.Cluster = "paper", "Nowhere"
	tests := []struct {
		name  string
		given []events.Fact
		when  func(command.Connection) ([]events.Fact, error)
		then  []events.Fact
		err   error
	}{
		{"a name is taken", nil, create(created), []events.Fact{created}, nil},
		{"a name is taken once", []events.Fact{created}, create(created), nil, command.ErrConnectionExists},
		{"an unknown provider is refused", nil, create(strange), nil, command.ErrProviderUnknown},
		{"a strange cluster is refused", nil, create(nowhere), nil, command.ErrConnectionName},
		{"it is disabled", []events.Fact{created}, disable, []events.Fact{disabled}, nil},
		{"disabling twice is silent", []events.Fact{created, disabled}, disable, nil, nil},
		{"it is enabled", []events.Fact{created, disabled}, enable, []events.Fact{events.ConnectionEnabled{}}, nil},
		{"there must be one", nil, enable, nil, command.ErrConnectionUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.when(commandtest.Fold[command.Connection](tt.given...))
			commandtest.Then(t, got, err, tt.then, tt.err)
		})
	}
}
