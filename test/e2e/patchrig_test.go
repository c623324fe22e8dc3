package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/file"
	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/test/servers"
	"secretsbridge/web/api"
)

// put stores a secret as an operator of the agent's host does, and so as a writer whom
// no request goes through.
func (c *control) put(t testing.TB, name, bundle string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "sb-agent"), "put", "--config", filepath.Join(c.dir, "agent", "agent.yaml"), name)
	cmd.Env, cmd.Stdin = clean(os.Environ()), strings.NewReader(bundle)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("put %s: %v: %s", name, err, out)
	}
}

// stored reads a secret of the demo agent's file store beside the agent: each value as
// JSON, and the version.
func (c *control) stored(t testing.TB, path string) (values map[string]string, version string) {
	t.Helper()
	allow, err := agent.ParseAllowList("*")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := file.Open(file.Config{
		Dir: filepath.Join(c.dir, "agent", "secrets"), IdentityFile: filepath.Join(c.dir, "agent", "secrets.key"), Allow: allow,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	ref, err := agent.ParseRef(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := provider.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	text, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return valuesOf(t, text), string(b.Version)
}

func valuesOf(t testing.TB, object []byte) map[string]string {
	t.Helper()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(object, &raw); err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for key, v := range raw {
		values[key] = string(v)
	}
	return values
}

// propose asks for a patch as the developer, by command line, and returns its id.
func (c *control) propose(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	got := c.sbIn(t, "developer", stdin, append([]string{"request", "patch", name, "--reason", "rotation"}, args...)...)
	if got.code != 0 {
		t.Fatalf("patch %s %v: exit %d: %s", name, args, got.code, got.stderr)
	}
	return first(got.stdout)
}

// compared waits until an agent has looked at a patch n times with something new to say.
func (c *control) compared(t testing.TB, id string, n int) api.Request {
	t.Helper()
	var r api.Request
	eventually(t, 30*time.Second, "compared", func() bool {
		r = c.request(t, id)
		return r.Patch.Comparison != nil && r.Patch.Comparison.Number >= n
	})
	return r
}

// patchEnd waits until a patch is at its end.
func (c *control) patchEnd(t testing.TB, id string) api.Request {
	t.Helper()
	var r api.Request
	eventually(t, time.Minute, "ended", func() bool {
		status, _ := c.call("admin", "GET", "/requests/"+id, "", nil, &r)
		return status == http.StatusOK && final(r.State) && r.State != "unknown"
	})
	return r
}

// approvedToEnd is patchEnd for patches whose approvals may end: they get new ones.
func (c *control) approvedToEnd(t testing.TB, id string) api.Request {
	t.Helper()
	var r api.Request
	eventually(t, time.Minute, "ended", func() bool {
		status, _ := c.call("admin", "GET", "/requests/"+id, "", nil, &r)
		if status == http.StatusOK && r.State == "pending" && r.Patch.Voided > 0 {
			c.approvePatch(t, id)
		}
		return status == http.StatusOK && final(r.State) && r.State != "unknown"
	})
	return r
}

// wantEnd checks how a patch ended: outcome of an executed one, code of a failed one.
func wantEnd(t testing.TB, r api.Request, state, why string) {
	t.Helper()
	got := r.Patch.Outcome
	if r.Failure != nil {
		got = r.Failure.Code
		if r.Failure.Detail == "" {
			t.Errorf("%s has no sentence", got)
		}
	}
	if r.State != state || got != why {
		t.Errorf("it ended as %s, %s; want %s, %s", r.State, got, state, why)
	}
}

// signedIn signs people in once, before many calls at a time would each do it.
func (c *control) signedIn(t testing.TB, people ...string) {
	t.Helper()
	for _, who := range people {
		eventually(t, 20*time.Second, who+" signed in", func() bool { token, _ := c.token(who); return token != "" })
	}
}

// sealer is what a client of the developer keeps between calls: who it is, and the key to
// seal values to. The command line asks for it each time; a server gives it to one
// address 30 times a minute.
type sealer struct {
	me string
	to seal.RecipientPublic
}

var (
	sealersMu sync.Mutex // guards what follows, and lets one at a time ask
	sealers   = map[*control]sealer{}
)

func (c *control) sealer(t testing.TB) (sealer, bool) {
	sealersMu.Lock()
	defer sealersMu.Unlock()
	if s, known := sealers[c]; known {
		return s, true
	}
	var me api.Me
	var signed api.Intake
	var intake events.IntakeKeys
	if status, _ := c.call("developer", "GET", "/me", "", nil, &me); status != http.StatusOK {
		return sealer{}, false
	}
	if status, _ := c.call("developer", "GET", "/intake", "", nil, &signed); status != http.StatusOK {
		return sealer{}, false
	}
	if err := json.Unmarshal(signed.IntakeKeys, &intake); err != nil {
		t.Error(err)
		return sealer{}, false
	}
	to, err := seal.ParseRecipientPublic(intake.Keys[0])
	if err != nil {
		t.Error(err)
		return sealer{}, false
	}
	sealers[c] = sealer{me: me.ID, to: to}
	t.Cleanup(func() { c.forgetSealer() })
	return sealers[c], true
}

func (c *control) forgetSealer() {
	sealersMu.Lock()
	defer sealersMu.Unlock()
	delete(sealers, c)
}

// submitPatch proposes one text for one key, until somebody takes it, each time as the
// same call.
func (c *control) submitPatch(t testing.TB, name, key, value string) string {
	connection, ref, _ := strings.Cut(name, "/")
	entry, err := seal.EncodeEntry(seal.EntryText, []byte(value))
	if err != nil {
		t.Error(err)
		return ""
	}
	var body api.Submit // the same bytes each time, as long as its key is
	for post := newKey(); t.Context().Err() == nil; time.Sleep(50 * time.Millisecond) {
		s, known := c.sealer(t)
		if !known {
			continue
		}
		if body.Secret == "" {
			sealed, err := seal.SealProposal(s.to, seal.Binding{
				Direction: seal.Propose, Request: post, Key: key, Connection: connection, Ref: ref, Agent: s.me, AgentKey: s.to.ID(),
			}, entry)
			if err != nil {
				t.Error(err)
				return ""
			}
			body = api.Submit{
				Secret: name, Operation: string(events.OperationPatch), Reason: "measure",
				Changes: []api.ProposedChange{{Key: key, Action: string(events.ChangeSet), Sealed: sealed}},
			}
		}
		var done api.Submitted
		switch status, code := c.call("developer", "POST", "/requests", post, body, &done); {
		case status == http.StatusCreated:
			return done.ID
		case code == "intake_key_unknown": // the server is another process now
			c.forgetSealer()
			post, body = newKey(), api.Submit{}
		case status == 0, status >= 500, status == http.StatusTooManyRequests, code == "idempotency_in_flight":
		default:
			t.Errorf("submit: %d %s", status, code)
			return ""
		}
	}
	return ""
}

// approvePatch approves what an agent has looked at, as soon as one has.
func (c *control) approvePatch(t testing.TB, id string) {
	for key := newKey(); t.Context().Err() == nil; time.Sleep(50 * time.Millisecond) {
		status, code := c.call("approver", "POST", "/requests/"+id+"/approve", key, api.Verdict{}, nil)
		switch {
		case status == http.StatusOK:
			return
		case code == "not_compared":
			key = newKey()
		case status == 0, status >= 500, status == http.StatusTooManyRequests, code == "idempotency_in_flight":
		default:
			t.Errorf("approve %s: %d %s", id, status, code)
			return
		}
	}
}

// vaultProxy stands between an agent and its Vault, for faults that a test can place
// exactly.
type vaultProxy struct {
	*servers.VaultServer
	URL string

	mu      sync.Mutex // guards what follows
	onWrite func(forward func()) (lose bool)
	rewrite func(path string, answer []byte) []byte // of reads
}

func newVaultProxy(t testing.TB, v *servers.VaultServer) *vaultProxy {
	t.Helper()
	target, err := url.Parse(v.Address)
	if err != nil {
		t.Fatal(err)
	}
	p := &vaultProxy{VaultServer: v}
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.ModifyResponse = func(resp *http.Response) error {
		p.mu.Lock()
		rewrite := p.rewrite
		p.mu.Unlock()
		if rewrite == nil || resp.Request.Method != http.MethodGet || resp.StatusCode != http.StatusOK {
			return nil
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		body = rewrite(resp.Request.URL.Path, body)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		fault := p.onWrite
		p.mu.Unlock()
		if fault == nil || r.Method == http.MethodGet || !strings.Contains(r.URL.Path, "/data/") {
			forward.ServeHTTP(w, r)
			return
		}
		answered := httptest.NewRecorder()
		lose := fault(func() { forward.ServeHTTP(answered, r) })
		if lose {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		w.WriteHeader(answered.Code)
		_, _ = w.Write(answered.Body.Bytes())
	}))
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// duringWrites says what becomes of writes from now on.
func (p *vaultProxy) duringWrites(f func(forward func()) (lose bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onWrite = f
}

// raw is one call of Vault as curl would make it.
func (p *vaultProxy) raw(t testing.TB, method, path string, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, p.Address+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", p.RootToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %v", method, path, resp.StatusCode, err)
	}
	return answer
}

func (p *vaultProxy) seal(t testing.TB) { p.raw(t, "PUT", "sys/seal", "") }

func (p *vaultProxy) unseal(t testing.TB) {
	for _, key := range p.Unseal {
		p.raw(t, "PUT", "sys/unseal", `{"key":"`+key+`"}`)
	}
	eventually(t, 20*time.Second, "unsealed and active", func() bool {
		resp, err := http.Get(p.Address + "/v1/sys/health")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// holds is a secret as Vault has it: each value as JSON, and the version.
func (p *vaultProxy) holds(t testing.TB, path string) (values map[string]string, version int) {
	t.Helper()
	var answer struct {
		Data struct {
			Data     json.RawMessage `json:"data"`
			Metadata struct {
				Version int `json:"version"`
			} `json:"metadata"`
		} `json:"data"`
	}
	if err := json.Unmarshal(p.raw(t, "GET", "secret/data/"+path, ""), &answer); err != nil {
		t.Fatal(err)
	}
	return valuesOf(t, answer.Data.Data), answer.Data.Metadata.Version
}
