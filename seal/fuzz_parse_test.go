package seal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"secretsbridge/seal"
)

// Every parser: no input makes it panic, a refusal is one of the named errors and comes
// with nothing, and what is read is written again as the same bytes.

// notOneOf reports an error that callers do not branch on.
func notOneOf(err error, wanted ...error) bool {
	for _, want := range wanted {
		if errors.Is(err, want) {
			return false
		}
	}
	return true
}

func FuzzParseRecipientPublic(f *testing.F) {
	for _, suite := range suites {
		text := newParty(f, suite).agent.Public().String()
		name, encoded, _ := strings.Cut(text, ":")
		for _, seed := range []string{text, encoded, name + ":", text + "=", text[:len(text)-1], text[:9] + "\n" + text[9:], "p256:" + encoded} {
			f.Add(seed)
		}
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := seal.ParseRecipientPublic(text)
		if err != nil {
			if notOneOf(err, seal.ErrKey, seal.ErrSuite) || p != (seal.RecipientPublic{}) {
				t.Errorf("refused %q with %v and %q", text, err, p)
			}
			return
		}
		encoded, err := p.MarshalText()
		if err != nil || string(encoded) != text || p.String() != text {
			t.Errorf("%q is written again as %q, %v", text, encoded, err)
		}
		if want := map[seal.Suite]int{seal.X25519: 32, seal.XWing: 1216}[p.Suite()]; len(p.Bytes()) != want {
			t.Errorf("%q is a key of %d bytes, want %d", text, len(p.Bytes()), want)
		}
	})
}

func FuzzParseRecipientKey(f *testing.F) {
	for _, suite := range suites {
		b, err := newParty(f, suite).agent.Expose()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:34])
		f.Add(append(bytes.Clone(b), 0))
		f.Add(append(bytes.Clone(b[:3]), make([]byte, 32)...))
		f.Add(append(bytes.Clone(b[:3]), bytes.Repeat([]byte{0xff}, 32)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := bytes.Clone(b)
		key, err := seal.ParseRecipientKey(b)
		if !bytes.Equal(b, kept) {
			t.Error("parsing changed its input")
		}
		if err != nil {
			if notOneOf(err, seal.ErrKey, seal.ErrSuite) || key.Public() != (seal.RecipientPublic{}) {
				t.Errorf("refused %x with %v", kept, err)
			}
			return
		}
		// Five bits of an X25519 key do not count (RFC 7748, section 5), and RFC 9180,
		// section 7.1.2, has them written as they are used.
		if key.Public().Suite() == seal.X25519 {
			kept[3] &= 248
			kept[34] = kept[34]&127 | 64
		}
		again, err := key.Expose()
		if err != nil || !bytes.Equal(again, kept) {
			t.Errorf("%x is written again as %x, %v", kept, again, err)
		}
		if other, err := seal.ParseRecipientKey(again); err != nil || other.Public() != key.Public() {
			t.Errorf("another key came back: %v", err)
		}
	})
}

func FuzzParseVerifyKey(f *testing.F) {
	text := newParty(f, seal.X25519).signer.Public().String()
	for _, seed := range []string{text, text[8:], text + "A", text[:len(text)-1], text + "\n", "ED25519:" + text[8:], ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := seal.ParseVerifyKey(text)
		if err != nil {
			if notOneOf(err, seal.ErrKey) || k != (seal.VerifyKey{}) {
				t.Errorf("refused %q with %v and %q", text, err, k)
			}
			return
		}
		encoded, err := k.MarshalText()
		if err != nil || string(encoded) != text || k.String() != text {
			t.Errorf("%q is written again as %q, %v", text, encoded, err)
		}
		// Points of low order are keys that anybody can sign for, if verifying is lax.
		if k.Verify("fuzz", []byte("x"), make([]byte, seal.SignatureSize)) == nil {
			t.Errorf("%q takes a signature of zeros", text)
		}
	})
}

func FuzzParseSigningKey(f *testing.F) {
	f.Add(newParty(f, seal.X25519).signer.Expose())
	f.Add(make([]byte, 32))
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, seed []byte) {
		k, err := seal.ParseSigningKey(seed)
		if err != nil {
			if notOneOf(err, seal.ErrKey) || k.Expose() != nil {
				t.Errorf("refused %d bytes with %v", len(seed), err)
			}
			return
		}
		if !bytes.Equal(k.Expose(), seed) {
			t.Errorf("%x is written again as %x", seed, k.Expose())
		}
		if err := k.Public().Verify("fuzz", seed, k.Sign("fuzz", seed)); err != nil {
			t.Errorf("its own signature: %v", err)
		}
	})
}

func FuzzParseDataKeyGrant(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, seal.GrantSize))
	f.Add(make([]byte, seal.GrantSize))
	f.Add(append(make([]byte, seal.KeySize), bytes.Repeat([]byte{1}, seal.KeySize)...))
	f.Add(bytes.Repeat([]byte{1}, seal.GrantSize+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := bytes.Clone(b)
		b = bytes.Clone(b) // parsing clears what it is given, and the fuzzer owns that
		g, err := seal.ParseDataKeyGrant(b)
		if !bytes.Equal(b, make([]byte, len(b))) {
			t.Error("parsing left keys in its input")
		}
		if err != nil {
			if notOneOf(err, seal.ErrMalformed, seal.ErrKey) || g.DataKey.Expose() != nil || g.Fingerprint.Expose() != nil {
				t.Errorf("refused %d bytes with %v", len(kept), err)
			}
			return
		}
		if again, err := g.Marshal(); err != nil || !bytes.Equal(again, kept) {
			t.Errorf("%x is written again as %x, %v", kept, again, err)
		}
	})
}

// FuzzParseMessage checks that the parts of a message are all of it, each byte once.
func FuzzParseMessage(f *testing.F) {
	for _, suite := range suites {
		message := newParty(f, suite).seal(f, make([]byte, seal.GrantSize))
		f.Add(message)
		f.Add(message[:len(message)-seal.GrantSize])
		f.Add(message[:len(message)-seal.GrantSize-1])
		f.Add(message[:72])
		f.Add(message[:3])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := seal.MessageParts(b)
		if err != nil {
			if notOneOf(err, seal.ErrMalformed, seal.ErrSuite) {
				t.Errorf("refused %d bytes with %v", len(b), err)
			}
			return
		}
		if again := bytes.Join(parts, nil); !bytes.Equal(again, b) {
			t.Errorf("%x is written again as %x", b, again)
		}
	})
}

// FuzzUnpad checks that there is one padding for each value. Only bytes whose tag was
// right come here, and their length was checked before.
func FuzzUnpad(f *testing.F) {
	for _, n := range []int{0, 1, 251, 252, 253, 600} {
		padded := seal.Pad(bytes.Repeat([]byte{7}, n))
		f.Add(padded)
		padded[len(padded)-1]++
		f.Add(padded)
		padded[3]++
		f.Add(padded)
	}
	f.Add(bytes.Repeat([]byte{0xff}, 256))
	f.Fuzz(func(t *testing.T, padded []byte) {
		if len(padded) == 0 || len(padded)%256 != 0 {
			return
		}
		kept := bytes.Clone(padded)
		if value, ok := seal.Unpad(padded); ok && !bytes.Equal(seal.Pad(value), kept) {
			t.Errorf("%x and %x are paddings of one value", kept, seal.Pad(value))
		}
	})
}

// FuzzBinding reads an encoded binding back with the document alone: what can be read
// back in one way only is injective.
func FuzzBinding(f *testing.F) {
	f.Add("read", "r_1", "r_1.0", "j_1", uint64(1), "password", "file", "prod/db", "a_1", "ak", end.Unix())
	f.Add("", "", "", "", uint64(0), "", "", "", "", "", int64(0))
	f.Add("re", "adr_1", "\x00\x00\x00\x01", "", ^uint64(0), "é", "\xff", "", "", "", int64(-1))
	f.Fuzz(func(t *testing.T, direction, request, envelope, job string, attempt uint64, key, connection, ref, agent, agentKey string, seconds int64) {
		b := seal.Binding{
			Direction: seal.Direction(direction), Request: request, Envelope: envelope, Job: job, Attempt: attempt,
			Key: key, Connection: connection, Ref: ref, Agent: agent, AgentKey: agentKey, NotAfter: time.Unix(seconds, 0),
		}
		rest := b.Bytes()
		next := func() string {
			if len(rest) < 4 || len(rest)-4 < int(binary.BigEndian.Uint32(rest)) {
				t.Fatalf("%x ends inside a field", b.Bytes())
			}
			n := 4 + int(binary.BigEndian.Uint32(rest))
			f := string(rest[4:n])
			rest = rest[n:]
			return f
		}
		number := func() uint64 {
			f := next()
			if len(f) != 8 {
				t.Fatalf("a number of %d bytes", len(f))
			}
			return binary.BigEndian.Uint64([]byte(f))
		}
		if label := next(); label != "secretsbridge binding v1" {
			t.Errorf("label %q", label)
		}
		got := seal.Binding{
			Direction: seal.Direction(next()), Request: next(), Envelope: next(), Job: next(), Attempt: number(),
			Key: next(), Connection: next(), Ref: next(), Agent: next(), AgentKey: next(), NotAfter: time.Unix(int64(number()), 0),
		}
		if got != b || len(rest) != 0 {
			t.Errorf("%+v is read back as %+v, and %d bytes are left", b, got, len(rest))
		}
	})
}
