package seal_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hpke"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/seal"
)

// hexBytes are bytes written in hexadecimal, as test vectors write them.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vectorKey encodes a vector's private key as this package's key files do.
func vectorKey(t testing.TB, suite seal.Suite, private []byte) seal.RecipientKey {
	t.Helper()
	b := append(binary.BigEndian.AppendUint16([]byte{1}, uint16(suite)), private...)
	key, err := seal.ParseRecipientKey(b)
	if err != nil {
		t.Fatalf("parse the vector's key: %v", err)
	}
	return key
}

// readVectors reads a JSON file, compressed or not.
func readVectors(t testing.TB, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".gz") {
		zip, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if raw, err = io.ReadAll(zip); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// hpkeSet is one set of official HPKE vectors: one recipient, one context.
type hpkeSet struct {
	KEM         uint16   `json:"kem_id"`
	KDF         uint16   `json:"kdf_id"`
	AEAD        uint16   `json:"aead_id"`
	Info        hexBytes `json:"info"`
	Private     hexBytes `json:"skRm"`
	Public      hexBytes `json:"pkRm"`
	Enc         hexBytes `json:"enc"`
	Secret      hexBytes `json:"shared_secret"` // what the encapsulation gives
	Encryptions []struct{ AAD, CT, PT hexBytes }
	Exports     []struct {
		Context hexBytes `json:"exporter_context"`
		Length  int      `json:"L"`
		Value   hexBytes `json:"exported_value"`
	}
}

func (s hpkeSet) String() string { return fmt.Sprintf("%04x-%04x-%04x", s.KEM, s.KDF, s.AEAD) }

// private returns the recipient's key: as this package's key files hold it, where the
// product knows the KEM.
func (s hpkeSet) private(t *testing.T) hpke.PrivateKey {
	t.Helper()
	if suite := seal.Suite(s.KEM); suite.EncSize() != 0 {
		key := vectorKey(t, suite, s.Private)
		if public := key.Public(); !bytes.Equal(public.Bytes(), s.Public) || public.Suite() != suite {
			t.Error("the public key is another one")
		}
		if len(s.Enc) != suite.EncSize() {
			t.Errorf("an encapsulated key of %d bytes, want %d", len(s.Enc), suite.EncSize())
		}
		return key.HPKE()
	}
	kem, err := hpke.NewKEM(s.KEM)
	if err != nil {
		t.Fatal(err)
	}
	key, err := kem.NewPrivateKey(s.Private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ran counts what a file of HPKE vectors was good for.
type ran struct{ Sets, Ciphertexts, Exports, Flipped, Messages int }

// run opens and exports all of a set through the context that OpenMessage opens with.
func (s hpkeSet) run(t *testing.T, n *ran) {
	kdf, err := hpke.NewKDF(s.KDF)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := hpke.NewAEAD(s.AEAD)
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := seal.OpenVector(kdf, aead, s.Enc, s.private(t), s.Info)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range s.Encryptions {
		// A refused ciphertext does not use up the number that the next one needs.
		changed := bytes.Clone(e.CT)
		changed[i%len(changed)] ^= 1 << (i % 8)
		if got, err := recipient.Open(e.AAD, changed); err == nil {
			t.Fatalf("encryption %d opens with a flipped bit: %x", i, got)
		}
		n.Flipped++
		got, err := recipient.Open(e.AAD, e.CT)
		if err != nil || !bytes.Equal(got, e.PT) {
			t.Fatalf("encryption %d: %x, %v, want %x", i, got, err, e.PT)
		}
		n.Ciphertexts++
	}
	for i, e := range s.Exports {
		got, err := recipient.Export(string(e.Context), e.Length)
		if err != nil || !bytes.Equal(got, e.Value) {
			t.Fatalf("export %d: %x, %v, want %x", i, got, err, e.Value)
		}
		n.Exports++
	}
	n.Sets++
}

// message builds a message of this package around a set's encapsulation, and opens it
// as an agent does. No seam is used: OpenMessage finds the set's shared secret, or
// nothing opens.
func (s hpkeSet) message(t *testing.T, n *ran) {
	suite := seal.Suite(s.KEM)
	p := party{agent: vectorKey(t, suite, s.Private), signer: newParty(t, seal.X25519).signer}
	got, err := p.open(messageOfSecret(t, p, suite, s.Enc, s.Secret, []byte("a vector's secret")))
	if err != nil || string(got) != "a vector's secret" {
		t.Errorf("open = %q, %v", got, err)
	}
	other := bytes.Clone(s.Secret)
	other[0] ^= 1
	got, err = p.open(messageOfSecret(t, p, suite, s.Enc, other, []byte("a vector's secret")))
	refused(t, "a message of another secret", got, err, seal.ErrOpen)
	n.Messages++
}

func runHPKE(t *testing.T, path string, want map[string]ran) {
	var sets []hpkeSet
	readVectors(t, path, &sets)
	all, ours := ran{}, ran{}
	for _, s := range sets {
		t.Run(s.String(), func(t *testing.T) {
			n := ran{}
			s.run(t, &n)
			known := seal.Suite(s.KEM).EncSize() != 0
			if known {
				s.message(t, &n)
			}
			all = all.plus(n)
			if known && s.KDF == hpke.HKDFSHA256().ID() && s.AEAD == hpke.AES256GCM().ID() {
				ours = ours.plus(n)
			}
		})
	}
	if diff := cmp.Diff(want, map[string]ran{"all": all, "the product's suite": ours}); diff != "" {
		t.Errorf("vectors run (-want +got):\n%s", diff)
	}
}

func (n ran) plus(m ran) ran {
	return ran{n.Sets + m.Sets, n.Ciphertexts + m.Ciphertexts, n.Exports + m.Exports, n.Flipped + m.Flipped, n.Messages + m.Messages}
}

// All base-mode sets of RFC 9180 but the eight for X448, which Go lacks.
func TestRFC9180(t *testing.T) {
	runHPKE(t, "testdata/vectors/hpke-rfc9180.json.gz", map[string]ran{
		"all":                 {Sets: 24, Ciphertexts: 4626, Exports: 72, Flipped: 4626, Messages: 8},
		"the product's suite": {Sets: 1, Ciphertexts: 257, Exports: 3, Flipped: 257, Messages: 1},
	})
}

// The draft has no set for X-Wing with AES-256-GCM: its two X-Wing sets run with their
// own KDF and AEAD, and their secrets as messages with ours.
func TestDraftHPKEPQ(t *testing.T) {
	runHPKE(t, "testdata/vectors/hpke-pq.json.gz", map[string]ran{
		"all":                 {Sets: 9, Ciphertexts: 90, Exports: 45, Flipped: 90, Messages: 2},
		"the product's suite": {},
	})
}
