package post_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/egress"
	"secretsbridge/internal/secret"
	"secretsbridge/notices"
	"secretsbridge/notices/internal/post"
	"secretsbridge/notices/internal/receiver"
)

func sent(t *testing.T, err error) *notices.Failure {
	t.Helper()
	var failure *notices.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("%v, want a failure", err)
	}
	if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "services") {
		t.Errorf("the error tells the address, or what the receiver said: %v", err)
	}
	return failure
}

func TestAnswersAreJudged(t *testing.T) {
	tests := map[string]struct {
		status int
		after  string
		code   events.DeliveryCode
		retry  bool
		wait   time.Duration
	}{
		"a redirect":                 {307, "", events.DeliveryRefused, false, 0},
		"not understood":             {400, "", events.DeliveryRefused, false, 0},
		"not allowed":                {403, "", events.DeliveryRefused, false, 0},
		"not there":                  {404, "", events.DeliveryRefused, false, 0},
		"gone":                       {410, "", events.DeliveryRefused, false, 0},
		"too slow for it":            {408, "", events.DeliveryUnavailable, true, 0},
		"too many, and a time":       {429, "30", events.DeliveryThrottled, true, 30 * time.Second},
		"too many":                   {429, "", events.DeliveryThrottled, true, 0},
		"too many, and no time":      {429, "soon", events.DeliveryThrottled, true, 0},
		"an error of its own":        {500, "", events.DeliveryUnavailable, true, 0},
		"not now, and another time":  {503, "7", events.DeliveryUnavailable, true, 7 * time.Second},
		"whatever it stands in for":  {502, "", events.DeliveryUnavailable, true, 0},
		"something between 4 and 5":  {499, "", events.DeliveryRefused, false, 0},
		"a number that nobody knows": {799, "", events.DeliveryUnavailable, true, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := receiver.New(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://127.0.0.1/canary")
				if tt.after != "" {
					w.Header().Set("Retry-After", tt.after)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, "canary-answer")
			})
			f := sent(t, post.Send(t.Context(), r.Client(0), r.URL(), nil, []byte("{}"), nil))
			if f.Code != tt.code || f.Retry != tt.retry || f.After != tt.wait {
				t.Errorf("%v, retry %v, after %s", f, f.Retry, f.After)
			}
			if len(r.Got()) != 1 {
				t.Errorf("it was called %d times", len(r.Got()))
			}
		})
	}
}

func TestWhatIsTakenIsDelivered(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204} {
		r := receiver.New(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if err := post.Send(t.Context(), r.Client(0), r.URL(), nil, []byte(`{"a":1}`), nil); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		got := r.Got()[0]
		if string(got.Body) != `{"a":1}` || got.URI != receiver.Path || got.Header.Get("Content-Type") != "application/json" || got.Header.Get("User-Agent") != "secrets-bridge" {
			t.Errorf("%+v", got)
		}
	}
	r := receiver.New(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 1<<20)) })
	if err := post.Send(t.Context(), r.Client(0), r.URL(), nil, []byte("{}"), nil); err != nil {
		t.Errorf("a long answer: %v", err)
	}
}

func TestWhyNothingWasSent(t *testing.T) {
	r := receiver.New(t, nil)
	to := func(url string) secret.Value { return secret.New([]byte(url)) }
	cut := receiver.New(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	release := make(chan struct{})
	slow := receiver.New(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	tests := map[string]struct {
		ctx    context.Context
		client *http.Client
		to     secret.Value
		code   events.DeliveryCode
		retry  bool
	}{
		"no address":          {t.Context(), r.Client(0), secret.Value{}, events.DeliveryUnset, false},
		"no https":            {t.Context(), r.Client(0), to("http://127.0.0.1" + receiver.Path), events.DeliveryForbidden, false},
		"no URL":              {t.Context(), r.Client(0), to("://canary"), events.DeliveryForbidden, false},
		"an address of ours":  {t.Context(), egress.Client(egress.Policy{}), r.URL(), events.DeliveryForbidden, false},
		"metadata":            {t.Context(), r.Client(0), to("https://169.254.169.254" + receiver.Path), events.DeliveryForbidden, false},
		"nobody we trust":     {t.Context(), egress.Client(egress.Policy{Allow: here}), r.URL(), events.DeliveryUntrusted, true},
		"it hangs up":         {t.Context(), cut.Client(0), cut.URL(), events.DeliveryUnavailable, true},
		"it takes too long":   {t.Context(), slow.Client(50 * time.Millisecond), slow.URL(), events.DeliveryTimeout, true},
		"we are stopping":     {stopped, r.Client(0), r.URL(), events.DeliveryInternal, true},
		"nobody listens here": {t.Context(), r.Client(0), to("https://127.0.0.1:1" + receiver.Path), events.DeliveryUnavailable, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if f := sent(t, post.Send(tt.ctx, tt.client, tt.to, nil, []byte("{}"), nil)); f.Code != tt.code || f.Retry != tt.retry {
				t.Errorf("%v, retry %v; want %s, %v", f, f.Retry, tt.code, tt.retry)
			}
		})
	}
}
