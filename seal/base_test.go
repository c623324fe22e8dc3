package seal_test

import (
	"encoding/base64"
	"errors"
	"testing"

	"secretsbridge/seal"
)

// TestASignatureBaseIsSignedAsTheStandardDoes is the example of RFC 9421, appendix B.2.6,
// with the test key of B.1.4.
func TestASignatureBaseIsSignedAsTheStandardDoes(t *testing.T) {
	seed, err := base64.RawURLEncoding.DecodeString("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU")
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.ParseSigningKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	base := []byte("\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\"@authority\": example.com\n" +
		"\"content-type\": application/json\n\"content-length\": 18\n" +
		"\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"")
	const want = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
	sig := key.SignBase(base)
	if got := base64.StdEncoding.EncodeToString(sig); got != want {
		t.Errorf("signed as %s, want %s", got, want)
	}
	if err := key.Public().VerifyBase(base, sig); err != nil {
		t.Error(err)
	}
}

// TestABaseIsNoStatementAndNoMessage: what is signed for one use verifies in no other.
func TestABaseIsNoStatementAndNoMessage(t *testing.T) {
	p := newParty(t, seal.X25519)
	base := []byte(`"@status": 200`)
	for name, err := range map[string]error{
		"a statement as a base": p.signer.Public().VerifyBase(base, p.signer.Sign("ticket.v1", base)),
		"a base as a statement": p.signer.Public().Verify("ticket.v1", base, p.signer.SignBase(base)),
		"nothing":               p.signer.Public().VerifyBase(nil, p.signer.SignBase(base)),
		"no key":                seal.VerifyKey{}.VerifyBase(base, p.signer.SignBase(base)),
	} {
		if !errors.Is(err, seal.ErrSignature) {
			t.Errorf("%s: %v, want %v", name, err, seal.ErrSignature)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("what is no base was signed")
		}
	}()
	p.signer.SignBase([]byte("\x00\x00\x00\x19secretsbridge statement v1"))
}
