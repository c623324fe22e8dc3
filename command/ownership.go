package command

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"secretsbridge/events"
)

// Bounds of what people say of secrets.
const (
	MaxOwner          = 128 // characters, of an environment likewise
	MaxOwnershipRules = 200
)

// What can be wrong with what people say of secrets.
var (
	ErrAssignment     = &Rejection{"assignment_invalid", fmt.Sprintf("an owner and an environment are plain text of at most %d characters", MaxOwner)}
	ErrOwnershipRule  = &Rejection{"ownership_rule_invalid", "a rule says an owner, an environment or which labels tell them"}
	ErrOwnershipMoved = &Rejection{"ownership_rules_moved", "somebody else changed the rules; read them again and change those"}
	ErrTooManyRules   = &Rejection{"too_many_rules", fmt.Sprintf("at most %d rules are allowed; let labels tell owners instead of one rule for each", MaxOwnershipRules)}
	ErrSecretUnlisted = &Rejection{"secret_unknown", "the inventory has no such secret; `sb secret list` shows those that scans have met"}
)

// Secret is what people say of one secret.
type Secret struct {
	Owner       string
	Environment string

	taken taken
}

// Evolve implements [State].
func (s Secret) Evolve(e events.Event) Secret {
	s.taken = s.taken.with(e.Command)
	if f, ok := e.Fact.(events.SecretAssigned); ok {
		s.Owner, s.Environment = f.Owner, f.Environment
	}
	return s
}

// Took implements [State].
func (s Secret) Took(id events.CommandID) bool { return s.taken.has(id) }

// Assign decides whose a secret is by hand. Empty fields are left to the rules.
func (s Secret) Assign(_ Meta, cmd events.SecretAssigned) ([]events.Fact, error) {
	switch {
	case !plainText(cmd.Owner) || !plainText(cmd.Environment):
		return nil, ErrAssignment
	case cmd.Owner == s.Owner && cmd.Environment == s.Environment:
		return nil, nil
	}
	return []events.Fact{cmd}, nil
}

func plainText(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= MaxOwner && !hasControl(s)
}

// Ownership is the list of rules that say whose secrets are.
type Ownership struct {
	Version int // 0: nobody made any
	Rules   []events.OwnershipRule
	taken   taken
}

// Evolve implements [State].
func (o Ownership) Evolve(e events.Event) Ownership {
	o.taken = o.taken.with(e.Command)
	if f, ok := e.Fact.(events.OwnershipRulesSet); ok {
		o.Version, o.Rules = f.Version, f.Rules
	}
	return o
}

// Took implements [State].
func (o Ownership) Took(id events.CommandID) bool { return o.taken.has(id) }

// OwnerOf is whose a secret is by the rules: the first that fits it and says an owner counts. It is
// empty if none does. What people said of the secret by hand comes before.
func (o Ownership) OwnerOf(connection events.ConnectionID, ref string, labels map[string]string) string {
	for _, r := range o.Rules {
		owner := r.Owner
		if owner == "" && r.OwnerLabel != "" {
			owner = labels[r.OwnerLabel]
		}
		if owner != "" && concerns(r, connection, ref, labels) {
			return owner
		}
	}
	return ""
}

// concerns reports whether a rule of ownership is about a secret.
func concerns(r events.OwnershipRule, connection events.ConnectionID, ref string, labels map[string]string) bool {
	if r.Connection != "" && r.Connection != connection || !strings.HasPrefix(ref, r.Prefix) {
		return false
	}
	for name, want := range r.Labels {
		if value, there := labels[name]; !there || value != want {
			return false
		}
	}
	return true
}

// Set decides other rules, on top of the version that the caller has read.
func (o Ownership) Set(_ Meta, on int, rules []events.OwnershipRule) ([]events.Fact, error) {
	if len(rules) > MaxOwnershipRules {
		return nil, ErrTooManyRules
	}
	for i, r := range rules {
		if fault := ruleFault(r); fault != "" {
			return nil, ErrOwnershipRule.because(fmt.Sprintf("rule %d: %s", i+1, fault))
		}
	}
	switch {
	case on != o.Version:
		return nil, ErrOwnershipMoved
	case len(rules) == 0 && len(o.Rules) == 0, reflect.DeepEqual(rules, o.Rules):
		return nil, nil
	}
	return []events.Fact{events.OwnershipRulesSet{Version: o.Version + 1, Rules: rules}}, nil
}

func ruleFault(r events.OwnershipRule) string {
	switch {
	case r.Owner == "" && r.OwnerLabel == "" && r.Environment == "" && r.EnvironmentLabel == "":
		return "it says no owner and no environment"
	case r.Owner != "" && r.OwnerLabel != "":
		return "it says an owner, and a label that tells the owner"
	case r.Environment != "" && r.EnvironmentLabel != "":
		return "it says an environment, and a label that tells the environment"
	case !plainText(r.Owner) || !plainText(r.Environment):
		return fmt.Sprintf("an owner and an environment are plain text of at most %d characters", MaxOwner)
	case r.Connection != "" && !events.ValidName(string(r.Connection)):
		return "the connection has no name that a connection can have"
	case len(r.Prefix) > MaxRef || !utf8.ValidString(r.Prefix) || hasControl(r.Prefix):
		return fmt.Sprintf("the prefix is plain text of at most %d bytes", MaxRef)
	case !events.ValidLabels(r.Labels) || len(r.OwnerLabel) > events.MaxLabelName || len(r.EnvironmentLabel) > events.MaxLabelName ||
		!utf8.ValidString(r.OwnerLabel) || !utf8.ValidString(r.EnvironmentLabel):
		return "a label is beyond the limits"
	}
	return ""
}
