package e2e_test

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/test/servers/awssm"
	"secretsbridge/test/servers/azurekv"
	"secretsbridge/test/servers/gcpsm"
)

// cloud is a fake of a provider, and the other agent's connection to it.
type cloud struct {
	store
	provider string
	settings string // of the connection, beside its provider and its allow-list

	fail   func(fault)        // all calls from now on; the zero fault ends it
	refuse func(refused bool) // the other agent's credentials
	tokens func() []string    // that it gave out
}

func (c cloud) connection() string {
	name, _, _ := strings.Cut(c.secrets, "/")
	return name
}

// TestNoValueOfTheCloudsRestsInClear does the same with fakes of the clouds, which an agent
// of their own cluster has connections to. What it signs in with, and what the fakes say
// when they fail, may not leave it, nor be in its log.
func TestNoValueOfTheCloudsRestsInClear(t *testing.T) {
	t.Parallel()
	c := hatch(t, "file/prod")
	clouds := []cloud{c.aws(t), c.azure(t), c.gcp(t)}
	config := "slots: 12\nlease: 3s\nfingerprint_key_file: " + c.fingerprintKey(t) + "\nconnections:\n"
	env := []string{"SB_LOG_LEVEL=DEBUG", "PLANTED=" + c.planted.Value("planted")}
	for _, one := range clouds {
		c.must(t, "admin", "connection", "create", one.connection(), "--provider", one.provider, "--cluster", "cloud")
		config += fmt.Sprintf("  %s:\n    provider: %s\n    allow: [%q]\n%s", one.connection(), one.provider, "*", one.settings)
		env = append(env, one.access...)
	}
	c.field = c.agent(t, "cloud", config, env...)
	demo := c.store
	c.cannotSignIn(t, clouds)
	for _, one := range clouds {
		c.store = one.store
		c.store.config, c.access = c.field.config, env
		c.reads(t)
		c.writes(t)
		c.inventories(t)
	}
	c.faults(t, clouds)
	for _, one := range clouds {
		for i, token := range one.tokens() {
			c.keep(fmt.Sprintf("%s token %d", one.connection(), i), []byte(token), theOtherAgent)
		}
	}
	c.store = demo // for the control run
	c.search(t)
}

const theOtherAgent = "memory of the other agent"

// fingerprintKey makes the other agent's key.
func (c *canaries) fingerprintKey(t *testing.T) (file string) {
	t.Helper()
	text, err := exec.Command(filepath.Join(bin, "sb-agent"), "fingerprint-key").Output()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(c.files, "fingerprint.key")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.keepFingerprintKey(t, "the other fingerprint key", file, theOtherAgent)
	return file
}

// words are what a cloud says when it fails.
func (c *canaries) words(cloud string) string {
	return " " + c.key(cloud+" words", theOtherAgent)
}

func (c *canaries) aws(t *testing.T) cloud {
	fake := awssm.Start(t)
	who := aws.Credentials{AccessKeyID: "AKIDCANARY", SecretAccessKey: c.key("aws secret key", theOtherAgent), SessionToken: c.key("aws session", theOtherAgent)}
	fake.Callers.Let(who)
	fake.Say(c.words("aws"))
	settings := awssm.Environment()
	settings["AWS_ACCESS_KEY_ID"], settings["AWS_SECRET_ACCESS_KEY"], settings["AWS_SESSION_TOKEN"] = who.AccessKeyID, who.SecretAccessKey, who.SessionToken
	var access []string
	for name, value := range settings {
		access = append(access, name+"="+value)
	}
	return cloud{
		store:    store{secrets: "aws/prod", slash: "/", label: "aws-", bundle: 62 << 10, access: access},
		provider: "aws-secrets-manager", settings: fmt.Sprintf("    endpoint: %q\n    requests_per_second: 1000\n", fake.Address),
		fail: func(f fault) { fake.Break(awssm.Fault(f.name), f.times()) },
		refuse: func(refused bool) {
			if fake.Callers.Revoke(who.AccessKeyID); !refused {
				fake.Callers.Let(who)
			}
		},
		tokens: func() []string { return nil },
	}
}

func (c *canaries) azure(t *testing.T) cloud {
	t.Helper()
	fake := azurekv.Start(t)
	secret := c.key("azure client secret", theOtherAgent)
	fake.ChangeSecret(secret)
	fake.Say(c.words("azure"))
	return cloud{
		store:    store{secrets: "azure/prod", slash: "-", label: "azure-", bundle: 24 << 10},
		provider: "azure-key-vault", settings: fmt.Sprintf("    vault_url: %q\n    authority_host: %q\n    ca_cert_file: %q\n    requests_per_second: 400\n", fake.URL, fake.URL, fake.CAFile) +
			fmt.Sprintf("    auth: {method: service-principal, tenant_id: %s, client_id: %s, client_secret_file: %q}\n", azurekv.Tenant, azurekv.ClientID, c.file(t, secret)),
		fail: func(f fault) { fake.Break(azurekv.Fault(cmp.Or(f.unlike, f.name)), f.times()) },
		refuse: func(refused bool) { // which says the secret that it does not take
			if fake.ChangeSecret("another"); !refused {
				fake.ChangeSecret(secret)
			}
		},
		tokens: fake.Tokens,
	}
}

func (c *canaries) gcp(t *testing.T) cloud {
	t.Helper()
	fake := gcpsm.Start(t)
	file, private := fake.KeyFile(t)
	block, _ := pem.Decode([]byte(private))
	if block == nil {
		t.Fatal("the service account's key is no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for i, prime := range key.(*rsa.PrivateKey).Primes {
		c.keep(fmt.Sprintf("gcp prime %d", i), prime.Bytes(), theOtherAgent)
	}
	for i, line := range strings.Split(private, "\n") {
		if len(line) == 64 && i%8 == 0 {
			c.keep(fmt.Sprintf("gcp key line %d", i), []byte(line), theOtherAgent)
		}
	}
	c.keep("gcp refusal", []byte(gcpsm.Leak), theOtherAgent)
	fake.Say(c.words("gcp"))
	return cloud{
		store:    store{secrets: "gcp/prod", slash: "-", label: "gcp-", bundle: 62 << 10},
		provider: "gcp-secret-manager", settings: fmt.Sprintf("    project: %s\n    endpoint: %q\n    credentials_file: %q\n    requests_per_minute: 60000\n", gcpsm.Project, fake.Address, file),
		fail: func(f fault) { fake.Break(gcpsm.Fault(f.name), f.times()) },
		refuse: func(refused bool) {
			if fake.RefuseTokens(0); refused {
				fake.RefuseTokens(400)
			}
		},
		tokens: fake.Tokens,
	}
}
