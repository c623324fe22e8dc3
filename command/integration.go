package command

import (
	"fmt"
	"reflect"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// Bounds of integrations. An overlap of a week is enough for a receiver that is deployed once a
// week; two keys at most are live, as receivers of Standard Webhooks expect of a rotation.
const (
	MaxMappings    = 200 // of one integration
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 7 * 24 * time.Hour
)

// What can be wrong with a command about an integration.
var (
	ErrIntegrationUnknown  = &Rejection{"integration_unknown", "there is no such integration; `sb integration list` shows those there are"}
	ErrIntegrationExists   = &Rejection{"integration_exists", "an integration of that name exists, or did; choose another name"}
	ErrIntegrationName     = &Rejection{"integration_name_invalid", "name the integration with 1 to 40 of a-z, 0-9 and -, beginning with a letter"}
	ErrIntegrationKind     = &Rejection{"integration_kind_unknown", "the kind is webhook, slack, teams, argo-cd, flux or kubernetes"}
	ErrIntegrationSettings = &Rejection{"integration_settings_invalid", "the settings are not those of that kind; docs/how-to/integrations.md lists them"}
	ErrIntegrationSecret   = &Rejection{"integration_secret_invalid", "the secret is none that this kind has, or is not in its form"}
	ErrIntegrationToken    = &Rejection{"integration_token_needed", "send the token along: it goes to another address or is shown to other authorities now"}
	ErrIntegrationDisabled = &Rejection{"integration_disabled", "the integration is disabled; enable it first: `sb integration enable`"}
	ErrIntegrationWrong    = &Rejection{"integration_kind_wrong", "integrations of this kind do not do that"}
	ErrMappingInvalid      = &Rejection{"mapping_invalid", "the mapping is not in its form; docs/how-to/integrations.md shows some"}
	ErrMappingUnknown      = &Rejection{"mapping_unknown", "the integration has no such mapping"}
	ErrMappingExists       = &Rejection{"mapping_exists", "there is that mapping already"}
	ErrTooManyMappings     = &Rejection{"too_many_mappings", fmt.Sprintf("an integration has at most %d mappings; map by labels instead of one for each secret", MaxMappings)}
)

// IntegrationState is where an integration stands.
type IntegrationState string

// The states of an integration; the empty one is a name nobody has taken.
const (
	IntegrationActive   IntegrationState = "active"
	IntegrationDisabled IntegrationState = "disabled"
	IntegrationGone     IntegrationState = "removed"
)

// Integration is something outside that is told of facts, or that is looked at.
type Integration struct {
	ID       events.IntegrationID
	Kind     events.IntegrationKind
	State    IntegrationState
	Settings events.IntegrationSettings
	Secrets  []events.IntegrationSecretSet // the newest of each
	Mappings []events.MappingAdded         // those that count

	taken taken
}

// Evolve implements [State].
func (i Integration) Evolve(e events.Event) Integration {
	i.taken = i.taken.with(e.Command)
	switch f := e.Fact.(type) {
	case events.IntegrationCreated:
		i.ID, i.Kind, i.Settings, i.State = f.Integration, f.Kind, f.Settings, IntegrationActive
	case events.IntegrationChanged:
		i.Settings = f.Settings
	case events.IntegrationSecretSet:
		i.Secrets = append(without(i.Secrets, func(s events.IntegrationSecretSet) bool { return s.Secret == f.Secret }), f)
	case events.IntegrationDisabled:
		i.State = IntegrationDisabled
	case events.IntegrationEnabled:
		i.State = IntegrationActive
	case events.IntegrationRemoved:
		i.State, i.Secrets, i.Mappings = IntegrationGone, nil, nil
	case events.MappingAdded:
		i.Mappings = append(i.Mappings[:len(i.Mappings):len(i.Mappings)], f)
	case events.MappingRemoved:
		i.Mappings = without(i.Mappings, func(m events.MappingAdded) bool { return m.Mapping == f.Mapping })
	}
	return i
}

// Took implements [State].
func (i Integration) Took(id events.CommandID) bool { return i.taken.has(id) }

// Known refuses an integration that is not there, or is no more.
func (i Integration) Known() error {
	if i.State == "" || i.State == IntegrationGone {
		return ErrIntegrationUnknown
	}
	return nil
}

// Version is that of the newest secret of a kind, 0 if there is none.
func (i Integration) Version(what events.IntegrationSecret) int {
	for _, s := range i.Secrets {
		if s.Secret == what {
			return s.Version
		}
	}
	return 0
}

// SecretsOf are the secrets that an integration of a kind has: all of them, from the beginning.
func SecretsOf(kind events.IntegrationKind) []events.IntegrationSecret {
	switch kind {
	case events.IntegrationWebhook:
		return []events.IntegrationSecret{events.IntegrationURL, events.IntegrationSigningKey}
	case events.IntegrationSlack, events.IntegrationTeams:
		return []events.IntegrationSecret{events.IntegrationURL}
	case events.IntegrationArgoCD:
		return []events.IntegrationSecret{events.IntegrationToken}
	}
	return nil
}

// Create decides a new integration with the secrets of its kind, which lie sealed under a key of
// the key manager.
func (i Integration) Create(_ Meta, cmd events.IntegrationCreated, kmsKey string) ([]events.Fact, error) {
	switch {
	case !events.ValidName(string(cmd.Integration)):
		return nil, ErrIntegrationName
	case i.State != "":
		return nil, ErrIntegrationExists
	case !cmd.Kind.Valid():
		return nil, ErrIntegrationKind
	}
	if err := CheckSettings(cmd.Kind, cmd.Settings); err != nil {
		return nil, err
	}
	facts := []events.Fact{cmd}
	for _, what := range SecretsOf(cmd.Kind) {
		facts = append(facts, events.IntegrationSecretSet{Secret: what, Version: 1, KMSKey: kmsKey})
	}
	return facts, nil
}

// ChangeIntegration is other settings, perhaps with a new token.
type ChangeIntegration struct {
	Settings events.IntegrationSettings // Address of what is told is left as it is
	Token    bool                       // there is a new one
	KMSKey   string                     // that it is sealed under
}

// Change decides other settings. Where Argo CD's token goes to another address, or is shown to
// whom other authorities vouch for, it must come along: else whoever may change the settings
// would learn a token that they do not have.
func (i Integration) Change(meta Meta, cmd ChangeIntegration) ([]events.Fact, error) {
	if err := i.Known(); err != nil {
		return nil, err
	}
	settings := cmd.Settings
	switch {
	case i.Kind.Told() && settings.Address != "":
		return nil, ErrIntegrationSettings.because("rotate the url to send elsewhere: `sb integration rotate`")
	case i.Kind.Told():
		settings.Address = i.Settings.Address
	case cmd.Token && i.Kind != events.IntegrationArgoCD:
		return nil, ErrIntegrationSecret.because("only argo-cd has a token")
	}
	if err := CheckSettings(i.Kind, settings); err != nil {
		return nil, err
	}
	if i.Kind == events.IntegrationArgoCD && !cmd.Token && (settings.Address != i.Settings.Address || settings.CA != i.Settings.CA) {
		return nil, ErrIntegrationToken
	}
	var facts []events.Fact
	if !reflect.DeepEqual(settings, i.Settings) {
		facts = append(facts, events.IntegrationChanged{Settings: settings})
	}
	if cmd.Token {
		facts = append(facts, i.next(meta, events.IntegrationToken, cmd.KMSKey, 0))
	}
	return facts, nil
}

// RotateSecret puts another secret in the place of one.
type RotateSecret struct {
	Secret  events.IntegrationSecret
	KMSKey  string        // that it is sealed under
	Overlap time.Duration // of a signing key: how long the one before signs, too
	Host    string        // of a url: where it leads
}

// Rotate decides that another secret counts from now on.
func (i Integration) Rotate(meta Meta, cmd RotateSecret) ([]events.Fact, error) {
	if err := i.Known(); err != nil {
		return nil, err
	}
	had := false
	for _, what := range SecretsOf(i.Kind) {
		had = had || what == cmd.Secret
	}
	switch {
	case !had:
		return nil, ErrIntegrationSecret.because("an integration of kind " + string(i.Kind) + " has no such secret")
	case cmd.Secret != events.IntegrationSigningKey && cmd.Overlap != 0:
		return nil, ErrIntegrationSecret.because("only a signing_key overlaps with the one before")
	case cmd.Overlap < 0 || cmd.Overlap > MaxOverlap:
		return nil, ErrIntegrationSecret.because(fmt.Sprintf("keys overlap for 0 to %d seconds", int(MaxOverlap/time.Second)))
	}
	var facts []events.Fact
	if cmd.Secret == events.IntegrationURL && cmd.Host != i.Settings.Address {
		settings := i.Settings
		settings.Address = cmd.Host
		facts = append(facts, events.IntegrationChanged{Settings: settings})
	}
	return append(facts, i.next(meta, cmd.Secret, cmd.KMSKey, cmd.Overlap)), nil
}

func (i Integration) next(meta Meta, what events.IntegrationSecret, kmsKey string, overlap time.Duration) events.Fact {
	set := events.IntegrationSecretSet{Secret: what, Version: i.Version(what) + 1, KMSKey: kmsKey}
	if overlap > 0 {
		set.Overlap = meta.Time.Add(overlap).UTC()
	}
	return set
}

// Disable decides that nothing is sent or looked at.
func (i Integration) Disable(_ Meta, reason string) ([]events.Fact, error) {
	switch {
	case i.Known() != nil:
		return nil, ErrIntegrationUnknown
	case utf8.RuneCountInString(reason) > MaxReason:
		return nil, ErrReasonTooLong
	case i.State == IntegrationDisabled:
		return nil, nil
	}
	return []events.Fact{events.IntegrationDisabled{Reason: reason}}, nil
}

// Enable decides that it goes on.
func (i Integration) Enable(Meta) ([]events.Fact, error) {
	switch {
	case i.Known() != nil:
		return nil, ErrIntegrationUnknown
	case i.State == IntegrationActive:
		return nil, nil
	}
	return []events.Fact{events.IntegrationEnabled{}}, nil
}

// Remove decides its end.
func (i Integration) Remove(_ Meta, reason string) ([]events.Fact, error) {
	switch {
	case i.Known() != nil:
		return nil, ErrIntegrationUnknown
	case utf8.RuneCountInString(reason) > MaxReason:
		return nil, ErrReasonTooLong
	}
	return []events.Fact{events.IntegrationRemoved{Reason: reason}}, nil
}

// Map decides that an application uses some secrets.
func (i Integration) Map(meta Meta, secrets events.MappedSecrets, target events.RolloutTarget, discovered bool) ([]events.Fact, error) {
	switch {
	case i.Known() != nil:
		return nil, ErrIntegrationUnknown
	case !i.Kind.Watched():
		return nil, ErrIntegrationWrong.because("integrations of kind " + string(i.Kind) + " are told, and look at no applications")
	}
	if err := checkMapping(i.Kind, secrets, target); err != nil {
		return nil, err
	}
	added := events.MappingAdded{Mapping: events.MappingOf(meta.Command), Secrets: secrets, Target: target, Origin: events.MappedByHand}
	switch {
	case len(secrets.Labels) > 0 && discovered:
		return nil, ErrMappingInvalid.because("what is found names one secret: send its ref")
	case len(secrets.Labels) > 0:
		added.Origin = events.MappedByRule
	case discovered:
		added.Origin = events.MappedDiscovered
	}
	for _, m := range i.Mappings {
		if reflect.DeepEqual(m.Secrets, secrets) && m.Target == target {
			return nil, ErrMappingExists
		}
	}
	if len(i.Mappings) >= MaxMappings {
		return nil, ErrTooManyMappings
	}
	return []events.Fact{added}, nil
}

// Unmap decides the end of a mapping.
func (i Integration) Unmap(_ Meta, id events.MappingID) ([]events.Fact, error) {
	if err := i.Known(); err != nil {
		return nil, err
	}
	for _, m := range i.Mappings {
		if m.Mapping == id {
			return []events.Fact{events.MappingRemoved{Mapping: id}}, nil
		}
	}
	return nil, ErrMappingUnknown
}
