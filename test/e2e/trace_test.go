package e2e_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"secretsbridge/test/leaks"
	"secretsbridge/web/api"
)

// exported is what a collector got.
type exported struct {
	mu    sync.Mutex
	raw   []byte
	spans []exportedSpan
	bad   error
}

type exportedSpan struct {
	*spans.Span
	service string
}

// collect is a collector of OpenTelemetry's on loopback.
func collect(t *testing.T) (*exported, string) {
	t.Helper()
	got := &exported{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var batch collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(raw, &batch)
		}
		got.mu.Lock()
		defer got.mu.Unlock()
		if err != nil || r.URL.Path != "/v1/traces" {
			got.bad = err
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		got.raw = append(got.raw, raw...)
		for _, of := range batch.ResourceSpans {
			service := ""
			for _, a := range of.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.GetStringValue()
				}
			}
			for _, scope := range of.ScopeSpans {
				for _, s := range scope.Spans {
					got.spans = append(got.spans, exportedSpan{s, service})
				}
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(srv.Close)
	return got, srv.URL
}

// of are the spans of a trace, by service and name.
func (e *exported) of(trace []byte) map[string][]exportedSpan {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := map[string][]exportedSpan{}
	for _, s := range e.spans {
		if bytes.Equal(s.TraceId, trace) {
			found[s.service+" "+s.Name] = append(found[s.service+" "+s.Name], s)
		}
	}
	return found
}

// traceOf finds the trace that a request was submitted in.
func (e *exported) traceOf(request string) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.spans {
		if s.Name == "queue ticket" || s.Name == "reveal" || s.Name == "job read" {
			for _, a := range s.Attributes {
				if a.Key == "sb.request" && a.Value.GetStringValue() == request {
					return s.TraceId
				}
			}
		}
	}
	return nil
}

// TestOneTraceFromSubmitToReveal: what one request sets in motion is one trace, in all processes
// and through the votes of others, and nothing that was exported holds what is nobody's business.
func TestOneTraceFromSubmitToReveal(t *testing.T) {
	t.Parallel()
	got, url := collect(t)
	c := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+url, "OTEL_BSP_SCHEDULE_DELAY=100", "SB_LOG_LEVEL=DEBUG", "SB_LOG_FORMAT=json", "SB_OPS_ADDR=127.0.0.1:0")
	const reason, comment = "canary-reason-5b1d", "canary-comment-77aa"
	var submitted api.Submitted
	if status, code := c.call("developer", "POST", "/requests", newKey(), api.Submit{Secret: "file/prod/db/password", Reason: reason}, &submitted); status != http.StatusCreated {
		t.Fatalf("submit: %d %s", status, code)
	}
	path := "/requests/" + submitted.ID
	if status, code := c.call("approver", "POST", path+"/approve", newKey(), api.Verdict{Comment: comment}, nil); status != http.StatusOK {
		t.Fatalf("approve: %d %s", status, code)
	}
	eventually(t, time.Minute, "executed", func() bool { return c.request(t, submitted.ID).State == "executed" })
	r := c.request(t, submitted.ID)
	var revealed api.Revealed
	if status, code := c.call("developer", "POST", path+"/envelopes/"+r.Envelopes[0].ID+"/reveal", newKey(), c.reveal, &revealed); status != http.StatusOK {
		t.Fatalf("reveal: %d %s", status, code)
	}
	value := c.opened(t, r, r.Envelopes[0].ID, revealed)

	want := []string{
		"sb-server POST /api/v1/requests", "sb-server decide request", "sb-server append", // submit, votes, outcome
		"sb-server queue ticket",                                            // dispatch
		"sb-agent job read", "sb-agent call start", "sb-server agent start", // the ticket's
		"sb-agent provider read",                                                 // the provider
		"sb-agent call datakey", "sb-server agent datakey", "sb-server kms wrap", // a key for the value
		"sb-agent call handover", "sb-server agent handover",
		"sb-agent call complete", "sb-server agent complete", // the outcome
		"sb-server reveal", "sb-server kms unwrap",
	}
	var trace []byte
	missing := func() []string {
		if trace = got.traceOf(submitted.ID); trace == nil {
			return want
		}
		have := got.of(trace)
		return slices.DeleteFunc(slices.Clone(want), func(name string) bool { return len(have[name]) > 0 })
	}
	defer func() {
		if t.Failed() {
			t.Logf("the trace has %q, and lacks %q", slices.Sorted(maps.Keys(got.of(trace))), missing())
		}
	}()
	eventually(t, 30*time.Second, "the whole trace", func() bool { return len(missing()) == 0 })

	t.Run("its spans hang together", func(t *testing.T) {
		byID := map[string]exportedSpan{}
		roots := 0
		all := got.of(trace)
		for _, named := range all {
			for _, s := range named {
				byID[string(s.SpanId)] = s
			}
		}
		for _, s := range byID {
			if len(s.ParentSpanId) == 0 {
				roots++
				if s.Name != "POST /api/v1/requests" {
					t.Errorf("the trace begins with %s", s.Name)
				}
			} else if _, ok := byID[string(s.ParentSpanId)]; !ok {
				t.Errorf("%s %s is within a span that is not there", s.service, s.Name)
			}
		}
		if roots != 1 {
			t.Errorf("the trace begins %d times", roots)
		}
		within := func(child string) string {
			parent := byID[string(all[child][0].ParentSpanId)]
			return parent.service + " " + parent.Name
		}
		chain := map[string]string{}
		for _, child := range []string{"sb-agent job read", "sb-agent provider read", "sb-agent call start", "sb-server agent start", "sb-server agent complete", "sb-server kms unwrap"} {
			chain[child] = within(child)
		}
		if diff := cmp.Diff(map[string]string{
			"sb-agent job read": "sb-server queue ticket", "sb-agent provider read": "sb-agent job read", "sb-agent call start": "sb-agent job read",
			"sb-server agent start": "sb-agent call start", "sb-server agent complete": "sb-agent call complete", "sb-server kms unwrap": "sb-server reveal",
		}, chain); diff != "" {
			t.Errorf("what is within what (-want +got)\n%s", diff)
		}
		links := 0
		for _, s := range all["sb-server decide request"] {
			links += len(s.Links)
		}
		if links == 0 {
			t.Error("the vote is not linked to the call of who voted")
		}
	})
	t.Run("a line of the log names it", func(t *testing.T) {
		id := hex.EncodeToString(trace)
		if !strings.Contains(c.log(), `"trace":"`+id+`"`) {
			t.Error("no line of a log names the trace")
		}
	})
	t.Run("a caller's own trace is not continued", func(t *testing.T) {
		const theirs = "4bf92f3577b34da6a3ce929d0e0e4736"
		req, err := http.NewRequestWithContext(t.Context(), "GET", c.url+"/api/v1/intake", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", "00-"+theirs+"-00f067aa0ba902b7-01")
		resp, err := c.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		eventually(t, 30*time.Second, "linked to the caller's", func() bool {
			got.mu.Lock()
			defer got.mu.Unlock()
			return slices.ContainsFunc(got.spans, func(s exportedSpan) bool {
				return s.Name == "GET /api/v1/intake" && len(s.Links) == 1 && hex.EncodeToString(s.Links[0].TraceId) == theirs
			})
		})
		if raw, _ := hex.DecodeString(theirs); len(got.of(raw)) != 0 {
			t.Error("a span is in the caller's trace")
		}
	})
	t.Run("figures count it", func(t *testing.T) { checkScrape(t, c) })
	t.Run("nothing in it is anybody's business", func(t *testing.T) {
		c.stop(t) // what was not sent yet is sent now
		got.mu.Lock()
		defer got.mu.Unlock()
		if got.bad != nil || len(got.raw) == 0 {
			t.Fatalf("the collector could not read what it got: %v", got.bad)
		}
		for _, hidden := range []string{value, reason, comment, "prod/db", "@demo.local", password, c.tokens["developer"], c.tokens["approver"], r.Requester.ID} {
			for _, form := range leaks.Forms(hidden) {
				if bytes.Contains(got.raw, form.Bytes) {
					t.Errorf("%q was exported as %s", hidden, form.Name)
				}
			}
		}
		for _, s := range got.spans {
			for _, a := range s.Attributes {
				if !slices.Contains(exportable, a.Key) {
					t.Errorf("%s has an attribute %s", s.Name, a.Key)
				}
			}
			if len(s.Events) != 0 {
				t.Errorf("%s has events", s.Name)
			}
		}
	})
}

// exportable are all attributes that a span may have.
var exportable = []string{
	"sb.request", "sb.job", "sb.agent", "sb.operation", "sb.provider", "sb.attempt", "sb.facts", "sb.outcome", "sb.service", "sb.kms",
	"http.route", "http.request.method", "http.response.status_code", "error.type",
}
