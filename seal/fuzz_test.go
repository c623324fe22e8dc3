package seal_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"secretsbridge/seal"
)

// seeds reads a golden file and adds it to the corpus, whole, cut, and changed.
func seeds(f *testing.F, file string) golden {
	f.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(g.Sealed))
	f.Add([]byte(g.Sealed[:len(g.Sealed)/2]))
	f.Add(append(bytes.Clone(g.Sealed), 0))
	for _, at := range []int{0, 1, 2, 7, 8, 40, 72, len(g.Sealed) - 1} {
		changed := bytes.Clone(g.Sealed)
		changed[at] ^= 0x80
		f.Add(changed)
	}
	f.Add([]byte(nil))
	return g
}

// only checks that nothing opens but the bytes that were sealed.
func only(t *testing.T, g golden, input, before, plaintext []byte, err error) {
	t.Helper()
	if err == nil && (!bytes.Equal(input, g.Sealed) || !bytes.Equal(plaintext, g.Plaintext)) {
		t.Errorf("opened %x, which nobody sealed", input)
	}
	if err != nil {
		refused(t, "fuzzed bytes", plaintext, err, refusals...)
	}
	if !bytes.Equal(input, before) {
		t.Error("opening changed its input")
	}
}

func FuzzOpenMessage(f *testing.F) {
	g := seeds(f, "testdata/golden/message-v1-x25519.json")
	f.Fuzz(func(t *testing.T, message []byte) {
		kept, received := bytes.Clone(message), g
		received.Sealed = message
		plaintext, err := received.open()
		only(t, g, message, kept, plaintext, err)
	})
}

// FuzzOpenSignedMessage gives each input a good signature, so that the fuzzer reaches
// the code that uses the private key. Keys and messages come of official vectors and
// are the same in each run: each worker of the fuzzer is a process of its own, and the
// messages of one would be nobody's in the next.
func FuzzOpenSignedMessage(f *testing.F) {
	parties, sealed := map[seal.Suite]party{}, map[seal.Suite][]byte{}
	signer, err := seal.ParseSigningKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range []string{"rfc9180", "pq"} {
		var sets []hpkeSet
		readVectors(f, "testdata/vectors/hpke-"+file+".json.gz", &sets)
		for _, s := range sets {
			suite := seal.Suite(s.KEM)
			if suite.EncSize() == 0 {
				continue
			}
			p := party{agent: vectorKey(f, suite, s.Private), signer: signer}
			message := messageOfSecret(f, p, suite, s.Enc, s.Secret, make([]byte, seal.GrantSize))
			if _, err := p.open(message); err != nil {
				f.Fatal(err)
			}
			parties[suite], sealed[suite] = p, message // the last set of each suite stays
			f.Add(message)
			f.Add(message[:len(message)-1])
		}
	}
	if len(parties) != len(suites) {
		f.Fatalf("vectors for %d suites, want %d", len(parties), len(suites))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		for suite, p := range parties {
			changed := bytes.Clone(message)
			if !seal.Resign(p.signer, changed) {
				return
			}
			// A message to the one key opens under no other, whoever signs it.
			plaintext, err := p.open(changed)
			if err == nil && !bytes.Equal(changed, sealed[suite]) {
				t.Errorf("opened %x, which nobody sealed", changed)
			}
			if err != nil {
				refused(t, "fuzzed bytes", plaintext, err, refusals...)
			}
		}
	})
}

func FuzzOpenValue(f *testing.F) {
	g := seeds(f, "testdata/golden/value-v1.json")
	f.Fuzz(func(t *testing.T, box []byte) {
		kept := bytes.Clone(box)
		key, err := seal.ParseDataKey(bytes.Clone(g.Key))
		if err != nil {
			t.Fatal(err)
		}
		plaintext, err := seal.OpenValue(key, g.Binding, box)
		only(t, g, box, kept, plaintext, err)
	})
}
