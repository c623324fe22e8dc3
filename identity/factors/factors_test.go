package factors

import (
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"

	"secretsbridge/events"
)

// TestCodesAreThoseOfTheRFC takes the SHA-1 vectors of RFC 6238, appendix B, of which an app
// with six digits shows the last six.
func TestCodesAreThoseOfTheRFC(t *testing.T) {
	secret := []byte(secretText.EncodeToString([]byte("12345678901234567890")))
	for seconds, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		step, ok := stepOf(secret, code, time.Unix(seconds, 0))
		if !ok || step != seconds/30 {
			t.Errorf("at %d: step %d, %t", seconds, step, ok)
		}
		for off, want := range map[int64]bool{-60: false, -30: true, 30: true, 60: false} {
			if _, ok := stepOf(secret, code, time.Unix(seconds+off, 0)); seconds+off > 0 && ok != want {
				t.Errorf("%d seconds after %d: %t, want %t", off, seconds, ok, want)
			}
		}
	}
	for _, code := range []string{"", "28708", "2870820", " 287082", "287082 ", "28708２", "-87082"} {
		if _, ok := stepOf(secret, code, time.Unix(59, 0)); ok {
			t.Errorf("%q is taken", code)
		}
	}
}

func TestAnAppReadsTheAddress(t *testing.T) {
	secret := newSecret()
	if raw, err := secretText.DecodeString(string(secret)); err != nil || len(raw) != 20 {
		t.Fatalf("the secret has %d bytes, %v", len(raw), err)
	}
	key, err := otp.NewKeyFromURL(keyURI(secret, "dana+x@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	if key.Type() != "totp" || key.Issuer() != "Secrets Bridge" || key.AccountName() != "dana+x@example.org" || key.Secret() != string(secret) ||
		key.Period() != 30 || key.Digits() != otp.DigitsSix || key.Algorithm() != otp.AlgorithmSHA1 {
		t.Errorf("the address says %s", key)
	}
	if u, err := url.Parse(key.String()); err != nil || strings.Contains(u.RawQuery, "+") {
		t.Errorf("apps take + for itself: %s, %v", key, err)
	}
}

func TestARecoveryCodeIsReadAsPeopleTypeIt(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		code := newCode()
		if seen[code] || len(code) != 19 {
			t.Fatalf("%s", code)
		}
		seen[code] = true
		hash, ok := hashCode("u_1", code)
		if !ok {
			t.Fatalf("%s is no code", code)
		}
		for _, typed := range []string{strings.ToUpper(code), strings.ReplaceAll(code, "-", " "), strings.ReplaceAll(code, "-", "")} {
			if again, _ := hashCode("u_1", typed); string(again) != string(hash) {
				t.Errorf("%q is another code than %s", typed, code)
			}
		}
		if other, _ := hashCode("u_2", code); string(other) == string(hash) {
			t.Error("somebody else's row would take it")
		}
		cut := rand.IntN(len(code))
		if shorter := code[:cut]; strings.ReplaceAll(shorter, "-", "") != strings.ReplaceAll(code, "-", "") {
			if _, ok := hashCode("u_1", shorter); ok {
				t.Errorf("%q is a code", shorter)
			}
		}
	}
}

func TestNamesOfFactorsArePlainText(t *testing.T) {
	for name, want := range map[string]bool{
		"": true, "key ring": true, strings.Repeat("ü", MaxName): true, strings.Repeat("x", MaxName+1): false, "a\nb": false, "a\x1b[2J": false, "\xff": false, "a\u009bb": false,
	} {
		if err := checkName(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestARowOpensAsThatFactorOfThatPersonOnly(t *testing.T) {
	f := Factor{ID: events.NewFactorID(), User: events.NewUserID(), Kind: events.FactorTOTP}
	swapped, other, another := f, f, f
	swapped.User, other.ID, another.Kind = events.NewUserID(), events.NewFactorID(), events.FactorPasskey
	for _, o := range []Factor{swapped, other, another} {
		if string(bindingOf(f).Bytes()) == string(bindingOf(o).Bytes()) {
			t.Errorf("%+v is bound like %+v", o, f)
		}
	}
}
