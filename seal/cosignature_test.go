package seal_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"secretsbridge/seal"
)

// TestACosignatureIsNothingElse: what is signed as a witness verifies as Ed25519 over the message
// alone, and in no other use.
func TestACosignatureIsNothingElse(t *testing.T) {
	p := newParty(t, seal.X25519)
	message := []byte("cosignature/v1\ntime 1\nlog\n1\nAAAA\n")
	sig := p.signer.SignCosignature(message)
	public := p.signer.Public()
	if !ed25519.Verify(public.Bytes(), message, sig) {
		t.Error("it does not verify as c2sp.org/tlog-cosignature says")
	}
	for name, err := range map[string]error{
		"as a statement": public.Verify("ticket.v1", message, sig),
		"as a base":      public.VerifyBase(message, sig),
	} {
		if !errors.Is(err, seal.ErrSignature) {
			t.Errorf("%s: %v, want %v", name, err, seal.ErrSignature)
		}
	}
	if ed25519.Verify(public.Bytes(), message, p.signer.Sign("cosignature/v1", message)) {
		t.Error("a statement verifies as a cosignature")
	}
	if (seal.VerifyKey{}).Bytes() != nil {
		t.Error("no key has bytes")
	}
	defer func() {
		if recover() == nil {
			t.Error("something else was signed")
		}
	}()
	p.signer.SignCosignature([]byte("cosignature/v2\n"))
}
