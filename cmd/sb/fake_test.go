package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/siem"
	"secretsbridge/web/api"
	"secretsbridge/web/signed"
)

// Canaries: only standard output of a reveal, and the session's file, may hold them.
const (
	canaryPassword = "canary-password-7e1"
	canaryToken    = "canary-token-52b"
	canaryValue    = "canary-value-90d"
	canarySignOn   = "canary-code-8a4-of-43-characters-0123456789"
)

// fake is the API in memory, for one script. It checks its callers: what no client may
// do fails the test.
type fake struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	seq      uint64
	keys     map[string]string // idempotency key -> answer that it got
	revoked  bool              // the session has ended
	requests []*api.Request
	values   map[string][]byte // of envelopes that are ready
	faults   []string          // of the next calls, in order
	changed  chan struct{}     // closed and replaced by every change
	dropped  chan struct{}     // closed and replaced to drop all streams
	calls    []string
	proposed map[string]string // of patches, by key: the kind and the value
	signer   seal.SigningKey
	key      seal.VerifyKey // of the session
	intake   seal.RecipientKey
	opened   chan struct{} // one for each stream

	jobs      []*fakeJob
	ownership api.Ownership
	assigned  api.Assign // the last one
	every     int        // the schedule that was set last, in seconds
	misplaced bool       // secrets are said to be elsewhere
	empty     bool       // nothing was scanned yet
	many      bool       // there are 51 secrets

	factors   api.Factors
	careful   bool // commands need a second factor
	steppedUp bool
	compared  bool // and found rows that differ
	told      any  // what the last command about people or machines said

	challenge  string // of a sign-in by the identity provider
	refusal    string // of the next one
	governance fakeGovernance
	explained  []byte // what was to be explained last
	audit      fakeAudit
}

func newFake(t *testing.T, dir string) *fake {
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	intake, err := seal.GenerateRecipientKey(seal.XWing)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, signer: signer, intake: intake, proposed: map[string]string{}, keys: map[string]string{}, values: map[string][]byte{}, changed: make(chan struct{}),
		dropped: make(chan struct{}), opened: make(chan struct{}, 100)}
	f.server = httptest.NewTLSServer(http.HandlerFunc(f.serve))
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), cert, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fake) close() {
	f.drop()
	f.server.CloseClientConnections()
	f.server.Close()
}

func (f *fake) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.dropped)
	f.dropped = make(chan struct{})
}

// fail makes the next calls fail, one each.
func (f *fake) fail(how ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, how...)
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/stream") && r.Method == http.MethodGet {
		f.stream(w, r)
		return
	}
	f.mu.Lock()
	if r.URL.Path == "/api/v1/intake" { // who the server is comes before all else
		f.intakeKeys(w)
		f.mu.Unlock()
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Errorf("read a body: %v", err)
	}
	fault := ""
	if f.revoked {
		fault = "ended"
	}
	if len(f.faults) > 0 {
		fault, f.faults = f.faults[0], f.faults[1:]
	}
	f.calls = append(f.calls, r.Method+" "+r.URL.RequestURI())
	answer := httptest.NewRecorder()
	switch fault {
	case "busy":
		answer.Header().Set("Retry-After", "1")
		problem(answer, 503, "view_behind")
	case "broken":
		problem(answer, 500, "internal")
	case "invalid":
		problem(answer, 400, "parameter_invalid")
	case "often":
		answer.Header().Set("Retry-After", "60")
		problem(answer, 429, "too_many_requests")
	case "ahead", "twice", "forbidden": // of calls that were not checked
		problem(answer, map[string]int{"ahead": 401, "twice": 401, "forbidden": 403}[fault],
			map[string]string{"ahead": "signature_expired", "twice": "signature_used", "forbidden": "forbidden"}[fault])
	case "html":
		answer.WriteHeader(502)
		_, _ = answer.WriteString("<h1>bad gateway</h1>")
	case "redirect":
		answer.Header().Set("Location", "https://127.0.0.1:1/steal")
		answer.WriteHeader(302)
	case "garbage":
		answer.Header().Set("Content-Type", "application/json")
		_, _ = answer.WriteString(`{"value": ` + canaryValue)
	case "huge":
		answer.Header().Set("Content-Type", "application/json")
		_, _ = answer.Write(bytes.Repeat([]byte(" "), 16<<20+1))
	case "down":
		f.mu.Unlock()
		panic(http.ErrAbortHandler)
	default:
		f.answer(answer, r, body)
	}
	f.send(w, r, answer, fault)
	f.mu.Unlock()
	if fault == "lose" {
		panic(http.ErrAbortHandler) // done, and the answer is lost
	}
}

// send signs an answer to a signed call, and spoils it.
func (f *fake) send(w http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder, fault string) {
	to := signed.Request{Method: r.Method, Target: r.RequestURI, Header: r.Header}
	at := time.Now()
	if fault == "ahead" {
		at = at.Add(time.Hour)
	}
	sent := signed.Answer{Status: answer.Code, Header: answer.Header(), Body: answer.Body.Bytes(), To: to}
	checked := !slices.Contains([]string{"ahead", "twice", "forbidden", "ended"}, fault) || r.URL.Path == "/api/v1/sessions"
	if signed.Signed(r.Header) && fault != "html" && fault != "redirect" && fault != "unsigned" {
		if err := signed.SignAnswer(sent, f.signer, at, checked); err != nil {
			f.t.Errorf("sign: %v", err)
		}
	}
	if fault == "altered" {
		sent.Header.Set(api.HeaderSequence, "999")
	}
	if fault == "lose" {
		return
	}
	for name, values := range sent.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(sent.Status)
	_, _ = w.Write(sent.Body)
}

// answer checks what every call needs and then routes it.
func (f *fake) answer(w *httptest.ResponseRecorder, r *http.Request, body []byte) {
	if strings.Contains(r.URL.RequestURI(), "canary") {
		f.t.Errorf("a secret is in the URL %s", r.URL)
	}
	if len(body) > 0 && r.Header.Get("Content-Type") != "application/json" {
		f.t.Errorf("%s %s has a body of type %q", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/")
	if r.Method == "POST" && path == "sessions" {
		f.signIn(w, r, body)
		return
	}
	if r.Method == "GET" && path == "auth/oidc/start" {
		f.startSignOn(w, r)
		return
	}
	if r.Method == "POST" && path == "sessions/redeem" {
		f.redeemCode(w, r, body)
		return
	}
	if r.Method == "POST" && path == "links/redeem" {
		f.redeem(w, r, body)
		return
	}
	switch r.Header.Get("Authorization") {
	case "Bearer " + canaryMachine: // signs nothing, and has no session
		f.query(w, r, path)
		return
	case "Bearer " + canaryToken:
	case "":
		problem(w, 401, "not_signed_in")
		return
	default:
		f.t.Errorf("%s %s has another token", r.Method, r.URL.Path)
	}
	if f.revoked {
		problem(w, 401, "session_expired")
		return
	}
	f.signed(r, body, f.key)
	if r.Method == "GET" {
		at, err := strconv.ParseUint(r.Header.Get(api.HeaderNotOlderThan), 10, 64)
		// Somebody who watches has not heard of what others did meanwhile.
		watched := strings.HasPrefix(path, "requests/") || strings.HasPrefix(path, "jobs")
		// Who asks only who the server is names none.
		if first := path == "me" && r.Header.Get(api.HeaderNotOlderThan) == ""; !first && (err != nil || at != f.seq && (!watched || at > f.seq)) {
			f.t.Errorf("%s asks for position %q, and the newest is %d", r.URL.Path, r.Header.Get(api.HeaderNotOlderThan), f.seq)
		}
		f.query(w, r, path)
		return
	}
	if r.Method == "POST" && path == "audit/compare" { // which changes nothing
		f.compare(w)
		return
	}
	if r.Method == "POST" {
		key := r.Header.Get(api.HeaderIdempotencyKey)
		if len(key) < 16 {
			f.t.Errorf("POST %s has the idempotency key %q", path, key)
		}
		if before, used := f.keys[key]; used {
			w.Header().Set(api.HeaderSequence, strconv.FormatUint(f.seq, 10))
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.WriteString(before)
			return
		}
		defer func() {
			if w.Code < 300 { // what was refused was not done
				f.keys[key] = w.Body.String()
			}
		}()
	}
	f.command(w, r, path, body)
}

// signed checks that a call is signed as it came.
func (f *fake) signed(r *http.Request, body []byte, key seal.VerifyKey) {
	to := signed.Request{Method: r.Method, Target: r.RequestURI, Header: r.Header, Body: body}
	if _, err := signed.Check(to, key); err != nil {
		f.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
	}
}

func (f *fake) signIn(w *httptest.ResponseRecorder, r *http.Request, body []byte) {
	var outer api.SignIn
	f.decode(body, &outer)
	plain, err := seal.OpenProposal(f.intake, seal.Binding{Direction: seal.SignIn, AgentKey: f.intake.Public().ID()}, outer.Sealed)
	if err != nil || outer.Email != "" || outer.Password != "" {
		f.t.Errorf("the sign-in does not open, or has something beside it: %v", err)
	}
	var in api.SealedSignIn
	f.decode(plain, &in)
	key, err := seal.ParseVerifyKey(in.Key)
	if err != nil {
		f.t.Errorf("key: %v", err)
	}
	f.signed(r, body, key)
	if in.Password != canaryPassword {
		problem(w, 401, "sign_in_failed")
		return
	}
	f.revoked, f.key = false, key
	f.write(w, 201, api.Session{Token: canaryToken, Expires: time.Now().Add(time.Hour), Person: me(in.Email)})
}

// startSignOn is a server and its identity provider at once: a browser comes back from there.
func (f *fake) startSignOn(w *httptest.ResponseRecorder, r *http.Request) {
	q := r.URL.Query()
	f.challenge = q.Get("code_challenge")
	answer := "code=" + canarySignOn
	if f.refusal != "" {
		answer = "error=" + f.refusal
	}
	f.refusal = ""
	w.Header().Set("Location", "http://127.0.0.1:"+q.Get("cli_port")+"/done?"+answer)
	w.WriteHeader(303)
}

func (f *fake) redeemCode(w *httptest.ResponseRecorder, r *http.Request, body []byte) {
	var outer api.RedeemCode
	f.decode(body, &outer)
	plain, err := seal.OpenProposal(f.intake, seal.Binding{Direction: seal.SignIn, AgentKey: f.intake.Public().ID()}, outer.Sealed)
	if err != nil {
		f.t.Errorf("the redemption does not open: %v", err)
	}
	var in api.SealedCode
	f.decode(plain, &in)
	key, err := seal.ParseVerifyKey(in.Key)
	if err != nil {
		f.t.Errorf("key: %v", err)
	}
	f.signed(r, body, key)
	challenge := sha256.Sum256([]byte(in.Verifier))
	if len(in.Verifier) != 43 || base64.RawURLEncoding.EncodeToString(challenge[:]) != f.challenge || in.Code != canarySignOn {
		problem(w, 403, "sso_code_invalid")
		return
	}
	f.challenge, f.revoked, f.key = "", false, key
	f.write(w, 201, api.Session{Token: canaryToken, Expires: time.Now().Add(time.Hour), Person: me("sso@example.org")})
}

func me(email string) api.Me {
	return api.Me{
		ID: "u_1", Email: email, Name: "Dana", Roles: []string{"developer"}, Permissions: []string{"request.create"},
		Grants: []api.Grant{{Role: "developer", Scope: api.Scope{Project: "shop"}}}, Groups: []string{}, Teams: []string{},
	}
}

func (f *fake) query(w *httptest.ResponseRecorder, r *http.Request, path string) {
	part := strings.Split(path, "/")
	if f.queryPeople(w, r, path) || f.queryIntegrations(w, r, path) {
		return
	}
	switch {
	case path == "me":
		reply(w, 200, me("dana@example.org"))
	case path == "me/factors":
		reply(w, 200, f.factors)
	case path == "requests":
		var found []api.Request
		for _, q := range slices.Backward(f.requests) {
			if r.URL.Query().Get("asked") == "me" && !waits(q) {
				continue
			}
			if states := r.URL.Query()["state"]; len(states) == 0 || slices.Contains(states, q.State) {
				found = append(found, *q)
			}
		}
		page(w, r, found)
	case part[0] == "requests" && len(part) == 2 && f.find(part[1]) != nil:
		then := *f.find(part[1])
		then.AsOf = f.asOf(r)
		reply(w, 200, then)
	case part[0] == "requests":
		problem(w, 404, "request_unknown")
	case path == "connections":
		page(w, r, []api.Connection{connection("file"), connection("evil\x1b]0;owned\x07")})
	case path == "connections/file":
		reply(w, 200, connection("file"))
	case part[0] == "jobs":
		f.queryJobs(w, r, part)
	case part[0] == "secrets":
		f.querySecrets(w, r, part)
	case part[0] == "reports":
		f.queryReport(w, r, strings.TrimPrefix(path, "reports/"))
	case path == "ownership":
		reply(w, 200, f.ownership)
	case path == "agents":
		page(w, r, []api.Agent{agent("a_1"), agent("a_2"), agent("a_3"), agent("a_4"), agent("a_5")})
	case path == "agents/a_1":
		reply(w, 200, agent("a_1"))
	case path == "audit/events":
		q := r.URL.Query()
		if _, err := time.Parse(time.RFC3339Nano, q.Get("since")); q.Get("since") != "" && err != nil {
			f.t.Errorf("since is %q", q.Get("since"))
		}
		page(w, r, []api.Event{{Seq: 9007199254740993, ID: "c_1.0", Type: "sb.request.submitted.v1", Stream: "request/r_1",
			Time: time.Now(), Actor: "user:u_1", Data: json.RawMessage(`{"big":9007199254740993,"new\u009bfield":"😀"}`)}})
	case path == "audit/holds":
		reply(w, 200, api.LegalHolds{Items: []api.LegalHold{
			{ID: "h_1", Reason: "case 1", By: "user:u_1", ByName: "Anna", At: time.Now()}, {ID: "h_2", User: anna, UserName: "Anna", Reason: "evil\x1b]0;", By: "user:u_1", At: time.Now()},
		}})
	case f.audit.signing != "" && strings.HasPrefix(path, "audit/log/"):
		f.queryAudit(w, strings.TrimPrefix(path, "audit/log/"), func(name string) int {
			n, _ := strconv.Atoi(r.URL.Query().Get(name))
			return n
		})
	case path == "audit/log/commits":
		f.fakeCommits(w, r)
	case path == "audit/export":
		exportFacts(w, r)
	case path == "support/bundle":
		w.Header().Set("Content-Type", "application/gzip")
		fmt.Fprint(w, "\x1f\x8b a bundle")
	case f.queryGovernance(w, r, part):
	default:
		problem(w, 404, "not_found")
	}
}

// compare finds a row that was changed, another one that was added, and the next time nothing.
func (f *fake) compare(w *httptest.ResponseRecorder) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	if f.compared = !f.compared; f.compared {
		fmt.Fprintln(w, `{"difference":{"table":"views.requests","kind":"changed","key":[{"name":"id","value":"r_1"}],"columns":[{"name":"state","live":"approved\u001b[2J","refolded":null}]}}`)
		fmt.Fprintln(w, `{"difference":{"table":"audit.events","kind":"added","key":[{"name":"seq","value":"7"},{"name":"place","value":"0"}],"columns":[]}}`)
		fmt.Fprintln(w, `{"outcome":{"up_to":9,"differences":3,"named":2,"tables":["audit.events","views.requests"],"seconds":0.5}}`)
		return
	}
	fmt.Fprintln(w, `{"outcome":{"up_to":9,"differences":0,"named":0,"tables":[],"seconds":0.5}}`)
}

// exportFacts has five facts, of which two fit into an answer.
func exportFacts(w *httptest.ResponseRecorder, r *http.Request) {
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if limit > 2 {
		problem(w, 413, "report_too_long")
		return
	}
	after, _, _ := strings.Cut(r.URL.Query().Get("after"), ".")
	seq, _ := strconv.Atoi(after) // none is 0
	format := siem.Format(r.URL.Query().Get("format"))
	w.Header().Set("Content-Type", "application/x-ndjson")
	if format == siem.CEF {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	for n := seq + 1; n <= min(seq+limit, 5); n++ {
		if format != "" {
			line, err := format.Append(nil, siem.Record{
				Seq: events.Seq(n), Place: 1, Raw: []byte(`{"id":"c_1.1","type":"sb.request.submitted.v1"}`), Type: "sb.request.submitted.v1", Data: []byte(`{"new":"\u009b"}`),
			}, 0)
			if err != nil {
				problem(w, 500, "internal")
				return
			}
			_, _ = w.Write(append(line, '\n')) // to memory
			continue
		}
		fmt.Fprintf(w, `{"seq":%d,"index":1,"id":"c_%d.1","data":{"new\u009bfield":"😀"}}`+"\n", n, n)
	}
}

func connection(name string) api.Connection {
	return api.Connection{Name: name, Provider: "file", Cluster: "demo", State: "active", DiscoverEverySeconds: 6 * 3600, CreatedAt: time.Now(), ChangedAt: time.Now()}
}

func agent(id string) api.Agent {
	return api.Agent{ID: id, Name: "demo", Cluster: "demo", State: "online", InvitedAt: time.Now().Add(-3 * time.Hour),
		Cosigned: &api.Cosigned{Size: 42, At: time.Now().Add(-3 * time.Hour)}}
}

func (f *fake) command(w *httptest.ResponseRecorder, r *http.Request, path string, body []byte) {
	part := strings.Split(path, "/")
	if r.Method == "POST" && (f.commandPeople(w, path, body) || f.commandIntegrations(w, path, body)) {
		return
	}
	switch {
	case part[0] == "me":
		f.commandFactors(w, path, body)
	case f.careful && !f.steppedUp:
		problem(w, 401, "step_up_required")
	case r.Method == "DELETE" && path == "sessions/current":
		f.revoked = true
		w.WriteHeader(204)
	case path == "requests":
		f.submit(w, body, r.Header.Get(api.HeaderIdempotencyKey))
	case part[0] == "requests" && f.find(part[1]) == nil:
		problem(w, 404, "request_unknown")
	case part[0] == "requests" && len(part) == 3 && slices.Contains([]string{"values", "refuse", "review"}, part[2]):
		f.approval(w, f.find(part[1]), part[2], body, r.Header.Get(api.HeaderIdempotencyKey))
	case part[0] == "requests" && len(part) == 3:
		f.verdict(w, f.find(part[1]), part[2], body)
	case part[0] == "requests" && len(part) == 5:
		f.reveal(w, f.find(part[1]), part[3], body)
	case path == "jobs":
		f.queueJob(w, body)
	case part[0] == "jobs" && len(part) == 3 && part[2] == "cancel" && f.findJob(part[1]) != nil:
		f.cancelJob(w, f.findJob(part[1]), body)
	case part[0] == "jobs":
		problem(w, 404, "job_unknown")
	case part[0] == "secrets" && len(part) == 3:
		f.commandSecret(w, part[1], part[2], body)
	case path == "ownership":
		f.setOwnership(w, body)
	case part[0] == "connections" && len(part) == 3 && part[2] == "schedule":
		var in api.Schedule
		f.decode(body, &in)
		f.every = in.EverySeconds
		f.write(w, 200, api.Done{Seq: f.seq})
	case path == "connections":
		var in api.CreateConnection
		f.decode(body, &in)
		made := connection(in.Name)
		made.Provider, made.Cluster, made.Description = in.Provider, in.Cluster, in.Description
		f.write(w, 201, made)
	case path == "agents/invitations":
		var in api.Invite
		f.decode(body, &in)
		f.write(w, 201, api.Invitation{Agent: "a_9", Token: fmt.Sprintf("token-of-%s-%s-%d", in.Name, in.Cluster, in.TTLSeconds), Expires: time.Now()})
	case len(part) == 3 && slices.Contains([]string{"disable", "enable", "revoke"}, part[2]):
		f.decode(body, &api.Reason{})
		f.write(w, 200, api.Done{Seq: f.seq})
	case f.commandGovernance(w, part, body):
	default:
		problem(w, 404, "not_found")
	}
}

// intakeKeys says what values are sealed to.
func (f *fake) intakeKeys(w http.ResponseWriter) {
	text, err := json.Marshal(events.IntakeKeys{Keys: []string{"later:AAAA", f.intake.Public().String()}, NotAfter: time.Now().Add(time.Hour)})
	if err != nil {
		f.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(api.Intake{IntakeKeys: text, SigningKey: f.signer.Public().String(), Signature: f.signer.Sign(events.IntakeDomain, text)})
}

// rotate gives the server another signing key.
func (f *fake) rotate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		f.t.Error(err)
	}
	f.signer = signer
}

// propose opens what a patch sets, as the server does.
func (f *fake) propose(in api.Submit, idempotencyKey string) *api.Patch {
	if in.Operation != "patch" {
		return nil
	}
	_, ref, _ := strings.Cut(in.Secret, "/")
	patch := &api.Patch{Create: in.Create, Reapprove: "touched_keys", Changes: []api.Change{}}
	for _, c := range in.Changes {
		patch.Changes = append(patch.Changes, api.Change{Key: c.Key, Action: c.Action})
		if c.Action != "set" || in.Fill != nil && len(c.Sealed) == 0 {
			continue
		}
		entry, err := seal.OpenProposal(f.intake, seal.Binding{
			Direction: seal.Propose, Request: idempotencyKey, Key: c.Key, Connection: "file", Ref: ref, Agent: "u_1", AgentKey: f.intake.Public().ID(),
		}, c.Sealed)
		if err != nil {
			f.t.Errorf("the value of %s does not open: %v", c.Key, err)
			continue
		}
		f.proposed[c.Key] = string(entry)
	}
	return patch
}

func (f *fake) submit(w *httptest.ResponseRecorder, body []byte, idempotencyKey string) {
	var in api.Submit
	f.decode(body, &in)
	connection, ref, _ := strings.Cut(in.Secret, "/")
	for _, s := range fakeSecrets() {
		if s.ID == in.Secret {
			connection, ref, in.Secret = s.Connection, s.Ref, s.Secret
		}
	}
	switch {
	case connection != "file":
		problem(w, 422, "connection_unknown")
		return
	case in.Reason == "":
		problem(w, 422, "reason_missing")
		return
	}
	r := &api.Request{
		ID: fmt.Sprintf("r_%d", len(f.requests)+1), State: "pending", Operation: "read", Secret: in.Secret, Connection: connection,
		Ref: ref, Keys: append([]string{}, in.Keys...), Reason: in.Reason, Requester: api.Person{ID: "u_1", Name: "Dana"},
		Steps: []api.Step{{ID: "approve", From: api.Deciders{Roles: []string{"approver"}}, Approvals: 1}}, Votes: []api.Vote{}, Envelopes: []api.Envelope{},
		SubmittedAt: time.Now(), PendingUntil: time.Now().Add(24 * time.Hour), Waiting: "waiting for an approval",
	}
	if r.Patch = f.propose(in, idempotencyKey); r.Patch != nil {
		r.Operation = in.Operation
	}
	withApproval(r, in)
	f.requests = append(f.requests, r)
	f.write(w, 201, api.Submitted{ID: r.ID, Seq: f.seq + 1})
	f.change(r)
}

// look has an agent see something new in the secrets of all patches.
func (f *fake) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if r.Patch == nil {
			continue
		}
		if r.Patch.Comparison == nil {
			r.Patch.Comparison = &api.Comparison{}
		}
		l := r.Patch.Comparison
		l.Number, l.At, l.Exists, l.Version = l.Number+1, time.Now(), true, fmt.Sprint("v", l.Number+1)
		for i := range r.Patch.Changes {
			r.Patch.Changes[i].Effect = "changed"
		}
	}
}

// lookInVain has an agent see that all patches would fail.
func (f *fake) lookInVain() {
	f.look()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if r.Patch != nil {
			r.Patch.Comparison.Problem = &api.Failure{Code: "secret_not_found", Detail: "there is no such secret"}
		}
	}
}

// verdict ends a request at once: approved means that an agent was quick.
func (f *fake) verdict(w *httptest.ResponseRecorder, r *api.Request, verb string, body []byte) {
	var in api.Verdict
	f.decode(body, &in)
	if r.State != "pending" {
		problem(w, 409, "not_pending")
		return
	}
	switch verb {
	case "approve":
		if r.Patch != nil && in.Comparison != 0 && in.Comparison != r.Patch.Comparison.Number {
			problem(w, 409, "comparison_moved")
			return
		}
		r.State = "executed"
		names := r.Keys
		if len(names) == 0 {
			names = []string{"password"}
		}
		for i, key := range names {
			id := fmt.Sprintf("e_%s_%d", r.ID, i)
			r.Envelopes = append(r.Envelopes, api.Envelope{ID: id, Key: key, State: "ready", Expires: time.Now().Add(time.Hour), At: time.Now()})
			f.values[id] = map[string][]byte{"binary": {0xff, 0x00, 0x1b}, "escape": []byte(canaryValue + "\x1b[2J")}[key]
			if f.values[id] == nil {
				f.values[id] = []byte(canaryValue + "-" + key)
			}
		}
	case "reject":
		r.State = "rejected"
	case "cancel":
		r.State, r.Comment = "cancelled", in.Comment
	}
	if verb != "cancel" {
		r.Votes = append(r.Votes, api.Vote{Step: "approve", Approver: api.Person{ID: "u_2", Name: "Ada"}, Decision: r.State, Comment: in.Comment, At: time.Now()})
	}
	r.Waiting = ""
	f.write(w, 200, api.Done{Seq: f.seq + 1})
	f.change(r)
}

func (f *fake) reveal(w *httptest.ResponseRecorder, r *api.Request, id string, body []byte) {
	var in api.Reveal
	f.decode(body, &in)
	i := slices.IndexFunc(r.Envelopes, func(e api.Envelope) bool { return e.ID == id })
	switch {
	case r.State == "pending":
		problem(w, 409, "not_executed")
		return
	case i < 0:
		problem(w, 404, "envelope_unknown")
		return
	case r.Envelopes[i].State != "ready":
		problem(w, 410, map[string]string{"revealed": "already_revealed", "expired": "envelope_expired"}[r.Envelopes[i].State])
		return
	}
	r.Envelopes[i].State = "revealed"
	value := f.values[id]
	delete(f.values, id)
	out := api.Revealed{Key: r.Envelopes[i].Key, NotAfter: r.Envelopes[i].Expires, Seq: f.seq + 1}
	to, err := seal.ParseRecipientPublic(in.Recipient)
	if err != nil {
		f.t.Errorf("recipient: %v", err)
	}
	out.Sealed, err = seal.SealValueMessage(to, f.signer, seal.Binding{
		Direction: seal.Reveal, Request: r.ID, Envelope: id, Key: out.Key, Connection: r.Connection, Ref: r.Ref,
		Agent: r.Requester.ID, AgentKey: to.ID(), NotAfter: out.NotAfter,
	}, value)
	if err != nil {
		f.t.Errorf("seal: %v", err)
	}
	f.write(w, 200, out)
	f.change(r)
}

// expire ends what is ready.
func (f *fake) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		for i := range r.Envelopes {
			r.Envelopes[i].State = "expired"
		}
	}
}

func (f *fake) stream(w http.ResponseWriter, r *http.Request) {
	part := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/")
	kind, id := strings.TrimSuffix(part[0], "s"), part[1]
	seen, _ := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64) // none is 0
	f.mu.Lock()
	f.calls = append(f.calls, "STREAM from "+strconv.FormatUint(seen, 10))
	dropped := f.dropped
	state := func() (uint64, bool) { // counts what there is to tell
		if kind == "job" {
			if j := f.findJob(id); j != nil {
				return j.changes, true
			}
			return 0, false
		}
		if q := f.find(id); q != nil {
			return q.Seq, true
		}
		return 0, false
	}
	if kind == "job" {
		seen = 0 // progress has no position, so it is told again
	}
	_, found := state()
	f.mu.Unlock()
	f.signed(r, nil, f.key)
	if !found {
		answer := httptest.NewRecorder()
		problem(answer, 404, kind+"_unknown")
		f.send(w, r, answer, "")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, ": hello\n\n")
	for first := true; ; first = false {
		f.mu.Lock()
		seq, _ := state()
		changed := f.changed
		f.mu.Unlock()
		if seq > seen {
			// What a stream says is nobody's word: a reader must ask.
			fmt.Fprintf(w, "id: 9999\nevent: %s\ndata: {\"id\":\"%s\",\"state\":\"lied about\",\"seq\":9999}\n\n", kind, id)
			seen = seq
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		if first {
			f.opened <- struct{}{}
		}
		select {
		case <-changed:
		case <-dropped:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

func (f *fake) find(id string) *api.Request {
	for _, r := range f.requests {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// change gives a request the position that its command's answer named.
func (f *fake) change(r *api.Request) {
	r.Seq = f.seq
	close(f.changed)
	f.changed = make(chan struct{})
}

// write answers a command.
func (f *fake) write(w *httptest.ResponseRecorder, status int, body any) {
	f.seq++
	w.Header().Set(api.HeaderSequence, strconv.FormatUint(f.seq, 10))
	reply(w, status, body)
}

func (f *fake) decode(body []byte, into any) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		f.t.Errorf("body: %v", err)
	}
}

// page is two items long, so that every list has to go on.
func page[T any](w *httptest.ResponseRecorder, r *http.Request, all []T) {
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor")) // none is 0
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	to := min(from+min(limit, 2), len(all))
	p := api.Page[T]{Items: all[from:to]}
	if to < len(all) {
		p.Next = strconv.Itoa(to)
	}
	reply(w, 200, p)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // into memory
}

func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Problem{Status: status, Code: code, Detail: "the fake says no\x1b[31m", Instance: "x_1"})
}
