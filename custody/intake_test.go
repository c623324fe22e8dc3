package custody_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// TestASealedSignInOpensAsLongAsItsKeyIsTaken seals to each key that is handed out.
func TestASealedSignInOpensAsLongAsItsKeyIsTaken(t *testing.T) {
	r := newRig(t)
	said, err := r.Intake(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var keys events.IntakeKeys
	if err := json.Unmarshal(said.IntakeKeys, &keys); err != nil {
		t.Fatal(err)
	}
	sealed := map[string][]byte{}
	for _, text := range keys.Keys {
		to, err := seal.ParseRecipientPublic(text)
		if err != nil {
			t.Fatal(err)
		}
		if sealed[text], err = seal.SealProposal(to, seal.Binding{Direction: seal.SignIn, AgentKey: to.ID()}, []byte(canary)); err != nil {
			t.Fatal(err)
		}
	}
	opens := func(when string, want error) {
		t.Helper()
		for name, box := range sealed {
			plain, err := r.OpenSignIn(t.Context(), box)
			if !errors.Is(err, want) || want == nil && string(plain) != canary {
				t.Errorf("%s, to %.8s: %q, %v, want %v", when, name, plain, err, want)
			}
		}
	}
	opens("at once", nil)
	r.now = r.now.Add(custody.IntakeEnd - time.Second)
	if _, err := r.Intake(t.Context()); err != nil { // the next keys
		t.Fatal(err)
	}
	opens("in the overlap", nil)
	r.now = r.now.Add(time.Second)
	opens("after it", custody.ErrIntakeKey)
	if _, err := r.OpenSignIn(t.Context(), []byte("PP")); !errors.Is(err, custody.ErrIntakeKey) && !errors.Is(err, custody.ErrSignIn) {
		t.Errorf("what is none: %v", err)
	}
}
