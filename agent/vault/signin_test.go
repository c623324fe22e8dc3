package vault_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/agent/vault"
)

// cluster is the part of a Kubernetes API that Vault asks about a pod's token: it knows
// those that it issued and did not end.
type cluster struct {
	t      *testing.T
	key    *rsa.PrivateKey
	server *httptest.Server

	mu      sync.Mutex
	tokens  map[string]bool // those that are good
	reviews int
}

const reviewer = "canary-reviewer-91d3"

func newCluster(t *testing.T) *cluster {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, key: key, tokens: map[string]bool{}}
	c.server = httptest.NewTLSServer(http.HandlerFunc(c.review))
	t.Cleanup(c.server.Close)
	return c
}

// review answers as the API "authentication.k8s.io/v1", kind TokenReview, does.
func (c *cluster) review(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Spec struct {
			Token     string   `json:"token"`
			Audiences []string `json:"audiences"`
		} `json:"spec"`
	}
	if r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || r.Header.Get("Authorization") != "Bearer "+reviewer || json.NewDecoder(r.Body).Decode(&asked) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reviews++
	status := map[string]any{"authenticated": false, "error": "token is unknown"}
	if c.tokens[asked.Spec.Token] && slices.Contains(asked.Spec.Audiences, "vault") {
		status = map[string]any{"authenticated": true, "audiences": []string{"vault"}, "user": map[string]any{
			"username": "system:serviceaccount:bridge:sb-agent", "uid": "7f0c-uid",
			"groups": []string{"system:serviceaccounts", "system:serviceaccounts:bridge", "system:authenticated"},
		}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})
}

// issue makes a token of the service account bridge/sb-agent.
func (c *cluster) issue() string {
	c.t.Helper()
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:bridge:sb-agent", "aud": []string{"vault"},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text(),
		"kubernetes.io": map[string]any{"namespace": "bridge", "serviceaccount": map[string]any{"name": "sb-agent", "uid": "7f0c-uid"}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, c.key, crypto.SHA256, sum[:])
	if err != nil {
		c.t.Fatal(err)
	}
	token := text + "." + encode(signature)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[token] = true
	return token
}

// end makes every token that was issued until now a bad one.
func (c *cluster) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.tokens)
}

// admit has a Vault admit the service account in the role "agent", at a mount.
func (c *cluster) admit(l lab, mount string, settings map[string]any) {
	l.policy(c.t, "prod")
	l.write(c.t, "sys/auth/"+mount, map[string]any{"type": "kubernetes"})
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.server.Certificate().Raw}))
	l.write(c.t, "auth/"+mount+"/config", map[string]any{
		"kubernetes_host": c.server.URL, "kubernetes_ca_cert": authority, "token_reviewer_jwt": reviewer, "disable_local_ca_jwt": true,
	})
	role := map[string]any{
		"bound_service_account_names": "sb-agent", "bound_service_account_namespaces": "bridge", "audience": "vault", "token_policies": "prod",
	}
	for key, value := range settings {
		role[key] = value
	}
	l.write(c.t, "auth/"+mount+"/role/agent", role)
}

func TestAServiceAccountSignsInWithWhatIsInItsFileNow(t *testing.T) {
	l, c := newLab(t), newCluster(t)
	c.admit(l, "k8s/eu", map[string]any{"token_ttl": "2s", "token_max_ttl": "4s"})
	var logged providertest.Log
	cfg := l.config(t, "")
	cfg.Log = logged.Logger()
	first := c.issue()
	path := providertest.File(t, "token", first+"\n")
	cfg.Auth = vault.Auth{Method: vault.MethodKubernetes, KubernetesRole: "agent", KubernetesMount: "k8s/eu", ServiceAccountTokenFile: path}
	p := open(t, cfg)
	ref := providertest.Ref(t, "secret/prod/db")
	if _, err := p.Write(t.Context(), ref, providertest.Bundle(canary), ""); err != nil {
		t.Fatal(err)
	}
	// The kubelet puts another token into the file, and the one before ends.
	second := c.issue()
	if err := os.WriteFile(path, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	delete(c.tokens, first)
	c.mu.Unlock()
	started := time.Now()
	eventually(t, "signed in twice, past the longest life of the first token", func() bool {
		if _, err := p.Read(t.Context(), ref); err != nil {
			t.Fatalf("after %v: %v", time.Since(started), err)
		}
		return strings.Count(logged.String(), "signed in to vault") >= 2 && time.Since(started) > 5*time.Second
	})
	for _, word := range []string{first, second, canary, reviewer, "hvs."} {
		if strings.Contains(logged.String(), word) {
			t.Errorf("the log holds %q", word)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reviews < 2 {
		t.Errorf("Vault asked about a token %d times", c.reviews)
	}
}

func TestAServiceAccountThatIsRefused(t *testing.T) {
	l, c := newLab(t), newCluster(t)
	c.admit(l, "kubernetes", nil)
	good := vault.Auth{Method: vault.MethodKubernetes, KubernetesRole: "agent", ServiceAccountTokenFile: providertest.File(t, "token", c.issue())}
	check := func(auth vault.Auth) error {
		cfg := l.config(t, "")
		cfg.Auth = auth
		return open(t, cfg).Check(t.Context())
	}
	if err := check(good); err != nil {
		t.Fatalf("check with a good token: %v", err)
	}
	for name, change := range map[string]func(*vault.Auth){
		"another role":         func(a *vault.Auth) { a.KubernetesRole = "root" },
		"another mount":        func(a *vault.Auth) { a.KubernetesMount = "elsewhere" },
		"no file":              func(a *vault.Auth) { a.ServiceAccountTokenFile += ".missing" },
		"the file of a pod":    func(a *vault.Auth) { a.ServiceAccountTokenFile = "" },
		"no token":             func(a *vault.Auth) { a.ServiceAccountTokenFile = providertest.File(t, "token", canary) },
		"a token of no issuer": func(a *vault.Auth) { a.ServiceAccountTokenFile = providertest.File(t, "token", newCluster(t).issue()) },
	} {
		auth := good
		change(&auth)
		err := check(auth)
		if !errors.Is(err, agent.ErrSignIn) || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("%s: %v, want ErrSignIn", name, err)
		}
	}
	c.end()
	if err := check(good); !errors.Is(err, agent.ErrSignIn) {
		t.Errorf("check with a token that has ended: %v", err)
	}
}

func TestATokenOfAnIssuerThatVaultKnowsSignsIn(t *testing.T) {
	l, c := newLab(t), newCluster(t)
	der, err := x509.MarshalPKIXPublicKey(&c.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	l.policy(t, "prod")
	l.write(t, "sys/auth/jwt", map[string]any{"type": "jwt"})
	l.write(t, "auth/jwt/config", map[string]any{"jwt_validation_pubkeys": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	l.write(t, "auth/jwt/role/agent", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "bound_subject": "system:serviceaccount:bridge:sb-agent", "token_policies": "prod",
	})
	cfg := l.config(t, "")
	cfg.Auth = vault.Auth{Method: vault.MethodJWT, JWTRole: "agent", JWTFile: providertest.File(t, "token", c.issue())}
	if _, err := open(t, cfg).Write(t.Context(), providertest.Ref(t, "secret/prod/db"), providertest.Bundle(canary), ""); err != nil {
		t.Errorf("write as the role: %v", err)
	}
	cfg.Auth.JWTFile = providertest.File(t, "token", newCluster(t).issue())
	if err := open(t, cfg).Check(t.Context()); !errors.Is(err, agent.ErrSignIn) || strings.Contains(err.Error(), "eyJ") {
		t.Errorf("check with a token of another issuer: %v", err)
	}
}
