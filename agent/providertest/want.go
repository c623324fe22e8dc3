package providertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
)

// wantEntries compares keys, kinds and values. JSON may come back with other white
// space, other escapes, other order of members and other spellings of a number; what
// it means may not change.
func wantEntries(t *testing.T, got, want agent.Bundle) {
	t.Helper()
	if diff := cmp.Diff(meaning(t, want), meaning(t, got), cmp.Comparer(sameNumber)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

type entry struct {
	Kind  agent.Kind
	Means any
}

func meaning(t *testing.T, b agent.Bundle) map[string]entry {
	t.Helper()
	out := map[string]entry{}
	for key, e := range b.Entries {
		value := e.Value.Expose()
		if e.Kind == agent.KindString {
			out[key] = entry{e.Kind, string(value)}
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(value))
		decoder.UseNumber()
		var means any
		if err := decoder.Decode(&means); err != nil {
			t.Errorf("entry %q is no JSON: %v", key, err)
		}
		out[key] = entry{e.Kind, means}
	}
	return out
}

// sameNumber compares exactly, unless the exponent is too large to write the digits down.
func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	x, _, errX := big.ParseFloat(string(a), 10, 4096, big.ToNearestEven)
	y, _, errY := big.ParseFloat(string(b), 10, 4096, big.ToNearestEven)
	return errX == nil && errY == nil && x.Cmp(y) == 0
}

// WantError checks that err is what was wanted, says what was being done, and holds no
// [Canary].
func WantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
		return
	}
	if err.Error() == want.Error() {
		t.Errorf("error %q does not say what was being done", err)
	}
	if strings.Contains(err.Error(), Canary) {
		t.Errorf("the error holds a value: %v", err)
	}
}
