package main

import (
	"log/slog"
	"strings"
	"testing"

	"secretsbridge/agent/providertest"
	"secretsbridge/events"
	"secretsbridge/test/servers/awsjson"
	fake "secretsbridge/test/servers/awssm"
	"secretsbridge/test/servers/awssts"
)

const awsConnection = `
connections:
  aws:
    provider: aws-secrets-manager
    region: eu-west-1
    endpoint: ENDPOINT
    assume_role_arn: arn:aws:iam::111122223333:role/agent
    external_id: tenant-7
    session_name: agent-1
    requests_per_second: 40
    allow: [prod]
`

// TestAWSSettingsReachTheProvider opens what the file describes and signs in with it.
func TestAWSSettingsReachTheProvider(t *testing.T) {
	awsjson.SignIn(t)
	server := fake.Start(t)
	sts := awssts.Start(t, &server.Callers)
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.Address)
	t.Setenv("AWS_REGION", "us-east-1") // the file's counts
	sts.AllowRole("arn:aws:iam::111122223333:role/agent", "tenant-7")
	server.Seed("prod/db", `{"k":"v"}`)
	server.Seed("stage/db", `{"k":"v"}`)

	s, err := loadConfig(write(t, strings.Replace(awsConnection, "ENDPOINT", server.Address, 1)), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conn := s.connections["aws"]
	if conn.Kind != events.ProviderAWS {
		t.Errorf("kind %q", conn.Kind)
	}
	p, err := conn.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	for text, opened := range map[string]bool{"prod/db": true, "stage/db": false} {
		if b, err := p.Read(t.Context(), providertest.Ref(t, text)); (err == nil) != opened {
			t.Errorf("read %s: %v", text, err)
		} else {
			b.Zero()
		}
	}
	if _, names := sts.Issued(); len(names) != 1 || names[0] != "agent-1" {
		t.Errorf("sessions %v", names)
	}
}

func TestAWSSettingsAreRefused(t *testing.T) {
	const key = "wJalrXUtnFEMI-canary-77ab"
	for name, c := range map[string]struct{ text, want string }{
		"no allow-list":         {strings.Replace(awsConnection, "    allow: [prod]\n", "", 1), "allow is missing"},
		"an access key":         {awsConnection + "    access_key_id: AKIDEXAMPLE\n", `unknown field "access_key_id"`},
		"a secret key":          {awsConnection + "    secret_access_key: " + key + "\n", `unknown field "secret_access_key"`},
		"a session token":       {awsConnection + "    session_token: " + key + "\n", `unknown field "session_token"`},
		"a field of another":    {awsConnection + "    address: https://v\n", `unknown field "address"`},
		"a rate that is a word": {strings.Replace(awsConnection, "40", "many", 1), "[10:26] cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(write(t, c.text), slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), key) {
				t.Errorf("error %v, want it to contain %q, on one line", err, c.want)
			}
		})
	}
	// What only the provider can judge shows when it is opened.
	text := strings.Replace(awsConnection, "ENDPOINT", "http://vpce.example.org", 1)
	s, err := loadConfig(write(t, text), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.connections["aws"].Open(); err == nil || !strings.Contains(err.Error(), "must be https") {
		t.Errorf("open: %v", err)
	}
}
