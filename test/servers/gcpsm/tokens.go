package gcpsm

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Account is the service account that has a key here, and Subject a token of another
// identity provider that federation takes.
const (
	Account = "agent@bridge-tests.iam.gserviceaccount.com"
	Subject = "subject-token-of-the-workload"
)

// tokens are those that were given out.
type tokens struct {
	mu      *sync.Mutex
	given   map[string]token
	granted map[string]int // how many by whom
	refuse  *int           // status of a refusal; 0: none
}

type token struct {
	account string
	end     time.Time
}

func newTokens() tokens {
	return tokens{mu: &sync.Mutex{}, given: map[string]token{}, granted: map[string]int{}, refuse: new(int)}
}

// key is made once: it takes a while.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// KeyFile writes the key of the service account, as Google's console gives it, and returns
// its path and the key's own text.
func (s *Server) KeyFile(t testing.TB) (path, private string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key())
	if err != nil {
		t.Fatal(err)
	}
	private = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return s.File(t, map[string]any{
		"type": "service_account", "project_id": s.project, "private_key_id": "k1", "private_key": private,
		"client_email": Account, "client_id": "1", "token_uri": s.Address + "/token",
	}), private
}

// FederationFile writes a configuration of workload identity federation whose token comes
// from a file.
func (s *Server) FederationFile(t testing.TB) string {
	t.Helper()
	subject := filepath.Join(t.TempDir(), "subject")
	if err := os.WriteFile(subject, []byte(Subject), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.File(t, map[string]any{
		"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": s.Address + "/v1/token",
		"credential_source": map[string]any{"file": subject},
	})
}

// File writes credentials.
func (s *Server) File(t testing.TB, content map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Revoke ends all tokens.
func (s *Server) Revoke() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.given)
}

// RefuseTokens has everybody who asks for a token get that status; 0 ends it.
func (s *Server) RefuseTokens(status int) {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	*s.tokens.refuse = status
}

// Tokens are all that were given out and not revoked.
func (s *Server) Tokens() []string {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	return slices.Collect(maps.Keys(s.tokens.given))
}

// Granted is how many tokens were given to whom: an account, "metadata" or "federation".
func (s *Server) Granted(whom string) int {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	return s.tokens.granted[whom]
}

// grant makes a token, or answers with a refusal and "".
func (s *Server) grant(w http.ResponseWriter, account string) string {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	if *s.tokens.refuse != 0 {
		refuse(w, *s.tokens.refuse)
		return ""
	}
	raw := make([]byte, 16)
	_, _ = rand.Read(raw)
	made := "ya29." + hex.EncodeToString(raw)
	s.tokens.given[made] = token{account, time.Now().Add(s.TokenLife)}
	s.tokens.granted[account]++
	return made
}

// refuse is an error of OAuth 2.0 (RFC 6749, section 5.2), as Google words it.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"Invalid JWT Signature. ` + Leak + `"}`))
}

// Leak is a text in refusals that nobody may repeat.
const Leak = "refusal-words-77c41e"

func (t tokens) alive(r *http.Request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	given, ok := t.given[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	return ok && time.Now().Before(given.end)
}

func (s *Server) answerToken(w http.ResponseWriter, account string) {
	if made := s.grant(w, account); made != "" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": made, "expires_in": int(s.TokenLife.Seconds()), "token_type": "Bearer",
			"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
		})
	}
}

// exchangeAssertion takes a signed JWT of the service account (RFC 7523).
func (s *Server) exchangeAssertion(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.PostFormValue("assertion"), ".")
	if r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(parts) != 3 {
		refuse(w, http.StatusBadRequest)
		return
	}
	var claims struct {
		Iss, Aud, Scope string
		Exp             int64
	}
	payload, err1 := base64.RawURLEncoding.DecodeString(parts[1])
	signature, err2 := base64.RawURLEncoding.DecodeString(parts[2])
	hash := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err1 != nil || err2 != nil || json.Unmarshal(payload, &claims) != nil ||
		rsa.VerifyPKCS1v15(&key().PublicKey, crypto.SHA256, hash[:], signature) != nil ||
		claims.Iss != Account || claims.Aud != s.Address+"/token" || claims.Exp < time.Now().Unix() ||
		claims.Scope != "https://www.googleapis.com/auth/cloud-platform" {
		refuse(w, http.StatusBadRequest)
		return
	}
	s.answerToken(w, Account)
}

// exchangeSubject takes a token of another identity provider (RFC 8693).
func (s *Server) exchangeSubject(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("subject_token") != Subject {
		refuse(w, http.StatusBadRequest)
		return
	}
	s.answerToken(w, "federation")
}

// metadata is what the metadata server of a machine tells of its service account.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Metadata-Flavor", "Google")
	if r.Header.Get("Metadata-Flavor") != "Google" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.URL.Path != "/computeMetadata/v1/instance/service-accounts/default/token" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	s.answerToken(w, "metadata")
}

// impersonate gives a token of another account (IAM Service Account Credentials API).
func (s *Server) impersonate(w http.ResponseWriter, r *http.Request) {
	account, ok := strings.CutSuffix(r.PathValue("call"), ":generateAccessToken")
	if !ok || !s.tokens.alive(r) {
		refuse(w, http.StatusForbidden)
		return
	}
	if made := s.grant(w, account); made != "" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"accessToken": made, "expireTime": time.Now().Add(s.TokenLife).UTC().Format(time.RFC3339)})
	}
}
