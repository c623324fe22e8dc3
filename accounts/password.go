package accounts

import (
	"context"
	_ "embed"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/store"
)

// Bounds of a password. NIST SP 800-63B-4, section 3.1.1.2, wants 15 characters where it is all
// that there is, and 8 beside a second factor; 12 with a look for what everybody takes is
// between. A break-glass account has no lock from anywhere to slow those who guess.
const (
	MinPassword           = 12   // characters
	MinBreakGlassPassword = 20   // likewise
	MaxPassword           = 1024 // bytes
)

// What a password must be.
var (
	ErrPasswordShort  = &command.Rejection{Code: "password_refused", Detail: "a password has at least 12 characters; of an account for emergencies, at least 20"}
	ErrPasswordLong   = &command.Rejection{Code: "password_refused", Detail: "a password has at most 1024 bytes of text"}
	ErrPasswordOwn    = &command.Rejection{Code: "password_refused", Detail: "a password must not be made of one's own name or e-mail"}
	ErrPasswordCommon = &command.Rejection{Code: "password_refused", Detail: "this is one of the passwords that are guessed first; take several words that have nothing to do with each other"}
)

// common are words that most passwords are made of, one a line: the heads of the lists that are
// published after leaks, cut to what is still there when digits and signs are gone.
//
//go:embed common.txt
var commonText string

var common = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for line := range strings.Lines(commonText) {
		if word := strings.TrimSpace(line); word != "" && word[0] != '#' {
			words[word] = true
		}
	}
	return words
})

// CheckPassword says what is wrong with a password for somebody.
func CheckPassword(password secret.Value, email, name string, breakGlass bool) error {
	text := string(password.Expose())
	least := MinPassword
	if breakGlass {
		least = MinBreakGlassPassword
	}
	switch {
	case len(text) > MaxPassword || !utf8.ValidString(text):
		return ErrPasswordLong
	case utf8.RuneCountInString(text) < least:
		return ErrPasswordShort
	}
	words := map[string]bool{}
	local, domain, _ := strings.Cut(email, "@")
	for _, own := range append(strings.Fields(name), name, email, local, domain) {
		words[letters(own)] = true
	}
	delete(words, "")
	// What is around a word is mostly no part of it, and now and then stands for a letter.
	letter := func(r rune) bool { return unicode.IsLetter(r) }
	digit := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	guesses := []string{letters(text)}
	for _, is := range []func(rune) bool{letter, digit} {
		guesses = append(guesses, letters(strings.TrimFunc(text, func(r rune) bool { return !is(r) })))
	}
	made := func(of map[string]bool) bool {
		return slices.ContainsFunc(guesses, func(g string) bool { return madeOf(g, of) })
	}
	switch {
	case made(words):
		return ErrPasswordOwn
	case !strings.ContainsFunc(text, letter) || runs(text) || made(common()):
		return ErrPasswordCommon
	}
	return nil
}

// letters are those of a text, in lower case, with the digits and signs that stand for letters
// turned back, and without all others.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if i := strings.IndexRune("@4301!$57", r); i >= 0 {
			return rune("aaeoiisst"[i])
		}
		if !unicode.IsLetter(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// madeOf reports whether a text is nothing but some words, each as often as one likes, two
// different ones at most: three that have nothing to do with each other are many.
func madeOf(text string, words map[string]bool) bool {
	type place struct{ rest, one, other string }
	tried := map[place]bool{} // or "a" and "aa" would make one text in more ways than anybody can count
	var from func(rest string, used []string) bool
	from = func(rest string, used []string) bool {
		if rest == "" {
			return len(used) > 0
		}
		at := place{rest: rest}
		for i, word := range used {
			if i == 0 {
				at.one = word
			} else {
				at.other = word
			}
		}
		if tried[at] {
			return false
		}
		tried[at] = true
		for n := len(rest); n > 0; n-- {
			word := rest[:n]
			if !words[word] {
				continue
			}
			switch {
			case slices.Contains(used, word):
				if from(rest[n:], used) {
					return true
				}
			case len(used) < 2:
				if from(rest[n:], append(used[:len(used):len(used)], word)) {
					return true
				}
			}
		}
		return false
	}
	return len(text) <= 128 && from(text, nil)
}

// runs reports whether a text is one short piece again and again, or goes through the alphabet,
// the digits or a row of keys.
func runs(s string) bool {
	s = strings.ToLower(s)
	for period := 1; period <= 4 && period < len(s); period++ {
		if s[period:] == s[:len(s)-period] {
			return true
		}
	}
	for _, row := range []string{"abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "1q2w3e4r5t6y7u8i9o0p"} {
		if strings.Contains(row+row, s) {
			return true
		}
	}
	return false
}

// Redeem uses a link to set the password of whoever it is for. All their sessions end.
func (a *Accounts) Redeem(ctx context.Context, meta command.Meta, token, password secret.Value) (events.UserID, events.Seq, error) {
	link, err := a.Links.Look(ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		return "", 0, ErrLink
	}
	if err != nil {
		return "", 0, err
	}
	id := link.Person.ID
	user := a.Rights.User(id)
	if user.State != command.UserActive {
		return "", 0, ErrLink // the fact came, and the row is not there yet
	}
	if err := CheckPassword(password, link.Person.Email, link.Person.Name, user.BreakGlass); err != nil {
		return "", 0, err // and the link is good for another try
	}
	meta.Actor = events.UserActor(id) // who has the link
	var seq events.Seq
	err = a.Links.Redeem(ctx, token, password, meta.Command, func(used store.Link, ended []events.SessionID) error {
		done, err := a.executeEnding(ctx, meta, id, ended, "password", func(u command.User) ([]events.Fact, error) {
			if u.State != command.UserActive {
				return nil, ErrLink
			}
			if !open(u, used) {
				return nil, errPutBack
			}
			return []events.Fact{events.PasswordSet{By: string(used.Purpose)}}, nil
		})
		seq = done.Seq
		return err
	})
	if errors.Is(err, errPutBack) {
		a.Denounce(context.WithoutCancel(ctx), store.Denounced{Table: "links", Row: string(id), Why: store.RowPutBack})
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, errPutBack) {
		return "", 0, ErrLink
	}
	return id, seq, err
}

// errPutBack says that the log knows no open link that the row is of: it was used, or another one
// took its place.
var errPutBack = errors.New("the row of a link was put back")

// open reports whether a link is the one of its purpose that the log knows as open. It is told from
// another one by its end, which is as exact as Postgres.
func open(u command.User, l store.Link) bool {
	return slices.ContainsFunc(u.Links, func(issued events.LinkIssued) bool {
		return issued.Purpose == l.Purpose && issued.Until.Truncate(time.Microsecond).Equal(l.Until)
	})
}

// ChangePassword replaces a password by the old one, and ends every session but the one that
// asks. Wrong guesses of the old one count like those of a sign-in. A command that was taken
// before is answered as it was: then the old password is another one.
func (a *Accounts) ChangePassword(ctx context.Context, meta command.Meta, person store.Person, session events.SessionID, network string, old, password secret.Value) (events.Seq, error) {
	if err := CheckPassword(password, person.Email, person.Name, a.Rights.User(person.ID).BreakGlass); err != nil {
		return 0, err
	}
	before, at, err := command.Load[command.User](ctx, a.Log, events.UserStream(person.ID))
	if err != nil || before.Took(meta.Command) {
		return at, err
	}
	verified, err := a.People.Verify(ctx, person.Email, old, network)
	if err == nil {
		err = a.People.Current(ctx, verified, before.Password)
	}
	if errors.Is(err, store.ErrWrongPassword) || errors.Is(err, store.ErrLocked) || errors.Is(err, store.ErrDisabled) || errors.Is(err, store.ErrNotFound) {
		return 0, ErrOldPassword
	}
	if err != nil {
		return 0, err
	}
	var seq events.Seq
	err = a.People.ChangePassword(ctx, person.ID, password, meta.Command, session, func(ended []events.SessionID) error {
		done, err := a.executeEnding(ctx, meta, person.ID, ended, "password", func(u command.User) ([]events.Fact, error) {
			if u.State != command.UserActive {
				return nil, ErrPersonOut
			}
			return []events.Fact{events.PasswordSet{By: "password"}}, nil
		})
		seq = done.Seq
		return err
	})
	return seq, err
}
