package azurekv

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Who may sign in, and how.
const (
	Tenant         = "11111111-2222-4333-8444-555555555555"
	ClientID       = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	ClientSecret   = "client-secret-q7v0"
	FederatedToken = "federated-token-k3w8" // of a Kubernetes service account
	IdentityID     = "99999999-8888-4777-8666-555555555555"
	IdentityHeader = "identity-header-z5p1" // what a managed identity's endpoint wants to hear

	resource  = "https://vault.azure.net"
	tokenLife = time.Hour

	// leeway is for how long the vault takes a token after its end: clocks differ.
	leeway = 5 * time.Minute

	// IdentityPath is where a managed identity gets its token, as on App Service.
	IdentityPath = "/msi/token"
)

// signIn issues tokens, as Entra ID and a managed identity's endpoint do.
type signIn struct {
	base string

	signMu   sync.Mutex
	secret   string
	key      *rsa.PublicKey // of the client's certificate
	life     time.Duration
	down     int // status instead of an answer
	tokens   map[string]time.Time
	signedBy []string // how, each time
}

func (s *signIn) start(base string) {
	s.base, s.secret, s.life, s.tokens = base, ClientSecret, tokenLife, map[string]time.Time{}
}

// TokenLife is how long tokens live that are issued from now on.
func (s *signIn) TokenLife(life time.Duration) {
	s.signMu.Lock()
	defer s.signMu.Unlock()
	s.life = life
}

// ChangeSecret has another client secret be the right one.
func (s *signIn) ChangeSecret(secret string) {
	s.signMu.Lock()
	defer s.signMu.Unlock()
	s.secret = secret
}

// TrustCertificate lets the client sign in with this key.
func (s *signIn) TrustCertificate(key *rsa.PublicKey) {
	s.signMu.Lock()
	defer s.signMu.Unlock()
	s.key = key
}

// SignInDown has signing in answer a status and nothing else; 0 ends it.
func (s *signIn) SignInDown(status int) {
	s.signMu.Lock()
	defer s.signMu.Unlock()
	s.down = status
}

// Tokens are all that were issued.
func (s *signIn) Tokens() []string {
	s.signMu.Lock()
	defer s.signMu.Unlock()
	return slices.Collect(maps.Keys(s.tokens))
}

// SignedIn tells how tokens were got, one entry each: "secret", "certificate",
// "federated", "identity" or "identity " and the id that was asked for.
func (s *signIn) SignedIn() []string {
	s.signMu.Lock()
	defer s.signMu.Unlock()
	return append([]string(nil), s.signedBy...)
}

func (s *signIn) challenge() string {
	return `Bearer authorization="` + s.base + "/" + Tenant + `", resource="` + resource + `"`
}

func (s *signIn) issue(life time.Duration) string {
	s.signMu.Lock()
	defer s.signMu.Unlock()
	token := "token-" + newID()
	s.tokens[token] = time.Now().Add(life + leeway)
	return token
}

func (s *signIn) known(authorization string) bool {
	s.signMu.Lock()
	defer s.signMu.Unlock()
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	return ok && time.Now().Before(s.tokens[token])
}

func (s *signIn) serve(w http.ResponseWriter, r *http.Request, body []byte) {
	s.signMu.Lock()
	down, life := s.down, s.life
	s.signMu.Unlock()
	switch {
	case down != 0:
		w.WriteHeader(down)
	case r.URL.Path == "/"+Tenant+"/v2.0/.well-known/openid-configuration":
		answer(w, http.StatusOK, map[string]any{
			"issuer": s.base + "/" + Tenant + "/v2.0", "authorization_endpoint": s.base + "/" + Tenant + "/oauth2/v2.0/authorize",
			"token_endpoint": s.base + "/" + Tenant + "/oauth2/v2.0/token",
		})
	case r.URL.Path == "/"+Tenant+"/oauth2/v2.0/token" && r.Method == http.MethodPost:
		s.token(w, body, life)
	case r.URL.Path == IdentityPath:
		s.identity(w, r, life)
	default:
		refuse(w, http.StatusBadRequest, "invalid_tenant", "AADSTS90002: Tenant not found.")
	}
}

// token is Entra ID's endpoint for client credentials.
func (s *signIn) token(w http.ResponseWriter, body []byte, life time.Duration) {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("grant_type") != "client_credentials" || !strings.Contains(form.Get("scope"), resource+"/.default") {
		refuse(w, http.StatusBadRequest, "invalid_request", "AADSTS900144: The request body is wrong.")
		return
	}
	if form.Get("client_id") != ClientID {
		refuse(w, http.StatusBadRequest, "unauthorized_client", "AADSTS700016: Application with identifier '"+form.Get("client_id")+"' was not found in the directory.")
		return
	}
	how := ""
	s.signMu.Lock()
	switch assertion := form.Get("client_assertion"); {
	case form.Get("client_secret") == s.secret:
		how = "secret"
	case assertion == FederatedToken:
		how = "federated"
	case assertion != "" && s.key != nil && signed(assertion, s.key):
		how = "certificate"
	}
	if how != "" {
		s.signedBy = append(s.signedBy, how)
	}
	s.signMu.Unlock()
	if how == "" {
		refuse(w, http.StatusUnauthorized, "invalid_client", "AADSTS7000215: Invalid client secret provided: "+form.Get("client_secret"))
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": int(life.Seconds()), "ext_expires_in": int(life.Seconds()), "access_token": s.issue(life),
	})
}

// identity is the endpoint of a managed identity on App Service.
func (s *signIn) identity(w http.ResponseWriter, r *http.Request, life time.Duration) {
	id := r.URL.Query().Get("client_id")
	if r.Header.Get("X-IDENTITY-HEADER") != IdentityHeader || r.URL.Query().Get("resource") != resource || id != "" && id != IdentityID {
		refuse(w, http.StatusBadRequest, "invalid_request", "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.")
		return
	}
	s.signMu.Lock()
	s.signedBy = append(s.signedBy, strings.TrimSpace("identity "+id))
	s.signMu.Unlock()
	answer(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "resource": resource, "access_token": s.issue(life), "expires_on": strconv.FormatInt(time.Now().Add(life).Unix(), 10),
	})
}

// refuse answers as Entra ID does. Its description may repeat what it was given.
func refuse(w http.ResponseWriter, status int, code, description string) {
	answer(w, status, map[string]any{"error": code, "error_description": description})
}

// signed checks a JSON Web Token's signature, RS256 or PS256.
func signed(token string, key *rsa.PublicKey) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	var header struct{ Alg string }
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(raw, &header) != nil {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch header.Alg {
	case "RS256":
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	case "PS256":
		return rsa.VerifyPSS(key, crypto.SHA256, sum[:], signature, nil) == nil
	}
	return false
}
