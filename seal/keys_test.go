package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"secretsbridge/seal"
)

// holders are every type that holds a secret, in every place that fmt may find it.
type holders struct {
	Data        seal.DataKey
	Fingerprint seal.FingerprintKey
	Recipient   seal.RecipientKey
	Signer      seal.SigningKey
	Grant       seal.DataKeyGrant
	data        seal.DataKey
	grant       *seal.DataKeyGrant
	recipient   seal.RecipientKey
	signer      []seal.SigningKey
	byName      map[string]any
}

func TestKeysNeverPrint(t *testing.T) {
	p := newParty(t, seal.X25519)
	key, root := seal.NewDataKey(), bytes.Repeat([]byte{0xa7, 0x31}, 16)
	fingerprint, err := seal.DeriveFingerprintKey(root, "c_1")
	if err != nil {
		t.Fatal(err)
	}
	grant := seal.DataKeyGrant{DataKey: key, Fingerprint: fingerprint}
	h := holders{
		Data: key, Fingerprint: fingerprint, Recipient: p.agent, Signer: p.signer, Grant: grant,
		data: key, grant: &grant, recipient: p.agent, signer: []seal.SigningKey{p.signer},
		byName: map[string]any{"key": key, "recipient": p.agent},
	}
	subjects := []any{
		h, &h, key, &key, fingerprint, p.agent, &p.agent, p.signer, grant, &grant,
		[]any{key, p.agent}, map[seal.Suite]any{seal.X25519: p.signer}, [1]seal.DataKey{key},
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%e", "%t", "%p", "%T", "%10.3s", "%w"} {
		for _, subject := range subjects {
			fmt.Fprintf(&out, verb+"\n", subject)
		}
	}
	text, structured := slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))
	for _, subject := range subjects {
		fmt.Fprintln(&out, subject)
		text.Info("a key", "k", subject)
		structured.Info("a key", "k", subject, slog.Group("g", "k", subject))
		encoded, _ := json.Marshal(subject)
		out.Write(encoded)
		_ = gob.NewEncoder(&out).Encode(subject)
	}
	for _, single := range []any{key, fingerprint, p.agent, p.signer, grant, h} {
		if _, err := json.Marshal(single); !errors.Is(err, seal.ErrEncode) {
			t.Errorf("encoding %T: error = %v, want %v", single, err, seal.ErrEncode)
		}
	}

	recipient, err := p.agent.Expose()
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{key.Expose(), fingerprint.Expose(), recipient[3:], p.signer.Expose()}
	for i, secret := range secrets {
		for _, part := range [][]byte{secret, secret[:8], secret[24:]} {
			for _, leak := range []string{
				string(part), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)), fmt.Sprintf("% x", part),
				strings.Trim(fmt.Sprint(part), "[]"), strings.Trim(fmt.Sprintf("%#v", part), "[]byte{}"),
				base64.RawStdEncoding.EncodeToString(part[:6]), base64.RawURLEncoding.EncodeToString(part[:6]),
			} {
				if strings.Contains(out.String(), leak) {
					t.Errorf("secret %d leaked as %q", i, leak)
				}
			}
		}
	}
	if !strings.Contains(out.String(), "[key]") {
		t.Error("nothing was printed at all")
	}
}

func TestZeroClearsTheBytesThatWereGiven(t *testing.T) {
	given := bytes.Repeat([]byte{7}, seal.KeySize)
	key, err := seal.ParseDataKey(given)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Repeat([]byte{7}, seal.KeySize)
	fingerprint, err := seal.ParseFingerprintKey(other)
	if err != nil {
		t.Fatal(err)
	}
	seal.DataKeyGrant{DataKey: key, Fingerprint: fingerprint}.Zero()
	if zero := make([]byte, seal.KeySize); !bytes.Equal(given, zero) || !bytes.Equal(other, zero) {
		t.Error("bytes are left after Zero")
	}
	seal.DataKey{}.Zero() // no key is no reason to fall over
	seal.DataKeyGrant{}.Zero()
}

func TestAGrantComesBackAndLeavesNothing(t *testing.T) {
	key := seal.NewDataKey()
	fingerprint, err := seal.DeriveFingerprintKey(make([]byte, 32), "c_1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := seal.DataKeyGrant{DataKey: key, Fingerprint: fingerprint}.Marshal()
	if err != nil || len(b) != seal.GrantSize {
		t.Fatalf("marshal: %d bytes, %v", len(b), err)
	}
	got, err := seal.ParseDataKeyGrant(b)
	if err != nil || !bytes.Equal(got.DataKey.Expose(), key.Expose()) || !bytes.Equal(got.Fingerprint.Expose(), fingerprint.Expose()) {
		t.Errorf("the keys did not come back: %v", err)
	}
	if !bytes.Equal(b, make([]byte, seal.GrantSize)) {
		t.Error("parsing left the keys in its input")
	}

	half := append(bytes.Repeat([]byte{1}, 32), make([]byte, 32)...)
	for _, bad := range []struct {
		b    []byte
		want error
	}{
		{nil, seal.ErrMalformed}, {bytes.Repeat([]byte{1}, 63), seal.ErrMalformed}, {bytes.Repeat([]byte{1}, 65), seal.ErrMalformed},
		{make([]byte, 64), seal.ErrKey}, {half, seal.ErrKey},
	} {
		if got, err := seal.ParseDataKeyGrant(bad.b); !errors.Is(err, bad.want) || got.DataKey.Expose() != nil {
			t.Errorf("parse %d bytes: error = %v, want %v", len(bad.b), err, bad.want)
		}
		if !bytes.Equal(bad.b, make([]byte, len(bad.b))) {
			t.Error("a refused grant left bytes in its input")
		}
	}
	for _, g := range []seal.DataKeyGrant{{}, {DataKey: key}, {Fingerprint: fingerprint}} {
		if _, err := g.Marshal(); !errors.Is(err, seal.ErrKey) {
			t.Errorf("marshal half a grant: error = %v, want %v", err, seal.ErrKey)
		}
	}
}

func TestRecipientKeysComeBack(t *testing.T) {
	for _, suite := range suites {
		p := newParty(t, suite)
		b, err := p.agent.Expose()
		if err != nil || len(b) != 35 {
			t.Fatalf("expose: %d bytes, %v", len(b), err)
		}
		again, err := seal.ParseRecipientKey(b)
		if err != nil || again.Public() != p.agent.Public() || again.Public().Suite() != suite {
			t.Errorf("%s: another key came back: %v", suite, err)
		}
		public, err := seal.ParseRecipientPublic(p.agent.Public().String())
		if err != nil || public != p.agent.Public() || public.ID() != p.agent.Public().ID() || len(public.ID()) != 64 {
			t.Errorf("%s: another public key came back: %v", suite, err)
		}
		doc := map[string]seal.RecipientPublic{"key": public}
		encoded, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &doc); err != nil || doc["key"] != public {
			t.Errorf("%s: another public key came back from JSON: %v", suite, err)
		}
	}
}

func TestWhatIsNoKeyIsRefused(t *testing.T) {
	x := newParty(t, seal.X25519).agent.Public().String()
	for _, text := range []string{
		"", "x25519", "x25519:", ":", "x25519:AAAA", x + "A", x[:len(x)-1], x + "=", " " + x, x + "\n",
		"xwing:" + x[len("x25519:"):], "p256:" + x[len("x25519:"):], "ed25519:" + x[len("x25519:"):],
		"suite-0x0000:" + x[len("x25519:"):],
	} {
		if p, err := seal.ParseRecipientPublic(text); !errors.Is(err, seal.ErrKey) && !errors.Is(err, seal.ErrSuite) || p != (seal.RecipientPublic{}) {
			t.Errorf("recipient public key %q: error = %v", text, err)
		}
	}
	verify := newParty(t, seal.X25519).signer.Public().String()
	for _, text := range []string{"", "ed25519:", "ed25519:AAAA", verify + "\n", verify[:20] + "\r\n" + verify[20:], x, x[len("x25519:"):]} {
		if k, err := seal.ParseVerifyKey(text); !errors.Is(err, seal.ErrKey) || k != (seal.VerifyKey{}) {
			t.Errorf("verify key %q: error = %v", text, err)
		}
	}
	for _, b := range [][]byte{nil, {1}, {1, 0, 0x20}, append([]byte{2, 0, 0x20}, make([]byte, 32)...), append([]byte{1, 0, 0x20}, make([]byte, 31)...),
		append([]byte{1, 0x64, 0x7a}, make([]byte, 33)...)} {
		if _, err := seal.ParseRecipientKey(b); !errors.Is(err, seal.ErrKey) {
			t.Errorf("recipient key of %d bytes: error = %v, want %v", len(b), err, seal.ErrKey)
		}
	}
	if _, err := seal.ParseRecipientKey(append([]byte{1, 0, 0x10}, make([]byte, 32)...)); !errors.Is(err, seal.ErrSuite) {
		t.Errorf("recipient key of another suite: error = %v, want %v", err, seal.ErrSuite)
	}
	if _, err := seal.GenerateRecipientKey(0x10); !errors.Is(err, seal.ErrSuite) {
		t.Errorf("generate for another suite: error = %v, want %v", err, seal.ErrSuite)
	}
	for _, n := range []int{0, 31, 33, 64} {
		_, err1 := seal.ParseDataKey(make([]byte, n))
		_, err2 := seal.ParseFingerprintKey(make([]byte, n))
		_, err3 := seal.ParseSigningKey(make([]byte, n))
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, seal.ErrKey) {
				t.Errorf("key of %d bytes: error = %v, want %v", n, err, seal.ErrKey)
			}
		}
	}
	if _, err := json.Marshal(seal.RecipientPublic{}); !errors.Is(err, seal.ErrKey) {
		t.Errorf("encode no key: error = %v, want %v", err, seal.ErrKey)
	}
	if (seal.RecipientPublic{}).ID() != "" || (seal.VerifyKey{}).ID() != "" || (seal.RecipientKey{}).Public() != (seal.RecipientPublic{}) {
		t.Error("no key has an id")
	}
}

// A public key of low order would let anybody compute the shared secret: RFC 9180,
// section 7.1.4, refuses it, and an agent could enrol with one.
func TestAPublicKeyOfLowOrderSealsNothing(t *testing.T) {
	public, err := seal.ParseRecipientPublic("x25519:" + base64.RawURLEncoding.EncodeToString(make([]byte, 32)))
	if err != nil {
		return // refused even earlier
	}
	b := exampleBinding()
	b.AgentKey = public.ID()
	message, err := seal.SealMessage(public, newParty(t, seal.X25519).signer, b, []byte("x"))
	if err == nil || message != nil {
		t.Error("sealed to a public key of low order")
	}
}

func TestASignatureIsForOneUse(t *testing.T) {
	p := newParty(t, seal.X25519)
	msg := []byte("ticket")
	sig := p.signer.Sign("ticket.v1", msg)
	verify := p.signer.Public()
	if err := verify.Verify("ticket.v1", msg, sig); err != nil {
		t.Errorf("verify: %v", err)
	}
	if err := (seal.VerifyKeys{{}, verify}).Verify("ticket.v1", msg, sig); err != nil {
		t.Errorf("verify with one of several keys: %v", err)
	}
	other := newParty(t, seal.X25519).signer.Public()
	for name, err := range map[string]error{
		"another domain":      verify.Verify("ticket.v2", msg, sig),
		"no domain":           verify.Verify("", append([]byte("ticket.v1"), msg...), sig),
		"a border moved":      verify.Verify("ticket.v1t", msg[1:], sig),
		"another message":     verify.Verify("ticket.v1", []byte("tickets"), sig),
		"no signature":        verify.Verify("ticket.v1", msg, nil),
		"a longer signature":  verify.Verify("ticket.v1", msg, append(bytes.Clone(sig), 0)),
		"another key":         other.Verify("ticket.v1", msg, sig),
		"no key":              seal.VerifyKey{}.Verify("ticket.v1", msg, sig),
		"nobody is trusted":   seal.VerifyKeys{}.Verify("ticket.v1", msg, sig),
		"others are trusted":  seal.VerifyKeys{other, {}}.Verify("ticket.v1", msg, sig),
		"bytes of the letter": verify.Verify("", nil, sig),
	} {
		if !errors.Is(err, seal.ErrSignature) {
			t.Errorf("%s: error = %v, want %v", name, err, seal.ErrSignature)
		}
	}
}

func TestAStatementIsNoMessageAndAMessageNoStatement(t *testing.T) {
	p := newParty(t, seal.X25519)
	message := p.seal(t, []byte("x"))
	body, sig := message[:len(message)-seal.SignatureSize], message[len(message)-seal.SignatureSize:]
	digest := seal.SignedOfMessage(message)
	for _, domain := range []string{"", "ticket.v1", "secretsbridge message v1"} {
		for _, msg := range [][]byte{body, digest, digest[len(digest)-32:], nil} {
			if p.signer.Public().Verify(domain, msg, sig) == nil {
				t.Errorf("a message's signature verifies as a statement in %q", domain)
			}
			forged := append(bytes.Clone(body), p.signer.Sign(domain, msg)...)
			got, err := p.open(forged)
			refused(t, "a statement's signature on a message", got, err, seal.ErrSignature)
		}
	}
}

func TestSigningKeysComeBack(t *testing.T) {
	p := newParty(t, seal.X25519)
	again, err := seal.ParseSigningKey(p.signer.Expose())
	if err != nil || again.Public() != p.signer.Public() {
		t.Errorf("another signing key came back: %v", err)
	}
	verify, err := seal.ParseVerifyKey(p.signer.Public().String())
	if err != nil || verify != p.signer.Public() || verify.ID() != p.signer.Public().ID() || len(verify.ID()) != 64 {
		t.Errorf("another verify key came back: %v", err)
	}
	encoded, err := json.Marshal(verify)
	if err != nil {
		t.Fatal(err)
	}
	var decoded seal.VerifyKey
	if err := json.Unmarshal(encoded, &decoded); err != nil || decoded != verify {
		t.Errorf("another verify key came back from JSON: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("signed with no key")
		}
	}()
	seal.SigningKey{}.Sign("ticket.v1", nil)
}
