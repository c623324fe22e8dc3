package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxRefBytes bounds a ref. AWS Secrets Manager allows 512 characters in a name,
// the least of the stores we know that has folders.
const maxRefBytes = 512

// ErrInvalidRef says that a text is no ref. It comes wrapped in a [RefError].
var ErrInvalidRef = errors.New("invalid ref")

// Ref names one secret inside a provider: segments joined by "/", such as
// "prod/db/password". It is what [ParseRef] let through, so a provider need not look
// for "..", empty segments or hidden characters again. Refs are comparable; the zero
// Ref names nothing, and every provider refuses it.
type Ref struct{ path string }

// RefError says what makes a text no ref, and where.
type RefError struct {
	Reason string // such as "empty segment"; never quotes the text itself
	Offset int    // byte offset in the text
}

// Error implements error. The text is left out: people paste values into wrong fields.
func (e *RefError) Error() string {
	return fmt.Sprintf("%v: %s at byte %d", ErrInvalidRef, e.Reason, e.Offset)
}

// Unwrap makes errors.Is find [ErrInvalidRef].
func (e *RefError) Unwrap() error { return ErrInvalidRef }

// ParseRef returns the ref that text spells, unchanged: nothing is cleaned away,
// because what an approver read must be what the provider is asked for. Refused, with
// a [RefError], are
//   - the empty text, more than 512 bytes, and bytes that are no UTF-8;
//   - a slash at the start or the end, an empty segment, the segments "." and "..";
//   - a backslash, and "%" before two hexadecimal digits, which some server on the
//     way may decode into a slash or a dot;
//   - characters that do not print (control, format, bidirectional marks, spaces
//     other than U+0020), and a space at either end of a segment.
func ParseRef(text string) (Ref, error) {
	if text == "" {
		return Ref{}, &RefError{Reason: "empty"}
	}
	if len(text) > maxRefBytes {
		return Ref{}, &RefError{Reason: fmt.Sprintf("longer than %d bytes", maxRefBytes), Offset: maxRefBytes}
	}
	if err := checkCharacters(text); err != nil {
		return Ref{}, err
	}
	offset := 0
	for segment := range strings.SplitSeq(text, "/") {
		if reason := segmentFault(segment, offset, len(text)); reason != "" {
			return Ref{}, &RefError{Reason: reason, Offset: offset}
		}
		offset += len(segment) + 1
	}
	return Ref{path: text}, nil
}

// checkCharacters looks at each character of text by itself.
func checkCharacters(text string) error {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return &RefError{Reason: "not UTF-8", Offset: i}
		case r == '\\':
			return &RefError{Reason: "backslash", Offset: i}
		case r == '%' && len(text) > i+2 && isHex(text[i+1]) && isHex(text[i+2]):
			return &RefError{Reason: "percent encoding", Offset: i}
		case unicode.IsControl(r):
			return &RefError{Reason: "control character", Offset: i}
		case !unicode.IsPrint(r):
			return &RefError{Reason: "character that does not print", Offset: i}
		}
		i += size
	}
	return nil
}

// segmentFault says what is wrong with the segment that begins at offset in a text of
// total bytes, or "".
func segmentFault(segment string, offset, total int) string {
	switch {
	case segment == "" && offset == 0:
		return "slash at the start"
	case segment == "" && offset == total:
		return "slash at the end"
	case segment == "":
		return "empty segment"
	case segment == "." || segment == "..":
		return fmt.Sprintf("segment %q", segment)
	case segment[0] == ' ' || segment[len(segment)-1] == ' ':
		return "space at the end of a segment"
	}
	return ""
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// String returns the text that was parsed; "" for the zero Ref.
func (r Ref) String() string { return r.path }

// IsZero reports whether r names nothing.
func (r Ref) IsZero() bool { return r.path == "" }

// Segments returns the parts between the slashes, in order. The zero Ref has none.
func (r Ref) Segments() []string {
	if r.path == "" {
		return nil
	}
	return strings.Split(r.path, "/")
}

// Cut splits r at its first slash: "secret/prod/db" is "secret" and "prod/db". A ref
// of one segment has a zero rest.
func (r Ref) Cut() (first string, rest Ref) {
	first, after, _ := strings.Cut(r.path, "/")
	return first, Ref{path: after}
}

// everything is the entry of an allow-list that allows each ref.
const everything = "*"

// AllowList is the set of refs that an agent's own configuration opens to requests.
// The zero AllowList allows nothing.
type AllowList struct {
	all      bool
	prefixes []Ref    // whole segments
	texts    []string // as they are
}

// ParseAllowList reads one prefix an entry, each a ref; the entry "*" alone allows
// every ref. An entry that ends in "*" allows what begins with the text before it, for
// stores without folders: "prod-*" allows "prod-db". The error is a [RefError] that names
// the entry.
func ParseAllowList(entries ...string) (AllowList, error) {
	var list AllowList
	for i, entry := range entries {
		if entry == everything {
			list.all = true
			continue
		}
		text, open := strings.CutSuffix(entry, everything)
		// A prefix may end in "/" or in a space that a ref may not end in.
		prefix, err := ParseRef(strings.TrimRight(text, "/ "))
		if !open {
			prefix, err = ParseRef(entry)
		}
		if err != nil {
			return AllowList{}, fmt.Errorf("allow-list entry %d: %w", i+1, err)
		}
		if open {
			list.texts = append(list.texts, text)
			continue
		}
		list.prefixes = append(list.prefixes, prefix)
	}
	return list, nil
}

// Allows reports whether r is one of the prefixes or lies below one, segment by
// segment: "prod" allows "prod" and "prod/x" and not "production/x"; or begins with the
// text of an entry that ends in "*". Case counts.
// The zero Ref is never allowed.
func (l AllowList) Allows(r Ref) bool {
	if r.IsZero() {
		return false
	}
	if l.all {
		return true
	}
	for _, prefix := range l.prefixes {
		if r == prefix || strings.HasPrefix(r.path, prefix.path+"/") {
			return true
		}
	}
	for _, text := range l.texts {
		if strings.HasPrefix(r.path, text) {
			return true
		}
	}
	return false
}

// Check is nil if the list allows r. The error is [ErrInvalidRef] for the zero Ref, and
// [ErrOutsideAllowList] for any other.
func (l AllowList) Check(r Ref) error {
	switch {
	case r.IsZero():
		return ErrInvalidRef
	case !l.Allows(r):
		return ErrOutsideAllowList
	}
	return nil
}

// Opens reports whether the list may allow a ref that begins with text, such as the path
// of a folder with a slash at its end: whether it is worth looking there.
func (l AllowList) Opens(text string) bool {
	if l.all {
		return true
	}
	for _, prefix := range l.prefixes {
		if strings.HasPrefix(prefix.path, text) || strings.HasPrefix(text, prefix.path+"/") {
			return true
		}
	}
	for _, begin := range l.texts {
		if strings.HasPrefix(begin, text) || strings.HasPrefix(text, begin) {
			return true
		}
	}
	return false
}

// Beginning is a text that refs begin with; with Exact it is one ref as it is.
type Beginning struct {
	Text  string
	Exact bool
}

// Beginnings returns the fewest texts that cover exactly what the list allows, in
// ascending order: "" where it allows everything, "prod" (Exact) and "prod/" for the entry
// "prod", "prod-" for the entry "prod-*". Only an Exact one may be the beginning of another.
func (l AllowList) Beginnings() []Beginning {
	if l.all {
		return []Beginning{{}}
	}
	var found []Beginning
	for _, prefix := range l.prefixes {
		found = append(found, Beginning{prefix.path, true}, Beginning{prefix.path + "/", false})
	}
	for _, text := range l.texts {
		found = append(found, Beginning{text, false})
	}
	slices.SortFunc(found, func(a, b Beginning) int {
		switch order := strings.Compare(a.Text, b.Text); {
		case order != 0 || a.Exact == b.Exact:
			return order
		case b.Exact:
			return -1
		}
		return 1
	})
	// What begins with a text comes right after it.
	var fewest []Beginning
	cover := Beginning{Exact: true}
	for _, b := range found {
		if b == cover || !cover.Exact && strings.HasPrefix(b.Text, cover.Text) {
			continue
		}
		fewest = append(fewest, b)
		cover = b
	}
	return fewest
}
