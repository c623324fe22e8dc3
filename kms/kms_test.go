package kms_test

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"secretsbridge/kms"
	"secretsbridge/seal"
)

func TestContextBytesAreInjective(t *testing.T) {
	pairs := rapid.MapOfN(rapid.StringN(0, 4, -1), rapid.StringN(0, 4, -1), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := kms.EncryptionContext(pairs.Draw(t, "a")), kms.EncryptionContext(pairs.Draw(t, "b"))
		same := len(a) == len(b)
		for k, v := range a {
			w, there := b[k]
			same = same && there && v == w
		}
		if equal := bytes.Equal(a.Bytes(), b.Bytes()); equal != same {
			t.Errorf("equal bytes = %v, equal contexts = %v: %q, %q", equal, same, a, b)
		}
	})
}

func TestContextOfAnEnvelopeFollowsTheBinding(t *testing.T) {
	b := seal.Binding{Direction: seal.Read, Request: "r_1", Envelope: "r_1.0", Ref: "prod/café db", NotAfter: time.Unix(1, 0)}
	ec := kms.ContextOf(b)
	if err := ec.Check(); err != nil {
		t.Errorf("the context is refused: %v", err)
	}
	for _, v := range ec {
		if bytes.Contains([]byte(v), []byte("prod")) {
			t.Errorf("the context, which backends log, tells the ref: %q", v)
		}
	}
	other := b
	other.Key = "password"
	if bytes.Equal(ec.Bytes(), kms.ContextOf(other).Bytes()) {
		t.Error("two bindings share a context")
	}
}
