package events_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
)

const span events.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestATraceparentIsRefusedUnlessItNamesASpan(t *testing.T) {
	if !span.Valid() || !span.Sampled() || span.TraceID() != "4bf92f3577b34da6a3ce929d0e0e4736" || span.SpanID() != "00f067aa0ba902b7" {
		t.Errorf("%s is not read as it is", span)
	}
	for _, bad := range []events.Traceparent{
		"", "00", span + "0", span[1:], "01" + span[2:], events.Traceparent(strings.ToUpper(string(span))),
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
		"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	} {
		if bad.Valid() {
			t.Errorf("%q names a span", bad)
		}
	}
}

// TestAFactMayNameItsSpan: as CloudEvents' extension, and where nobody traces there is no trace of it.
func TestAFactMayNameItsSpan(t *testing.T) {
	fact := events.Event{
		ID: "c_1.0", Stream: events.RequestStream("r_1"), Time: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC), Actor: "system:x", Correlation: "x_1", Command: "c_1",
		Fact: events.RequestCancelled{},
	}
	plain, err := events.Encode([]events.Event{fact})
	if err != nil || bytes.Contains(plain, []byte("traceparent")) {
		t.Fatalf("a fact that nobody traced is stored as %s, %v", plain, err)
	}
	fact.Trace = span
	raw, err := events.Encode([]events.Event{fact})
	if err != nil || !bytes.Contains(raw, []byte(`"traceparent":"`+string(span)+`"`)) {
		t.Fatalf("it is stored as %s, %v", raw, err)
	}
	if len(raw)-len(plain) != 72 {
		t.Errorf("it is %d bytes longer; docs/how-to/observe.md says 72", len(raw)-len(plain))
	}
	back, err := events.Decode(raw)
	if err != nil || back[0].Trace != span {
		t.Errorf("it is read as %+v, %v", back, err)
	}
	fact.Trace = "nonsense"
	if _, err := events.Encode([]events.Event{fact}); err == nil {
		t.Error("nonsense is stored")
	}
	if _, err := events.Decode(bytes.Replace(raw, []byte(span), []byte("nonsense"), 1)); !errors.Is(err, events.ErrMalformed) {
		t.Errorf("nonsense is read: %v", err)
	}
}
