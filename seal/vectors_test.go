package seal_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

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
func vectorKey(t *testing.T, suite seal.Suite, private []byte) seal.RecipientKey {
	t.Helper()
	b := append(binary.BigEndian.AppendUint16([]byte{1}, uint16(suite)), private...)
	key, err := seal.ParseRecipientKey(b)
	if err != nil {
		t.Fatalf("parse the vector's key: %v", err)
	}
	return key
}

func readVectors(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// The official vectors of our suite, through the context that OpenMessage opens with.
func TestRFC9180(t *testing.T) {
	var v struct {
		KEM         seal.Suite `json:"kem_id"`
		KDF         uint16     `json:"kdf_id"`
		AEAD        uint16     `json:"aead_id"`
		Info        hexBytes   `json:"info"`
		Private     hexBytes   `json:"skRm"`
		Public      hexBytes   `json:"pkRm"`
		Enc         hexBytes   `json:"enc"`
		Encryptions []struct{ AAD, CT, PT hexBytes }
		Exports     []struct {
			Context hexBytes `json:"exporter_context"`
			Length  int      `json:"L"`
			Value   hexBytes `json:"exported_value"`
		}
	}
	readVectors(t, "testdata/rfc9180-x25519-aes256gcm.json", &v)
	if v.KEM != seal.X25519 || v.KDF != 1 || v.AEAD != 2 {
		t.Fatalf("the vectors are for another suite: %#x %#x %#x", v.KEM, v.KDF, v.AEAD)
	}
	key := vectorKey(t, v.KEM, v.Private)
	if !bytes.Equal(key.Public().Bytes(), v.Public) {
		t.Error("the public key is another one")
	}
	recipient, err := seal.OpenVector(key, v.Enc, v.Info)
	if err != nil {
		t.Fatal(err)
	}
	opened, exported := 0, 0
	for i, e := range v.Encryptions {
		got, err := recipient.Open(e.AAD, e.CT)
		if err != nil || !bytes.Equal(got, e.PT) {
			t.Fatalf("encryption %d: %x, %v, want %x", i, got, err, e.PT)
		}
		opened++
	}
	for i, e := range v.Exports {
		got, err := recipient.Export(string(e.Context), e.Length)
		if err != nil || !bytes.Equal(got, e.Value) {
			t.Fatalf("export %d: %x, %v, want %x", i, got, err, e.Value)
		}
		exported++
	}
	if opened != 257 || exported != 3 {
		t.Errorf("ran %d encryptions and %d exports, want 257 and 3", opened, exported)
	}
}

func TestXWingKeys(t *testing.T) {
	var vectors []struct {
		KEM     seal.Suite `json:"kem_id"`
		Private hexBytes   `json:"skRm"`
		Public  hexBytes   `json:"pkRm"`
		Enc     hexBytes   `json:"enc"`
	}
	readVectors(t, "testdata/hpke-pq-xwing-keys.json", &vectors)
	for i, v := range vectors {
		if got := vectorKey(t, v.KEM, v.Private).Public(); !bytes.Equal(got.Bytes(), v.Public) || got.Suite() != seal.XWing {
			t.Errorf("vector %d: the public key is another one", i)
		}
		if len(v.Enc) != v.KEM.EncSize() {
			t.Errorf("vector %d: an encapsulated key of %d bytes, want %d", i, len(v.Enc), v.KEM.EncSize())
		}
	}
	if len(vectors) != 2 {
		t.Errorf("ran %d vectors, want 2", len(vectors))
	}
}
