package command_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/events"
)

var integrationMeta = command.Meta{Command: "c_meta", Time: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}

func integration(facts ...events.Fact) (s command.Integration) {
	for _, f := range facts {
		s = s.Evolve(events.Event{Command: events.NewCommandID(), Fact: f})
	}
	return s
}

var (
	webhookMade = events.IntegrationCreated{Integration: "hook", Kind: events.IntegrationWebhook, Settings: events.IntegrationSettings{Address: "hooks.example.org"}}
	argoMade    = events.IntegrationCreated{Integration: "argo", Kind: events.IntegrationArgoCD, Settings: events.IntegrationSettings{Address: "https://argo.example.org"}}
	urlSet      = events.IntegrationSecretSet{Secret: events.IntegrationURL, Version: 1, KMSKey: "k1"}
	keySet      = events.IntegrationSecretSet{Secret: events.IntegrationSigningKey, Version: 1, KMSKey: "k1"}
	tokenSet    = events.IntegrationSecretSet{Secret: events.IntegrationToken, Version: 1, KMSKey: "k1"}
	mapped      = events.MappingAdded{
		Mapping: "p_1", Secrets: events.MappedSecrets{Connection: "file", Ref: "prod/db"},
		Target: events.RolloutTarget{Kind: "Application", Name: "shop"}, Origin: events.MappedByHand,
	}
)

func TestAnIntegrationFromItsNameToItsEnd(t *testing.T) {
	removed := events.IntegrationRemoved{}
	made := []events.Fact{argoMade, tokenSet}
	settings := argoMade.Settings
	settings.Description = "ours"
	elsewhere := events.IntegrationSettings{Address: "https://other.example.org"}
	tests := map[string]struct {
		given []events.Fact
		when  func(command.Integration) ([]events.Fact, error)
		then  []events.Fact
		err   error
	}{
		"a webhook has a url and a key from the beginning": {nil, func(s command.Integration) ([]events.Fact, error) {
			return s.Create(integrationMeta, webhookMade, "k1")
		}, []events.Fact{webhookMade, urlSet, keySet}, nil},
		"an Argo CD has a token": {nil, func(s command.Integration) ([]events.Fact, error) {
			return s.Create(integrationMeta, argoMade, "k1")
		}, []events.Fact{argoMade, tokenSet}, nil},
		"a name is taken once": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Create(integrationMeta, argoMade, "k1")
		}, nil, command.ErrIntegrationExists},
		"and not free when it ended": {append(made, removed), func(s command.Integration) ([]events.Fact, error) {
			return s.Create(integrationMeta, argoMade, "k1")
		}, nil, command.ErrIntegrationExists},
		"settings change": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Change(integrationMeta, command.ChangeIntegration{Settings: settings})
		}, []events.Fact{events.IntegrationChanged{Settings: settings}}, nil},
		"the same settings are nothing new": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Change(integrationMeta, command.ChangeIntegration{Settings: argoMade.Settings})
		}, nil, nil},
		"a token goes elsewhere with its owner": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Change(integrationMeta, command.ChangeIntegration{Settings: elsewhere, Token: true, KMSKey: "k2"})
		}, []events.Fact{events.IntegrationChanged{Settings: elsewhere}, events.IntegrationSecretSet{Secret: events.IntegrationToken, Version: 2, KMSKey: "k2"}}, nil},
		"and not without": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Change(integrationMeta, command.ChangeIntegration{Settings: elsewhere})
		}, nil, command.ErrIntegrationToken},
		"nor to whom others vouch for": {made, func(s command.Integration) ([]events.Fact, error) {
			other := argoMade.Settings
			other.CA = authority(t)
			return s.Change(integrationMeta, command.ChangeIntegration{Settings: other})
		}, nil, command.ErrIntegrationToken},
		"a key is followed by another, and both sign": {[]events.Fact{webhookMade, urlSet, keySet}, func(s command.Integration) ([]events.Fact, error) {
			return s.Rotate(integrationMeta, command.RotateSecret{Secret: events.IntegrationSigningKey, KMSKey: "k2", Overlap: time.Hour})
		}, []events.Fact{events.IntegrationSecretSet{Secret: events.IntegrationSigningKey, Version: 2, KMSKey: "k2", Overlap: integrationMeta.Time.Add(time.Hour)}}, nil},
		"for a week at most": {[]events.Fact{webhookMade, urlSet, keySet}, func(s command.Integration) ([]events.Fact, error) {
			return s.Rotate(integrationMeta, command.RotateSecret{Secret: events.IntegrationSigningKey, Overlap: command.MaxOverlap + 1})
		}, nil, command.ErrIntegrationSecret},
		"a token does not overlap": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Rotate(integrationMeta, command.RotateSecret{Secret: events.IntegrationToken, Overlap: time.Hour})
		}, nil, command.ErrIntegrationSecret},
		"an Argo CD has no url": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Rotate(integrationMeta, command.RotateSecret{Secret: events.IntegrationURL, Host: "a.example"})
		}, nil, command.ErrIntegrationSecret},
		"another url says where it leads": {[]events.Fact{webhookMade, urlSet, keySet}, func(s command.Integration) ([]events.Fact, error) {
			return s.Rotate(integrationMeta, command.RotateSecret{Secret: events.IntegrationURL, KMSKey: "k1", Host: "new.example.org"})
		}, []events.Fact{
			events.IntegrationChanged{Settings: events.IntegrationSettings{Address: "new.example.org"}}, events.IntegrationSecretSet{Secret: events.IntegrationURL, Version: 2, KMSKey: "k1"},
		}, nil},
		"it is disabled": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Disable(integrationMeta, "noise")
		}, []events.Fact{events.IntegrationDisabled{Reason: "noise"}}, nil},
		"once": {append(made, events.IntegrationDisabled{}), func(s command.Integration) ([]events.Fact, error) {
			return s.Disable(integrationMeta, "noise")
		}, nil, nil},
		"and enabled": {append(made, events.IntegrationDisabled{}), func(s command.Integration) ([]events.Fact, error) {
			return s.Enable(integrationMeta)
		}, []events.Fact{events.IntegrationEnabled{}}, nil},
		"what was removed cannot be": {append(made, removed), func(s command.Integration) ([]events.Fact, error) {
			return s.Enable(integrationMeta)
		}, nil, command.ErrIntegrationUnknown},
		"it is removed": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Remove(integrationMeta, "")
		}, []events.Fact{removed}, nil},
		"a mapping is added": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Map(integrationMeta, mapped.Secrets, mapped.Target, false)
		}, []events.Fact{events.MappingAdded{Mapping: events.MappingOf("c_meta"), Secrets: mapped.Secrets, Target: mapped.Target, Origin: events.MappedByHand}}, nil},
		"once, too": {append(made, mapped), func(s command.Integration) ([]events.Fact, error) {
			return s.Map(integrationMeta, mapped.Secrets, mapped.Target, true)
		}, nil, command.ErrMappingExists},
		"one by labels is a rule": {made, func(s command.Integration) ([]events.Fact, error) {
			return s.Map(integrationMeta, events.MappedSecrets{Connection: "file", Labels: map[string]string{"team": "shop"}}, mapped.Target, false)
		}, []events.Fact{events.MappingAdded{
			Mapping: events.MappingOf("c_meta"), Secrets: events.MappedSecrets{Connection: "file", Labels: map[string]string{"team": "shop"}}, Target: mapped.Target, Origin: events.MappedByRule,
		}}, nil},
		"what is told looks at nothing": {[]events.Fact{webhookMade, urlSet, keySet}, func(s command.Integration) ([]events.Fact, error) {
			return s.Map(integrationMeta, mapped.Secrets, mapped.Target, false)
		}, nil, command.ErrIntegrationWrong},
		"a mapping ends": {append(made, mapped), func(s command.Integration) ([]events.Fact, error) {
			return s.Unmap(integrationMeta, "p_1")
		}, []events.Fact{events.MappingRemoved{Mapping: "p_1"}}, nil},
		"once only": {append(made, mapped, events.MappingRemoved{Mapping: "p_1"}), func(s command.Integration) ([]events.Fact, error) {
			return s.Unmap(integrationMeta, "p_1")
		}, nil, command.ErrMappingUnknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.when(integration(tt.given...))
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.then, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnIntegrationHasSoManyMappings(t *testing.T) {
	given := []events.Fact{argoMade, tokenSet}
	for i := range command.MaxMappings {
		m := mapped
		m.Mapping, m.Secrets.Ref = events.MappingID(fmt.Sprint("p_", i)), fmt.Sprint("prod/", i)
		given = append(given, m)
	}
	if _, err := integration(given...).Map(integrationMeta, mapped.Secrets, mapped.Target, false); !errors.Is(err, command.ErrTooManyMappings) {
		t.Errorf("one more: %v", err)
	}
	if _, err := integration(given[:len(given)-1]...).Map(integrationMeta, mapped.Secrets, mapped.Target, false); err != nil {
		t.Errorf("as many: %v", err)
	}
}

// authority makes the PEM of a certificate.
func authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestSettingsAreThoseOfTheKind(t *testing.T) {
	ca := authority(t)
	argo := func(address string) events.IntegrationSettings { return events.IntegrationSettings{Address: address} }
	tests := map[string]struct {
		kind     events.IntegrationKind
		settings events.IntegrationSettings
		ok       bool
	}{
		"an address":                     {events.IntegrationArgoCD, argo("https://argo.example.org"), true},
		"with port and path":             {events.IntegrationArgoCD, argo("https://argo.example.org:8443/argo"), true},
		"of numbers":                     {events.IntegrationArgoCD, argo("https://[2001:db8::1]:443"), true},
		"none":                           {events.IntegrationArgoCD, argo(""), false},
		"in clear":                       {events.IntegrationArgoCD, argo("http://argo.example.org"), false},
		"with a user":                    {events.IntegrationArgoCD, argo("https://a:b@argo.example.org"), false},
		"with a query":                   {events.IntegrationArgoCD, argo("https://argo.example.org/?a=b"), false},
		"with an empty query":            {events.IntegrationArgoCD, argo("https://argo.example.org/?"), false},
		"with a fragment":                {events.IntegrationArgoCD, argo("https://argo.example.org/#a"), false},
		"that goes up":                   {events.IntegrationArgoCD, argo("https://argo.example.org/a/../b"), false},
		"with an encoded path":           {events.IntegrationArgoCD, argo("https://argo.example.org/a%2fb"), false},
		"with no port that there is":     {events.IntegrationArgoCD, argo("https://argo.example.org:99999"), false},
		"that is too long":               {events.IntegrationArgoCD, argo("https://argo.example.org/" + strings.Repeat("a", command.MaxAddress)), false},
		"authorities":                    {events.IntegrationArgoCD, events.IntegrationSettings{Address: "https://a.example", CA: ca + "\n" + ca}, true},
		"too many":                       {events.IntegrationArgoCD, events.IntegrationSettings{Address: "https://a.example", CA: strings.Repeat(ca, command.MaxAuthorities+1)}, false},
		"that are none":                  {events.IntegrationArgoCD, events.IntegrationSettings{Address: "https://a.example", CA: "none"}, false},
		"with something after them":      {events.IntegrationArgoCD, events.IntegrationSettings{Address: "https://a.example", CA: ca + "more"}, false},
		"an Argo CD is told nothing":     {events.IntegrationArgoCD, events.IntegrationSettings{Address: "https://a.example", Notices: []events.NoticeKind{events.NoticeFailed}}, false},
		"flux by a cluster":              {events.IntegrationFlux, events.IntegrationSettings{Cluster: "demo"}, true},
		"flux by none":                   {events.IntegrationFlux, events.IntegrationSettings{}, false},
		"kubernetes by an address":       {events.IntegrationKubernetes, events.IntegrationSettings{Cluster: "demo", Address: "https://a.example"}, false},
		"a webhook that chooses":         {events.IntegrationWebhook, events.IntegrationSettings{Address: "a.example:443", Notices: []events.NoticeKind{events.NoticeFailed}, Projects: []string{"shop"}}, true},
		"a notice twice":                 {events.IntegrationWebhook, events.IntegrationSettings{Address: "a.example", Notices: []events.NoticeKind{events.NoticeFailed, events.NoticeFailed}}, false},
		"a notice that nobody chooses":   {events.IntegrationWebhook, events.IntegrationSettings{Address: "a.example", Notices: []events.NoticeKind{events.NoticeTest}}, false},
		"a project of no name":           {events.IntegrationWebhook, events.IntegrationSettings{Address: "a.example", Projects: []string{"No Name"}}, false},
		"a webhook with authorities":     {events.IntegrationWebhook, events.IntegrationSettings{Address: "a.example", CA: ca}, false},
		"slack by a cluster":             {events.IntegrationSlack, events.IntegrationSettings{Address: "a.example", Cluster: "demo"}, false},
		"a description that is too long": {events.IntegrationSlack, events.IntegrationSettings{Address: "a.example", Description: strings.Repeat("a", command.MaxReason+1)}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := command.CheckSettings(tt.kind, tt.settings); (err == nil) != tt.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestTargetsAreThoseOfTheKind(t *testing.T) {
	tests := map[string]struct {
		kind    events.IntegrationKind
		secrets events.MappedSecrets
		target  events.RolloutTarget
		ok      bool
	}{
		"an application":          {events.IntegrationArgoCD, mapped.Secrets, events.RolloutTarget{Kind: "Application", Namespace: "argocd", Name: "shop.eu", Secret: "shop/db"}, true},
		"of flux":                 {events.IntegrationFlux, mapped.Secrets, events.RolloutTarget{Kind: "HelmRelease", Namespace: "flux-system", Name: "shop"}, true},
		"of flux nowhere":         {events.IntegrationFlux, mapped.Secrets, events.RolloutTarget{Kind: "Kustomization", Name: "shop"}, false},
		"of flux in an Argo CD":   {events.IntegrationArgoCD, mapped.Secrets, events.RolloutTarget{Kind: "HelmRelease", Namespace: "a", Name: "shop"}, false},
		"a namespace":             {events.IntegrationKubernetes, mapped.Secrets, events.RolloutTarget{Kind: "Namespace", Name: "shop", Selector: "app=web,example.org/tier=db"}, true},
		"a namespace in another":  {events.IntegrationKubernetes, mapped.Secrets, events.RolloutTarget{Kind: "Namespace", Namespace: "a", Name: "shop"}, false},
		"a selector that is none": {events.IntegrationKubernetes, mapped.Secrets, events.RolloutTarget{Kind: "Namespace", Name: "shop", Selector: "app in (a,b)"}, false},
		"a selector twice":        {events.IntegrationKubernetes, mapped.Secrets, events.RolloutTarget{Kind: "Namespace", Name: "shop", Selector: "a=b,a=c"}, false},
		"a selector elsewhere":    {events.IntegrationArgoCD, mapped.Secrets, events.RolloutTarget{Kind: "Application", Name: "shop", Selector: "a=b"}, false},
		"a path for a name":       {events.IntegrationArgoCD, mapped.Secrets, events.RolloutTarget{Kind: "Application", Name: "../shop"}, false},
		"upper case":              {events.IntegrationArgoCD, mapped.Secrets, events.RolloutTarget{Kind: "Application", Name: "Shop"}, false},
		"a secret of no name":     {events.IntegrationArgoCD, mapped.Secrets, events.RolloutTarget{Kind: "Application", Name: "shop", Secret: "a/b/c"}, false},
		"neither ref nor labels":  {events.IntegrationArgoCD, events.MappedSecrets{Connection: "file"}, mapped.Target, false},
		"both":                    {events.IntegrationArgoCD, events.MappedSecrets{Connection: "file", Ref: "a", Labels: map[string]string{"a": "b"}}, mapped.Target, false},
		"a ref that goes up":      {events.IntegrationArgoCD, events.MappedSecrets{Connection: "file", Ref: "a/../b"}, mapped.Target, false},
		"no connection":           {events.IntegrationArgoCD, events.MappedSecrets{Ref: "a"}, mapped.Target, false},
		"a label without a name":  {events.IntegrationArgoCD, events.MappedSecrets{Connection: "file", Labels: map[string]string{"": "b"}}, mapped.Target, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			made := events.IntegrationCreated{Integration: "i", Kind: tt.kind, Settings: events.IntegrationSettings{Address: "https://a.example", Cluster: "demo"}}
			if _, err := integration(made).Map(integrationMeta, tt.secrets, tt.target, false); (err == nil) != tt.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

// Whatever is done in whatever order: versions of a secret count up by one, mappings are bounded
// and each is there once, older states keep what they had, and what ended takes nothing more.
func TestAnyOrderOfCommandsOnAnIntegration(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var s command.Integration
		meta := integrationMeta
		for n := range rapid.IntRange(1, 30).Draw(r, "commands") {
			meta.Command = events.CommandID(fmt.Sprint("c_", n))
			before, versions := len(s.Mappings), map[events.IntegrationSecret]int{}
			for _, what := range []events.IntegrationSecret{events.IntegrationURL, events.IntegrationToken, events.IntegrationSigningKey} {
				versions[what] = s.Version(what)
			}
			old := s
			facts, err := map[int]func() ([]events.Fact, error){
				0: func() ([]events.Fact, error) {
					return s.Create(meta, rapid.SampledFrom([]events.IntegrationCreated{webhookMade, argoMade}).Draw(r, "kind"), "k")
				},
				1: func() ([]events.Fact, error) {
					what := rapid.SampledFrom([]events.IntegrationSecret{events.IntegrationURL, events.IntegrationToken, events.IntegrationSigningKey}).Draw(r, "what")
					return s.Rotate(meta, command.RotateSecret{Secret: what, Host: "a.example"})
				},
				2: func() ([]events.Fact, error) { return s.Disable(meta, "") },
				3: func() ([]events.Fact, error) { return s.Enable(meta) },
				4: func() ([]events.Fact, error) {
					return s.Map(meta, events.MappedSecrets{Connection: "file", Ref: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "ref")}, mapped.Target, false)
				},
				5: func() ([]events.Fact, error) {
					if before == 0 {
						return nil, nil
					}
					return s.Unmap(meta, s.Mappings[rapid.IntRange(0, before-1).Draw(r, "mapping")].Mapping)
				},
				6: func() ([]events.Fact, error) {
					if n%5 > 0 {
						return nil, nil
					}
					return s.Remove(meta, "")
				},
			}[rapid.IntRange(0, 6).Draw(r, "command")]()
			if err != nil {
				continue
			}
			for _, f := range facts {
				if set, ok := f.(events.IntegrationSecretSet); ok && set.Version != versions[set.Secret]+1 {
					r.Fatalf("%+v follows version %d", set, versions[set.Secret])
				}
				if old.State == command.IntegrationGone {
					r.Fatalf("%T after the end", f)
				}
				s = s.Evolve(events.Event{Command: meta.Command, Fact: f})
			}
			if len(old.Mappings) != before {
				r.Fatal("an older state changed")
			}
			refs := map[string]bool{}
			for _, m := range s.Mappings {
				if refs[m.Secrets.Ref] {
					r.Fatalf("%s is mapped twice", m.Secrets.Ref)
				}
				refs[m.Secrets.Ref] = true
			}
			if len(facts) > 0 && !s.Took(meta.Command) {
				r.Fatal("a command is not known again")
			}
		}
	})
}
