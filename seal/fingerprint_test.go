package seal_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"secretsbridge/seal"
)

func mustFingerprintKey(t testing.TB, root []byte, label string) seal.FingerprintKey {
	t.Helper()
	key, err := seal.DeriveFingerprintKey(root, label)
	if err != nil {
		t.Fatalf("derive fingerprint key: %v", err)
	}
	return key
}

func TestAFingerprintIsAsTheDocumentSays(t *testing.T) {
	key := mustFingerprintKey(t, make([]byte, 32), "file")
	mac := hmac.New(sha256.New, key.Expose())
	for _, part := range []string{"secretsbridge fingerprint v1", "file", "prod/db", "password", "canary"} {
		mac.Write(field(nil, part))
	}
	want := "hmac-sha256:" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
	if got := seal.Fingerprint(key, "file", "prod/db", "password", []byte("canary")); got != want {
		t.Errorf("fingerprint = %q, want %q", got, want)
	}
}

func TestFingerprintsAreEqualForEqualInputsAlone(t *testing.T) {
	key, other := mustFingerprintKey(t, make([]byte, 32), "c_1"), mustFingerprintKey(t, make([]byte, 32), "c_2")
	short := rapid.StringN(0, 3, -1)
	rapid.Check(t, func(t *rapid.T) {
		a := [4]string{short.Draw(t, "a0"), short.Draw(t, "a1"), short.Draw(t, "a2"), short.Draw(t, "a3")}
		b := [4]string{short.Draw(t, "b0"), short.Draw(t, "b1"), short.Draw(t, "b2"), short.Draw(t, "b3")}
		print := func(k seal.FingerprintKey, in [4]string) string {
			return seal.Fingerprint(k, in[0], in[1], in[2], []byte(in[3]))
		}
		if equal := print(key, a) == print(key, b); equal != (a == b) {
			t.Errorf("equal fingerprints = %v for %q and %q", equal, a, b)
		}
		if print(key, a) == print(other, a) {
			t.Error("two keys give one fingerprint")
		}
	})
}

func TestFingerprintKeysFollowFromRootAndLabel(t *testing.T) {
	root := bytes.Repeat([]byte{1}, 32)
	a := mustFingerprintKey(t, root, "c_1")
	if !bytes.Equal(a.Expose(), mustFingerprintKey(t, root, "c_1").Expose()) {
		t.Error("the same root and label give two keys")
	}
	if bytes.Equal(a.Expose(), mustFingerprintKey(t, root, "c_2").Expose()) {
		t.Error("two labels share a key")
	}
	if bytes.Equal(a.Expose(), mustFingerprintKey(t, bytes.Repeat([]byte{2}, 32), "c_1").Expose()) {
		t.Error("two roots share a key")
	}
	if !bytes.Equal(root, bytes.Repeat([]byte{1}, 32)) {
		t.Error("deriving changed the root")
	}
	if _, err := seal.DeriveFingerprintKey(root[:31], "c_1"); !errors.Is(err, seal.ErrKey) {
		t.Errorf("a short root: error = %v, want %v", err, seal.ErrKey)
	}
}

func TestThereIsNoFingerprintWithoutAKey(t *testing.T) {
	zeroed := mustFingerprintKey(t, make([]byte, 32), "c_1")
	zeroed.Zero()
	for _, key := range []seal.FingerprintKey{{}, zeroed} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a fingerprint without a key is a bare hash")
				}
			}()
			seal.Fingerprint(key, "file", "prod/db", "password", []byte("canary"))
		}()
	}
}
