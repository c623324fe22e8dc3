package events_test

import (
	"testing"

	"secretsbridge/events"
)

func TestAKeyOfAnExternalSecretMeansARef(t *testing.T) {
	const (
		vault = events.ProviderVault
		aws   = events.ProviderAWS
		azure = events.ProviderAzure
		gcp   = events.ProviderGCP
	)
	for _, c := range []struct {
		provider events.ProviderKind
		ref, key string
		same     bool
	}{
		{vault, "secret/prod/db", "secret/prod/db", true},
		{vault, "secret/prod/db", "/secret/prod/db/", true},
		{vault, "secret/prod/db", "secret/data/prod/db", true},
		{vault, "secret/prod/db", "prod/db", true}, // the store names the mount
		{vault, "secret/prod/db", "data/prod/db", true},
		{vault, "kv/team/prod/db", "kv/team/data/prod/db", true},
		{vault, "secret/db", "db", true},
		{vault, "secret/prod/db", "db", false},
		{vault, "secret/prod/db", "other/prod/db", false},
		{vault, "secret/prod/db", "secret/prod/db2", false},
		{vault, "secret/prod/db", "secret/metadata/prod/db", false},
		{vault, "secret/prod/db", "Secret/prod/db", false},
		{vault, "secret", "data/secret", false},
		{vault, "secret/prod/db", "secret/prod/db/data", false},

		{aws, "prod/db", "prod/db", true},
		{aws, "prod/db", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-a1B2c3", true},
		{aws, "prod/db", "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:prod/db", true},
		{aws, "prod/db", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db2-a1B2c3", false},
		{aws, "prod/db", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-a1B2c3d", false},
		{aws, "prod/db", "arn:aws:ssm:eu-central-1:123456789012:secret:prod/db-a1B2c3", false},
		{aws, "prod/db", "prod/db-a1B2c3", false}, // another name, not an ARN
		{aws, "prod/db", "PROD/db", false},

		{azure, "prod-db", "prod-db", true},
		{azure, "prod-db", "Prod-DB", true},
		{azure, "prod-db", "secret/prod-db", true},
		{azure, "prod-db", "key/prod-db", false},

		{gcp, "prod-db", "prod-db", true},
		{gcp, "prod-db", "projects/123/secrets/prod-db", true},
		{gcp, "prod-db", "projects/p/locations/europe-west3/secrets/prod-db/versions/latest", true},
		{gcp, "prod-db", "prod-db/versions/3", true},
		{gcp, "prod-db", "projects/p/topics/prod-db", false},
		{gcp, "prod-db", "a/b/c/prod-db", false},

		{events.ProviderFile, "prod/db", "prod/db", true},
		{events.ProviderFile, "prod/db", "db", false},
		{vault, "", "", false},
		{gcp, "", "projects/p/secrets/", false},
	} {
		if got := events.SameSecret(c.provider, c.ref, c.key); got != c.same {
			t.Errorf("%s: is %q the ref %q: %v, want %v", c.provider, c.key, c.ref, got, c.same)
		}
	}
}

func FuzzSameSecret(f *testing.F) {
	f.Add("secret/prod/db", "secret/data/prod/db")
	f.Add("prod/db", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-a1B2c3")
	f.Add("prod-db", "projects/p/secrets/prod-db/versions/1")
	f.Fuzz(func(t *testing.T, ref, key string) {
		for _, provider := range events.ProviderKinds() {
			events.SameSecret(provider, ref, key)
			if ref != "" && provider != events.ProviderVault && !events.SameSecret(provider, ref, ref) && provider != events.ProviderAzure {
				t.Errorf("%s: %q is not itself", provider, ref)
			}
		}
	})
}
