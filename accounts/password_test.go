package accounts_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"secretsbridge/accounts"
	"secretsbridge/internal/secret"
)

// TestAPasswordIsLongAndNotWhatIsGuessedFirst says for each whether it is taken.
func TestAPasswordIsLongAndNotWhatIsGuessedFirst(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		password   string
		breakGlass bool
		want       error
	}{
		{"elevenchars", false, accounts.ErrPasswordShort},
		{"twelve-chars", false, nil},
		{"äöüßäöüßäöü", false, accounts.ErrPasswordShort}, // characters, not bytes
		{"nineteen-characters", true, accounts.ErrPasswordShort},
		{"nineteen-characters!", true, nil},
		{strings.Repeat("long ", 204) + "long", false, nil}, // 1024 bytes
		{strings.Repeat("long ", 205), false, accounts.ErrPasswordLong},
		{"no text \xff\xfe\xfd\xfc", false, accounts.ErrPasswordLong},
		{"ada.lovelace", false, accounts.ErrPasswordOwn},
		{"Lovelace.Ada.1815", false, accounts.ErrPasswordOwn},
		{"4d4l0v3l4c3!", false, accounts.ErrPasswordOwn},
		{"ada@example.org", false, accounts.ErrPasswordOwn},
		{"password1234", false, accounts.ErrPasswordCommon},
		{"P@ssw0rd!2026", false, accounts.ErrPasswordCommon},
		{"WelcomeSummer2026", false, accounts.ErrPasswordCommon},
		{"letmeinletmein", false, accounts.ErrPasswordCommon},
		{"123456789012", false, accounts.ErrPasswordCommon},
		{"aaaaaaaaaaaaaaaa", false, accounts.ErrPasswordCommon},
		{"abcabcabcabcabc", false, accounts.ErrPasswordCommon},
		{"qwertyuiopasdf", false, accounts.ErrPasswordCommon},
		{"1qaz2wsx3edc", false, accounts.ErrPasswordCommon},
		{"correct horse battery", false, nil},
		{"welcome summer monkey", false, nil}, // three words are many already
		{"kV7$pQ2!xT9z", false, nil},
	} {
		err := accounts.CheckPassword(secret.New([]byte(tt.password)), "ada@example.org", "Ada Lovelace", tt.breakGlass)
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%.20q: %v, want %v", tt.password, err, tt.want)
		}
	}
}

// TestALongPasswordIsJudgedAtOnce: one made of many short words could be cut in very many ways.
func TestALongPasswordIsJudgedAtOnce(t *testing.T) {
	t.Parallel()
	for _, password := range []string{strings.Repeat("abcd", 31) + "x", strings.Repeat("i", 127) + "x", strings.Repeat("abcabcd", 18) + "x", strings.Repeat("abc", 341)} {
		begun := time.Now()
		_ = accounts.CheckPassword(secret.New([]byte(password)), "i@example.org", "I", false)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("%d bytes took %s", len(password), took)
		}
	}
}

// TestAPasswordOfOnesNameIsLookedAtInTime: one whose name is "a aa" has a text of both in more
// ways than anybody can count.
func TestAPasswordOfOnesNameIsLookedAtInTime(t *testing.T) {
	t.Parallel()
	done := make(chan error, 1)
	go func() {
		done <- accounts.CheckPassword(secret.New([]byte(strings.Repeat("a", 119)+"xylophone")), "ada@example.org", "a aa", false)
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it takes for ever")
	}
}
