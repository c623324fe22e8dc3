package web_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// answer is what the server said.
type answer struct {
	*http.Response
	body    []byte
	problem api.Problem
}

// option changes a call before it is sent.
type option func(*http.Request)

func with(name, value string) option {
	return func(req *http.Request) {
		req.Header.Del(name)
		if value != "" {
			req.Header.Set(name, value)
		}
	}
}

func key(k string) option { return with(api.HeaderIdempotencyKey, k) }

func sent(body string) []byte { return []byte(body) }

// call makes one call below the prefix, or to an absolute path that begins with "//".
// Body is nil, bytes, or something to encode as JSON; nil for a reveal names the rig's
// own key. A POST has a fresh key unless
// told. Every answer is held against the contract and the rules for all answers.
func (r *rig) call(who person, method, path string, body any, options ...option) answer {
	r.t.Helper()
	got, err := r.try(who, method, path, body, options...)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func (r *rig) try(who person, method, path string, body any, options ...option) (answer, error) {
	r.t.Helper()
	req := r.request(who, method, path, body, options...)
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got := answer{Response: resp}
	if got.body, err = io.ReadAll(resp.Body); err != nil {
		return answer{}, err
	}
	r.check(req, &got)
	return got, nil
}

func (r *rig) request(who person, method, path string, body any, options ...option) *http.Request {
	r.t.Helper()
	url := r.url + web.Prefix + path
	if absolute, ok := strings.CutPrefix(path, "//"); ok {
		url = r.url + "/" + absolute
	}
	if body == nil && strings.HasSuffix(path, "/reveal") {
		body = api.Reveal{Recipient: r.reader.Public().String()}
	}
	var payload io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		payload = bytes.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			r.t.Fatal(err)
		}
		payload = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, payload)
	if err != nil {
		r.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		req.Header.Set(api.HeaderIdempotencyKey, string(events.NewCommandID()))
	}
	if who.token != "" {
		req.Header.Set("Authorization", "Bearer "+who.token)
	}
	for _, o := range options {
		if o != nil {
			o(req)
		}
	}
	return req
}

// check is what holds for every answer.
func (r *rig) check(req *http.Request, got *answer) {
	r.t.Helper()
	if err := r.contract.CheckResponse(req, got.Response, got.body); err != nil && req.Method != http.MethodHead {
		r.t.Errorf("%v\n%s", err, got.body)
	}
	caching := "no-store"
	if strings.Contains(req.URL.Path, "/audit/log/tile/") && len(got.body) == 256*32 { // a full tile never changes
		caching = "private, max-age=31536000, immutable"
	}
	for name, want := range map[string]string{
		"Cache-Control": caching, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Strict-Transport-Security": "max-age=31536000", "Cross-Origin-Resource-Policy": "same-origin",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
	} {
		if have := got.Header.Values(name); len(have) != 1 || have[0] != want {
			r.t.Errorf("%s %s, %d: header %s is %q", req.Method, req.URL, got.StatusCode, name, have)
		}
	}
	if got.StatusCode >= 400 && req.Method != http.MethodHead {
		if err := json.Unmarshal(got.body, &got.problem); err != nil {
			r.t.Errorf("%s %s, %d: no problem: %s", req.Method, req.URL, got.StatusCode, got.body)
		}
		if got.problem.Instance == "" {
			r.t.Errorf("%s %s, %d: the problem has no instance", req.Method, req.URL, got.StatusCode)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, *got)
}

// wants checks status and code; code is empty for a success.
func (a answer) wants(t testing.TB, status int, code string) answer {
	t.Helper()
	if a.StatusCode != status || a.problem.Code != code {
		t.Fatalf("%s %s: %d %s, want %d %q", a.Request.Method, a.Request.URL.Path, a.StatusCode, a.body, status, code)
	}
	return a
}

func (a answer) seq() events.Seq {
	n, _ := strconv.ParseUint(a.Header.Get(api.HeaderSequence), 10, 64)
	return events.Seq(n)
}

// read decodes a success.
func read[T any](t testing.TB, a answer) (v T) {
	t.Helper()
	if a.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, a.body)
	}
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s %s: %v in %s", a.Request.Method, a.Request.URL.Path, err, a.body)
	}
	return v
}

// opened opens a value that was revealed to the developer at a path.
func (r *rig) opened(path string, got api.Revealed) string {
	r.t.Helper()
	part := strings.Split(path, "/") // "", requests, ID, envelopes, ENVELOPE, reveal
	_, ref, _ := strings.Cut(wanted.Secret, "/")
	value, err := seal.OpenValueMessage(r.reader, seal.VerifyKeys{r.signer.Public()}, seal.Binding{
		Direction: seal.Reveal, Request: part[2], Envelope: part[4], Key: got.Key, Connection: "file", Ref: ref,
		Agent: string(r.developer.ID), AgentKey: r.reader.Public().ID(), NotAfter: got.NotAfter,
	}, got.NotAfter.Add(-1), got.Sealed)
	if err != nil {
		r.t.Fatalf("open what was revealed: %v", err)
	}
	return string(value)
}
