package production

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"secretsbridge/web/api"
)

// Password is that of all people of a rig.
const Password = "password-of-the-people-of-the-rig"

// people are who there is. Their roles are what they are called.
var people = []string{"developer", "approver", "admin"}

func email(who string) string { return who + "@example.org" }

// invitePeople lets them in from the host, as the first ones of an installation are.
func (r *Rig) invitePeople(t testing.TB) {
	r.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.Roots}, MaxIdleConnsPerHost: 16}}
	for _, who := range people {
		link := r.Command(t, 0, "person", "invite", email(who), "--name", who, "--role", who)
		r.run(t, r.sbEnv(who, 0), strings.TrimSpace(link)+"\n"+Password+"\n", "sb", "link", "redeem", "--password-stdin")
		r.Login(t, who)
	}
}

// Login signs somebody in with the command line.
func (r *Rig) Login(t testing.TB, who string) {
	t.Helper()
	r.run(t, r.sbEnv(who, 0), Password+"\n", "sb", "login", "--email", email(who), "--password-stdin")
}

func (r *Rig) sbEnv(who string, server int) []string {
	return []string{"SB_SERVER=" + r.URLs[server], "SB_CA_FILE=" + r.CA, "SB_TOKEN_FILE=" + r.path("token-"+who)}
}

// SB runs the command line as somebody, against the first server, and returns what it printed. It
// must succeed.
func (r *Rig) SB(t testing.TB, who string, args ...string) string {
	t.Helper()
	return r.run(t, r.sbEnv(who, 0), "", "sb", args...)
}

// Call is one call of the API as one of the people, at the server that answered last, or at the next
// one if that does not answer. Status 0 means that no server did.
func (r *Rig) Call(who, method, path, key string, body, into any) (status int, code string) {
	for range r.URLs {
		if status, code = r.callOnce(who, method, path, key, body, into); status != 0 {
			return status, code
		}
		r.mu.Lock()
		r.next = (r.next + 1) % len(r.URLs)
		r.mu.Unlock()
	}
	return 0, ""
}

func (r *Rig) callOnce(who, method, path, key string, body, into any) (status int, code string) {
	r.mu.Lock()
	server, token := r.URLs[r.next], r.tokens[who]
	r.mu.Unlock()
	if token == "" {
		var opened api.Session
		if status, code := r.send(server, "", "POST", "/sessions", "", api.SignIn{Email: email(who), Password: Password}, &opened); opened.Token == "" {
			return status, code
		}
		token = opened.Token
		r.mu.Lock()
		r.tokens[who] = token
		r.mu.Unlock()
	}
	return r.send(server, token, method, path, key, body, into)
}

func (r *Rig) send(server, token, method, path, key string, body, into any) (status int, code string) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, server+"/api/v1"+path, payload)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		req.Header.Set(api.HeaderIdempotencyKey, key)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	if resp.StatusCode >= 400 {
		var p api.Problem
		_ = json.Unmarshal(raw, &p)
		return resp.StatusCode, p.Code
	}
	if into != nil && json.Unmarshal(raw, into) != nil {
		return 0, ""
	}
	return resp.StatusCode, ""
}

// Insist repeats a call, as the same one, until it is answered: by success, or by a rule. It gives up
// at the end of patience.
func (r *Rig) Insist(patience time.Duration, who, method, path string, body, into any) (status int, err error) {
	key := rand.Text()
	var code string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		status, code = r.Call(who, method, path, key, body, into)
		if status != 0 && status < 500 && status != http.StatusTooManyRequests && code != "idempotency_in_flight" {
			if status >= 400 {
				return status, fmt.Errorf("%s %s: %d %s", method, path, status, code)
			}
			return status, nil
		}
	}
	return status, fmt.Errorf("%s %s: %d %s after %s", method, path, status, code, patience)
}
