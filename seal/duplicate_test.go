package seal_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"secretsbridge/seal"
)

func duplicateKey(t testing.TB, fill byte) seal.DuplicateKey {
	t.Helper()
	text := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, seal.KeySize))
	key, err := seal.ParseDuplicateKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestADuplicateFingerprintIsAsTheDocumentSays(t *testing.T) {
	raw := bytes.Repeat([]byte{7}, 32)
	label := field(nil, "secrets-bridge duplicate fingerprint v1")
	derived, err := hkdf.Key(sha256.New, raw, nil, string(label), 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, derived)
	mac.Write(field(label, "sa value"))
	if got, want := seal.Duplicate(duplicateKey(t, 7), []byte("sa value")), hex.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
	mac = hmac.New(sha256.New, raw)
	mac.Write([]byte("secrets-bridge fingerprint key id v1"))
	if got, want := duplicateKey(t, 7).ID(), hex.EncodeToString(mac.Sum(nil))[:16]; got != want {
		t.Errorf("id %s, want %s", got, want)
	}
}

func TestDuplicateFingerprintsAreEqualForEqualEntriesUnderOneKeyAlone(t *testing.T) {
	prints := map[string]bool{}
	for _, fill := range []byte{1, 2} {
		for _, entry := range []string{"s", "s5", "j5", "sa", "saa"} {
			print := seal.Duplicate(duplicateKey(t, fill), []byte(entry))
			if prints[print] {
				t.Errorf("the fingerprint of %q is that of another", entry)
			}
			prints[print] = true
			if print != seal.Duplicate(duplicateKey(t, fill), []byte(entry)) {
				t.Errorf("%q has two fingerprints", entry)
			}
		}
	}
}

func TestADuplicateKeyIsReadAsItIsWritten(t *testing.T) {
	key := seal.GenerateDuplicateKey()
	again, err := seal.ParseDuplicateKey(key.Base64())
	if err != nil || again.ID() != key.ID() || key.ID() == seal.GenerateDuplicateKey().ID() {
		t.Errorf("read again as %v, %v", again, err)
	}
	good := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32))
	for name, text := range map[string]string{
		"nothing": "", "31 bytes": base64.StdEncoding.EncodeToString(make([]byte, 31)), "33 bytes": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 33)),
		"zeros": base64.StdEncoding.EncodeToString(make([]byte, 32)), "other letters": strings.Repeat("!", 44), "no padding": strings.TrimRight(good, "="),
		"two": good + good, "bits that nobody reads": good[:42] + "l=",
	} {
		if _, err := seal.ParseDuplicateKey([]byte(text)); !errors.Is(err, seal.ErrKey) || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADuplicateKeyDoesNotPrint(t *testing.T) {
	key := duplicateKey(t, 'k')
	for _, said := range []string{fmt.Sprint(key), fmt.Sprintf("%+v %#v %x", key, key, key)} {
		if strings.Contains(said, "kkk") || strings.Contains(said, "6b6b") || !strings.Contains(said, "[key]") {
			t.Errorf("it prints as %q", said)
		}
	}
	if _, err := json.Marshal(key); !errors.Is(err, seal.ErrEncode) {
		t.Errorf("encoded: %v", err)
	}
}

func TestThereIsNoDuplicateFingerprintWithoutAKey(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a bare hash of a secret")
		}
	}()
	seal.Duplicate(seal.DuplicateKey{}, []byte("sa"))
}
