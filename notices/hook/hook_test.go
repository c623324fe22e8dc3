package hook_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/notices"
	"secretsbridge/notices/hook"
	"secretsbridge/notices/internal/receiver"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func message() notices.Message {
	return notices.Message{ID: "n_0a1b2c", Kind: events.NoticeExecuted, Data: json.RawMessage(`{"id":"n_0a1b2c","type":"sb.notice.executed.v1","data":{"ref":"a&b<c>"}}`)}
}

func verifier(t *testing.T, key secret.Value) *standardwebhooks.Webhook {
	t.Helper()
	w, err := standardwebhooks.NewWebhook(string(key.Expose()))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// signingKey makes a key as receivers are given it.
func signingKey() secret.Value {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails (package crypto/rand)
	return secret.New([]byte("whsec_" + base64.StdEncoding.EncodeToString(key)))
}

func TestEachOfBothKeysVerifies(t *testing.T) {
	newer, older, other := signingKey(), signingKey(), signingKey()
	r := receiver.New(t, nil)
	s := hook.Sender{Client: r.Client(0), Now: time.Now}
	if err := s.Send(t.Context(), notices.Address{URL: r.URL(), SigningKeys: []secret.Value{newer, older}}, message()); err != nil {
		t.Fatal(err)
	}
	got := r.Got()[0]
	if string(got.Body) != string(message().Data) || got.Header.Get("webhook-id") != "n_0a1b2c" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s, %v", got.Body, got.Header)
	}
	signatures := strings.Split(got.Header.Get("webhook-signature"), " ")
	if len(signatures) != 2 || signatures[0] == signatures[1] || !strings.HasPrefix(signatures[0], "v1,") || !strings.HasPrefix(signatures[1], "v1,") {
		t.Errorf("the signatures are %q", signatures)
	}
	for name, key := range map[string]secret.Value{"the newer": newer, "the older": older} {
		if err := verifier(t, key).Verify(got.Body, got.Header); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verifier(t, other).Verify(got.Body, got.Header) == nil {
		t.Error("a key that is neither verifies")
	}
	for name, change := range map[string]func(h http.Header, body []byte) []byte{
		"another body":  func(_ http.Header, body []byte) []byte { return append(body, ' ') },
		"another time":  func(h http.Header, body []byte) []byte { h.Set("webhook-timestamp", "1764244800"); return body },
		"another id":    func(h http.Header, body []byte) []byte { h.Set("webhook-id", "n_0a1b2d"); return body },
		"no signature":  func(h http.Header, body []byte) []byte { h.Set("webhook-signature", "v1,"); return body },
		"a cut message": func(_ http.Header, body []byte) []byte { return body[:len(body)-1] },
	} {
		header := got.Header.Clone()
		body := change(header, append([]byte(nil), got.Body...))
		if verifier(t, newer).VerifyIgnoringTimestamp(body, header) == nil {
			t.Errorf("%s verifies", name)
		}
	}
}

func TestARepetitionHasTheSameIDAndItsOwnTime(t *testing.T) {
	key := signingKey()
	r := receiver.New(t, nil)
	now := time.Now()
	s := hook.Sender{Client: r.Client(0), Now: func() time.Time { now = now.Add(time.Minute); return now }}
	for range 2 {
		if err := s.Send(t.Context(), notices.Address{URL: r.URL(), SigningKeys: []secret.Value{key}}, message()); err != nil {
			t.Fatal(err)
		}
	}
	first, second := r.Got()[0], r.Got()[1]
	if first.Header.Get("webhook-id") != second.Header.Get("webhook-id") || first.Header.Get("webhook-timestamp") == second.Header.Get("webhook-timestamp") {
		t.Errorf("%v, then %v", first.Header, second.Header)
	}
	for _, got := range r.Got() {
		if err := verifier(t, key).Verify(got.Body, got.Header); err != nil {
			t.Error(err)
		}
	}
}

// TestAKnownSignature holds us to the example of the specification, not to a library.
func TestAKnownSignature(t *testing.T) {
	r := receiver.New(t, nil)
	s := hook.Sender{Client: r.Client(0), Now: func() time.Time { return time.Unix(1614265330, 0) }}
	m := notices.Message{ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", Data: json.RawMessage(`{"test": 2432232314}`)}
	key := secret.New([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	if err := s.Send(t.Context(), notices.Address{URL: r.URL(), SigningKeys: []secret.Value{key}}, m); err != nil {
		t.Fatal(err)
	}
	if got := r.Got()[0].Header.Get("webhook-signature"); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("the signature is %s", got)
	}
}

func TestKeysAreOfTheirFormOrNone(t *testing.T) {
	text := string(signingKey().Expose())
	r := receiver.New(t, nil)
	s := hook.Sender{Client: r.Client(0), Now: time.Now}
	of := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, bad := range []string{"", "canary", strings.TrimPrefix(text, "whsec_"), of(23), of(65), "whsec_%canary"} {
		var failure *notices.Failure
		err := s.Send(t.Context(), notices.Address{URL: r.URL(), SigningKeys: []secret.Value{secret.New([]byte(bad))}}, message())
		if !errors.As(err, &failure) || failure.Code != events.DeliveryInternal || failure.Retry || !errors.Is(err, hook.ErrKey) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	var failure *notices.Failure
	if err := s.Send(t.Context(), notices.Address{URL: r.URL()}, message()); !errors.As(err, &failure) || failure.Code != events.DeliveryUnset {
		t.Errorf("no key: %v", err)
	}
	for _, m := range []notices.Message{{ID: "n_1"}, {Data: message().Data}, {ID: "n_1", Data: make([]byte, 256<<10+1)}} {
		if err := s.Send(t.Context(), notices.Address{URL: r.URL(), SigningKeys: []secret.Value{signingKey()}}, m); !errors.As(err, &failure) || failure.Code != events.DeliveryInternal {
			t.Errorf("%s with %d bytes: %v", m.ID, len(m.Data), err)
		}
	}
	if len(r.Got()) != 0 {
		t.Error("something was sent")
	}
	for _, n := range []int{24, 64} {
		if err := s.Send(t.Context(), notices.Address{URL: r.URL(), SigningKeys: []secret.Value{secret.New([]byte(of(n)))}}, message()); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestAReceiverThatIsGoneIsToldNoMore(t *testing.T) {
	r := receiver.New(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	var failure *notices.Failure
	err := hook.Sender{Client: r.Client(0), Now: time.Now}.Send(t.Context(), notices.Address{URL: r.URL(), SigningKeys: []secret.Value{signingKey()}}, message())
	if !errors.As(err, &failure) || failure.Code != events.DeliveryRefused || failure.Retry {
		t.Errorf("%v", err)
	}
}
