package main

import (
	"log/slog"
	"strings"
	"testing"

	"secretsbridge/events"
)

func TestLoadConfigOfGCP(t *testing.T) {
	s, err := loadConfig(write(t, `
connections:
  gcp-eu:
    provider: gcp-secret-manager
    project: payments-prod
    allow: [prod-*, shared]
    credentials_file: key.json
    impersonate_service_account: bridge@payments-prod.iam.gserviceaccount.com
    replica_locations: [europe-west3]
    kms_key: projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k
    requests_per_minute: 600
    list_versions: false
  gcp-regional:
    provider: gcp-secret-manager
    project: "892942638129"
    location: europe-west3
    allow: ["*"]
`), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []events.ConnectionID{"gcp-eu", "gcp-regional"} {
		conn := s.connections[name]
		if conn.Kind != events.ProviderGCP {
			t.Fatalf("%s is of kind %q", name, conn.Kind)
		}
		p, err := conn.Open() // talks to nobody
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLoadConfigOfGCPRefuses(t *testing.T) {
	const good = "connections:\n  a:\n    provider: gcp-secret-manager\n    project: payments-prod\n    allow: [prod-*]\n"
	for name, c := range map[string]struct{ text, want string }{
		"no project":              {strings.Replace(good, "    project: payments-prod\n", "", 1), "the project is missing"},
		"a project that is none":  {strings.Replace(good, "payments-prod", "a/b", 1), `the project "a/b"`},
		"no allow-list":           {strings.Replace(good, "    allow: [prod-*]\n", "", 1), "allow is missing"},
		"key material":            {good + "    private_key: x\n", `[6:5] unknown field "private_key"`},
		"a field of another":      {good + "    address: https://v\n", `[6:5] unknown field "address"`},
		"a location and replicas": {good + "    location: europe-west3\n    replica_locations: [europe-west1]\n", "no replica locations"},
		"one key for two":         {good + "    replica_locations: [a1, b1]\n    kms_key: projects/p/locations/l/keyRings/r/cryptoKeys/k\n", "one replica location at most"},
		"a key that is none":      {good + "    kms_key: k\n", "the KMS key is no"},
		"no requests":             {good + "    requests_per_minute: 0\n", "at least 1"},
		"too many requests":       {good + "    requests_per_minute: 100000\n", "1 to 90000"},
		"plain http":              {good + "    endpoint: http://sm.internal\n", "must be https"},
		"a path in the endpoint":  {good + "    endpoint: https://sm.internal/v1\n", "no https://HOST"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(write(t, c.text), slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want it to contain %q, on one line", err, c.want)
			}
		})
	}
}
