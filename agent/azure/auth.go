package azure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"secretsbridge/agent"
	"secretsbridge/internal/endpoint"
)

// Method is a way to sign in.
type Method string

// The methods that are supported. None starts a program or asks a person: what a developer
// is signed in with on this host is not used (decision 0091).
const (
	MethodDefault          Method = "default"           // what the host's environment says; see [Auth]
	MethodServicePrincipal Method = "service-principal" // a client secret or a certificate
	MethodWorkloadIdentity Method = "workload-identity" // a token of a Kubernetes service account
	MethodManagedIdentity  Method = "managed-identity"  // of the machine or the service
)

// Auth says how to sign in. Secrets are in files only, which are read again when what was
// read is refused.
//
// The method default takes what is set in this order: AZURE_TENANT_ID, AZURE_CLIENT_ID and
// AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH; AZURE_FEDERATED_TOKEN_FILE; and else
// the managed identity, AZURE_CLIENT_ID or the system's. AZURE_AUTHORITY_HOST counts where
// the configuration names no host.
type Auth struct {
	Method Method // "" means default; the fields below must then be empty

	TenantID string // of a service principal; "" for a workload means AZURE_TENANT_ID
	ClientID string // of a service principal, or of a user-assigned identity; "" for a workload means AZURE_CLIENT_ID

	// One of these, of a service principal. The certificate file is PEM or PKCS #12 without
	// a password, with its private key.
	ClientSecretFile string
	CertificateFile  string

	// TokenFile is a workload's; "" means AZURE_FEDERATED_TOKEN_FILE.
	TokenFile string
}

func (a Auth) validate() error {
	principal := a.ClientSecretFile != "" || a.CertificateFile != ""
	switch a.Method {
	case MethodDefault, "":
		if a != (Auth{Method: a.Method}) {
			return errors.New("the method default takes nothing else: all is in the environment")
		}
	case MethodServicePrincipal:
		if a.TenantID == "" || a.ClientID == "" || (a.ClientSecretFile != "") == (a.CertificateFile != "") || a.TokenFile != "" {
			return errors.New("the method service-principal takes a tenant id, a client id, and a client secret file or a certificate file")
		}
	case MethodWorkloadIdentity:
		if principal {
			return errors.New("the method workload-identity takes a tenant id, a client id and a token file, all of which may come from the environment")
		}
	case MethodManagedIdentity:
		if principal || a.TenantID != "" || a.TokenFile != "" {
			return errors.New("the method managed-identity takes a client id, for an identity that is not the system's, and nothing else")
		}
	default:
		return fmt.Errorf("the method %q is none of %s, %s, %s and %s", a.Method, MethodDefault, MethodServicePrincipal, MethodWorkloadIdentity, MethodManagedIdentity)
	}
	return nil
}

// silence takes the library's own log away, which AZURE_SDK_GO_LOGGING=all turns on: it
// prints the bodies of error answers.
var silence = sync.OnceFunc(func() { azlog.SetListener(nil) })

// credential is an [azcore.TokenCredential] that reads its files again when it is refused,
// and whose errors are the port's.
type credential struct {
	build func() (azcore.TokenCredential, error)
	log   *slog.Logger

	mu     sync.Mutex
	inner  azcore.TokenCredential // nil until it is needed
	closed bool
}

func newCredential(cfg Config, transport http.RoundTripper, log *slog.Logger) (*credential, error) {
	options := azcore.ClientOptions{Transport: signInDoor{transport}, Retry: signInRetries}
	options.Telemetry.Disabled = true
	host, err := authorityHost(cfg)
	if err != nil {
		return nil, err
	}
	options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: host.String()}
	// Entra ID would be asked whether this machine may sign people in.
	local := endpoint.Loopback(host.Hostname())
	auth := cfg.Auth
	return &credential{log: log, build: func() (azcore.TokenCredential, error) { return auth.build(options, local) }}, nil
}

func authorityHost(cfg Config) (*url.URL, error) {
	host := cfg.AuthorityHost
	if host == "" && (cfg.Auth.Method == MethodDefault || cfg.Auth.Method == "") {
		host = os.Getenv("AZURE_AUTHORITY_HOST")
	}
	if host == "" {
		host = cloud.AzurePublic.ActiveDirectoryAuthorityHost
	}
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("the authority host is not https://HOST")
	}
	return u, nil
}

// build reads the files. Errors hold paths and names of variables, never contents.
func (a Auth) build(options azcore.ClientOptions, local bool) (azcore.TokenCredential, error) {
	switch a.Method {
	case MethodServicePrincipal:
		if a.ClientSecretFile == "" {
			return certificate(a.TenantID, a.ClientID, a.CertificateFile, nil, options, local)
		}
		text, err := os.ReadFile(a.ClientSecretFile)
		if err != nil {
			return nil, err
		}
		defer clear(text)
		return clientSecret(a.TenantID, a.ClientID, strings.TrimSpace(string(text)), options, local)
	case MethodWorkloadIdentity:
		return a.workload(options, local)
	case MethodManagedIdentity:
		return managed(a.ClientID, options)
	}
	tenant, client := os.Getenv("AZURE_TENANT_ID"), os.Getenv("AZURE_CLIENT_ID")
	secret, path := os.Getenv("AZURE_CLIENT_SECRET"), os.Getenv("AZURE_CLIENT_CERTIFICATE_PATH")
	switch {
	case tenant != "" && client != "" && secret != "":
		return clientSecret(tenant, client, secret, options, local)
	case tenant != "" && client != "" && path != "":
		return certificate(tenant, client, path, []byte(os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD")), options, local)
	case os.Getenv("AZURE_FEDERATED_TOKEN_FILE") != "":
		return Auth{}.workload(options, local)
	}
	return managed(client, options)
}

func clientSecret(tenant, client, secret string, options azcore.ClientOptions, local bool) (azcore.TokenCredential, error) {
	if secret == "" {
		return nil, errors.New("the client secret is empty")
	}
	made, err := azidentity.NewClientSecretCredential(tenant, client, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: local,
	})
	if err != nil {
		return nil, errors.New("the tenant id is none")
	}
	return made, nil
}

func certificate(tenant, client, path string, password []byte, options azcore.ClientOptions, local bool) (azcore.TokenCredential, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	if len(password) == 0 {
		password = nil
	}
	chain, key, err := azidentity.ParseCertificates(raw, password)
	if err != nil {
		return nil, fmt.Errorf("%s holds no certificate with its private key", path)
	}
	made, err := azidentity.NewClientCertificateCredential(tenant, client, chain, key, &azidentity.ClientCertificateCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: local,
	})
	if err != nil {
		return nil, errors.New("the tenant id, or the certificate's key, is none that can be used")
	}
	return made, nil
}

func (a Auth) workload(options azcore.ClientOptions, local bool) (azcore.TokenCredential, error) {
	path := a.TokenFile
	if path == "" {
		path = os.Getenv("AZURE_FEDERATED_TOKEN_FILE")
	}
	if path == "" {
		return nil, errors.New("there is no token file, and AZURE_FEDERATED_TOKEN_FILE is not set")
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	made, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: local, TenantID: a.TenantID, ClientID: a.ClientID, TokenFilePath: path,
	})
	if err != nil {
		return nil, errors.New("there is no tenant id or no client id, and AZURE_TENANT_ID or AZURE_CLIENT_ID is not set")
	}
	return made, nil
}

func managed(client string, options azcore.ClientOptions) (azcore.TokenCredential, error) {
	o := azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
	if client != "" {
		o.ID = azidentity.ClientID(client)
	}
	made, err := azidentity.NewManagedIdentityCredential(&o)
	if err != nil {
		return nil, errors.New("this host's kind of managed identity, or one by client id on it, is not supported")
	}
	return made, nil
}

// GetToken implements [azcore.TokenCredential]. The library asks when it needs a token, and
// keeps it until five minutes before its end.
func (c *credential) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	for again := false; ; again = true {
		inner, fresh, err := c.current()
		if err != nil {
			return azcore.AccessToken{}, err
		}
		var a attempt
		token, err := inner.GetToken(context.WithValue(ctx, attemptKey{}, &a), options)
		if err == nil {
			c.log.Info("signed in to azure", "until", token.ExpiresOn)
			return token, nil
		}
		err = a.explain(ctx, err)
		if !errors.Is(err, agent.ErrSignIn) {
			return azcore.AccessToken{}, err
		}
		c.drop(inner)
		if fresh || again {
			return azcore.AccessToken{}, err
		}
	}
}

// current returns what signs in, and whether it was made just now.
func (c *credential) current() (inner azcore.TokenCredential, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, false, &signInError{agent.ErrUnavailable, "the provider is closed", nil}
	case c.inner != nil:
		return c.inner, false, nil
	}
	if c.inner, err = c.build(); err != nil {
		return nil, false, &signInError{agent.ErrSignIn, "", err}
	}
	return c.inner, true, nil
}

// drop has the files be read again.
func (c *credential) drop(inner azcore.TokenCredential) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == inner {
		c.inner = nil
	}
}

func (c *credential) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inner, c.closed = nil, true
}

// attempt is what became of a try to sign in. The library's own errors hold what the other
// side said, and lose what the network did.
type attempt struct {
	status int   // of the last answer; 0 if there was none
	err    error // instead of an answer
}

type attemptKey struct{}

// signInDoor makes the calls that sign in, and notes what became of them.
type signInDoor struct{ next http.RoundTripper }

// Do implements [policy.Transporter].
func (d signInDoor) Do(req *http.Request) (*http.Response, error) {
	res, err := d.next.RoundTrip(req)
	a, _ := req.Context().Value(attemptKey{}).(*attempt)
	if err != nil {
		if a != nil {
			*a = attempt{err: err}
		}
		return nil, err
	}
	if a != nil {
		*a = attempt{status: res.StatusCode}
	}
	res.Body = http.MaxBytesReader(nil, res.Body, maxSignInAnswer)
	return res, nil
}

// errorNumber is how Entra ID numbers its errors; Microsoft lists them under this name.
var errorNumber = regexp.MustCompile(`AADSTS[0-9]{4,8}\b`)

// explain turns an error of the library into one of the port's. Of its text only an error's
// number is kept.
func (a *attempt) explain(ctx context.Context, err error) error {
	number := errorNumber.FindString(err.Error())
	switch {
	case ctx.Err() != nil:
		return &signInError{agent.ErrUnavailable, "", ctx.Err()}
	case a.err != nil:
		return &signInError{agent.ErrUnavailable, "", sayable(a.err)}
	case a.status == 0:
		return &signInError{agent.ErrSignIn, "the vault belongs to another tenant, or a file to sign in with cannot be read", nil}
	case a.status == http.StatusTooManyRequests, a.status == http.StatusRequestTimeout, a.status >= 500, a.status < 400:
		return &signInError{agent.ErrUnavailable, fmt.Sprintf("what signs in answered %d", a.status), nil}
	case number != "":
		return &signInError{agent.ErrSignIn, number, nil}
	}
	return &signInError{agent.ErrSignIn, fmt.Sprintf("what signs in answered %d", a.status), nil}
}

// signInError says why there is no token. The library keeps it as it is.
type signInError struct {
	kind   error // one of the port's
	detail string
	cause  error
}

func (e *signInError) Error() string {
	text := fmt.Sprintf("sign in to azure: %v", e.kind)
	if e.detail != "" {
		text += ": " + e.detail
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

func (e *signInError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}
