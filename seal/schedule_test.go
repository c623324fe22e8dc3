package seal_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"secretsbridge/seal"
)

// HPKE's key schedule, from RFC 9180 alone and with nothing of crypto/hpke, so that the
// result of a key exchange that a test vector gives can be made into a message.

func labeledExtract(t testing.TB, suite, salt []byte, label string, secret []byte) []byte {
	t.Helper()
	prk, err := hkdf.Extract(sha256.New, bytes.Join([][]byte{[]byte("HPKE-v1"), suite, []byte(label), secret}, nil), salt)
	if err != nil {
		t.Fatal(err)
	}
	return prk
}

func labeledExpand(t testing.TB, suite, prk []byte, label string, info []byte, n int) []byte {
	t.Helper()
	labeled := bytes.Join([][]byte{{byte(n >> 8), byte(n)}, []byte("HPKE-v1"), suite, []byte(label), info}, nil)
	out, err := hkdf.Expand(sha256.New, prk, string(labeled), n)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// secretOfX25519 is the shared secret of DHKEM(X25519, HKDF-SHA256) for what the curve
// gave: section 4.1.
func secretOfX25519(t testing.TB, dh, enc, public []byte) []byte {
	t.Helper()
	suite := []byte("KEM\x00\x20")
	prk := labeledExtract(t, suite, nil, "eae_prk", dh)
	return labeledExpand(t, suite, prk, "shared_secret", append(bytes.Clone(enc), public...), 32)
}

// messageOfSecret makes the message that p's control plane would make, had its
// encapsulation given enc and secret: section 5.1, and docs/security/envelopes.md.
func messageOfSecret(t testing.TB, p party, suite seal.Suite, enc, secret, plaintext []byte) []byte {
	t.Helper()
	numbers := binary.BigEndian.AppendUint16(nil, uint16(suite))
	numbers = append(numbers, 0, 1, 0, 2) // HKDF-SHA256, AES-256-GCM
	b := p.binding()
	info := field(field(field(nil, "secretsbridge message info v1"), numbers), bindingByHand(b))

	id := append([]byte("HPKE"), numbers...)
	context := append([]byte{0}, labeledExtract(t, id, nil, "psk_id_hash", nil)...)
	context = append(context, labeledExtract(t, id, nil, "info_hash", info)...)
	prk := labeledExtract(t, id, secret, "secret", nil)
	key := labeledExpand(t, id, prk, "key", context, 32)
	nonce := labeledExpand(t, id, prk, "base_nonce", context, 12)
	exporter := labeledExpand(t, id, prk, "exp", context, 32)
	commitment := labeledExpand(t, id, exporter, "sec", []byte("commit"), 32)

	recipient, err := hex.DecodeString(p.agent.Public().ID())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := hex.DecodeString(p.signer.Public().ID())
	if err != nil {
		t.Fatal(err)
	}
	header := bytes.Join([][]byte{{'M', 1}, numbers, recipient, signer, enc, commitment}, nil)
	_, gcm := newGCM(t, key)
	message := gcm.Seal(bytes.Clone(header), nonce, plaintext, header)
	message = append(message, make([]byte, seal.SignatureSize)...)
	if !seal.Resign(p.signer, message) {
		t.Fatal("what was made is no message")
	}
	return message
}
