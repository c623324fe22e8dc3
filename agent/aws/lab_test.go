package aws_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/agent"
	"secretsbridge/agent/aws"
	fake "secretsbridge/test/servers/awssm"
)

const canary = "canary-5e0b97a1c4"

// fast lets tests not wait for the limit on requests.
const fast = 10_000

// start serves a Secrets Manager and lets the standard chain of credentials find a way in.
func start(t *testing.T) *fake.Server {
	t.Helper()
	for name, value := range fake.Environment() {
		t.Setenv(name, value)
	}
	return fake.Start(t)
}

func configure(t *testing.T, server *fake.Server) aws.Config {
	t.Helper()
	return aws.Config{Endpoint: server.Address, RequestsPerSecond: fast, Allow: allow(t, "*")}
}

func open(t *testing.T, cfg aws.Config) *aws.Provider {
	t.Helper()
	p, err := aws.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// root is another client of the same account, as an administrator has one.
func root(t *testing.T, server *fake.Server) *secretsmanager.Client {
	t.Helper()
	cfg, err := awsconfig.LoadDefaultConfig(context.Background(), awsconfig.WithRetryMaxAttempts(1))
	if err != nil {
		t.Fatal(err)
	}
	return secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) { o.BaseEndpoint = sdk.String(server.Address) })
}

func allow(t *testing.T, prefixes ...string) agent.AllowList {
	t.Helper()
	list, err := agent.ParseAllowList(prefixes...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func mustRef(t *testing.T, text string) agent.Ref {
	t.Helper()
	ref, err := agent.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func bundle(value string) agent.Bundle {
	return agent.Bundle{Entries: map[string]agent.Entry{"k": agent.Text([]byte(value))}}
}

// put writes and wants it to work.
func put(t *testing.T, p *aws.Provider, ref agent.Ref, value string, expect agent.Version) agent.Version {
	t.Helper()
	version, err := p.Write(t.Context(), ref, bundle(value), expect)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// value reads the one value of a bundle.
func value(t *testing.T, p *aws.Provider, ref agent.Ref) (string, agent.Version) {
	t.Helper()
	b, err := p.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return string(b.Entries["k"].Value.Expose()), b.Version
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func deleteSecret(t *testing.T, admin *secretsmanager.Client, name string) {
	t.Helper()
	if _, err := admin.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: sdk.String(name)}); err != nil {
		t.Fatal(err)
	}
}
