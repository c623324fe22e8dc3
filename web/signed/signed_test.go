package signed_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/seal"
	"secretsbridge/web/signed"
)

var noon = time.Unix(1795780800, 0)

func newKey(t *testing.T) seal.SigningKey {
	t.Helper()
	key, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRequest() signed.Request {
	return signed.Request{
		Method: "POST", Target: "/api/v1/requests/r_1/approve?x=1&y=%2f", Body: []byte(`{"comment":"fine"}`),
		Header: http.Header{
			"Content-Type": {"application/json"}, "Authorization": {"Bearer token"}, "Idempotency-Key": {"k"},
			"Accept": {"application/json"}, "User-Agent": {"sb"},
		},
	}
}

func signedRequest(t *testing.T, key seal.SigningKey) signed.Request {
	t.Helper()
	r := newRequest()
	if err := signed.Sign(r, key, noon); err != nil {
		t.Fatal(err)
	}
	return r
}

func copied(r signed.Request) signed.Request {
	r.Header, r.Body = r.Header.Clone(), slices.Clone(r.Body)
	return r
}

// TestASignedRequestIsWhatTheDocumentSays builds the base by hand, as the page on
// envelopes describes it.
func TestASignedRequestIsWhatTheDocumentSays(t *testing.T) {
	key := newKey(t)
	r := signedRequest(t, key)
	proof, err := signed.Check(r, key.Public())
	if err != nil || !proof.Created.Equal(noon) || len(proof.Nonce) != 26 {
		t.Fatalf("%+v, %v", proof, err)
	}
	sum := sha256.Sum256(r.Body)
	said := `("@method" "@path" "@query" "content-digest" "content-type" "authorization" "idempotency-key" "accept")` +
		`;created=1795780800;nonce="` + proof.Nonce + `";keyid="` + key.Public().ID() + `";tag="sb-request-v1"`
	base := `"@method": POST
"@path": /api/v1/requests/r_1/approve
"@query": ?x=1&y=%2f
"content-digest": sha-256=:` + base64.StdEncoding.EncodeToString(sum[:]) + `:
"content-type": application/json
"authorization": Bearer token
"idempotency-key": k
"accept": application/json
"@signature-params": ` + said
	if got := r.Header.Get("Signature-Input"); got != "sb="+said {
		t.Errorf("input is\n%s, want\n%s", got, "sb="+said)
	}
	if got, want := r.Header.Get("Signature"), "sb=:"+base64.StdEncoding.EncodeToString(key.SignBase([]byte(base)))+":"; got != want {
		t.Errorf("signature is %s, want %s", got, want)
	}
}

// TestEveryChangeOfARequestIsRefused changes each byte that is covered, and the set of
// fields.
func TestEveryChangeOfARequestIsRefused(t *testing.T) {
	key := newKey(t)
	whole := signedRequest(t, key)
	refused := func(what string, change func(*signed.Request)) {
		t.Helper()
		r := copied(whole)
		change(&r)
		if _, err := signed.Check(r, key.Public()); !errors.Is(err, signed.ErrInvalid) && !errors.Is(err, signed.ErrKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
	text := func(get func(*signed.Request) *string) {
		for i := range len(*get(&whole)) {
			for _, bit := range []byte{1, 0x20, 0x80} {
				refused(fmt.Sprintf("byte %d of %q", i, *get(&whole)), func(r *signed.Request) {
					b := []byte(*get(r))
					b[i] ^= bit
					*get(r) = string(b)
				})
			}
		}
	}
	text(func(r *signed.Request) *string { return &r.Method })
	text(func(r *signed.Request) *string { return &r.Target })
	for name := range whole.Header {
		if name == "User-Agent" {
			continue
		}
		text(func(r *signed.Request) *string { return &r.Header[name][0] })
		refused("without "+name, func(r *signed.Request) { r.Header.Del(name) })
		refused("twice "+name, func(r *signed.Request) { r.Header.Add(name, r.Header.Get(name)) })
		refused("an empty second "+name, func(r *signed.Request) { r.Header.Add(name, "") })
	}
	for i := range whole.Body {
		refused(fmt.Sprintf("byte %d of the body", i), func(r *signed.Request) { r.Body[i] ^= 1 })
	}
	refused("more body", func(r *signed.Request) { r.Body = append(r.Body, ' ') })
	refused("no body", func(r *signed.Request) { r.Body = nil })
	for _, name := range []string{"Sb-Not-Older-Than", "Last-Event-Id"} {
		refused("an added "+name, func(r *signed.Request) { r.Header.Set(name, "1") })
	}
	for _, target := range []string{"", "https://evil" + whole.Target, "*", whole.Target + "#x", whole.Target + "?"} {
		refused("target "+target, func(r *signed.Request) { r.Target = target })
	}
	refused("another signature beside it", func(r *signed.Request) {
		r.Header.Set("Signature-Input", r.Header.Get("Signature-Input")+`, x=("@method");created=1;keyid="x"`)
	})
	refused("spaces", func(r *signed.Request) {
		r.Header.Set("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), `" "`, `"  "`, 1))
	})
	refused("a signature of nothing", func(r *signed.Request) { r.Header.Set("Signature-Input", "sb=()") })
	if _, err := signed.Check(whole, newKey(t).Public()); !errors.Is(err, signed.ErrKey) {
		t.Errorf("checked with another key: %v", err)
	}
	if _, err := signed.Check(whole, seal.VerifyKey{}); err == nil {
		t.Error("checked with no key")
	}
	if _, err := signed.Check(newRequest(), key.Public()); !errors.Is(err, signed.ErrInvalid) {
		t.Errorf("unsigned: %v", err)
	}
}

// TestABareQuestionMarkIsAChange: it has no component of its own.
func TestABareQuestionMarkIsAChange(t *testing.T) {
	key := newKey(t)
	r := newRequest()
	r.Target = "/api/v1/me"
	if err := signed.Sign(r, key, noon); err != nil {
		t.Fatal(err)
	}
	r.Target += "?"
	if _, err := signed.Check(r, key.Public()); !errors.Is(err, signed.ErrInvalid) {
		t.Errorf("error = %v", err)
	}
}

func newAnswer(to signed.Request) signed.Answer {
	return signed.Answer{
		Status: 200, Body: []byte(`{"seq":7}`), To: to,
		Header: http.Header{"Content-Type": {"application/json"}, "Sb-Sequence": {"7"}, "Idempotency-Replayed": {"true"}, "Etag": {`"7"`}, "Retry-After": {"1"}, "Date": {"today"}},
	}
}

func TestASignedAnswerIsWhatTheDocumentSays(t *testing.T) {
	client, server := newKey(t), newKey(t)
	to := signedRequest(t, client)
	a := newAnswer(to)
	if err := signed.SignAnswer(a, server, noon, true); err != nil {
		t.Fatal(err)
	}
	said := `("@status" "content-digest" "content-type" "sb-sequence" "idempotency-replayed" "etag" "retry-after"` +
		` "@method";req "@path";req "@query";req "content-digest";req "content-type";req "authorization";req "idempotency-key";req "accept";req` +
		` "signature-input";req "signature";req);created=1795780800;keyid="` + server.Public().ID() + `";tag="sb-answer-v1"`
	sum, asked := sha256.Sum256(a.Body), sha256.Sum256(to.Body)
	base := `"@status": 200
"content-digest": sha-256=:` + base64.StdEncoding.EncodeToString(sum[:]) + `:
"content-type": application/json
"sb-sequence": 7
"idempotency-replayed": true
"etag": "7"
"retry-after": 1
"@method";req: POST
"@path";req: /api/v1/requests/r_1/approve
"@query";req: ?x=1&y=%2f
"content-digest";req: sha-256=:` + base64.StdEncoding.EncodeToString(asked[:]) + `:
"content-type";req: application/json
"authorization";req: Bearer token
"idempotency-key";req: k
"accept";req: application/json
"signature-input";req: ` + to.Header.Get("Signature-Input") + `
"signature";req: ` + to.Header.Get("Signature") + `
"@signature-params": ` + said
	if got := a.Header.Get("Signature-Input"); got != "sb="+said {
		t.Errorf("input is\n%s, want\n%s", got, "sb="+said)
	}
	if got, want := a.Header.Get("Signature"), "sb=:"+base64.StdEncoding.EncodeToString(server.SignBase([]byte(base)))+":"; got != want {
		t.Errorf("signature is %s, want %s", got, want)
	}
}

// TestAnAnswerFitsOneRequestAsItCame changes each part of the answer and of its request.
func TestAnAnswerFitsOneRequestAsItCame(t *testing.T) {
	client, server := newKey(t), newKey(t)
	to := signedRequest(t, client)
	for _, checked := range []bool{true, false} {
		whole := newAnswer(to)
		if err := signed.SignAnswer(whole, server, noon, checked); err != nil {
			t.Fatal(err)
		}
		said, err := signed.CheckAnswer(whole, server.Public())
		if err != nil || said.Checked != checked || !said.Created.Equal(noon) {
			t.Fatalf("%+v, %v", said, err)
		}
		refused := func(what string, change func(*signed.Answer)) {
			t.Helper()
			a := whole
			a.Header, a.Body, a.To = a.Header.Clone(), slices.Clone(a.Body), copied(a.To)
			change(&a)
			if _, err := signed.CheckAnswer(a, server.Public()); !errors.Is(err, signed.ErrInvalid) && !errors.Is(err, signed.ErrKey) {
				t.Errorf("%s: %v", what, err)
			}
		}
		refused("another status", func(a *signed.Answer) { a.Status = 201 })
		refused("another tag", func(a *signed.Answer) {
			swap := strings.NewReplacer("sb-answer-v1", "sb-refusal-v1", "sb-refusal-v1", "sb-answer-v1")
			a.Header.Set("Signature-Input", swap.Replace(a.Header.Get("Signature-Input")))
		})
		for name := range whole.Header {
			if name == "Date" {
				continue
			}
			refused("without "+name, func(a *signed.Answer) { a.Header.Del(name) })
			refused("twice "+name, func(a *signed.Answer) { a.Header.Add(name, a.Header.Get(name)) })
			for i := range len(whole.Header.Get(name)) {
				refused(fmt.Sprintf("byte %d of %s", i, name), func(a *signed.Answer) {
					b := []byte(a.Header.Get(name))
					b[i] ^= 1
					a.Header[name][0] = string(b)
				})
			}
		}
		for i := range whole.Body {
			refused(fmt.Sprintf("byte %d of the body", i), func(a *signed.Answer) { a.Body[i] ^= 1 })
		}
		refused("to another method", func(a *signed.Answer) { a.To.Method = "GET" })
		refused("to another target", func(a *signed.Answer) { a.To.Target += "0" })
		refused("to a request with one field more", func(a *signed.Answer) { a.To.Header.Set("Last-Event-Id", "1") })
		for name := range to.Header {
			if name == "User-Agent" {
				continue
			}
			refused("to a request without "+name, func(a *signed.Answer) { a.To.Header.Del(name) })
		}
		refused("to the same request signed again", func(a *signed.Answer) { a.To = signedRequest(t, client) })
		refused("a request's signature", func(a *signed.Answer) {
			a.Header.Set("Signature", to.Header.Get("Signature"))
			a.Header.Set("Signature-Input", to.Header.Get("Signature-Input"))
		})
		if _, err := signed.CheckAnswer(whole, client.Public()); !errors.Is(err, signed.ErrKey) {
			t.Errorf("checked with another key: %v", err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	key, err := seal.GenerateSigningKey()
	if err != nil {
		f.Fatal(err)
	}
	r := newRequest()
	if err := signed.Sign(r, key, noon); err != nil {
		f.Fatal(err)
	}
	f.Add(r.Header.Get("Signature-Input"), r.Header.Get("Signature"))
	f.Add(`sb=();created=1;nonce="";keyid="`+key.Public().ID()+`";tag="sb-request-v1"`, "sb=::")
	f.Add(`sb`, `sb=?1`)
	f.Fuzz(func(t *testing.T, input, signature string) {
		forged := copied(r)
		forged.Header.Set("Signature-Input", input)
		forged.Header.Set("Signature", signature)
		_, err := signed.Check(forged, key.Public())
		if same := input == r.Header.Get("Signature-Input") && signature == r.Header.Get("Signature"); same != (err == nil) {
			t.Errorf("input %q, signature %q: %v", input, signature, err)
		}
	})
}
