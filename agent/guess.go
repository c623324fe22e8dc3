package agent

import (
	"encoding/json"
	"math"
	"regexp"
)

// What a value must have for a fingerprint. Fingerprints show which values are equal, so
// who may write one secret and see the fingerprints of another can try guesses. A value
// that takes 2^63 of them on average is none to be guessed.
const (
	minGuessBytes     = 16 // after what repeats or goes on was left out
	minGuessDifferent = 8  // different bytes
	minGuessBits      = 64
)

// Words and dates are not random. English text has 1.3 bits a letter or less (Shannon,
// "Prediction and Entropy of Printed English", 1951), words that somebody took together
// have more. With 2 bits, four words are too easy to guess, and six are not.
const (
	wordBits    = 2.0
	dateBits    = 1.5
	wordLetters = 5 // that make a word
	textLetters = 3 // a value with fewer is a date or a number
)

// guessable reports whether a value is too easy to guess for a fingerprint. A number, a
// boolean and null are; an object or array is unless one of the texts in it is not. A text
// is, if any of this is true:
//
//   - Less than 16 bytes are left of it when it is cut to its period, where it repeats
//     itself, and bytes are left out that go on as the two before them: up by one, down by
//     one, or the same.
//   - It has less than 8 different bytes.
//   - Its bits are fewer than 64. A byte that is left has as many as Shannon's formula gives
//     for how often each byte comes; but at most 2 in a word, which is five letters or more
//     of one case or one capital and four letters, and at most 1.5 in a text of fewer than
//     three letters.
//
// A password that stands in a text, an object or an array must be hard to guess alone: what
// is around it, such as a host, is known to many.
//
// That is an estimate: a text such as a name with digits in each word passes, and so does
// one with a weak part that nothing tells to be a password.
func guessable(entry Entry) bool {
	if holdsWeakPassword(entry.Value.Expose()) {
		return true
	}
	switch entry.Kind {
	case KindString:
		return guessableText(entry.Value.Expose())
	case KindObject, KindArray:
		var parsed any
		return json.Unmarshal(entry.Value.Expose(), &parsed) != nil || guessableAll(parsed)
	}
	return true
}

// password is one that a name stands before, as in DSNs, files of settings and JSON, or
// that of a URL (RFC 3986, section 3.2.1). It ends where most of those end; of a longer
// one only the beginning is judged.
var password = regexp.MustCompile(`(?i)(?:pass(?:word|wd|phrase)?|pwd)["']?\s*[=:]\s*["']?([^"'\s;&,]*)|://[^/?#\s:@]*:([^/?#\s]*)@`)

// holdsWeakPassword reports whether one of the passwords in a text is easy to guess.
func holdsWeakPassword(text []byte) bool {
	for {
		at := password.FindSubmatchIndex(text)
		if at == nil {
			return false
		}
		from, to := at[2], at[3]
		if from < 0 {
			from, to = at[4], at[5]
		}
		if guessableText(text[from:to]) {
			return true
		}
		text = text[at[1]:]
	}
}

func guessableAll(value any) bool {
	switch v := value.(type) {
	case string:
		text := []byte(v)
		defer clear(text)
		return guessableText(text)
	case map[string]any:
		for _, inner := range v {
			if !guessableAll(inner) {
				return false
			}
		}
	case []any:
		for _, inner := range v {
			if !guessableAll(inner) {
				return false
			}
		}
	}
	return true
}

func guessableText(text []byte) bool {
	text = text[:period(text)]
	var count [256]int
	letters := 0
	for _, c := range text {
		count[c]++
		if isLower(c) || isUpper(c) {
			letters++
		}
	}
	different, each := 0, 0.0
	for _, n := range count {
		if n > 0 {
			different++
			p := float64(n) / float64(len(text))
			each -= p * math.Log2(p)
		}
	}
	left, bits := 0, 0.0
	for i, words := 0, 0; i < len(text); i++ {
		if i >= words {
			words = i + wordAt(text[i:])
		}
		switch {
		case goesOn(text, i):
			continue
		case letters < textLetters:
			bits += min(dateBits, each)
		case i < words:
			bits += min(wordBits, each)
		default:
			bits += each
		}
		left++
	}
	return left < minGuessBytes || different < minGuessDifferent || bits < minGuessBits
}

// period is the length of the part that a text repeats, whole or cut at its end; the
// whole length where there is none. It is Knuth, Morris and Pratt's table.
func period(text []byte) int {
	border := make([]int32, len(text)+1)
	k := int32(0)
	for i := 1; i < len(text); i++ {
		for k > 0 && text[i] != text[k] {
			k = border[k]
		}
		if text[i] == text[k] {
			k++
		}
		border[i+1] = k
	}
	if p := len(text) - int(border[len(text)]); 2*p <= len(text) {
		return p
	}
	return len(text)
}

// goesOn reports whether the byte at i follows from the two before it, as in "abc", "321"
// and "aaa".
func goesOn(text []byte, i int) bool {
	if i < 2 {
		return false
	}
	step := int(text[i]) - int(text[i-1])
	return step >= -1 && step <= 1 && step == int(text[i-1])-int(text[i-2])
}

// wordAt is how many bytes of a word a text begins with, or 0.
func wordAt(text []byte) int {
	for _, of := range []func(byte) bool{isLower, isUpper} {
		n := 0
		if len(text) > 0 && isUpper(text[0]) {
			n = 1
		}
		for n < len(text) && of(text[n]) {
			n++
		}
		if n >= wordLetters {
			return n
		}
	}
	return 0
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
