package projections

import (
	"maps"
	"slices"
	"strings"
	"time"

	"secretsbridge/events"
)

// Secret is one secret of the inventory: where it is and what its provider says of it,
// never what it holds.
type Secret struct {
	ID              events.SecretID     `json:"id" db:"id"`
	Connection      events.ConnectionID `json:"connection" db:"connection"`
	Cluster         events.ClusterID    `json:"cluster" db:"cluster"`
	Provider        events.ProviderKind `json:"provider" db:"provider"`
	Ref             string              `json:"ref" db:"ref"`
	Labels          map[string]string   `json:"labels" db:"labels"` // never nil
	Version         string              `json:"version,omitempty" db:"version"`
	CreatedAt       *time.Time          `json:"created_at,omitempty" db:"created_at"` // the provider's
	UpdatedAt       *time.Time          `json:"updated_at,omitempty" db:"updated_at"` // the provider's, of the version
	RotatedAt       *time.Time          `json:"rotated_at,omitempty" db:"rotated_at"` // UpdatedAt, or else CreatedAt
	FirstSeenAt     time.Time           `json:"first_seen_at" db:"first_seen_at"`     // by a scan
	LastSeenAt      time.Time           `json:"last_seen_at" db:"last_seen_at"`       // see [Secrets]
	Status          SecretStatus        `json:"status" db:"status"`
	GoneAt          *time.Time          `json:"gone_at,omitempty" db:"gone_at"`                   // when a scan missed it
	Owner           string              `json:"owner,omitempty" db:"owner"`                       // empty: nobody
	OwnerFrom       AssignedFrom        `json:"owner_from,omitempty" db:"owner_from"`             // empty: nobody said
	Environment     string              `json:"environment,omitempty" db:"environment"`           // empty: none
	EnvironmentFrom AssignedFrom        `json:"environment_from,omitempty" db:"environment_from"` // empty: nobody said
	Seq             events.Seq          `json:"seq" db:"seq"`                                     // of the commit that first named it
	LastSeq         events.Seq          `json:"last_seq" db:"last_seq"`                           // of the newest about it
}

// SecretStatus tells whether the last complete scan met a secret.
type SecretStatus string

// The states of a secret.
const (
	SecretPresent SecretStatus = "present"
	SecretGone    SecretStatus = "gone"
)

// AssignedFrom is who says whose a secret is.
type AssignedFrom string

// Who can say it.
const (
	ByHand AssignedFrom = "hand"
	ByRule AssignedFrom = "rule"
)

// kept is metadata as the views hold it: in texts that Postgres takes, and times of whole
// microseconds.
func kept(m events.SecretMetadata) events.SecretMetadata {
	m.Ref, m.Version, m.Labels = clean(m.Ref), clean(m.Version), cleanLabels(m.Labels)
	if !m.Created.IsZero() {
		m.Created = stored(m.Created)
	}
	if !m.Updated.IsZero() {
		m.Updated = stored(m.Updated)
	}
	return m
}

// cleanLabels also makes none an empty map, which is not null in JSON. Of names that are
// the same when cleaned the first in the order of their bytes counts.
func cleanLabels(labels map[string]string) map[string]string {
	cleaned := make(map[string]string, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if _, twice := cleaned[clean(name)]; !twice {
			cleaned[clean(name)] = clean(labels[name])
		}
	}
	return cleaned
}

// secretRow is a row of the view, without what is derived from other tables.
type secretRow struct {
	Place       int64               `db:"place"`
	ID          events.SecretID     `db:"id"`
	Connection  events.ConnectionID `db:"connection"`
	Ref         string              `db:"ref"`
	Labels      map[string]string   `db:"labels"`
	Words       string              `db:"words"`
	Version     string              `db:"version"`
	ToldVersion string              `db:"told_version"` // the last one that was not empty, such as before it was disabled
	CreatedAt   *time.Time          `db:"created_at"`
	UpdatedAt   *time.Time          `db:"updated_at"`
	RotatedAt   *time.Time          `db:"rotated_at"`
	FirstSeenAt time.Time           `db:"first_seen_at"`
	SeenAt      time.Time           `db:"seen_at"`
	Status      SecretStatus        `db:"status"`
	GoneAt      *time.Time          `db:"gone_at"`
	Seq         events.Seq          `db:"seq"`
	LastSeq     events.Seq          `db:"last_seq"`
}

// set takes what a provider says, already cleaned by [kept].
func (s *secretRow) set(m events.SecretMetadata, seq events.Seq, at time.Time) {
	s.Ref, s.Labels, s.Version = m.Ref, m.Labels, m.Version
	if m.Version != "" {
		s.ToldVersion = m.Version
	}
	s.CreatedAt, s.UpdatedAt, s.RotatedAt = nil, nil, nil
	if !m.Created.IsZero() {
		s.CreatedAt, s.RotatedAt = &m.Created, &m.Created
	}
	if !m.Updated.IsZero() {
		s.UpdatedAt, s.RotatedAt = &m.Updated, &m.Updated
	}
	s.Words = words(s.Ref, s.Labels)
	s.Status, s.GoneAt, s.SeenAt, s.LastSeq = SecretPresent, nil, at, seq
}

// words is what a search for a text looks through: the ref and the values of labels, in
// lower case, one a line.
func words(ref string, labels map[string]string) string {
	var b strings.Builder
	b.WriteString(ref)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		b.WriteByte('\n')
		b.WriteString(labels[name])
	}
	return strings.ToLower(b.String())
}

var secretTable = newTable("secrets", []string{"id"},
	number("place", func(s *secretRow) uint64 { return uint64(s.Place) }),
	text("id", func(s *secretRow) events.SecretID { return s.ID }),
	text("connection", func(s *secretRow) events.ConnectionID { return s.Connection }),
	text("ref", func(s *secretRow) string { return s.Ref }),
	documentAs("jsonb", "labels", func(s *secretRow) map[string]string { return s.Labels }),
	text("words", func(s *secretRow) string { return s.Words }),
	text("version", func(s *secretRow) string { return s.Version }),
	text("told_version", func(s *secretRow) string { return s.ToldVersion }),
	perhaps("created_at", func(s *secretRow) *time.Time { return s.CreatedAt }),
	perhaps("updated_at", func(s *secretRow) *time.Time { return s.UpdatedAt }),
	perhaps("rotated_at", func(s *secretRow) *time.Time { return s.RotatedAt }),
	instant("first_seen_at", func(s *secretRow) time.Time { return s.FirstSeenAt }),
	instant("seen_at", func(s *secretRow) time.Time { return s.SeenAt }),
	text("status", func(s *secretRow) SecretStatus { return s.Status }),
	perhaps("gone_at", func(s *secretRow) *time.Time { return s.GoneAt }),
	number("seq", func(s *secretRow) events.Seq { return s.Seq }),
	number("last_seq", func(s *secretRow) events.Seq { return s.LastSeq }),
)
