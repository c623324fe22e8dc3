package gcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"
)

// find looks for credentials, in the order that Application Default Credentials have, and
// gets a token from them. It says of which kind they are. As long as nobody was asked, its
// errors are for operators and hold nothing of a file's content.
func find(ctx context.Context, a Auth, seen *witness) (string, *auth.Token, error) {
	kind, token, err := findOwn(ctx, a.CredentialsFile, seen)
	if err != nil || a.Impersonate == "" {
		return kind, token, err
	}
	token, err = actAs(ctx, a.Impersonate, token, seen)
	return kind + ", impersonating", token, err
}

func findOwn(ctx context.Context, file string, seen *witness) (string, *auth.Token, error) {
	if file == "" {
		file = os.Getenv("GOOGLE_APPLICATION_CREDENTIALS")
	}
	named := file != ""
	if !named {
		home, err := os.UserHomeDir()
		if err == nil {
			file = filepath.Join(home, ".config", "gcloud", "application_default_credentials.json")
		}
	}
	raw, err := os.ReadFile(file)
	defer clear(raw)
	switch {
	case err != nil && !named && errors.Is(err, os.ErrNotExist):
		token, err := askMetadata(ctx, seen)
		return "metadata server", token, err
	case err != nil:
		return "", nil, fmt.Errorf("read the credentials: %w", err)
	}
	kind, err := checkCredentials(raw, 0)
	if err != nil {
		return "", nil, err
	}
	found, err := credentials.NewCredentialsFromJSON(kind, bytes.Clone(raw), &credentials.DetectOptions{ // keeps what it is given
		Scopes: []string{scope}, Client: seen.client(), Logger: silent,
		DisableAsyncRefresh: true, // no goroutine that outlives its call
	})
	if err != nil {
		return "", nil, fmt.Errorf("the credentials are no usable %s: check the file", kind)
	}
	token, err := found.Token(ctx)
	if err != nil || token.Value == "" {
		return "", nil, errors.New("the credentials give no token: check the file")
	}
	return string(kind), token, nil
}

// googleapis is the universe that is spoken to. Credentials of another one would sign
// tokens for it by themselves, without asking anybody.
const googleapis = "googleapis.com"

// checkCredentials refuses what would have the agent start a program, and kinds that
// nobody thought about. The library starts one for a source "executable" where
// GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES is 1, and for a source "certificate" where a
// file, which GOOGLE_API_CERTIFICATE_CONFIG may name, tells of Google's certificate proxy.
// (The latter source has a client of its own, too, which takes proxies from the environment.)
func checkCredentials(raw []byte, depth int) (credentials.CredType, error) {
	var file struct {
		Type             credentials.CredType `json:"type"`
		Universe         string               `json:"universe_domain"`
		CredentialSource struct {
			Executable  json.RawMessage `json:"executable"`
			Certificate json.RawMessage `json:"certificate"`
		} `json:"credential_source"`
		Source json.RawMessage `json:"source_credentials"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return "", errors.New("the credentials are no JSON of Google's")
	}
	if file.Universe != "" && file.Universe != googleapis {
		return "", errors.New("the credentials are of another universe than " + googleapis)
	}
	switch file.Type {
	case credentials.ServiceAccount, credentials.AuthorizedUser:
	case credentials.ExternalAccount:
		switch {
		case len(file.CredentialSource.Executable) > 0:
			return "", errors.New("the credentials come from a program, and an agent starts none: use a file or a URL as their source")
		case len(file.CredentialSource.Certificate) > 0:
			return "", errors.New("the credentials come from a certificate, which a program may hold, and an agent starts none: use a file or a URL as their source")
		}
	case credentials.ImpersonatedServiceAccount:
		if depth > 2 {
			return "", errors.New("the credentials are nested too deep")
		}
		if _, err := checkCredentials(file.Source, depth+1); err != nil {
			return "", err
		}
	default:
		return "", errors.New("the credentials are neither service_account, external_account, impersonated_service_account nor authorized_user")
	}
	return file.Type, nil
}

// metadataTime bounds one question to the metadata server, which is on the same machine.
const metadataTime = 5 * time.Second

// askMetadata gets a token of the machine's own service account. The server is at an address
// of its own unless GCE_METADATA_HOST says where (Compute Engine, "About VM metadata"). The
// library's way is not taken: it remembers for as long as the process lives that nobody
// answered once, and has a client and retries of its own.
func askMetadata(ctx context.Context, seen *witness) (*auth.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTime)
	defer cancel()
	host := os.Getenv("GCE_METADATA_HOST")
	if host == "" {
		host = "169.254.169.254"
	}
	at := "http://" + host + "/computeMetadata/v1/instance/service-accounts/default/token?scopes=" + url.QueryEscape(scope)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, errors.New("GCE_METADATA_HOST is no host")
	}
	req.Header.Set("Metadata-Flavor", "Google")
	within := *seen
	within.ctx = ctx
	res, err := within.client().Do(req)
	seen.asked, seen.status = within.asked, within.status
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var made struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, errors.New("the metadata server gives no token")
	case res.Header.Get("Metadata-Flavor") != "Google", // another cloud's
		json.NewDecoder(res.Body).Decode(&made) != nil, made.AccessToken == "", made.ExpiresIn <= 0:
		return nil, errors.New("the answer is not a metadata server's")
	}
	return &auth.Token{Value: made.AccessToken, Expiry: time.Now().Add(time.Duration(made.ExpiresIn) * time.Second)}, nil
}

// actAs gives own for a token of another service account (IAM Service Account Credentials
// API, generateAccessToken), of an hour, the longest without further permission.
func actAs(ctx context.Context, account string, own *auth.Token, seen *witness) (*auth.Token, error) {
	as, err := impersonate.NewCredentials(&impersonate.CredentialsOptions{
		TargetPrincipal: account, Scopes: []string{scope}, Client: client(signer{own, seen}), Logger: silent,
	})
	if err != nil {
		return nil, errors.New("the service account to act as is not usable")
	}
	return as.Token(ctx)
}

// signer signs what asks for a token of another account.
type signer struct {
	token *auth.Token
	next  http.RoundTripper
}

func (s signer) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.Header.Set("Authorization", "Bearer "+s.token.Value)
	return s.next.RoundTrip(out)
}
