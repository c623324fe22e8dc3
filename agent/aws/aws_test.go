package aws_test

import (
	"regexp"
	"testing"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	fake "secretsbridge/test/servers/awssm"
)

func TestAWSConforms(t *testing.T) {
	var server *fake.Server
	takes := regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
	providertest.Run(t, providertest.Harness{
		New: func(t *testing.T) agent.Provider {
			server = start(t)
			server.Seed("elsewhere/seeded", `{"k":"v"}`)
			server.Seed("suite/production", `{"k":"v"}`)
			cfg := configure(t, server)
			cfg.Allow = providertest.Allow(t, "suite/prod")
			return open(t, cfg)
		},
		Prefix: "suite/prod", Takes: takes.MatchString, MaxBundle: 65_536,
		Outside: []string{"suite", "suite/production", "elsewhere/seeded"},
		Break: func(_ *testing.T, fault providertest.ServerFault, times int) bool {
			server.Break(fake.Fault(fault), times)
			return true
		},
	})
}
