package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
)

// fault is how tokens for a client are to be wrong. The zero fault changes nothing.
type fault struct {
	Claims map[string]any `json:"claims"` // in place of the true ones
	Drop   []string       `json:"drop"`   // claims to leave out
	Sign   string         `json:"sign"`   // "none": not at all; "stranger": with a key that is not published; "hmac": with the public one as a secret
}

// control serves what a test has to say. Nothing of it asks who calls: the server is on
// loopback, and lives as long as the test.
func (p *provider) control(mux *http.ServeMux) {
	mux.HandleFunc("PUT /test/client", taking(func(c client) any {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.clients[c.ID] = c
		return nil
	}))
	mux.HandleFunc("PUT /test/person", taking(func(who person) any {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.people[who.Subject] = who
		return nil
	}))
	mux.HandleFunc("PUT /test/fault/{client}", func(w http.ResponseWriter, r *http.Request) {
		taking(func(f fault) any {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.faults[r.PathValue("client")] = f
			return nil
		})(w, r)
	})
	mux.HandleFunc("POST /test/logout-token/{client}", func(w http.ResponseWriter, r *http.Request) {
		taking(func(f fault) any {
			now := time.Now()
			token, err := p.sign(f, map[string]any{
				"iss": p.issuer, "aud": r.PathValue("client"), "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": uuid.NewString(),
				"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
			})
			if err != nil {
				panic(err)
			}
			return map[string]string{"token": token}
		})(w, r)
	})
}

func taking[T any](do func(T) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked T
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(do(asked))
	}
}

// altered changes the ID tokens that the provider gives out, for clients that have a fault.
func (p *provider) altered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/oauth/token" {
			next.ServeHTTP(w, r)
			return
		}
		kept := httptest.NewRecorder()
		next.ServeHTTP(kept, r)
		body := kept.Body.Bytes()
		var answer map[string]any
		if kept.Code == http.StatusOK && json.Unmarshal(body, &answer) == nil {
			if token, ok := answer["id_token"].(string); ok {
				if changed, ok := p.change(token); ok {
					answer["id_token"] = changed
					body, _ = json.Marshal(answer)
				}
			}
		}
		for name, values := range kept.Header() {
			w.Header()[name] = values
		}
		w.Header().Del("Content-Length")
		w.WriteHeader(kept.Code)
		_, _ = w.Write(body)
	})
}

func (p *provider) change(token string) (string, bool) {
	part := strings.Split(token, ".")
	if len(part) != 3 {
		return "", false
	}
	text, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		return "", false
	}
	claims := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&claims) != nil {
		return "", false
	}
	client, _ := claims["azp"].(string)
	p.mu.Lock()
	f, ok := p.faults[client]
	p.mu.Unlock()
	if !ok {
		return "", false
	}
	changed, err := p.sign(f, claims)
	return changed, err == nil
}

// sign makes a token of claims as a fault wants them.
func (p *provider) sign(f fault, claims map[string]any) (string, error) {
	for name, value := range f.Claims {
		claims[name] = value
	}
	for _, name := range f.Drop {
		delete(claims, name)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	key := jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.key.RSA, KeyID: p.key.ID()}}
	switch f.Sign {
	case "none":
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
		return header + "." + base64.RawURLEncoding.EncodeToString(text) + ".", nil
	case "stranger":
		key.Key = jose.JSONWebKey{Key: p.other, KeyID: p.key.ID()}
	case "hmac":
		public := p.key.RSA.N.Bytes()
		key = jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: public, KeyID: p.key.ID()}}
	}
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(text)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
