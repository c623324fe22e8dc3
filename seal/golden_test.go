package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"secretsbridge/seal"
)

var writeMissing = flag.Bool("write-missing", false, "write golden files that do not exist; never change one that does")

// golden is one file of testdata/golden: everything that was ever written must open.
type golden struct {
	Format    string       `json:"format"` // "message", "value message", "proposal" or "value"
	Key       hexBytes     `json:"key"`    // recipient key or data key
	Signer    string       `json:"signer,omitempty"`
	Binding   seal.Binding `json:"binding"`
	Bound     hexBytes     `json:"bound"` // the binding, encoded
	Plaintext hexBytes     `json:"plaintext"`
	Sealed    hexBytes     `json:"sealed"`

	FingerprintRoot hexBytes `json:"fingerprint_root"`
	Fingerprint     string   `json:"fingerprint"` // of the plaintext
}

func (g golden) open() ([]byte, error) {
	switch g.Format {
	case "proposal":
		key, err := seal.ParseRecipientKey(g.Key)
		if err != nil {
			return nil, err
		}
		return seal.OpenProposal(key, g.Binding, g.Sealed)
	case "message", "value message":
		key, err := seal.ParseRecipientKey(g.Key)
		if err != nil {
			return nil, err
		}
		signer, err := seal.ParseVerifyKey(g.Signer)
		if err != nil {
			return nil, err
		}
		if g.Format == "value message" {
			return seal.OpenValueMessage(key, seal.VerifyKeys{signer}, g.Binding, before, g.Sealed)
		}
		return seal.OpenMessage(key, seal.VerifyKeys{signer}, g.Binding, before, g.Sealed)
	case "value":
		key, err := seal.ParseDataKey(bytes.Clone(g.Key))
		if err != nil {
			return nil, err
		}
		return seal.OpenValue(key, g.Binding, g.Sealed)
	}
	return nil, errors.New("a format this test does not know")
}

func TestGolden(t *testing.T) {
	if *writeMissing {
		writeGolden(t)
	}
	files, _ := filepath.Glob("testdata/golden/*.json")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var g golden
			readVectors(t, file, &g)
			got, err := g.open()
			if err != nil || !bytes.Equal(got, g.Plaintext) {
				t.Errorf("open = %x, %v, want %x", got, err, g.Plaintext)
			}
			if !bytes.Equal(g.Binding.Bytes(), g.Bound) {
				t.Errorf("binding = %x, want %x", g.Binding.Bytes(), g.Bound)
			}
			b := g.Binding
			key := mustFingerprintKey(t, g.FingerprintRoot, b.Connection)
			if got := seal.Fingerprint(key, b.Connection, b.Ref, b.Key, g.Plaintext); got != g.Fingerprint {
				t.Errorf("fingerprint = %q, want %q", got, g.Fingerprint)
			}
		})
	}
	if len(files) != 9 {
		t.Errorf("opened %d golden files, want 9", len(files))
	}
}

// writeGolden writes one file a format, where there is none.
func writeGolden(t *testing.T) {
	for _, suite := range suites {
		p := newParty(t, suite)
		g := golden{Format: "message", Signer: p.signer.Public().String(), Binding: p.binding(), Plaintext: bytes.Repeat([]byte{5}, seal.GrantSize)}
		g.Key, _ = p.agent.Expose()
		g.Sealed = p.seal(t, g.Plaintext)
		g.write(t, "message-v1-"+suite.String())
	}
	p := newParty(t, seal.X25519)
	private, _ := p.agent.Expose()
	for _, d := range []seal.Direction{seal.Deliver, seal.Reveal, seal.Compare} {
		g := golden{Format: "value message", Key: private, Signer: p.signer.Public().String(), Binding: p.complete(d), Plaintext: []byte("scanary-4f1c")}
		var err error
		if g.Sealed, err = seal.SealValueMessage(p.agent.Public(), p.signer, g.Binding, g.Plaintext); err != nil {
			t.Fatal(err)
		}
		g.write(t, "valuemessage-v1-"+string(d))
	}
	browser := newParty(t, seal.XWing)
	revealed := golden{Format: "value message", Signer: browser.signer.Public().String(), Binding: browser.complete(seal.Reveal), Plaintext: []byte("scanary-4f1c")}
	revealed.Key, _ = browser.agent.Expose()
	var err error
	if revealed.Sealed, err = seal.SealValueMessage(browser.agent.Public(), browser.signer, revealed.Binding, revealed.Plaintext); err != nil {
		t.Fatal(err)
	}
	revealed.write(t, "valuemessage-v1-reveal-xwing")
	proposed := golden{Format: "proposal", Key: private, Binding: p.complete(seal.Propose), Plaintext: []byte("j{\"a\":[1.50,null]}")}
	if proposed.Sealed, err = seal.SealProposal(p.agent.Public(), proposed.Binding, proposed.Plaintext); err != nil {
		t.Fatal(err)
	}
	proposed.write(t, "proposal-v1")
	rest := seal.NewDataKey()
	g := golden{Format: "value", Key: rest.Expose(), Binding: p.complete(seal.Patch), Plaintext: []byte("scanary-4f1c")}
	g.Sealed = mustSealValue(t, rest, g.Binding, g.Plaintext)
	g.write(t, "value-v1-patch")
	key := seal.NewDataKey()
	g = golden{Format: "value", Key: key.Expose(), Binding: exampleBinding(), Plaintext: []byte("canary-4f1c")}
	g.Sealed = mustSealValue(t, key, g.Binding, g.Plaintext)
	g.write(t, "value-v1")
}

func (g golden) write(t *testing.T, name string) {
	g.Bound = g.Binding.Bytes()
	g.FingerprintRoot = bytes.Repeat([]byte{9}, 32)
	b := g.Binding
	g.Fingerprint = seal.Fingerprint(mustFingerprintKey(t, g.FingerprintRoot, b.Connection), b.Connection, b.Ref, b.Key, g.Plaintext)
	raw, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join("testdata/golden", name+".json"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(append(raw, '\n')); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
