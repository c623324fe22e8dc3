package truth

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"secretsbridge/agent"
	provider "secretsbridge/agent/aws"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/awsjson"
	fake "secretsbridge/test/servers/awssm"
)

// TestAWSSecretsManagerIsAsItsModelSays drives every operation of the fake, by the
// product's own provider and by the SDK, and holds each exchange against AWS's model.
func TestAWSSecretsManagerIsAsItsModelSays(t *testing.T) {
	awsjson.SignIn(t)
	server := fake.Start(t)
	w := newWitness(t, "secretsmanager/2017-10-17", "secretsmanager")
	endpoint := before(t, server.Address, nil, w.look)
	driveProvider(t, server, endpoint)
	driveSecrets(t, server, endpoint)
	w.wants(fake.Operations(),
		"CreateSecret ResourceExistsException", "CreateSecret InvalidRequestException", "CreateSecret ValidationException",
		"GetSecretValue ResourceNotFoundException", "GetSecretValue InvalidRequestException", "GetSecretValue ThrottlingException",
		"GetSecretValue AccessDeniedException", "GetSecretValue InternalServiceError",
		"PutSecretValue LimitExceededException", "PutSecretValue ResourceExistsException",
		"UpdateSecretVersionStage InvalidParameterException", "DescribeSecret ResourceNotFoundException", "ListSecrets InvalidNextTokenException",
		"TagResource InvalidParameterException", "DeleteSecret InvalidParameterException",
	)
}

func driveProvider(t *testing.T, server *fake.Server, endpoint string) {
	p, err := provider.Open(provider.Config{Endpoint: endpoint, Allow: providertest.Allow(t, "*"), RequestsPerSecond: 1000})
	if err != nil {
		t.Fatal(err)
	}
	ref := providertest.Ref(t, "prod/db")
	if err := p.Check(t.Context()); err != nil {
		t.Error(err)
	}
	version := agent.Version("")
	for _, labels := range []map[string]string{{"team": "a", "owner": "b"}, nil, {"team": "c"}, {}} {
		b := providertest.Bundle("v")
		b.Labels = labels
		stored, err := p.Write(t.Context(), ref, b, version)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(t.Context(), ref, b, ""); !errors.Is(err, agent.ErrConflict) {
			t.Errorf("write over what is there: %v", err)
		}
		if b, err := p.Read(t.Context(), ref); err != nil || b.Version != stored {
			t.Errorf("read: version %q, %v", b.Version, err)
		}
		for page, err := range p.List(t.Context(), "") {
			if err != nil || len(page.Secrets) != 1 {
				t.Errorf("list: %v, %v", page, err)
			}
		}
		version = stored
	}
	for _, fault := range []fake.Fault{fake.Throttled, fake.Failing, fake.Forbidden} {
		server.Break(fault, 1)
		if _, err := p.Read(t.Context(), ref); (err != nil) != (fault == fake.Forbidden) {
			t.Errorf("%s: %v", fault, err)
		}
	}
	for page, err := range p.List(t.Context(), "no token") {
		if !errors.Is(err, agent.ErrCursor) {
			t.Errorf("list: %v, %v", page, err)
		}
	}
}

func driveSecrets(t *testing.T, server *fake.Server, endpoint string) {
	ctx := t.Context()
	c := sdk.NewFromConfig(settings(t), func(o *sdk.Options) { o.BaseEndpoint = aws.String(endpoint) })
	must, fails := outcomes(t)
	name := aws.String("sdk/secret")
	create := func(name *string) error {
		_, err := c.CreateSecret(ctx, &sdk.CreateSecretInput{Name: name, SecretBinary: []byte("binary"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
		return err
	}
	must(create(name))
	fails(create(name))
	fails(create(aws.String("no name!")))
	_, err := c.CreateSecret(ctx, &sdk.CreateSecretInput{Name: aws.String("sdk/empty")})
	must(err)

	token := aws.String("0123456789abcdef0123456789abcdef")
	put := func(text, label string) error {
		_, err := c.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: name, SecretString: aws.String(text), ClientRequestToken: token, VersionStages: []string{label}})
		return err
	}
	must(put("one", "mine"))
	must(put("one", "mine"))
	fails(put("two", "mine"))
	fails(put(strings.Repeat("x", 65_537), "mine"))
	for i := range 18 {
		_, err = c.UpdateSecretVersionStage(ctx, &sdk.UpdateSecretVersionStageInput{SecretId: name, VersionStage: aws.String("label-" + string(rune('a'+i))), MoveToVersionId: token})
		must(err)
	}
	_, err = c.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: name, SecretString: aws.String("three"), VersionStages: []string{"no room"}})
	fails(err)
	_, err = c.UpdateSecretVersionStage(ctx, &sdk.UpdateSecretVersionStageInput{SecretId: name, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: token})
	fails(err)
	_, err = c.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: name, VersionStage: aws.String("mine")})
	must(err)
	_, err = c.ListSecretVersionIds(ctx, &sdk.ListSecretVersionIdsInput{SecretId: name, IncludeDeprecated: aws.Bool(true)})
	must(err)

	_, err = c.TagResource(ctx, &sdk.TagResourceInput{SecretId: name, Tags: []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("y")}}})
	fails(err)
	server.MakeReplica(*name)
	server.SetRotation(*name, true)
	_, err = c.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: name})
	must(err)
	_, err = c.ListSecrets(ctx, &sdk.ListSecretsInput{MaxResults: aws.Int32(1)})
	must(err)

	empty := aws.String("sdk/empty")
	_, err = c.DeleteSecret(ctx, &sdk.DeleteSecretInput{SecretId: empty, RecoveryWindowInDays: aws.Int64(3)})
	fails(err)
	_, err = c.DeleteSecret(ctx, &sdk.DeleteSecretInput{SecretId: empty, RecoveryWindowInDays: aws.Int64(7)})
	must(err)
	fails(create(empty))
	_, err = c.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: empty})
	fails(err)
	_, err = c.RestoreSecret(ctx, &sdk.RestoreSecretInput{SecretId: empty})
	must(err)
	_, err = c.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: empty})
	fails(err)
}
