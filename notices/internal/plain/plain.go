// Package plain makes texts that people wrote fit for a message: no control characters, nothing
// that turns the direction of what follows, and an end.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is one line of at most so many characters. What is cut ends in "…".
func Text(s string, most int) string {
	s = s[:min(len(s), 8*most)] // more is not looked at: a character has four bytes at most, and some are left out
	s = strings.Join(strings.Fields(strings.Map(visible, strings.ToValidUTF8(s, "�"))), " ")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// visible drops what is not seen: controls become spaces; format characters, which hide or turn
// what stands beside them, go, but for the two joiners that some scripts are written with.
func visible(r rune) rune {
	switch {
	case unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
		return ' '
	case unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d':
		return -1
	}
	return r
}

// hush parts what a chat would make a link or a mention of, with a character of no width.
var hush = strings.NewReplacer("://", ":\u200b//", "www.", "www\u200b.", "WWW.", "WWW\u200b.", "@", "@\u200b", "mailto:", "mailto\u200b:")

// Quiet is Text in which a chat finds no link and nobody to call.
func Quiet(s string, most int) string {
	return hush.Replace(Text(s, most))
}

// Link is an address of ours if it is one that a message may lead to, or empty.
func Link(s string) string {
	if !strings.HasPrefix(s, "https://") || len(s) > 2000 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == '<' || r == '>' || r > '~' }) {
		return ""
	}
	return s
}
