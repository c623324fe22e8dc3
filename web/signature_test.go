package web_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/web"
	"secretsbridge/web/api"
	"secretsbridge/web/signed"
)

func newSigningKey(t testing.TB) seal.SigningKey {
	t.Helper()
	key, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// asSent is a request as its signature sees it.
func asSent(t testing.TB, req *http.Request) signed.Request {
	t.Helper()
	var body []byte
	if req.GetBody != nil {
		reader, err := req.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		if body, err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
	return signed.Request{Method: req.Method, Target: req.URL.RequestURI(), Header: req.Header, Body: body}
}

// signs signs a call as it stands. Options behind it change what was signed.
func (r *rig) signs(key seal.SigningKey) option { return r.signsAt(key, 0) }

func (r *rig) signsAt(key seal.SigningKey, ahead time.Duration) option {
	return func(req *http.Request) {
		if err := signed.Sign(asSent(r.t, req), key, r.clock.Now().Add(ahead)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// isSigned checks that an answer is the server's, to this call as it was sent, and whether
// the server says that it checked the call.
func (r *rig) isSigned(got answer, checked bool) answer {
	r.t.Helper()
	said, err := signed.CheckAnswer(signed.Answer{Status: got.StatusCode, Header: got.Header, Body: got.body, To: asSent(r.t, got.Request)}, r.signer.Public())
	if err != nil || said.Checked != checked {
		r.t.Errorf("%s %s, %d: signed %+v, %v; want checked %v", got.Request.Method, got.Request.URL, got.StatusCode, said, err, checked)
	}
	if err == nil && !said.Created.Equal(r.clock.Now().Truncate(time.Second)) {
		r.t.Errorf("signed at %v", said.Created)
	}
	return got
}

// intakeKey is the key that the server prefers.
func (r *rig) intakeKey() seal.RecipientPublic {
	r.t.Helper()
	got := read[api.Intake](r.t, r.call(nobody, "GET", "/intake", nil))
	if err := r.signer.Public().Verify(events.IntakeDomain, got.IntakeKeys, got.Signature); err != nil {
		r.t.Fatal(err)
	}
	var keys events.IntakeKeys
	if err := json.Unmarshal(got.IntakeKeys, &keys); err != nil {
		r.t.Fatal(err)
	}
	to, err := seal.ParseRecipientPublic(keys.Keys[0])
	if err != nil {
		r.t.Fatal(err)
	}
	return to
}

// sealed is the body of a sealed sign-in.
func (r *rig) sealed(to seal.RecipientPublic, plain any) api.SignIn {
	r.t.Helper()
	text, ok := plain.([]byte)
	if !ok {
		var err error
		if text, err = json.Marshal(plain); err != nil {
			r.t.Fatal(err)
		}
	}
	box, err := seal.SealProposal(to, seal.Binding{Direction: seal.SignIn, AgentKey: to.ID()}, text)
	if err != nil {
		r.t.Fatal(err)
	}
	return api.SignIn{Sealed: box}
}

func (r *rig) sealedOf(email string, key seal.SigningKey) api.SignIn {
	r.t.Helper()
	return r.sealed(r.intakeKey(), api.SealedSignIn{Email: email, Password: password, Key: key.Public().String()})
}

// keyed signs somebody in with a key.
func (r *rig) keyed(who person) (person, seal.SigningKey) {
	r.t.Helper()
	own := newSigningKey(r.t)
	got := r.isSigned(r.call(nobody, "POST", "/sessions", r.sealedOf(who.Email, own), key(""), r.signs(own)).wants(r.t, 201, ""), true)
	return person{who.Person, read[api.Session](r.t, got).Token, who.roles}, own
}

func TestASessionWithAKeyTakesWhatTheKeySigned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, own := r.keyed(r.developer)
	r.isSigned(r.call(who, "GET", "/me", nil, r.signs(own)).wants(t, 200, ""), true)
	got := r.isSigned(r.call(who, "POST", "/requests", wanted, key("k"), r.signs(own)).wants(t, 201, ""), true)
	id := events.RequestID(read[api.Submitted](t, got).ID)
	again := r.isSigned(r.call(who, "POST", "/requests", wanted, key("k"), r.signs(own)).wants(t, 201, ""), true)
	if again.Header.Get(api.HeaderReplayed) != "true" || !bytes.Equal(bytes.TrimSpace(again.body), bytes.TrimSpace(got.body)) {
		t.Errorf("signed again and answered %s", again.body)
	}
	r.isSigned(r.call(who, "GET", at(id, ""), nil, with(api.HeaderNotOlderThan, "1"), r.signs(own)).wants(t, 200, ""), true)
	r.isSigned(r.call(who, "GET", "/requests?limit=1&state=pending", nil, r.signs(own)).wants(t, 200, ""), true)
	r.isSigned(r.call(who, "POST", at(id, "/cancel"), nil, r.signs(own)).wants(t, 200, ""), true) // without a body
	r.isSigned(r.call(who, "POST", "/jobs", api.QueueJob{Type: "discover", Connection: "file"}, r.signs(own)).wants(t, 403, "forbidden"), true)
	r.isSigned(r.call(who, "DELETE", "/sessions/current", nil, r.signs(own)).wants(t, 204, ""), true)
	r.isSigned(r.call(who, "GET", "/me", nil, r.signs(own)).wants(t, 401, "session_expired"), false)
}

// TestTheTokenAloneIsNotEnough: whoever recorded it has nothing.
func TestTheTokenAloneIsNotEnough(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, _ := r.keyed(r.developer)
	for _, route := range web.Routes {
		if isPublic(route.Permission) {
			continue
		}
		for name, o := range map[string]option{"unsigned": nil, "signed by another key": r.signs(newSigningKey(t)), "signed by the server": r.signs(r.signer)} {
			before := len(facts[events.AccessDenied](r))
			got := r.call(who, route.Method, fill(route.Path), nil, o)
			if before >= 60 {
				got.wants(t, 429, "too_many_requests")
				continue
			}
			got.wants(t, 401, "signature_invalid")
			denied := facts[events.AccessDenied](r)
			want := events.AccessDenied{Action: string(route.Permission), Resource: route.Method + " " + web.Prefix + fill(route.Path), Code: "signature_invalid"}
			if len(denied) != before+1 || denied[before].Fact != want || denied[before].Actor != events.UserActor(who.ID) {
				t.Errorf("%s %s %s: denials %+v, want %+v", route.Method, route.Path, name, denied[before:], want)
			}
			if o != nil {
				r.isSigned(got, false)
			}
		}
	}
	if n := len(facts[events.RequestSubmitted](r)) + len(facts[events.SignedOut](r)); n != 0 {
		t.Errorf("%d commands were done", n)
	}
}

// TestTheTokenAloneKeepsNoSessionOpen: a session whose owner has gone ends.
func TestTheTokenAloneKeepsNoSessionOpen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, own := r.keyed(r.developer)
	for range 2 {
		r.clock.Add(14 * time.Minute)
		r.call(who, "GET", "/me", nil).wants(t, 401, "signature_invalid")
	}
	r.clock.Add(2 * time.Minute)
	r.call(who, "GET", "/me", nil, r.signs(own)).wants(t, 401, "session_expired")
}

// TestWhatWasChangedBehindTheSignatureIsRefused changes one part of a call each.
func TestWhatWasChangedBehindTheSignatureIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, own := r.keyed(r.developer)
	id := r.submit(r.developer)
	commands := len(r.commits())
	body := func(text string) option {
		return func(req *http.Request) {
			req.Body = io.NopCloser(strings.NewReader(text))
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
			req.ContentLength = int64(len(text))
		}
	}
	target := func(path string) option {
		return func(req *http.Request) {
			other, err := req.URL.Parse(path)
			if err != nil {
				t.Fatal(err)
			}
			req.URL = other
		}
	}
	swap := func(name, old, new string) option {
		return func(req *http.Request) { req.Header.Set(name, strings.Replace(req.Header.Get(name), old, new, 1)) }
	}
	for name, tt := range map[string]struct {
		method, path string
		body         any
		change       option
	}{
		"another method":            {"DELETE", "/me", nil, func(req *http.Request) { req.Method = "GET" }},
		"another path":              {"POST", at(id, "/approve"), nil, target(web.Prefix + at(id, "/cancel"))},
		"another id":                {"GET", at(id, ""), nil, target(web.Prefix + at(id+"0", ""))},
		"the path spelled anew":     {"GET", at(id, ""), nil, target(web.Prefix + strings.Replace(at(id, ""), "r_", "r%5F", 1))},
		"a query that was added":    {"GET", "/requests", nil, target(web.Prefix + "/requests?state=pending")},
		"a query that was cut":      {"GET", "/requests?state=pending", nil, target(web.Prefix + "/requests")},
		"a bare question mark":      {"GET", "/requests", nil, func(req *http.Request) { req.URL.ForceQuery = true }},
		"another body":              {"POST", "/requests", wanted, body(`{"secret":"file/other","reason":"x"}`)},
		"one byte more":             {"POST", "/requests", sent(`{"secret":"file/a","reason":"x"}`), body(`{"secret":"file/a","reason":"x"} `)},
		"a body of a query":         {"GET", "/requests", nil, body(`{}`)},
		"another digest":            {"POST", "/requests", wanted, swap("Content-Digest", "sha-256=:", "sha-512=:")},
		"no digest":                 {"GET", "/me", nil, with("Content-Digest", "")},
		"another idempotency key":   {"POST", "/requests", wanted, key("other")},
		"another content type":      {"POST", "/requests", wanted, with("Content-Type", "application/json; charset=utf-8")},
		"another token's scheme":    {"GET", "/me", nil, swap("Authorization", "Bearer", "bearer")},
		"a position that was added": {"GET", "/requests", nil, with(api.HeaderNotOlderThan, "1")},
		"another Accept":            {"GET", "/requests", nil, with("Accept", "text/html")},
		"a Last-Event-ID":           {"GET", at(id, "/stream"), nil, with("Last-Event-ID", "1")},
		"a later time":              {"GET", "/me", nil, swap("Signature-Input", ";created=1", ";created=2")},
		"another nonce":             {"GET", "/me", nil, swap("Signature-Input", `;nonce="`, `;nonce="A`)},
		"another key's name":        {"GET", "/me", nil, swap("Signature-Input", `;keyid="`, `;keyid="0`)},
		"the tag of an answer":      {"GET", "/me", nil, swap("Signature-Input", "sb-request-v1", "sb-answer-v1")},
		"less that is covered":      {"GET", "/me", nil, swap("Signature-Input", ` "@query"`, "")},
		"another signature":         {"GET", "/me", nil, swap("Signature", "sb=:", "sb=:AA")},
		"another label":             {"GET", "/me", nil, swap("Signature", "sb=", "xy=")},
		"the signature twice":       {"GET", "/me", nil, func(req *http.Request) { req.Header.Add("Signature", req.Header.Get("Signature")) }},
		"no signature":              {"GET", "/me", nil, with("Signature", "")},
		"no input":                  {"GET", "/me", nil, with("Signature-Input", "")},
	} {
		t.Run(name, func(t *testing.T) {
			r.isSigned(r.call(who, tt.method, tt.path, tt.body, r.signs(own), tt.change).wants(t, 401, "signature_invalid"), false)
		})
	}
	if denied := len(facts[events.AccessDenied](r)); len(r.commits()) != commands+denied {
		t.Errorf("%d facts were recorded and %d are denials", len(r.commits())-commands, denied)
	}
}

func TestASignatureCountsOnceAndForAMinute(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, own := r.keyed(r.developer)
	headers := func(signs option, method, path string, body any) option {
		return replay(r.request(who, method, path, body, signs))
	}
	for _, call := range []struct {
		method, path string
		body         any
		status       int
	}{{"GET", "/me", nil, 200}, {"POST", "/requests", wanted, 201}} {
		recorded := headers(r.signs(own), call.method, call.path, call.body)
		r.isSigned(r.call(who, call.method, call.path, call.body, recorded).wants(t, call.status, ""), true)
		r.isSigned(r.call(who, call.method, call.path, call.body, recorded).wants(t, 401, "signature_used"), false)
		r.clock.Add(time.Minute)
		r.call(who, call.method, call.path, call.body, recorded).wants(t, 401, "signature_used")
		r.clock.Add(time.Second)
		r.call(who, call.method, call.path, call.body, recorded).wants(t, 401, "signature_expired")
	}
	for _, off := range []time.Duration{time.Minute, -time.Minute} {
		r.call(who, "GET", "/me", nil, r.signsAt(own, off)).wants(t, 200, "")
		r.isSigned(r.call(who, "GET", "/me", nil, r.signsAt(own, off+off/60)).wants(t, 401, "signature_expired"), false)
		r.call(who, "GET", "/me", nil, r.signsAt(own, 1000*off)).wants(t, 401, "signature_expired")
	}
	r.clock.Add(3 * time.Minute)
	r.call(who, "GET", "/me", nil, r.signs(own)).wants(t, 200, "")
	if n := r.api.Remembered(); n != 1 {
		t.Errorf("%d signatures are remembered, want 1", n)
	}
	if n := len(facts[events.RequestSubmitted](r)); n != 1 {
		t.Errorf("%d requests", n)
	}

	// A process that has just begun remembers nothing, so it takes nothing from before.
	recorded := headers(r.signs(own), "GET", "/me", nil)
	r.clock.Add(time.Second)
	r.api = web.New(r.api.Config)
	r.serve()
	r.call(who, "GET", "/me", nil, recorded).wants(t, 401, "signature_expired")
	r.call(who, "GET", "/me", nil, r.signs(own)).wants(t, 200, "")
}

// TestASessionWithoutAKeyNeedsNoSignature: one in its calls changes nothing, and answers
// do not pretend that it was checked.
func TestASessionWithoutAKeyNeedsNoSignature(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := r.call(r.developer, "GET", "/me", nil).wants(t, 200, "")
	if signed.Signed(got.Header) || got.Header.Get("Content-Digest") != "" {
		t.Error("an answer to a call without a signature is signed")
	}
	r.isSigned(r.call(r.developer, "GET", "/me", nil, r.signs(newSigningKey(t))).wants(t, 200, ""), false)
	r.call(r.developer, "GET", "/me", nil, with("Signature", "garbage")).wants(t, 200, "")
}

// TestEveryAnswerToASignedCallIsSigned: also those that no route gives.
func TestEveryAnswerToASignedCallIsSigned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, own := r.keyed(r.developer)
	r.isSigned(r.call(who, "GET", "/nothing", nil, r.signs(own)).wants(t, 404, "not_found"), false)
	r.isSigned(r.call(who, "PUT", "/me", nil, r.signs(own)).wants(t, 405, "method_not_allowed"), false)
	r.isSigned(r.call(who, "POST", "/requests", wanted, r.signs(own), with("Sec-Fetch-Site", "cross-site")).wants(t, 403, "forbidden"), false)
	r.isSigned(r.call(who, "GET", "/requests/r_none", nil, r.signs(own)).wants(t, 404, "request_unknown"), true)
	r.isSigned(r.call(who, "GET", "/requests/r_none/stream", nil, r.signs(own)).wants(t, 404, "request_unknown"), true)
	r.isSigned(r.call(who, "POST", "/requests", sent("{"), r.signs(own)).wants(t, 400, "body_malformed"), true)
	r.isSigned(r.call(who, "POST", at("r_none", "/cancel"), sent(`"`+strings.Repeat("x", 70_000)), r.signs(own)).wants(t, 413, "body_too_large"), false)
	r.isSigned(r.call(nobody, "GET", "/openapi.yaml", nil, r.signs(own)).wants(t, 200, ""), false)
	r.cut()
	r.isSigned(r.call(who, "GET", "/me", nil, r.signs(own)).wants(t, 503, "unavailable"), false)
}
