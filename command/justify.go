package command

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"secretsbridge/events"
)

// MaxTicket is how long the name of a ticket may be, in characters.
const MaxTicket = 128

// What can be wrong with why somebody asks.
var (
	ErrReasonTooShort = &Rejection{"reason_too_short", "say more about why you need this"}
	ErrReasonPattern  = &Rejection{"reason_pattern", "the reason lacks what the workflow asks for"}
	ErrTicketInvalid  = &Rejection{"ticket_invalid", fmt.Sprintf("a ticket is plain text of at most %d characters", MaxTicket)}
)

// justified refuses a reason, which is trimmed, and a ticket that are not what a workflow asks
// for.
func justified(reason, ticket string, want events.Justification) error {
	if utf8.RuneCountInString(reason) < want.MinLength {
		return ErrReasonTooShort.because(fmt.Sprintf("say in at least %d characters why you need this", want.MinLength))
	}
	if !matches(want.Pattern, reason) {
		return ErrReasonPattern.because("the reason must hold something of the form " + want.Pattern)
	}
	if utf8.RuneCountInString(ticket) > MaxTicket || !utf8.ValidString(ticket) || strings.ContainsFunc(ticket, unicode.IsControl) {
		return ErrTicketInvalid
	}
	if want.Ticket != "" && !matches(`\A(?:`+want.Ticket+`)\z`, ticket) {
		return ErrTicketInvalid.because("name a ticket of the form " + want.Ticket)
	}
	return nil
}

// matches reports whether a text has something of a pattern, RE2. One that does not compile
// matches nothing: the rules refuse it, so somebody got around them.
func matches(pattern, text string) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(text)
}

// comment is what somebody says beside what they do, trimmed: so many characters at least.
func comment(text string, least int) (string, error) {
	text = strings.TrimSpace(text)
	switch n := utf8.RuneCountInString(text); {
	case n > MaxComment:
		return "", ErrCommentTooLong
	case !utf8.ValidString(text) || hasControl(text):
		return "", ErrCommentInvalid
	case n < least:
		return "", ErrCommentTooShort
	}
	return text, nil
}
