package events

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// SecretID names a secret of the inventory: "i_…". It follows from connection and ref, so
// it is known before the secret was ever seen, and the same for ever.
type SecretID string

// SecretOf is the id of the secret with that ref.
func SecretOf(connection ConnectionID, ref string) SecretID {
	return SecretID(derive("i_", []string{"secret", string(connection), ref}))
}

// Bounds of what is kept of one secret and of a page. Labels are the provider's own: the
// most that any of them takes are 64 (Vault, GCP), names of 128 characters (AWS, Vault)
// and values of 512 bytes (Vault) or 256 characters (AWS, Azure).
const (
	MaxLabels      = 64
	MaxLabelName   = 512  // bytes
	MaxLabelValue  = 1024 // bytes
	MaxPageSecrets = 500
	MaxPageBytes   = 512 << 10 // of JSON; a commit takes twice as much
)

// SecretMetadata is what a provider says of a secret without showing its value.
type SecretMetadata struct {
	Ref     string            `json:"ref"`
	Labels  map[string]string `json:"labels,omitempty"`  // the provider's own, as they are
	Version string            `json:"version,omitempty"` // of the current version; empty where the provider does not list it
	Created time.Time         `json:"created,omitzero"`  // of the secret
	Updated time.Time         `json:"updated,omitzero"`  // of the current version
}

// ValidLabels reports whether labels are within the limits, and UTF-8 without U+0000, which
// no database column holds.
func ValidLabels(labels map[string]string) bool {
	if len(labels) > MaxLabels {
		return false
	}
	for name, value := range labels {
		if name == "" || len(name) > MaxLabelName || len(value) > MaxLabelValue || !utf8.ValidString(name) || !utf8.ValidString(value) ||
			strings.ContainsRune(name, 0) || strings.ContainsRune(value, 0) {
			return false
		}
	}
	return true
}

// PageStream is the history of one page of a scan: what it found is one commit there, so
// the same page again is known for what it is.
func PageStream(scan JobID, page int) Stream {
	return Stream{AggregateInventory, string(scan) + "-" + itoa(page)}
}

// GoneStream is the history of one page of what a scan did not meet, from 1. It is none of
// the pages that an agent sends: of those there may be more when the scan ends once more.
func GoneStream(scan JobID, page int) Stream {
	return Stream{AggregateInventory, string(scan) + "-gone-" + itoa(page)}
}

// SecretsFound are secrets that were not in the inventory, or gone from it.
type SecretsFound struct {
	Scan       JobID            `json:"scan"`
	Connection ConnectionID     `json:"connection"`
	Secrets    []SecretMetadata `json:"secrets"`
}

// SecretsChanged are secrets with other labels, another version or other times.
type SecretsChanged struct {
	Scan       JobID            `json:"scan"`
	Connection ConnectionID     `json:"connection"`
	Secrets    []SecretMetadata `json:"secrets"`
}

// SecretsGone are secrets that a complete scan did not meet.
type SecretsGone struct {
	Scan       JobID        `json:"scan"`
	Connection ConnectionID `json:"connection"`
	Refs       []string     `json:"refs"`
}

// SecretStream is the history of what people say of one secret.
func SecretStream(id SecretID) Stream { return Stream{AggregateSecret, string(id)} }

// SecretAssigned says by hand whose a secret is and what it serves. It takes the place of
// what rules say; an empty field leaves that one to the rules.
type SecretAssigned struct {
	Secret      SecretID     `json:"secret"`
	Connection  ConnectionID `json:"connection"`
	Ref         string       `json:"ref"`
	Owner       string       `json:"owner,omitempty"`
	Environment string       `json:"environment,omitempty"`
}

// SecretKeysListed says that somebody was told the names of a secret's keys. The names
// themselves are not kept.
type SecretKeysListed struct {
	Secret  SecretID `json:"secret"`
	Job     JobID    `json:"job"`
	By      UserID   `json:"by"`
	Keys    int      `json:"keys"`
	Version string   `json:"version,omitempty"`
}

// SettingOwnership is the stream of the rules that say whose secrets are.
func SettingOwnership() Stream { return Stream{AggregateSetting, "ownership"} }

// OwnershipRulesSet replaces all rules. For each secret and field the first rule counts
// that matches and says something.
type OwnershipRulesSet struct {
	Version int             `json:"version"` // from 1
	Rules   []OwnershipRule `json:"rules,omitempty"`
}

// OwnershipRule says whose the secrets are that match all that it names. One with only a
// connection and a prefix binds a part of a store; one with labels follows the labels.
type OwnershipRule struct {
	Connection ConnectionID      `json:"connection,omitempty"`
	Prefix     string            `json:"prefix,omitempty"` // of the ref, as text
	Labels     map[string]string `json:"labels,omitempty"` // all of them, exactly

	Owner            string `json:"owner,omitempty"`             // said by the rule, or
	OwnerLabel       string `json:"owner_label,omitempty"`       // by the value of this label
	Environment      string `json:"environment,omitempty"`       // likewise
	EnvironmentLabel string `json:"environment_label,omitempty"` // likewise
}

// DiscoveryScheduled says how often a connection is scanned: each Every seconds after the
// last scan was over, or with 0 only when somebody asks.
type DiscoveryScheduled struct {
	Every int `json:"every_seconds"`
}

func itoa(n int) string { return strconv.Itoa(n) }

func (SecretsFound) fact()       {}
func (SecretsChanged) fact()     {}
func (SecretsGone) fact()        {}
func (SecretAssigned) fact()     {}
func (SecretKeysListed) fact()   {}
func (OwnershipRulesSet) fact()  {}
func (DiscoveryScheduled) fact() {}
