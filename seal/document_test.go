package seal_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"secretsbridge/seal"
)

// The test below knows the format from docs/security/envelopes.md alone, and agrees
// with the package in both directions.

func TestAMessageMadeByTheDocumentOpens(t *testing.T) {
	for suite, kem := range map[seal.Suite]hpke.KEM{
		seal.X25519: hpke.DHKEM(ecdh.X25519()), seal.XWing: hpke.MLKEM768X25519(),
	} {
		p := newParty(t, suite)
		suiteBytes := []byte{byte(suite >> 8), byte(suite), 0, 1, 0, 2}
		rawPublic := p.agent.Public().Bytes()
		signer := ed25519.NewKeyFromSeed(p.signer.Expose())
		rawVerify := []byte(signer.Public().(ed25519.PublicKey))

		keyID := sha256.Sum256(field(field(field(nil, "secretsbridge recipient key v1"), suiteBytes[:2]), rawPublic))
		signerID := sha256.Sum256(field(field(nil, "secretsbridge signer key v1"), rawVerify))
		if got := p.agent.Public().ID(); got != hex.EncodeToString(keyID[:]) {
			t.Errorf("recipient key id = %s, want %x", got, keyID)
		}
		if got := p.signer.Public().ID(); got != hex.EncodeToString(signerID[:]) {
			t.Errorf("signer key id = %s, want %x", got, signerID)
		}
		if got, want := p.signer.Public().String(), "ed25519:"+base64.RawURLEncoding.EncodeToString(rawVerify); got != want {
			t.Errorf("verify key prints as %s, want %s", got, want)
		}

		b := p.binding()
		info := field(field(field(nil, "secretsbridge message info v1"), suiteBytes), bindingByHand(b))
		public, err := kem.NewPublicKey(rawPublic)
		if err != nil {
			t.Fatal(err)
		}
		enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
		if err != nil {
			t.Fatal(err)
		}
		commitment, err := sender.Export("commit", 32)
		if err != nil {
			t.Fatal(err)
		}
		finish := func(commitment []byte) []byte {
			header := bytes.Join([][]byte{{'M', 1}, suiteBytes, keyID[:], signerID[:], enc, commitment}, nil)
			ciphertext, err := sender.Seal(header, []byte("made by hand"))
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256(field(field(nil, header), ciphertext))
			signature := ed25519.Sign(signer, field(field(nil, "secretsbridge message v1"), digest[:]))
			return bytes.Join([][]byte{header, ciphertext, signature}, nil)
		}
		message := finish(commitment)
		if got, err := p.open(message); err != nil || string(got) != "made by hand" {
			t.Errorf("%s: open = %q, %v", suite, got, err)
		}
		if want := len(p.seal(t, []byte("made by hand"))); len(message) != want {
			t.Errorf("%s: a message of %d bytes, the package makes one of %d", suite, len(message), want)
		}

		// Right in all but the commitment: tag and signature are over the wrong one.
		enc, sender, err = hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.open(finish(make([]byte, 32)))
		refused(t, suite.String()+" message that commits to another key", got, err, seal.ErrOpen)
	}
}

func TestAStatementIsSignedAsTheDocumentSays(t *testing.T) {
	p := newParty(t, seal.X25519)
	signed := field(field(field(nil, "secretsbridge statement v1"), "ticket.v1"), "ticket")
	want := ed25519.Sign(ed25519.NewKeyFromSeed(p.signer.Expose()), signed)
	if got := p.signer.Sign("ticket.v1", []byte("ticket")); !bytes.Equal(got, want) {
		t.Errorf("signature = %x, want %x", got, want)
	}
}

// TestAProposalAndAValueMessageMadeByTheDocumentOpen pads by hand, too.
func TestAProposalAndAValueMessageMadeByTheDocumentOpen(t *testing.T) {
	for suite, kem := range map[seal.Suite]hpke.KEM{
		seal.X25519: hpke.DHKEM(ecdh.X25519()), seal.XWing: hpke.MLKEM768X25519(),
	} {
		p := newParty(t, suite)
		suiteBytes := []byte{byte(suite >> 8), byte(suite), 0, 1, 0, 2}
		rawPublic := p.agent.Public().Bytes()
		keyID := sha256.Sum256(field(field(field(nil, "secretsbridge recipient key v1"), suiteBytes[:2]), rawPublic))
		public, err := kem.NewPublicKey(rawPublic)
		if err != nil {
			t.Fatal(err)
		}
		padded := make([]byte, 512)
		binary.BigEndian.PutUint32(padded, 300)
		copy(padded[4:], bytes.Repeat([]byte("v"), 300))
		seals := func(label string, b seal.Binding, prefix []byte) (header, ciphertext []byte) {
			info := field(field(field(nil, label), suiteBytes), bindingByHand(b))
			enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
			if err != nil {
				t.Fatal(err)
			}
			commitment, err := sender.Export("commit", 32)
			if err != nil {
				t.Fatal(err)
			}
			header = bytes.Join([][]byte{prefix, enc, commitment}, nil)
			if ciphertext, err = sender.Seal(header, padded); err != nil {
				t.Fatal(err)
			}
			return header, ciphertext
		}

		b := p.complete(seal.Propose)
		header, ciphertext := seals("secretsbridge proposal info v1", b, bytes.Join([][]byte{{'P', 1}, suiteBytes, keyID[:]}, nil))
		got, err := seal.OpenProposal(p.agent, b, append(header, ciphertext...))
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte("v"), 300)) {
			t.Errorf("%s proposal: %d bytes, %v", suite, len(got), err)
		}

		signer := ed25519.NewKeyFromSeed(p.signer.Expose())
		signerID := sha256.Sum256(field(field(nil, "secretsbridge signer key v1"), signer.Public().(ed25519.PublicKey)))
		b = p.complete(seal.Reveal)
		header, ciphertext = seals("secretsbridge message info v1", b, bytes.Join([][]byte{{'M', 1}, suiteBytes, keyID[:], signerID[:]}, nil))
		digest := sha256.Sum256(field(field(nil, header), ciphertext))
		signature := ed25519.Sign(signer, field(field(nil, "secretsbridge message v1"), digest[:]))
		got, err = seal.OpenValueMessage(p.agent, p.trusted(), b, before, bytes.Join([][]byte{header, ciphertext, signature}, nil))
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte("v"), 300)) {
			t.Errorf("%s value message: %d bytes, %v", suite, len(got), err)
		}
	}
}

// bindingByHand encodes a binding as the document says.
func bindingByHand(b seal.Binding) []byte {
	var end uint64 // none is 0
	if !b.NotAfter.IsZero() {
		end = uint64(b.NotAfter.Unix())
	}
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	var out []byte
	for _, f := range [][]byte{
		[]byte("secretsbridge binding v1"), []byte(b.Direction), []byte(b.Request), []byte(b.Envelope), []byte(b.Job),
		number(b.Attempt), []byte(b.Key), []byte(b.Connection), []byte(b.Ref), []byte(b.Agent), []byte(b.AgentKey),
		number(end),
	} {
		out = field(out, f)
	}
	return out
}
