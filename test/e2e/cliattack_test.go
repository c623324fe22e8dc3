package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/test/leaks"
	"secretsbridge/web/api"
)

// plant puts a secret into the demo agent's store.
func plant(t *testing.T, c *control, ref, text string) {
	t.Helper()
	put := exec.Command(filepath.Join(bin, "sb-agent"), "put", "--config", filepath.Join(c.dir, "agent", "agent.yaml"), ref)
	put.Env = clean(os.Environ())
	put.Stdin = strings.NewReader(text)
	if out, err := put.CombinedOutput(); err != nil {
		t.Fatalf("put: %v: %s", err, out)
	}
}

// facts are the newest facts of the log, newest first.
func (c *control) facts(t *testing.T) []api.Event {
	t.Helper()
	var page api.Page[api.Event]
	if status, code := c.call("admin", "GET", "/audit/events?limit=200", "", nil, &page); status != http.StatusOK {
		t.Fatalf("audit: %d %s", status, code)
	}
	return page.Items
}

// since are the types of the facts behind a position, without what agents and the clock do.
func (c *control) since(t *testing.T, seq uint64) (types []string) {
	t.Helper()
	for _, e := range c.facts(t) { // which is a reading itself
		if e.Seq > seq && !strings.HasPrefix(e.Actor, "system:") && !strings.HasPrefix(e.Actor, "agent:") && e.Type != "sb.access.audit_read.v1" {
			types = append(types, e.Type)
		}
	}
	return types
}

// TestAProxyThatEndsTLSSeesNoValueAndGainsNothing takes the whole way of a read and of a
// patch through a proxy whose certificate sb accepts. Then the proxy uses what it has.
func TestAProxyThatEndsTLSSeesNoValueAndGainsNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := meddle(t, c)
	read, written := "canary/"+rand.Text()+"+ü", "canary/"+rand.Text()+"=ß"
	plant(t, c, "file/prod/canary", `{"one": "`+read+`", "two": "old"}`)
	p.login(t, c, "developer", "approver", "admin")

	id := first(p.must(t, c, "developer", "", "request", "read", "file/prod/canary", "--key", "one", "--reason", "look from the way"))
	p.must(t, c, "approver", "", "approve", id)
	p.must(t, c, "developer", "", "request", "show", id, "--watch")
	if got := p.must(t, c, "developer", "", "reveal", id); got != read {
		t.Fatalf("revealed %q", got)
	}
	patch := first(p.must(t, c, "developer", written, "request", "patch", "file/prod/canary", "--set", "two=-", "--reason", "write from the way"))
	eventually(t, 20*time.Second, "compared and approved", func() bool { return p.sb(t, c, "approver", "", "approve", patch).code == 0 })
	p.must(t, c, "developer", "", "request", "show", patch, "--watch")
	back := first(p.must(t, c, "developer", "", "request", "read", "file/prod/canary", "--key", "two", "--reason", "read it back"))
	p.must(t, c, "approver", "", "approve", back)
	p.must(t, c, "developer", "", "request", "show", back, "--watch")
	if got := p.must(t, c, "developer", "", "reveal", back); got != written {
		t.Fatalf("written %q", got)
	}
	p.must(t, c, "admin", "", "audit", "list")

	record := p.recorded()
	for _, seen := range []string{id, patch, "look from the way", "/envelopes/"} {
		if !strings.Contains(record, seen) {
			t.Fatalf("the recording lacks %q, so it records nothing", seen)
		}
	}
	for _, secret := range []string{read, written, password} {
		for _, form := range leaks.Forms(secret) {
			if strings.Contains(record, string(form.Bytes)) {
				t.Errorf("a secret passed in clear, as %s", form.Name)
			}
		}
	}

	before := c.facts(t)[0].Seq
	tokens := map[string]bool{}
	for _, m := range p.calls() {
		if token, ok := strings.CutPrefix(m.header.Get("Authorization"), "Bearer "); ok {
			tokens[token] = true
		}
	}
	if len(tokens) != 3 {
		t.Fatalf("%d tokens were recorded, want 3", len(tokens))
	}
	for token := range tokens {
		for _, try := range []struct{ method, path string }{
			{"GET", "/me"}, {"POST", "/requests/" + id + "/approve"}, {"POST", "/requests"}, {"GET", "/audit/events"},
			{"GET", "/requests/" + id + "/stream"}, {"DELETE", "/sessions/current"},
		} {
			if status, code := c.send(token, try.method, try.path, newKey(), nil, nil); status != http.StatusUnauthorized || code != "signature_invalid" {
				t.Errorf("%s %s with a recorded token: %d %s", try.method, try.path, status, code)
			}
		}
	}
	replayed := 0
	for _, m := range p.calls() {
		if strings.HasSuffix(m.target, "/intake") {
			continue // for everybody
		}
		resp, err := p.send(httptest.NewRequest("GET", "/", nil), m)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		replayed++
		if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusConflict {
			t.Errorf("%s %s again: %d", m.method, m.target, resp.StatusCode)
		}
	}
	if replayed < 20 {
		t.Errorf("only %d calls were replayed", replayed)
	}
	for _, kind := range c.since(t, before) {
		if kind != "sb.access.denied.v1" {
			t.Errorf("the replay made a %s", kind)
		}
	}
	for _, who := range []string{"developer", "approver", "admin"} {
		p.must(t, c, who, "", "whoami") // nobody lost anything by it
	}
}

// flip changes one bit of a text and leaves it printable.
func flip(text string, at int) string {
	b := []byte(text)
	if b[at] ^= 1; b[at] < ' ' || b[at] > '~' {
		b[at] = 'x'
	}
	return string(b)
}

// chance chooses places, the same for the same seed.
func chance(t *testing.T) *mathrand.Rand {
	t.Helper()
	seed := mathrand.Uint64()
	t.Logf("seed %d", seed)
	return mathrand.New(mathrand.NewPCG(seed, 0))
}

// alterations are what a proxy may do to a message: each structural part, and bits in
// places that chance chooses.
func alterations(request bool, dice *mathrand.Rand) map[string]func(*message) {
	all := map[string]func(*message){}
	field := func(name string) {
		all["a bit of "+name] = func(m *message) {
			if text := m.header.Get(name); text != "" {
				m.header.Set(name, flip(text, dice.IntN(len(text))))
			} else {
				m.header.Set(name, "1")
			}
		}
		all["no "+name+", or one"] = func(m *message) {
			if m.header.Get(name) == "" {
				m.header.Set(name, "7")
			} else {
				m.header.Del(name)
			}
		}
		all["twice "+name] = func(m *message) { m.header[name] = append(m.header[name], "1", "1") }
	}
	fields := []string{"Content-Digest", "Signature-Input", "Signature", "Content-Type"}
	if request {
		fields = append(fields, "Authorization", api.HeaderIdempotencyKey, api.HeaderNotOlderThan, "Accept", "Last-Event-Id")
		all["another method"] = func(m *message) {
			m.method = map[string]string{"GET": "DELETE", "POST": "GET", "DELETE": "POST"}[m.method]
		}
		all["a query"] = func(m *message) { m.target += "?limit=1" }
		all["a bare question mark"] = func(m *message) { m.target += "?" }
		for i := range 5 {
			all[fmt.Sprintf("a bit of the path, %d", i)] = func(m *message) {
				before, path := m.target[:len("/api/v1/")], m.target[len("/api/v1/"):]
				m.target = before + flip(path, dice.IntN(len(path)))
			}
		}
	} else {
		fields = append(fields, api.HeaderSequence, api.HeaderReplayed, "Etag", "Retry-After")
		for _, status := range []int{200, 201, 204, 302, 400, 401, 403, 404, 409, 500} {
			all[fmt.Sprintf("status %d", status)] = func(m *message) {
				if m.status == status {
					m.status++
				} else {
					m.status = status
				}
			}
		}
		all["a true problem's words"] = func(m *message) {
			m.status, m.body = 403, []byte(`{"type":"about:blank#forbidden","title":"Forbidden","status":403,"detail":"meddled","code":"forbidden"}`)
			m.header.Set("Content-Type", "application/problem+json")
		}
	}
	for _, name := range fields {
		field(http.CanonicalHeaderKey(name))
	}
	for i := range 8 {
		all[fmt.Sprintf("a bit of the body, %d", i)] = func(m *message) {
			if len(m.body) == 0 {
				m.body = []byte("{}")
			} else {
				m.body[dice.IntN(len(m.body))] ^= 1 << dice.IntN(7)
			}
		}
	}
	all["one byte more"] = func(m *message) { m.body = append(m.body, ' ') }
	all["half of the body, or some"] = func(m *message) {
		if m.body = m.body[:len(m.body)/2]; len(m.body) == 0 {
			m.body = []byte("[]")
		}
	}
	return all
}

// only applies a change to the calls of one path.
func only(end string, change func(*message)) func(*message) {
	return func(m *message) {
		path, _, _ := strings.Cut(m.target, "?")
		if strings.HasSuffix(path, end) {
			change(m)
		}
	}
}

// wantRefused checks that a command shows nothing that was changed.
func wantRefused(t *testing.T, what string, got said) {
	t.Helper()
	ok := slices.ContainsFunc([]string{"(altered)", "(server_key_changed)", "(unreachable)", "(too_many_requests)"}, func(code string) bool {
		return strings.HasSuffix(strings.TrimSpace(got.stderr), code)
	})
	if got.code == 0 || got.stdout != "" || !ok || strings.Contains(got.stderr, "meddled") {
		t.Errorf("%s: exit %d, %q, %s", what, got.code, got.stdout, got.stderr)
	}
}

// TestNothingAProxyChangesIsExecutedOrShown changes every part of calls and answers, one
// at a time.
func TestNothingAProxyChangesIsExecutedOrShown(t *testing.T) {
	t.Parallel()
	c, dice := start(t), chance(t)
	p := meddle(t, c)
	p.login(t, c, "developer", "approver", "admin")
	id := first(p.must(t, c, "developer", "", "request", "read", "file/prod/db/password", "--reason", "restore test"))
	pending := first(p.must(t, c, "developer", "", "request", "read", "file/prod/db/password", "--reason", "stays as it is"))
	p.must(t, c, "approver", "", "approve", id)
	p.must(t, c, "developer", "", "request", "show", id, "--watch")
	before := c.facts(t)[0].Seq

	for _, tt := range []struct {
		who, end string
		args     []string
	}{
		{"developer", "/me", []string{"whoami"}},
		{"developer", "/requests", []string{"request", "read", "file/prod/db/password", "--reason", "never"}},
		{"approver", "/approve", []string{"approve", pending}},
		{"developer", "/reveal", []string{"reveal", id}},
	} {
		all := alterations(true, dice)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			p.change(only(tt.end, all[name]), nil)
			wantRefused(t, "request of "+tt.end+": "+name, p.sb(t, c, tt.who, "", tt.args...))
		}
	}
	p.change(nil, nil)
	for _, kind := range c.since(t, before) {
		if kind != "sb.access.denied.v1" {
			t.Errorf("a changed call made a %s", kind)
		}
	}
	if r := c.request(t, pending); r.State != "pending" || len(r.Votes) > 0 {
		t.Errorf("the request that nobody approved is %s, %+v", r.State, r.Votes)
	}
	if r := c.request(t, id); r.Envelopes[0].State != "ready" {
		t.Errorf("the value that nobody opened is %s", r.Envelopes[0].State)
	}

	for _, tt := range []struct {
		who, end string
		args     []string
	}{
		{"developer", "/me", []string{"whoami"}},
		{"developer", pending, []string{"request", "show", pending, "--output", "json"}},
		{"approver", "/requests", []string{"request", "list"}},
	} {
		all := alterations(false, dice)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			p.change(nil, only(tt.end, all[name]))
			wantRefused(t, "answer of "+tt.end+": "+name, p.sb(t, c, tt.who, "", tt.args...))
		}
	}

	// Of a command the answer was changed, so it is done, and nobody says that it is not.
	p.change(nil, only("/approve", func(m *message) { m.status = 409 }))
	got := p.sb(t, c, "approver", "", "approve", pending)
	wantRefused(t, "answer of approve", got)
	if !strings.Contains(got.stderr, "is not known") {
		t.Errorf("the outcome is said to be known: %s", got.stderr)
	}
	p.change(nil, only("/reveal", func(m *message) { m.body[len(m.body)/2] ^= 1 }))
	wantRefused(t, "answer of reveal", p.sb(t, c, "developer", "", "reveal", id))

	// The answer to a changed copy is true, and not of the call that was meant.
	p.change(only("/cancel", func(m *message) { m.header.Set("Sec-Fetch-Site", "cross-site") }), nil)
	wantRefused(t, "a copy that a browser's rule refuses", p.sb(t, c, "developer", "", "cancel", pending))
	p.change(nil, nil)
	p.must(t, c, "developer", "", "request", "show", pending, "--watch")
	if value := p.must(t, c, "developer", "", "reveal", pending); !strings.HasPrefix(value, "demo-") {
		t.Errorf("revealed %q", value)
	}
}

// TestASwappedAnswerOrALyingStreamIsNotShown swaps the true answers of two calls, and has a
// stream say what is not so.
func TestASwappedAnswerOrALyingStreamIsNotShown(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := meddle(t, c)
	p.login(t, c, "developer", "approver")
	one := first(p.must(t, c, "developer", "", "request", "read", "file/prod/db/password", "--reason", "one"))
	two := first(p.must(t, c, "developer", "", "request", "read", "file/prod/db/password", "--reason", "two"))
	var kept message
	p.change(nil, only(one, func(m *message) { kept = m.clone() }))
	p.must(t, c, "developer", "", "request", "show", one)
	for _, id := range []string{one, two} { // of another call, and of the same one a moment ago
		p.change(nil, only(id, func(m *message) { m.status, m.header, m.body = kept.status, kept.header, kept.body }))
		wantRefused(t, "the answer of another call", p.sb(t, c, "developer", "", "request", "show", id))
	}
	p.change(nil, nil)

	lied := make(chan struct{})
	var once sync.Once
	p.mu.Lock()
	p.streamed = func(said []byte) []byte {
		if bytes.Contains(said, []byte("pending")) {
			once.Do(func() { close(lied) })
		}
		return bytes.ReplaceAll(said, []byte("pending"), []byte("executed"))
	}
	p.mu.Unlock()
	go func() {
		<-lied
		c.call("developer", "POST", "/requests/"+one+"/cancel", newKey(), api.Verdict{}, nil)
	}()
	watched := p.sb(t, c, "developer", "", "request", "show", one, "--watch", "--output", "json")
	shown := watched.stdout
	if watched.code != 7 || strings.Contains(shown, `"state":"executed"`) || !strings.Contains(shown, `"cancelled"`) {
		t.Errorf("exit %d, or the stream's lie is shown: %s", watched.code, shown)
	}
}

// TestASignInCannotBeTurned changes sign-ins, and puts the proxy's own keys in place of the
// server's.
func TestASignInCannotBeTurned(t *testing.T) {
	t.Parallel()
	c, dice := start(t), chance(t)
	p := meddle(t, c)
	p.login(t, c, "developer")
	c.token("admin") // before positions are counted
	var kept struct {
		ServerKey string `json:"server_key"`
	}
	if err := json.Unmarshal([]byte(c.state(t, "developer")), &kept); err != nil {
		t.Fatal(err)
	}
	before := c.facts(t)[0].Seq
	login := func(more ...string) said {
		return p.sb(t, c, "developer", password+"\n", append([]string{"login", "--email", "developer@demo.local", "--password-stdin"}, more...)...)
	}
	names := []string{"another method", "a query", "a bit of the body, 0", "a bit of the body, 1", "one byte more", "a bit of Content-Digest",
		"no Signature, or one", "a bit of Signature-Input", "no Authorization, or one"}
	for _, name := range names {
		p.change(only("/sessions", alterations(true, dice)[name]), nil)
		wantRefused(t, "sign-in: "+name, login())
	}
	// Another sealed sign-in in place of this one, such as of the proxy's own account.
	own, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	p.change(only("/sessions", func(m *message) {
		var in api.Intake
		if status, code := c.send("", "GET", "/intake", "", nil, &in); status != http.StatusOK {
			t.Errorf("intake: %d %s", status, code)
		}
		m.body = sealTo(t, in, api.SealedSignIn{Email: "developer@demo.local", Password: password, Key: own.Public().String()})
	}), nil)
	wantRefused(t, "another sign-in", login())
	p.change(nil, nil)
	for _, kind := range c.since(t, before) {
		if kind != "sb.access.denied.v1" && kind != "sb.access.sign_in_failed.v1" {
			t.Errorf("a changed sign-in made a %s", kind)
		}
	}

	// A changed answer opens a session that nobody has the token of.
	for _, name := range []string{"status 200", "a bit of the body, 0", "no Signature, or one", "a true problem's words"} {
		p.change(nil, only("/sessions", alterations(false, dice)[name]))
		wantRefused(t, "answer to a sign-in: "+name, login())
	}
	// Keys of the proxy's own, to one who knows the server.
	box, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(events.IntakeKeys{Keys: []string{box.Public().String()}, NotAfter: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	p.change(nil, only("/intake", func(m *message) {
		m.body, err = json.Marshal(api.Intake{IntakeKeys: text, SigningKey: own.Public().String(), Signature: own.Sign(events.IntakeDomain, text)})
		if err != nil {
			t.Error(err)
		}
	}))
	asked := len(p.calls())
	wantRefused(t, "keys of somebody else", login("--server-key", kept.ServerKey))
	p.change(nil, only("/intake", func(m *message) {
		m.body = bytes.Replace(m.body, []byte(base64.StdEncoding.EncodeToString(text)[:4]), []byte("AAAA"), 1)
	}))
	wantRefused(t, "keys that nobody signed", login("--server-key", kept.ServerKey))
	for _, m := range p.calls()[asked:] {
		if m.method == "POST" {
			t.Errorf("a sign-in left to keys of somebody else: %s %s", m.method, m.target)
		}
	}
	p.change(nil, nil)
	p.must(t, c, "developer", "", "whoami") // the session that was there is kept
}

// sealTo is a sealed sign-in as anybody can make it.
func sealTo(t *testing.T, in api.Intake, what api.SealedSignIn) []byte {
	t.Helper()
	var keys events.IntakeKeys
	if err := json.Unmarshal(in.IntakeKeys, &keys); err != nil {
		t.Error(err)
	}
	to, err := seal.ParseRecipientPublic(keys.Keys[0])
	if err != nil {
		t.Error(err)
	}
	text, err := json.Marshal(what)
	if err != nil {
		t.Error(err)
	}
	sealed, err := seal.SealProposal(to, seal.Binding{Direction: seal.SignIn, AgentKey: to.ID()}, text)
	if err != nil {
		t.Error(err)
	}
	body, err := json.Marshal(api.SignIn{Sealed: sealed})
	if err != nil {
		t.Error(err)
	}
	return body
}
