package providertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
)

// wantEntries compares keys, kinds and values. Objects and arrays may come back with
// other white space, other escapes and other order of members; numbers may not change.
func wantEntries(t *testing.T, got, want agent.Bundle) {
	t.Helper()
	if diff := cmp.Diff(comparable(t, want), comparable(t, got)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func comparable(t *testing.T, b agent.Bundle) map[string]any {
	t.Helper()
	out := map[string]any{}
	for key, entry := range b.Entries {
		value := entry.Value.Expose()
		if entry.Kind != agent.KindObject && entry.Kind != agent.KindArray {
			out[key] = string(entry.Kind) + " " + string(value)
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(value))
		decoder.UseNumber()
		var nested any
		if err := decoder.Decode(&nested); err != nil {
			t.Errorf("entry %q is no JSON: %v", key, err)
		}
		out[key] = nested
	}
	return out
}

// wantError checks that err is what was wanted, says what was being done, and holds
// nothing of a value.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
		return
	}
	if err.Error() == want.Error() {
		t.Errorf("error %q does not say what was being done", err)
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("the error holds a value: %v", err)
	}
}
