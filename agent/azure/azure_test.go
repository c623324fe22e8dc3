package azure_test

import (
	"regexp"
	"testing"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/azurekv"
)

func TestAzureConforms(t *testing.T) {
	l := newLab(t)
	l.EmptyPages = true
	l.RetryAfter = "1"
	name := regexp.MustCompile(`^[0-9A-Za-z-]{1,127}$`)
	broken := map[providertest.ServerFault]azurekv.Fault{
		providertest.NoFault: azurekv.NoFault, providertest.Throttled: azurekv.Throttled, providertest.Forbidden: azurekv.Forbidden,
		providertest.Failing: azurekv.Failing, providertest.Reset: azurekv.Reset, providertest.Garbage: azurekv.Garbage,
		providertest.Lost: azurekv.Lost, providertest.Unsigned: azurekv.Unsigned,
	}
	providertest.Run(t, providertest.Harness{
		New: func(t *testing.T) agent.Provider {
			l.Clear() // one server is enough: what it costs is its certificate
			l.SetValue("elsewhere", `{"k":"v"}`)
			cfg := l.config(t)
			cfg.Allow = providertest.Allow(t, "suite-*")
			return open(t, cfg)
		},
		Prefix: "suite", Flat: true, FoldsCase: true, Takes: name.MatchString, MaxBundle: 25 << 10,
		ListsNoVersion: true, // where two versions are of one second
		Break: func(t *testing.T, fault providertest.ServerFault, times int) bool {
			f, can := broken[fault]
			if can {
				l.Break(f, times)
			}
			return can
		},
	})
}
