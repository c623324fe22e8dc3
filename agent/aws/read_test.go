package aws_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/agent"
	"secretsbridge/agent/aws"
	"secretsbridge/agent/providertest"
	fake "secretsbridge/test/servers/awssm"
)

func TestWhatIsNoBundleIsRefused(t *testing.T) {
	server := start(t)
	admin, p := root(t, server), open(t, configure(t, server))
	for name, c := range map[string]struct {
		in   secretsmanager.CreateSecretInput
		want error
		says string
	}{
		"binary":      {secretsmanager.CreateSecretInput{SecretBinary: []byte(`{"k":"` + canary + `"}`)}, agent.ErrNotBundle, "binary"},
		"plain":       {secretsmanager.CreateSecretInput{SecretString: sdk.String(canary)}, agent.ErrNotBundle, "not JSON"},
		"a-JSON-text": {secretsmanager.CreateSecretInput{SecretString: sdk.String(`"` + canary + `"`)}, agent.ErrNotBundle, "a JSON string"},
		"an-array":    {secretsmanager.CreateSecretInput{SecretString: sdk.String(`["` + canary + `"]`)}, agent.ErrNotBundle, "a JSON array"},
		"a-key-twice": {secretsmanager.CreateSecretInput{SecretString: sdk.String(`{"k":"` + canary + `","k":"x"}`)}, agent.ErrNotBundle, "twice"},
		"no-value":    {secretsmanager.CreateSecretInput{}, agent.ErrNotFound, "no current value"},
	} {
		c.in.Name = sdk.String(name)
		if _, err := admin.CreateSecret(t.Context(), &c.in); err != nil {
			t.Fatal(err)
		}
		_, err := p.Read(t.Context(), providertest.Ref(t, name))
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, want %v that says %q", name, err, c.want, c.says)
		}
	}
	for page, err := range p.List(t.Context(), "") {
		if err != nil || len(page.Secrets) != 6 {
			t.Errorf("%d are listed, %v", len(page.Secrets), err)
		}
		for _, one := range page.Secrets {
			if (one.Version == "") != (one.Ref == "no-value") {
				t.Errorf("%s is listed with version %q", one.Ref, one.Version)
			}
		}
	}
}

// TestNamesThatLookLikeARNsAreNames has names that end as AWS ends its ARNs, and one that
// begins as the ARN of another.
func TestNamesThatLookLikeARNsAreNames(t *testing.T) {
	server := start(t)
	p := open(t, configure(t, server))
	names := []string{"app", "app-config", "app-aB3dE6", "app-aB3dE6-aB3dE6", "-master", "a@b+c=d/e_f.g"}
	for _, name := range names {
		providertest.Put(t, p, providertest.Ref(t, name), name, "")
	}
	for _, name := range names {
		if got, _ := providertest.Value(t, p, providertest.Ref(t, name)); got != name {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestNamesThatAWSCannotHaveAskNobody(t *testing.T) {
	server := start(t)
	p := open(t, configure(t, server))
	for _, name := range []string{"a b", "über", "rds!db-1", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x-abcdef", "a*", "a,b", "日本語"} {
		if _, err := p.Read(t.Context(), providertest.Ref(t, name)); !errors.Is(err, agent.ErrInvalidRef) {
			t.Errorf("read %q: %v", name, err)
		}
		if _, err := p.Write(t.Context(), providertest.Ref(t, name), providertest.Bundle(canary), ""); !errors.Is(err, agent.ErrInvalidRef) {
			t.Errorf("write %q: %v", name, err)
		}
	}
	for _, operation := range fake.Operations() {
		if n := server.Calls(operation); n != 0 {
			t.Errorf("%s was asked for %d times", operation, n)
		}
	}
}

// outcomes are the errors of all that a provider can be asked, each with time for three
// attempts.
func outcomes(t *testing.T, p *aws.Provider, ref agent.Ref, expect agent.Version) map[string]error {
	errs := map[string]error{}
	for what, run := range map[string]func(context.Context) error{
		"read": func(ctx context.Context) error { _, err := p.Read(ctx, ref); return err },
		"write": func(ctx context.Context) error {
			_, err := p.Write(ctx, ref, providertest.Bundle(canary), expect)
			return err
		},
		"create": func(ctx context.Context) error {
			_, err := p.Write(ctx, providertest.Ref(t, "prod/new"), providertest.Bundle(canary), "")
			return err
		},
		"list": func(ctx context.Context) error {
			for _, err := range p.List(ctx, "") {
				return err
			}
			return nil
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
		errs[what] = run(ctx)
		cancel()
	}
	return errs
}

// TestAnErrorRepeatsNothingOfAnAnswer has AWS say things that must not be passed on.
func TestAnErrorRepeatsNothingOfAnAnswer(t *testing.T) {
	server := start(t)
	p, ref := open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	version := providertest.Put(t, p, ref, canary, "")
	for _, fault := range []fake.Fault{fake.Odd, fake.Garbage, fake.Forbidden, fake.Unsigned, fake.Failing, fake.Reset} {
		server.Break(fault, -1)
		for what, err := range outcomes(t, p, ref, version) {
			text := fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err))
			for _, hidden := range []string{canary, fake.OddWords, "wJalrXUtnFEMI"} {
				if err == nil || strings.Contains(text, hidden) {
					t.Errorf("%s, %s: %s", fault, what, text)
				}
			}
		}
	}
	server.Break(fake.Odd, -1)
	if _, err := p.Read(t.Context(), ref); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "answered 400") {
		t.Errorf("a code that AWS does not document: %v", err)
	}
}

// TestAnAnswerAboutSomethingElseIsRefused has an endpoint that speaks AWS's protocol and
// answers with another secret, with nothing, or without end.
func TestAnAnswerAboutSomethingElseIsRefused(t *testing.T) {
	start(t)
	for name, body := range map[string]string{
		"another secret": `{"Name":"prod/other","VersionId":"00000000-0000-4000-8000-000000000000","SecretString":"{\"k\":\"` + canary + `\"}","VersionIdsToStages":{}}`,
		"nothing":        `{}`,
		"without end":    `{"Name":"prod/db","SecretString":"` + strings.Repeat("x", 17<<20) + `"}`,
		"cut short":      `{"Name":"prod/db","SecretString":"{\"k\":`,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				_, _ = w.Write([]byte(body))
			}))
			defer server.Close()
			cfg := configure(t, &fake.Server{Address: server.URL})
			p := open(t, cfg)
			for what, err := range outcomes(t, p, providertest.Ref(t, "prod/db"), "00000000-0000-4000-8000-000000000000") {
				if !errors.Is(err, agent.ErrUnavailable) || strings.Contains(err.Error(), canary) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

func TestACallWaitsAsLongAsAWSAsks(t *testing.T) {
	server := start(t)
	p, ref := open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	providertest.Put(t, p, ref, "one", "")
	server.Break(fake.Slow, 1)
	began := time.Now()
	providertest.Value(t, p, ref)
	if took := time.Since(began); took < time.Second {
		t.Errorf("the call was repeated after %v", took)
	}
	asked := server.Calls("GetSecretValue")
	server.Break(fake.Never, -1)
	began = time.Now()
	if _, err := p.Read(t.Context(), ref); !errors.Is(err, agent.ErrUnavailable) || time.Since(began) > 5*time.Second {
		t.Errorf("asked to come in an hour: %v after %v", err, time.Since(began))
	}
	if n := server.Calls("GetSecretValue") - asked; n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestTheLimitOnRequestsIsKept(t *testing.T) {
	server := start(t)
	cfg := configure(t, server)
	cfg.RequestsPerSecond = 10
	p := open(t, cfg)
	began := time.Now()
	for range 15 { // ten at once, and five in half a second
		if err := p.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("15 requests took %v", took)
	}
}

func TestCheckWantsCredentialsAndNoRights(t *testing.T) {
	server := start(t)
	p := open(t, configure(t, server))
	server.Deny(describe, true)
	if err := p.Check(t.Context()); err != nil {
		t.Errorf("without rights: %v", err)
	}
	server.Break(fake.Unsigned, -1)
	if err := p.Check(t.Context()); !errors.Is(err, agent.ErrSignIn) {
		t.Errorf("unknown: %v", err)
	}
	server.Break(fake.None, 0)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(t.Context()); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

func TestNobodyAtTheEndpointIsNamed(t *testing.T) {
	cfg := configure(t, start(t))
	cfg.Endpoint = "http://127.0.0.1:1"
	p := open(t, cfg)
	for what, run := range map[string]func() error{
		"check": func() error { return p.Check(t.Context()) },
		"read":  func() error { _, err := p.Read(t.Context(), providertest.Ref(t, "prod/db")); return err },
		"write": func() error {
			_, err := p.Write(t.Context(), providertest.Ref(t, "prod/db"), providertest.Bundle(canary), "")
			return err
		},
	} {
		if err := run(); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1: connect") || strings.Contains(err.Error(), "unknown") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
