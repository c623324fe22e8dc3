package gcp_test

import (
	"regexp"
	"testing"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/gcpsm"
)

func TestSecretManagerConforms(t *testing.T) {
	var server *gcpsm.Server
	ids := regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	providertest.Run(t, providertest.Harness{
		New: func(t *testing.T) agent.Provider {
			l := newLab(t)
			server = l.Server
			cfg := l.config()
			cfg.Allow = allow(t, "suite-*")
			l.add("outside", `{"k":"v"}`)
			return open(t, cfg)
		},
		Prefix: "suite", Flat: true, MaxBundle: 64 << 10, Takes: ids.MatchString,
		Break: func(_ *testing.T, fault providertest.ServerFault, times int) bool {
			server.Break(gcpsm.Fault(fault), times)
			return true
		},
	})
}
