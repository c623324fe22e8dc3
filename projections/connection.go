package projections

import (
	"time"

	"secretsbridge/events"
)

// Connection is one named secret store.
type Connection struct {
	Name           events.ConnectionID `json:"name" db:"name"`
	Seq            events.Seq          `json:"seq" db:"seq"`
	LastSeq        events.Seq          `json:"last_seq" db:"last_seq"`
	State          ConnectionState     `json:"state" db:"state"`
	Provider       events.ProviderKind `json:"provider" db:"provider"`
	Cluster        events.ClusterID    `json:"cluster" db:"cluster"`
	Description    string              `json:"description,omitempty" db:"description"`
	DisabledReason string              `json:"disabled_reason,omitempty" db:"disabled_reason"`
	CreatedAt      time.Time           `json:"created_at" db:"created_at"`
	CreatedBy      events.Actor        `json:"created_by" db:"created_by"`
	ChangedAt      time.Time           `json:"changed_at" db:"changed_at"`
	DiscoverEvery  int                 `json:"discover_every_seconds" db:"discover_every"` // 0: only when somebody asks
}

// ConnectionState tells whether new requests are taken.
type ConnectionState string

// The states of a connection.
const (
	ConnectionActive   ConnectionState = "active"
	ConnectionDisabled ConnectionState = "disabled"
)

func (c *Connection) fold(seq events.Seq, e events.Event) {
	at := stored(e.Time)
	if f, ok := e.Fact.(events.ConnectionCreated); ok && c.Name == "" {
		*c = Connection{
			Name: events.ConnectionID(e.Stream.ID), Seq: seq, State: ConnectionActive,
			Provider: clean(f.Provider), Cluster: clean(f.Cluster), Description: clean(f.Description),
			CreatedAt: at, CreatedBy: clean(e.Actor),
		}
	}
	if c.Name == "" {
		return
	}
	c.LastSeq, c.ChangedAt = seq, at
	switch f := e.Fact.(type) {
	case events.ConnectionDisabled:
		c.State, c.DisabledReason = ConnectionDisabled, clean(f.Reason)
	case events.ConnectionEnabled:
		c.State, c.DisabledReason = ConnectionActive, ""
	case events.DiscoveryScheduled:
		c.DiscoverEvery = f.Every
	}
}
