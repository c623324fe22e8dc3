package aws_test

import (
	"context"
	"testing"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/agent/aws"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/awsjson"
	fake "secretsbridge/test/servers/awssm"
)

const canary = providertest.Canary

// fast lets tests not wait for the limit on requests.
const fast = 10_000

// start serves a Secrets Manager and lets the standard chain of credentials find a way in.
func start(t *testing.T) *fake.Server {
	t.Helper()
	awsjson.SignIn(t)
	return fake.Start(t)
}

func configure(t *testing.T, server *fake.Server) aws.Config {
	t.Helper()
	return aws.Config{Endpoint: server.Address, RequestsPerSecond: fast, Allow: providertest.Allow(t, "*")}
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

func deleteSecret(t *testing.T, admin *secretsmanager.Client, name string) {
	t.Helper()
	if _, err := admin.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: sdk.String(name)}); err != nil {
		t.Fatal(err)
	}
}
