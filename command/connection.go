package command

import (
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// What can be wrong with a command about a connection.
var (
	ErrConnectionExists  = &Rejection{"connection_exists", "a connection of that name exists; choose another name"}
	ErrConnectionName    = &Rejection{"connection_name_invalid", "name the connection and its cluster with 1 to 40 of a-z, 0-9 and -, beginning with a letter"}
	ErrProviderUnknown   = &Rejection{"provider_unknown", "the provider is vault, aws-secrets-manager, azure-key-vault, gcp-secret-manager or file"}
	ErrDescriptionLength = &Rejection{"description_too_long", "shorten the description to 2000 characters"}
)

// ConnectionState is where a connection stands.
type ConnectionState string

// The states of a connection; the empty one is a name nobody has taken.
const (
	ConnectionActive   ConnectionState = "active"
	ConnectionDisabled ConnectionState = "disabled"
)

// Connection is a named secret store behind the agents of one cluster.
type Connection struct {
	ID       events.ConnectionID
	Provider events.ProviderKind
	Cluster  events.ClusterID
	State    ConnectionState

	// DiscoverEvery is how long after a scan the next one follows; 0 is never.
	DiscoverEvery time.Duration

	taken taken
}

// Evolve implements [State].
func (c Connection) Evolve(e events.Event) Connection {
	c.taken = c.taken.with(e.Command)
	switch f := e.Fact.(type) {
	case events.ConnectionCreated:
		c.ID, c.Provider, c.Cluster, c.State = f.Connection, f.Provider, f.Cluster, ConnectionActive
	case events.ConnectionDisabled:
		c.State = ConnectionDisabled
	case events.ConnectionEnabled:
		c.State = ConnectionActive
	case events.DiscoveryScheduled:
		c.DiscoverEvery = time.Duration(f.Every) * time.Second
	}
	return c
}

// Took implements [State].
func (c Connection) Took(id events.CommandID) bool { return c.taken.has(id) }

// Create decides a new connection.
func (c Connection) Create(_ Meta, cmd events.ConnectionCreated) ([]events.Fact, error) {
	switch {
	case c.State != "":
		return nil, ErrConnectionExists
	case !events.ValidName(string(cmd.Connection)) || !events.ValidName(string(cmd.Cluster)):
		return nil, ErrConnectionName
	case !cmd.Provider.Valid():
		return nil, ErrProviderUnknown
	case utf8.RuneCountInString(cmd.Description) > MaxReason:
		return nil, ErrDescriptionLength
	}
	return []events.Fact{cmd}, nil
}

// Disable decides that no new requests are taken.
func (c Connection) Disable(_ Meta, reason string) ([]events.Fact, error) {
	switch {
	case c.State == "":
		return nil, ErrConnectionUnknown
	case utf8.RuneCountInString(reason) > MaxReason:
		return nil, ErrReasonTooLong
	case c.State == ConnectionDisabled:
		return nil, nil
	}
	return []events.Fact{events.ConnectionDisabled{Reason: reason}}, nil
}

// Enable decides that requests are taken again.
func (c Connection) Enable(Meta) ([]events.Fact, error) {
	switch c.State {
	case "":
		return nil, ErrConnectionUnknown
	case ConnectionActive:
		return nil, nil
	}
	return []events.Fact{events.ConnectionEnabled{}}, nil
}

// Schedule decides how often the connection is scanned.
func (c Connection) Schedule(_ Meta, every time.Duration) ([]events.Fact, error) {
	switch {
	case c.State == "":
		return nil, ErrConnectionUnknown
	case every == c.DiscoverEvery:
		return nil, nil
	case every != 0 && (every < MinDiscoverEvery || every > MaxDiscoverEvery || every%time.Second != 0):
		return nil, ErrScheduleInvalid
	}
	return []events.Fact{events.DiscoveryScheduled{Every: int(every / time.Second)}}, nil
}
