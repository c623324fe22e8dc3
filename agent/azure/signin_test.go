package azure_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/azure"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/azurekv"
)

// bare has no trace of Azure in the environment, and then what is given.
func bare(t *testing.T, set map[string]string) {
	t.Helper()
	for _, name := range []string{
		"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PASSWORD",
		"AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "AZURE_REGIONAL_AUTHORITY_NAME", "AZURE_SDK_GO_LOGGING",
		"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET",
	} {
		t.Setenv(name, set[name])
	}
}

// certificate makes one that signs in, with its key in one file.
func certificate(t *testing.T) (path string, key *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "agent"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return providertest.File(t, "agent.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))), key
}

// TestEachWayToSignIn signs in by configuration and by environment, with the library's own
// code, and again when the token has ended.
func TestEachWayToSignIn(t *testing.T) {
	pemFile, key := certificate(t)
	secretFile := providertest.File(t, "secret", azurekv.ClientSecret+"\n")
	tokenFile := providertest.File(t, "token", azurekv.FederatedToken)
	principal := azure.Auth{Method: azure.MethodServicePrincipal, TenantID: azurekv.Tenant, ClientID: azurekv.ClientID}
	with := func(change func(*azure.Auth)) azure.Auth { a := principal; change(&a); return a }
	for name, c := range map[string]struct {
		auth azure.Auth
		env  map[string]string
		how  string
	}{
		"a client secret": {with(func(a *azure.Auth) { a.ClientSecretFile = secretFile }), nil, "secret"},
		"a certificate":   {with(func(a *azure.Auth) { a.CertificateFile = pemFile }), nil, "certificate"},
		"a workload": {
			azure.Auth{Method: azure.MethodWorkloadIdentity, TenantID: azurekv.Tenant, ClientID: azurekv.ClientID, TokenFile: tokenFile}, nil, "federated",
		},
		"a workload as Kubernetes sets it up": {
			azure.Auth{Method: azure.MethodWorkloadIdentity},
			map[string]string{"AZURE_TENANT_ID": azurekv.Tenant, "AZURE_CLIENT_ID": azurekv.ClientID, "AZURE_FEDERATED_TOKEN_FILE": tokenFile}, "federated",
		},
		"the system's identity": {azure.Auth{Method: azure.MethodManagedIdentity}, map[string]string{"IDENTITY_ENDPOINT": "here"}, "identity"},
		"an assigned identity": {
			azure.Auth{Method: azure.MethodManagedIdentity, ClientID: azurekv.IdentityID}, map[string]string{"IDENTITY_ENDPOINT": "here"}, "identity " + azurekv.IdentityID,
		},
		"by default a client secret": {
			azure.Auth{}, map[string]string{
				"AZURE_TENANT_ID": azurekv.Tenant, "AZURE_CLIENT_ID": azurekv.ClientID, "AZURE_CLIENT_SECRET": azurekv.ClientSecret,
				"AZURE_FEDERATED_TOKEN_FILE": tokenFile, "IDENTITY_ENDPOINT": "here",
			}, "secret",
		},
		"by default a certificate": {
			azure.Auth{}, map[string]string{"AZURE_TENANT_ID": azurekv.Tenant, "AZURE_CLIENT_ID": azurekv.ClientID, "AZURE_CLIENT_CERTIFICATE_PATH": pemFile}, "certificate",
		},
		"by default a workload": {
			azure.Auth{Method: azure.MethodDefault},
			map[string]string{"AZURE_TENANT_ID": azurekv.Tenant, "AZURE_CLIENT_ID": azurekv.ClientID, "AZURE_FEDERATED_TOKEN_FILE": tokenFile, "IDENTITY_ENDPOINT": "here"}, "federated",
		},
		"by default an identity": {
			azure.Auth{}, map[string]string{"AZURE_CLIENT_ID": azurekv.IdentityID, "IDENTITY_ENDPOINT": "here"}, "identity " + azurekv.IdentityID,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.TrustCertificate(&key.PublicKey)
			if c.env["IDENTITY_ENDPOINT"] != "" {
				c.env["IDENTITY_ENDPOINT"], c.env["IDENTITY_HEADER"] = l.URL+azurekv.IdentityPath, azurekv.IdentityHeader
			}
			bare(t, c.env)
			// Short tokens: the library keeps managed ones for the whole process.
			l.TokenLife(time.Second)
			l.SetValue("x", one)
			var logged providertest.Log
			cfg := l.config(t)
			cfg.Auth, cfg.Log = c.auth, logged.Logger()
			if c.auth.Method == azure.MethodDefault || c.auth.Method == "" {
				t.Setenv("AZURE_AUTHORITY_HOST", l.URL)
				cfg.AuthorityHost = ""
			}
			p := open(t, cfg)
			for deadline := time.Now().Add(20 * time.Second); len(l.SignedIn()) < 2; time.Sleep(50 * time.Millisecond) {
				if got, _ := providertest.Value(t, p, providertest.Ref(t, "x")); got != "one" {
					t.Fatalf("read %q", got)
				}
				if time.Now().After(deadline) {
					t.Fatal("the token was not renewed in time")
				}
			}
			if i := slices.IndexFunc(l.SignedIn(), func(how string) bool { return how != c.how }); i >= 0 {
				t.Errorf("signed in by %v, want %s", l.SignedIn(), c.how)
			}
			providertest.Silent(t, logged.String(), "token-", azurekv.ClientSecret, azurekv.FederatedToken, azurekv.IdentityHeader)
			if !strings.Contains(logged.String(), "signed in to azure") {
				t.Errorf("the log does not say that it signed in: %s", logged.String())
			}
		})
	}
}

func TestARefusedSignInSaysWhyAndNothingElse(t *testing.T) {
	bare(t, nil)
	for name, c := range map[string]struct {
		spoil func(*testing.T, *azure.Config)
		want  string
	}{
		"another secret":     {func(t *testing.T, c *azure.Config) { c.Auth.ClientSecretFile = providertest.File(t, "s", canary) }, "AADSTS7000215"},
		"another client":     {func(_ *testing.T, c *azure.Config) { c.Auth.ClientID = canary }, "AADSTS700016"},
		"another tenant":     {func(_ *testing.T, c *azure.Config) { c.Auth.TenantID = canary }, "tenant"},
		"no tenant":          {func(_ *testing.T, c *azure.Config) { c.Auth.TenantID = "/" }, "tenant id is none"},
		"an empty secret":    {func(t *testing.T, c *azure.Config) { c.Auth.ClientSecretFile = providertest.File(t, "s", "\n") }, "empty"},
		"a file that is not": {func(_ *testing.T, c *azure.Config) { c.Auth.ClientSecretFile = "/nonexistent/s" }, "/nonexistent/s"},
		"no certificate": {func(t *testing.T, c *azure.Config) {
			c.Auth.ClientSecretFile, c.Auth.CertificateFile = "", providertest.File(t, "s", canary)
		}, "no certificate"},
		"a workload without its file": {func(_ *testing.T, c *azure.Config) {
			c.Auth = azure.Auth{Method: azure.MethodWorkloadIdentity, TenantID: azurekv.Tenant, ClientID: azurekv.ClientID}
		}, "AZURE_FEDERATED_TOKEN_FILE is not set"},
		"a workload whose file is gone": {func(_ *testing.T, c *azure.Config) {
			c.Auth = azure.Auth{Method: azure.MethodWorkloadIdentity, TenantID: azurekv.Tenant, ClientID: azurekv.ClientID, TokenFile: "/nonexistent/t"}
		}, "/nonexistent/t"},
		"a workload without ids": {func(t *testing.T, c *azure.Config) {
			c.Auth = azure.Auth{Method: azure.MethodWorkloadIdentity, TokenFile: providertest.File(t, "t", canary)}
		}, "AZURE_CLIENT_ID is not set"},
		"a workload's token that is refused": {func(t *testing.T, c *azure.Config) {
			c.Auth = azure.Auth{Method: azure.MethodWorkloadIdentity, TenantID: azurekv.Tenant, ClientID: azurekv.ClientID, TokenFile: providertest.File(t, "t", canary)}
		}, "AADSTS7000215"},
	} {
		l := newLab(t)
		cfg := l.config(t)
		c.spoil(t, &cfg)
		p := open(t, cfg)
		_, err := p.Read(t.Context(), providertest.Ref(t, "x"))
		if !errors.Is(err, agent.ErrSignIn) || errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ErrSignIn with %q", name, err, c.want)
			continue
		}
		providertest.Silent(t, err.Error(), canary, azurekv.ClientSecret, "Invalid client secret")
	}
	// The endpoint of an identity that this host does not have.
	l := newLab(t)
	t.Setenv("IDENTITY_ENDPOINT", l.URL+azurekv.IdentityPath)
	t.Setenv("IDENTITY_HEADER", azurekv.IdentityHeader)
	cfg := l.config(t)
	cfg.Auth = azure.Auth{Method: azure.MethodManagedIdentity, ClientID: canary}
	_, err := open(t, cfg).Read(t.Context(), providertest.Ref(t, "x"))
	if !errors.Is(err, agent.ErrSignIn) {
		t.Errorf("an identity that is not there: %v", err)
	}
	providertest.Silent(t, err.Error(), canary, "Assigned")
}

func TestSigningInMayBeAway(t *testing.T) {
	bare(t, nil)
	l := newLab(t)
	l.SetValue("x", one)
	p := open(t, l.config(t))
	for _, status := range []int{500, 503, 429} {
		l.SignInDown(status)
		_, err := p.Read(t.Context(), providertest.Ref(t, "x"))
		if !errors.Is(err, agent.ErrUnavailable) || errors.Is(err, agent.ErrSignIn) {
			t.Errorf("status %d: %v", status, err)
		}
	}
	l.SignInDown(0)
	if got, _ := providertest.Value(t, p, providertest.Ref(t, "x")); got != "one" {
		t.Errorf("then %q is read", got)
	}
	cfg := l.config(t)
	cfg.AuthorityHost = "https://127.0.0.1:1"
	if _, err := open(t, cfg).Read(t.Context(), providertest.Ref(t, "x")); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody there: %v", err)
	}
}

// TestAReplacedSecretIsTaken has the client secret be replaced at Entra ID and in the file at
// once, which nobody notices, and then at Entra ID first, as an operator does.
func TestAReplacedSecretIsTaken(t *testing.T) {
	bare(t, nil)
	l := newLab(t)
	l.SetValue("x", one)
	l.TokenLife(time.Second)
	cfg := l.config(t)
	p := open(t, cfg)
	providertest.Value(t, p, providertest.Ref(t, "x"))
	put := func(secret string) {
		if err := os.WriteFile(cfg.Auth.ClientSecretFile, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.ChangeSecret("client-secret-n8b3")
	put("client-secret-n8b3")
	for deadline := time.Now().Add(20 * time.Second); len(l.SignedIn()) < 2; time.Sleep(50 * time.Millisecond) {
		providertest.Value(t, p, providertest.Ref(t, "x"))
		if time.Now().After(deadline) {
			t.Fatal("the token was not renewed in time")
		}
	}
	l.ChangeSecret("client-secret-j5m1")
	refused := false
	for deadline := time.Now().Add(20 * time.Second); !refused; time.Sleep(50 * time.Millisecond) {
		_, err := p.Read(t.Context(), providertest.Ref(t, "x"))
		refused = errors.Is(err, agent.ErrSignIn)
		if time.Now().After(deadline) {
			t.Fatal("the old secret is still good")
		}
	}
	put("client-secret-j5m1")
	if got, _ := providertest.Value(t, p, providertest.Ref(t, "x")); got != "one" {
		t.Errorf("then %q is read", got)
	}
}

// TestTheEnvironmentHasNoEffectOnWhatIsConfigured fills the environment with what the
// libraries read, but for AZURE_REGIONAL_AUTHORITY_NAME, which docs/providers tells of.
func TestTheEnvironmentHasNoEffectOnWhatIsConfigured(t *testing.T) {
	bare(t, map[string]string{
		"AZURE_TENANT_ID": canary, "AZURE_CLIENT_ID": canary, "AZURE_CLIENT_SECRET": canary, "AZURE_CLIENT_CERTIFICATE_PATH": "/nonexistent/" + canary,
		"AZURE_FEDERATED_TOKEN_FILE": "/nonexistent/" + canary, "AZURE_AUTHORITY_HOST": "https://127.0.0.1:1",
		"IDENTITY_ENDPOINT": "http://127.0.0.1:1", "IDENTITY_HEADER": canary,
	})
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
		t.Setenv(strings.ToLower(name), "http://127.0.0.1:1")
	}
	l := newLab(t)
	l.SetValue("x", one)
	if got, _ := providertest.Value(t, open(t, l.config(t)), providertest.Ref(t, "x")); got != "one" {
		t.Errorf("read %q", got)
	}
	if how := l.SignedIn(); !slices.Equal(how, []string{"secret"}) {
		t.Errorf("signed in by %v", how)
	}
}

// TestOnlyCredentialsOfServicesAreNamed reads this package's files: what is not named is not
// in the agent's binary, and the library's other ways to sign in start programs, open
// browsers and listen (decision 0091).
func TestOnlyCredentialsOfServicesAreNamed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if strings.Contains(spec.Path.Value, "AzureAD") || strings.Contains(spec.Path.Value, "azidentity") && spec.Name != nil {
				t.Errorf("%s imports %s", path, spec.Path.Value)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if from, ok := s.X.(*ast.Ident); ok && from.Name == "azidentity" && !strings.HasSuffix(s.Sel.Name, "Options") {
					names[s.Sel.Name] = true
				}
			}
			return true
		})
	}
	want := []string{
		"ClientID", "NewClientCertificateCredential", "NewClientSecretCredential", "NewManagedIdentityCredential", "NewWorkloadIdentityCredential", "ParseCertificates",
	}
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, want) {
		t.Errorf("named are %v, want %v", got, want)
	}
}
