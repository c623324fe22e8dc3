package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"secretsbridge/internal/secret"
)

const canary = "canary-4f1c"

func TestValueNeverPrints(t *testing.T) {
	type holder struct {
		Open   secret.Value
		hidden secret.Value
	}
	h := holder{Open: secret.New([]byte(canary)), hidden: secret.New([]byte(canary))}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
		fmt.Fprintf(&out, verb+verb+verb, h, h.Open, &h)
	}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("a value", "v", h.Open, "h", h)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("a value", "v", h.Open, "h", h)
	encoded, err := json.Marshal(h)
	if err == nil {
		t.Errorf("encoding a value succeeded: %s", encoded)
	}
	all := out.String() + logged.String() + string(encoded)
	for _, leak := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("%d", []byte(canary))} {
		if strings.Contains(all, leak) {
			t.Errorf("%q leaked into %q", leak, all)
		}
	}
	if got := string(h.Open.Expose()); got != canary {
		t.Errorf("Expose = %q, want %q", got, canary)
	}
}

func TestZeroClearsTheBytesThatWereGiven(t *testing.T) {
	b := []byte(canary)
	secret.New(b).Zero()
	if !bytes.Equal(b, make([]byte, len(canary))) {
		t.Errorf("after Zero the bytes are %q", b)
	}
}
