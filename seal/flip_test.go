package seal_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
	"time"

	"secretsbridge/seal"
)

// eachFlip calls try once for every bit of b, with a copy in which that bit alone is
// another, and returns how many there were. try may keep and change its copy.
func eachFlip(t *testing.T, b []byte, try func(changed []byte)) int {
	t.Helper()
	for bit := range 8 * len(b) {
		changed := bytes.Clone(b)
		changed[bit/8] ^= 1 << (bit % 8)
		try(changed)
	}
	return 8 * len(b)
}

// kibibyte is a plaintext long enough to have blocks that no header touches.
func kibibyte() []byte { return bytes.Repeat([]byte("canary 4f1c.. 16"), 64) }

// messageBits are the bits of a message with a plaintext of 1 KiB: 184 bytes of fixed
// parts, the encapsulated key, the plaintext.
var messageBits = map[seal.Suite]int{
	seal.X25519: 8 * (184 + 32 + 1024),
	seal.XWing:  8 * (184 + 1120 + 1024),
}

func TestEveryFlippedBitOfAMessageIsRefused(t *testing.T) {
	for _, suite := range suites {
		p := newParty(t, suite)
		message := p.seal(t, kibibyte())
		tried := eachFlip(t, message, func(changed []byte) {
			got, err := p.open(changed)
			refused(t, suite.String()+" message with a flipped bit", got, err, refusals...)
		})
		if tried != messageBits[suite] {
			t.Errorf("%s: tried %d bits, want %d", suite, tried, messageBits[suite])
		}
		if got, err := p.open(message); err != nil || !bytes.Equal(got, kibibyte()) {
			t.Errorf("the message itself: %v", err)
		}
	}
}

// The signature finds every change first. Here the signer itself signs the changed
// message, so that what lies behind the signature must find it alone.
func TestEveryFlippedBitIsRefusedEvenIfSigned(t *testing.T) {
	for _, suite := range suites {
		p := newParty(t, suite)
		message := p.seal(t, kibibyte())
		tried, unformed := 0, 0
		eachFlip(t, message[:len(message)-seal.SignatureSize], func(changed []byte) {
			changed = append(changed, make([]byte, seal.SignatureSize)...)
			if !seal.Resign(p.signer, changed) {
				unformed++ // kind, version and suite: no longer a message at all
				return
			}
			tried++
			got, err := p.open(changed)
			// A changed signer id names a key that nobody trusts.
			refused(t, suite.String()+" signed message with a flipped bit", got, err, seal.ErrOpen, seal.ErrSignature)
		})
		if want := messageBits[suite] - 8*seal.SignatureSize - 64; tried != want || unformed != 64 {
			t.Errorf("%s: tried %d bits and %d of no message, want %d and 64", suite, tried, unformed, want)
		}
	}
}

func TestEveryFlippedBitOfABoxIsRefused(t *testing.T) {
	key := seal.NewDataKey()
	box := mustSealValue(t, key, exampleBinding(), kibibyte())
	at := 0
	tried := eachFlip(t, box, func(changed []byte) {
		want := seal.ErrOpen
		switch at / 8 {
		case 0:
			want = seal.ErrMalformed
		case 1:
			want = seal.ErrSuite
		}
		got, err := seal.OpenValue(key, exampleBinding(), changed)
		refused(t, "box with a flipped bit", got, err, want)
		at++
	})
	if want := 8 * (78 + 5*256 + 16); tried != want { // 1,024 and a length: five steps
		t.Errorf("tried %d bits, want %d", tried, want)
	}
	tried = eachFlip(t, key.Expose(), func(changed []byte) {
		other, err := seal.ParseDataKey(changed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := seal.OpenValue(other, exampleBinding(), box)
		refused(t, "box under a key with a flipped bit", got, err, seal.ErrOpen)
	})
	if tried != 256 {
		t.Errorf("tried %d bits of the key, want 256", tried)
	}
	if got, err := seal.OpenValue(key, exampleBinding(), box); err != nil || !bytes.Equal(got, kibibyte()) {
		t.Errorf("the box itself: %v", err)
	}
}

func TestEveryFlippedBitOfASignedStatementIsRefused(t *testing.T) {
	p := newParty(t, seal.X25519)
	key, domain, statement := p.signer.Public(), []byte("ticket.v1"), kibibyte()
	sig := p.signer.Sign(string(domain), statement)
	refuse := func(what string, err error) {
		if err == nil {
			t.Errorf("a flipped bit of the %s does not count", what)
		}
	}
	tried := eachFlip(t, statement, func(b []byte) { refuse("statement", key.Verify(string(domain), b, sig)) })
	tried += eachFlip(t, domain, func(b []byte) { refuse("domain", key.Verify(string(b), statement, sig)) })
	tried += eachFlip(t, sig, func(b []byte) { refuse("signature", key.Verify(string(domain), statement, b)) })
	tried += eachFlip(t, seal.VerifyKeyBytes(key), func(b []byte) {
		refuse("key", seal.VerifyKeyOf(b).Verify(string(domain), statement, sig))
	})
	if want := 8 * (1024 + len("ticket.v1") + 64 + 32); tried != want {
		t.Errorf("tried %d bits, want %d", tried, want)
	}
	if err := key.Verify(string(domain), statement, sig); err != nil {
		t.Errorf("the statement itself: %v", err)
	}
}

// flippedBindings calls try with every binding that differs from b in one bit of one
// field, and returns how many there were.
func flippedBindings(t *testing.T, b seal.Binding, try func(name string, other seal.Binding)) int {
	t.Helper()
	tried := 0
	kind := reflect.TypeFor[seal.Binding]()
	for i := range kind.NumField() {
		name, other := kind.Field(i).Name, b
		field := reflect.ValueOf(&other).Elem().Field(i)
		switch v := field.Interface().(type) {
		case time.Time:
			tried += eachFlip(t, binary.BigEndian.AppendUint64(nil, uint64(v.Unix())), func(changed []byte) {
				field.Set(reflect.ValueOf(time.Unix(int64(binary.BigEndian.Uint64(changed)), 0)))
				try(name, other)
			})
		case uint64:
			tried += eachFlip(t, binary.BigEndian.AppendUint64(nil, v), func(changed []byte) {
				field.SetUint(binary.BigEndian.Uint64(changed))
				try(name, other)
			})
		default:
			if field.Kind() != reflect.String {
				t.Fatalf("field %s has kind %s: teach this test to change it", name, field.Kind())
			}
			tried += eachFlip(t, []byte(field.String()), func(changed []byte) {
				field.SetString(string(changed))
				try(name, other)
			})
		}
	}
	return tried
}

// bindingBits are the bits of a binding's fields, counted in its encoding: all of it
// but the lengths and the label.
func bindingBits(b seal.Binding) int {
	fields := reflect.TypeFor[seal.Binding]().NumField()
	return 8 * (len(b.Bytes()) - 4*(1+fields) - len("secretsbridge binding v1"))
}

func TestEveryFlippedBitOfABindingIsRefused(t *testing.T) {
	for _, suite := range suites {
		p := newParty(t, suite)
		message := p.seal(t, []byte("canary-4f1c"))
		tried := flippedBindings(t, p.binding(), func(name string, other seal.Binding) {
			got, err := seal.OpenMessage(p.agent, p.trusted(), other, before, message)
			want := seal.ErrOpen
			if other.Expired(before) {
				want = seal.ErrExpired
			}
			refused(t, suite.String()+" message, a bit of "+name, got, err, want)
		})
		if want := bindingBits(p.binding()); tried != want || tried < 900 {
			t.Errorf("%s: tried %d bits, want %d", suite, tried, want)
		}
	}
	key, b := seal.NewDataKey(), newParty(t, seal.X25519).binding()
	box := mustSealValue(t, key, b, []byte("canary-4f1c"))
	tried := flippedBindings(t, b, func(name string, other seal.Binding) {
		got, err := seal.OpenValue(key, other, box)
		refused(t, "box, a bit of "+name, got, err, seal.ErrOpen)
	})
	if want := bindingBits(b); tried != want || tried < 900 {
		t.Errorf("box: tried %d bits, want %d", tried, want)
	}
}

// A fingerprint depends on every bit of the key, of the place and of the value.
func TestEveryFlippedBitChangesAFingerprint(t *testing.T) {
	root, parts := bytes.Repeat([]byte{1}, 32), []string{"file", "prod/db", "password", "canary-4f1c"}
	print := func(root []byte, p []string) string {
		return seal.Fingerprint(mustFingerprintKey(t, root, p[0]), p[0], p[1], p[2], []byte(p[3]))
	}
	seen := map[string]bool{print(root, parts): true}
	tried := eachFlip(t, root, func(changed []byte) { seen[print(changed, parts)] = true })
	for i := range parts {
		tried += eachFlip(t, []byte(parts[i]), func(changed []byte) {
			other := append([]string(nil), parts...)
			other[i] = string(changed)
			seen[print(root, other)] = true
		})
	}
	if len(seen) != tried+1 || tried != 8*(32+4+7+8+11) {
		t.Errorf("%d fingerprints of %d inputs", len(seen), tried+1)
	}
}
