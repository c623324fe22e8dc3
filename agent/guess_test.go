package agent

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"secretsbridge/internal/secret"
)

func TestWhatIsEasyToGuessHasNoFingerprint(t *testing.T) {
	now := time.Date(2026, 11, 27, 14, 3, 59, 123456789, time.FixedZone("", 3600))
	for _, value := range []string{
		"", "true", "0", "42", "8080", "null", "admin", "changeme", "password", "hunter2", "letmein123", "123456789", "qwertyuiop",
		"Password123456789", "password1234567890", "SuperSecretPassword2024!", "ChangeMeChangeMe1!", "Password1!Password1!Password1!Password1!",
		"correct horse battery staple", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "zyxwvutsrqponmlkjihgfedcba",
		"01234567890123456789012345678901234567890123456789", "0123456789abcdef0123456789abcdef", "qwertyqwertyqwertyqwertyqwertyqwerty",
		strings.Repeat("a", 500), strings.Repeat("ab", 500), strings.Repeat("x1Y", 100), strings.Repeat("a", 300) + strings.Repeat("b", 300),
		strings.Repeat("1100101", 20) + "0111", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"q7Zt4mVxR2cN9wK", // fifteen bytes
		now.Format(time.DateOnly), now.Format(time.DateTime), now.Format(time.RFC3339), now.Format(time.RFC3339Nano), "1795788239", "1795788239123456789",
		"3.14159265358979323846", "+49 30 123456-789012", "192.168.100.200:8080", "255.255.255.255/32",
	} {
		if !guessable(Text([]byte(value))) {
			t.Errorf("%q has a fingerprint", value)
		}
	}
}

// A text that somebody knows but for a weak password is a guess at that password.
func TestAWeakPasswordIsNotHiddenByWhatStandsAroundIt(t *testing.T) {
	const host = "payments.cluster-c9x8y7z6w5v4.eu-west-1.rds.amazonaws.com"
	const strong = "q7Zt4mVxR2cN9wKeY3"
	for _, around := range []string{
		"postgres://app:%s@" + host + ":5432/payments?sslmode=require", "amqps://%[1]s:%[1]s@" + host,
		"https://" + host + "/x,postgres://app:%s@" + host + "/payments",
		"host=" + host + " user=app password=%s dbname=payments", "Server=" + host + ";User Id=app;Password=%s;Encrypt=true",
		"jdbc:postgresql://" + host + "/payments?user=app&password=%s", "db.host=" + host + "\ndb.passwd = %s\n",
		"host: " + host + "\nPWD: '%s'\n", `{"host":"` + host + `","password":"%s"}`,
	} {
		if text := fmt.Sprintf(around, "hunter2"); !guessable(Text([]byte(text))) {
			t.Errorf("%q has a fingerprint", text)
		}
		if text := fmt.Sprintf(around, strong); guessable(Text([]byte(text))) {
			t.Errorf("%q has none", text)
		}
	}
	for value, want := range map[string]bool{
		`{"host":"` + host + `","db":{"Password":"hunter2"}}`:           true,
		`[{"host":"` + host + `"},{"db_pwd":"hunter2"}]`:                true,
		`{"host":"` + host + `","password":4711}`:                       true,
		`{"host":"` + host + `","password":"` + strong + `"}`:           false,
		`{"host":"` + host + `","url":"redis://:hunter2@` + host + `"}`: true,
	} {
		if got := guessable(Entry{Kind: KindObject, Value: secret.New([]byte(value))}); got != want {
			t.Errorf("%s: guessable is %v", value, got)
		}
	}
}

func TestNothingButTextsIsHardToGuess(t *testing.T) {
	const key = "q7Zt4mVxR2cN9wKeY3"
	for _, c := range []struct {
		kind  Kind
		value string
		want  bool
	}{
		{KindNumber, "123", true}, {KindNumber, "84736251948372615243948571625349", true}, {KindBool, "true", true}, {KindNull, "null", true},
		{KindObject, `{}`, true}, {KindArray, `[]`, true}, {KindObject, `{"user":"app","password":"hunter2","port":5432}`, true},
		{KindArray, `[8473625194,8372615243,9485716253,4938475612]`, true}, {KindObject, `{"` + key + `":"x"}`, true},
		{KindObject, `{"user":"app","password":"` + key + `"}`, false}, {KindArray, `["a",{"b":["` + key + `"]}]`, false},
		{Kind("other"), key, true}, {KindObject, `{"a":`, true},
	} {
		if got := guessable(Entry{Kind: c.kind, Value: secret.New([]byte(c.value))}); got != c.want {
			t.Errorf("%s %s: guessable is %v", c.kind, c.value, got)
		}
	}
}

// TestKeysAndTokensHaveAFingerprint draws them at random. The rule refuses one in a
// hundred of the shortest, which has two words in it by chance, and next to none else.
func TestKeysAndTokensHaveAFingerprint(t *testing.T) {
	random := func(n int) []byte {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return b
	}
	for name, draw := range map[string]func() string{
		"a UUID": func() string {
			u := random(16)
			return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
		},
		"16 bytes in hex":    func() string { return hex.EncodeToString(random(16)) },
		"32 bytes in base64": func() string { return base64.StdEncoding.EncodeToString(random(32)) },
		"16 bytes in base64": func() string { return base64.RawURLEncoding.EncodeToString(random(16)) },
		"a token": func() string {
			return "ghp_" + strings.NewReplacer("-", "x", "_", "y").Replace(base64.RawURLEncoding.EncodeToString(random(27)))
		},
	} {
		refused := 0
		for range 5000 {
			if guessable(Text([]byte(draw()))) {
				refused++
			}
		}
		most := 5
		if name == "16 bytes in base64" {
			most = 150
		}
		if refused > most {
			t.Errorf("%s: %d of 5000 are refused, at most %d", name, refused, most)
		}
	}
}

func TestTheLongestTextIsJudgedInTime(t *testing.T) {
	for _, value := range []string{strings.Repeat("a", MaxBundleBytes), strings.Repeat("ab", MaxBundleBytes/2-1) + "aa",
		strings.Repeat("pwd=q7Zt4mVxR2cN9wKeY3 ", MaxBundleBytes/23), strings.Repeat("://:", MaxBundleBytes/4), strings.Repeat("pass ", MaxBundleBytes/5)} {
		began := time.Now()
		guessable(Text([]byte(value)))
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	}
}
