package aws_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/aws"
	"secretsbridge/agent/providertest"
	fake "secretsbridge/test/servers/awssm"
	"secretsbridge/test/servers/awssts"
)

const (
	role  = "arn:aws:iam::111122223333:role/secretsbridge-agent"
	token = "web-identity-token-2b7e151628ae"
)

// withSTS also serves AWS STS and lets the SDK find it.
func withSTS(t *testing.T) (*fake.Server, *awssts.Server) {
	t.Helper()
	server := start(t)
	sts := awssts.Start(t, &server.Callers)
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.Address)
	return server, sts
}

// nobody takes the keys out of the environment.
func nobody(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
}

// clean checks that an error holds nothing that opens anything.
func clean(t *testing.T, sts *awssts.Server, err error) {
	t.Helper()
	issued, _ := sts.Issued()
	hidden := []string{token, fake.OddWords, awssts.RefusedWords, "wJalrXUtnFEMI"}
	for _, who := range issued {
		hidden = append(hidden, who.SecretAccessKey, who.SessionToken)
	}
	for _, text := range hidden {
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), text) {
			t.Errorf("the error holds %q: %v", text, err)
		}
	}
}

func TestAProfileIsSignedInWith(t *testing.T) {
	server, _ := withSTS(t)
	nobody(t)
	t.Setenv("AWS_CONFIG_FILE", providertest.File(t, "config", "[profile agent]\nregion = eu-west-1\n"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", providertest.File(t, "credentials",
		"[agent]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n"))
	t.Setenv("AWS_REGION", "")
	cfg := configure(t, server)
	cfg.Profile = "agent"
	providertest.Put(t, open(t, cfg), providertest.Ref(t, "prod/db"), "one", "")
	cfg.Profile = "other"
	if _, err := aws.Open(cfg); err == nil || !strings.Contains(err.Error(), `the profile "other"`) {
		t.Errorf("open: %v", err)
	}
}

func TestARoleIsAssumed(t *testing.T) {
	server, sts := withSTS(t)
	sts.AllowRole(role, "tenant-7")
	cfg := configure(t, server)
	cfg.Role = aws.Role{ARN: role, ExternalID: "tenant-7"}
	p := open(t, cfg)
	providertest.Put(t, p, providertest.Ref(t, "prod/db"), "one", "")
	cfg.Role.SessionName = "agent-of-payments"
	providertest.Value(t, open(t, cfg), providertest.Ref(t, "prod/db"))
	if issued, names := sts.Issued(); len(issued) != 2 || names[0] != "secretsbridge" || names[1] != "agent-of-payments" {
		t.Errorf("sessions %v", names)
	}
	cfg.Role.ExternalID = "tenant-8"
	_, err := open(t, cfg).Read(t.Context(), providertest.Ref(t, "prod/db"))
	if !errors.Is(err, agent.ErrSignIn) || !strings.Contains(err.Error(), "403 AccessDenied") {
		t.Errorf("with another external id: %v", err)
	}
	clean(t, sts, err)
}

func TestASessionIsRenewedBeforeItsEndAndWhenItIsRevoked(t *testing.T) {
	server, sts := withSTS(t)
	sts.AllowRole(role, "")
	sts.SetLife(30 * time.Second) // shorter than what the provider wants to be left: each call renews
	cfg := configure(t, server)
	cfg.Role = aws.Role{ARN: role}
	p, ref := open(t, cfg), providertest.Ref(t, "prod/db")
	providertest.Put(t, p, ref, "one", "")
	providertest.Value(t, p, ref)
	issued, _ := sts.Issued()
	if len(issued) < 2 {
		t.Errorf("%d sessions", len(issued))
	}
	sts.SetLife(time.Hour)
	providertest.Value(t, p, ref)
	before, _ := sts.Issued()
	providertest.Value(t, p, ref)
	after, _ := sts.Issued()
	if len(before) != len(after) {
		t.Errorf("a session of an hour was renewed after one call")
	}
	server.Callers.Revoke(after[len(after)-1].AccessKeyID)
	providertest.Value(t, p, ref)
	if again, _ := sts.Issued(); len(again) != len(after)+1 {
		t.Errorf("%d sessions after one was revoked, %d before", len(again), len(after))
	}
	sts.Fail(true)
	server.Callers.Revoke("ASIAEXAMPLE" + fmt.Sprintf("%04d", len(after)+1))
	_, err := p.Read(t.Context(), ref)
	if !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("while STS fails: %v", err)
	}
	clean(t, sts, err)
	sts.Fail(false)
	providertest.Value(t, p, ref)
}

func TestAWebIdentityIsReadAtEachSignIn(t *testing.T) {
	server, sts := withSTS(t)
	nobody(t)
	path := providertest.File(t, "token", token)
	sts.AllowToken(role, token)
	t.Setenv("AWS_ROLE_ARN", role)
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path)
	p, ref := open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	providertest.Put(t, p, ref, "one", "")

	// Kubernetes puts another token there, and the session ends.
	sts.AllowToken(role, token+"-next")
	if err := os.WriteFile(path, []byte(token+"-next"), 0o600); err != nil {
		t.Fatal(err)
	}
	issued, _ := sts.Issued()
	server.Callers.Revoke(issued[0].AccessKeyID)
	providertest.Value(t, p, ref)

	sts.AllowToken(role, "another")
	_, err := open(t, configure(t, server)).Read(t.Context(), ref)
	if !errors.Is(err, agent.ErrSignIn) || !strings.Contains(err.Error(), "InvalidIdentityToken") {
		t.Errorf("with a token that is refused: %v", err)
	}
	clean(t, sts, err)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, configure(t, server)).Read(t.Context(), ref)
	if !errors.Is(err, agent.ErrSignIn) || !strings.Contains(err.Error(), filepath.Base(path)) {
		t.Errorf("without the token's file: %v", err)
	}
}

// TestAContainersServiceGivesCredentials is how ECS and EKS Pod Identity do it.
func TestAContainersServiceGivesCredentials(t *testing.T) {
	server, _ := withSTS(t)
	nobody(t)
	var down atomic.Bool
	container := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() || r.Header.Get("Authorization") != token {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintf(w, `{"AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY","Token":"","Expiration":%q}`,
			time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer container.Close()
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.URL)
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", providertest.File(t, "token", token))
	providertest.Put(t, open(t, configure(t, server)), providertest.Ref(t, "prod/db"), "one", "")

	down.Store(true)
	err := open(t, configure(t, server)).Check(t.Context())
	if !errors.Is(err, agent.ErrUnavailable) || strings.Contains(err.Error(), token) {
		t.Errorf("while it is down: %v", err)
	}
}

func TestWrongCredentialsAreNoOutage(t *testing.T) {
	server, sts := withSTS(t)
	ref := providertest.Ref(t, "prod/db")
	for name, c := range map[string]struct {
		set  map[string]string
		want error
		says string
	}{
		"another secret key": {map[string]string{"AWS_SECRET_ACCESS_KEY": "no-such-secret-4c1f"}, agent.ErrSignIn, "the signature is wrong"},
		"nobody we know":     {map[string]string{"AWS_ACCESS_KEY_ID": "AKIDNOBODY"}, agent.ErrSignIn, "does not know the access key"},
		"none at all":        {map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, agent.ErrSignIn, "gives no credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range c.set {
				t.Setenv(key, value)
			}
			p := open(t, configure(t, server))
			_, readErr := p.Read(t.Context(), ref)
			for what, err := range map[string]error{"read": readErr, "check": p.Check(t.Context())} {
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "no-such-secret-4c1f") {
					t.Errorf("%s: %v, want %v that says %q", what, err, c.want, c.says)
				}
				clean(t, sts, err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	server := start(t)
	for name, c := range map[string]struct {
		change func(*aws.Config)
		want   string
	}{
		"plain http":               {func(c *aws.Config) { c.Endpoint = "http://vpce.example.org" }, "must be https"},
		"no URL":                   {func(c *aws.Config) { c.Endpoint = "vpce.example.org" }, "write https://HOST"},
		"somebody in the URL":      {func(c *aws.Config) { c.Endpoint = "https://a:b@vpce.example.org" }, "write https://HOST"},
		"a user in a role's place": {func(c *aws.Config) { c.Role.ARN = "arn:aws:iam::111122223333:user/x" }, "no ARN of a role"},
		"an id without a role":     {func(c *aws.Config) { c.Role.ExternalID = "x" }, "assume_role_arn, which is missing"},
		"a name without a role":    {func(c *aws.Config) { c.Role.SessionName = "x" }, "assume_role_arn, which is missing"},
		"an odd session name":      {func(c *aws.Config) { c.Role.ARN, c.Role.SessionName = role, "a b" }, "session_name must be"},
		"a rate below zero":        {func(c *aws.Config) { c.RequestsPerSecond = -1 }, "requests_per_second"},
		"a rate without end":       {func(c *aws.Config) { c.RequestsPerSecond = 1e9 }, "requests_per_second"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configure(t, server)
			c.change(&cfg)
			if _, err := aws.Open(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("open: %v, want %q", err, c.want)
			}
		})
	}
	for name, env := range map[string][3]string{
		"no region":                       {"AWS_REGION", "", "no region is given"},
		"plain http from the environment": {"AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://vpce.example.org", "must be https"},
		"plain http to STS":               {"AWS_ENDPOINT_URL_STS", "http://sts.example.org", "sts: the endpoint must be https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(env[0], env[1])
			cfg := configure(t, server)
			cfg.Endpoint, cfg.Role.ARN = "", role
			if _, err := aws.Open(cfg); err == nil || !strings.Contains(err.Error(), env[2]) {
				t.Errorf("open: %v, want %q", err, env[2])
			}
		})
	}
}
