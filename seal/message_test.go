package seal_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"secretsbridge/seal"
)

var suites = []seal.Suite{seal.X25519, seal.XWing}

func TestAMessageOpensForItsAgent(t *testing.T) {
	for _, suite := range suites {
		p := newParty(t, suite)
		rapid.Check(t, func(t *rapid.T) {
			b := p.binding()
			b.Ref = rapid.StringN(1, 40, -1).Draw(t, "ref")
			b.Attempt = rapid.Uint64Min(1).Draw(t, "attempt")
			plaintext := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "plaintext")
			message, err := seal.SealMessage(p.agent.Public(), p.signer, b, plaintext)
			if err != nil {
				t.Fatalf("seal: %v", err)
			}
			got, err := seal.OpenMessage(p.agent, p.trusted(), b, before, message)
			if err != nil || !bytes.Equal(got, plaintext) {
				t.Fatalf("open = %x, %v, want %x", got, err, plaintext)
			}
		})
	}
}

func TestAMessageCutOrExtendedIsRefused(t *testing.T) {
	for _, suite := range suites {
		p := newParty(t, suite)
		message := p.seal(t, []byte("x"))
		for n := range len(message) {
			got, err := p.open(message[:n])
			refused(t, "cut message", got, err, refusals...)
			cut := bytes.Clone(message[:n])
			if seal.Resign(p.signer, cut) {
				got, err = p.open(cut)
				refused(t, "cut and signed message", got, err, seal.ErrOpen)
			}
		}
		for _, more := range []int{1, 16, 64, 1 << 20} {
			long := append(bytes.Clone(message), make([]byte, more)...)
			got, err := p.open(long)
			refused(t, "extended message", got, err, refusals...)
		}
	}
}

func TestAMessageIsForOneKeyAndFromTrustedKeysOnly(t *testing.T) {
	p, other := newParty(t, seal.X25519), newParty(t, seal.X25519)
	message := p.seal(t, []byte("x"))

	got, err := seal.OpenMessage(other.agent, p.trusted(), p.binding(), before, message)
	refused(t, "another agent's key", got, err, seal.ErrOpen)
	got, err = seal.OpenMessage(seal.RecipientKey{}, p.trusted(), p.binding(), before, message)
	refused(t, "no key", got, err, seal.ErrOpen)
	xwing := newParty(t, seal.XWing)
	got, err = seal.OpenMessage(xwing.agent, p.trusted(), p.binding(), before, message)
	refused(t, "a key of the other suite", got, err, seal.ErrOpen)

	for name, trusted := range map[string]seal.VerifyKeys{
		"nobody": nil, "no key": {{}}, "another signer": other.trusted(),
	} {
		got, err = seal.OpenMessage(p.agent, trusted, p.binding(), before, message)
		refused(t, "trusting "+name, got, err, seal.ErrSignature)
	}
	both := seal.VerifyKeys{other.signer.Public(), p.signer.Public()}
	if _, err := seal.OpenMessage(p.agent, both, p.binding(), before, message); err != nil {
		t.Errorf("during a change of signer: %v", err)
	}
}

func TestAForgedMessageIsRefusedBeforeTheKeyIsUsed(t *testing.T) {
	p, forger := newParty(t, seal.X25519), newParty(t, seal.X25519)
	// Whoever has the agent's public key can seal to it; nobody else can sign.
	forged, err := seal.SealMessage(p.agent.Public(), forger.signer, p.binding(), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.open(forged)
	refused(t, "forged", got, err, seal.ErrSignature)
	// It may name the true signer, too; and with no private key at all the answer is
	// the same, so the private key was not asked.
	message := p.seal(t, []byte("x"))
	copy(forged[40:72], message[40:72])
	seal.Resign(forger.signer, forged)
	got, err = p.open(forged)
	refused(t, "forged in the signer's name", got, err, seal.ErrSignature)
	got, err = seal.OpenMessage(seal.RecipientKey{}, p.trusted(), p.binding(), before, forged)
	refused(t, "forged, and no key", got, err, seal.ErrSignature)
}

func TestAMessageEndsAtItsEnd(t *testing.T) {
	p := newParty(t, seal.X25519)
	message := p.seal(t, []byte("x"))
	for _, at := range []struct {
		now  time.Time
		want error
	}{
		{end.Add(-time.Nanosecond), nil}, {end, seal.ErrExpired}, {end.Add(time.Nanosecond), seal.ErrExpired},
		{end.Add(time.Hour), seal.ErrExpired},
	} {
		_, err := seal.OpenMessage(p.agent, p.trusted(), p.binding(), at.now, message)
		if !errors.Is(err, at.want) {
			t.Errorf("open at %s: error = %v, want %v", at.now, err, at.want)
		}
	}
}

func TestUnknownVersionsAndSuitesAreRefused(t *testing.T) {
	p := newParty(t, seal.X25519)
	for name, change := range map[string]func(m []byte){
		"version 0":         func(m []byte) { m[1] = 0 },
		"version 2":         func(m []byte) { m[1] = 2 },
		"kem P-256":         func(m []byte) { m[3] = 0x10 },
		"kdf HKDF-SHA512":   func(m []byte) { m[5] = 3 },
		"aead AES-128-GCM":  func(m []byte) { m[7] = 1 },
		"aead export only":  func(m []byte) { m[6], m[7] = 0xff, 0xff },
		"kem of no meaning": func(m []byte) { m[2], m[3] = 0, 0 },
	} {
		message := p.seal(t, []byte("x"))
		change(message)
		got, err := p.open(message)
		refused(t, name, got, err, seal.ErrSuite)
	}
}

func TestSealingAMessageRefusesWhatCannotBeMeant(t *testing.T) {
	p, other := newParty(t, seal.X25519), newParty(t, seal.X25519)
	for name, try := range map[string]struct {
		to   seal.RecipientPublic
		by   seal.SigningKey
		b    seal.Binding
		n    int
		want error
	}{
		"a binding to another key": {p.agent.Public(), p.signer, other.binding(), 1, seal.ErrBinding},
		"no recipient":             {seal.RecipientPublic{}, p.signer, p.binding(), 1, seal.ErrBinding},
		"no signer":                {p.agent.Public(), seal.SigningKey{}, p.binding(), 1, seal.ErrKey},
		"too long a message":       {p.agent.Public(), p.signer, p.binding(), seal.MaxMessage + 1, seal.ErrTooLarge},
		"the longest message":      {p.agent.Public(), p.signer, p.binding(), seal.MaxMessage, nil},
	} {
		message, err := seal.SealMessage(try.to, try.by, try.b, make([]byte, try.n))
		if !errors.Is(err, try.want) || (err != nil) != (message == nil) {
			t.Errorf("%s: error = %v, want %v", name, err, try.want)
		}
	}
}

func TestMessagesOfOnePlaintextShareNothing(t *testing.T) {
	p := newParty(t, seal.X25519)
	enc, tags := map[string]bool{}, map[string]bool{}
	const messages = 2000
	for range messages {
		m := p.seal(t, []byte("x"))
		enc[string(m[72:104])] = true
		tags[string(m[136:len(m)-seal.SignatureSize])] = true
	}
	if len(enc) != messages || len(tags) != messages {
		t.Errorf("%d encapsulated keys and %d ciphertexts of %d messages", len(enc), len(tags), messages)
	}
}
