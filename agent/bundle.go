package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"secretsbridge/internal/secret"
)

// MaxBundleBytes bounds the JSON text of a bundle, [Bundle.JSON]. One value of that
// size still fits into one NATS message (1 MiB) when it is sealed and in base64.
const MaxBundleBytes = 512 << 10

// Kind is the JSON type of a value, kept so that writing a bundle back changes no
// type: 5 must not become "5".
type Kind string

// The JSON types of RFC 8259, section 3.
const (
	KindString Kind = "string"
	KindNumber Kind = "number"
	KindBool   Kind = "bool"
	KindNull   Kind = "null"
	KindObject Kind = "object"
	KindArray  Kind = "array"
)

// Entry is one value of a bundle. The value of a string is the string's own bytes, in
// UTF-8 and without quotes; that of another kind is its JSON text as the provider gave it.
type Entry struct {
	Kind  Kind
	Value secret.Value
}

// Text returns an entry of kind string; it takes ownership of b.
func Text(b []byte) Entry { return Entry{Kind: KindString, Value: secret.New(b)} }

// Bundle is one version of a secret: keys and values, and what the provider says of them.
type Bundle struct {
	Entries map[string]Entry

	Version Version           // "" in a bundle that was never stored
	Labels  map[string]string // the provider's own labels, tags or custom metadata

	CreatedAt time.Time // of the secret, in UTC; zero if the provider does not say
	UpdatedAt time.Time // of this version, in UTC; zero if the provider does not say
}

// Keys returns the names of the entries in ascending order.
func (b Bundle) Keys() []string { return slices.Sorted(maps.Keys(b.Entries)) }

// Zero overwrites every value. Keys, labels and times stay.
func (b Bundle) Zero() {
	for _, entry := range b.Entries {
		entry.Value.Zero()
	}
}

// ParseBundle reads the entries from a JSON object. Version, labels and times are the
// caller's to add. Refused with [ErrNotBundle] is whatever a round trip could change
// in silence: another JSON type, a key that comes twice, bytes that are no UTF-8, half
// a surrogate pair. [ErrTooLarge] comes where [Bundle.JSON] would say so. Errors quote
// nothing of raw.
func ParseBundle(raw []byte) (Bundle, error) {
	if len(raw) > 6*MaxBundleBytes { // every character written as \u0000
		return Bundle{}, ErrTooLarge
	}
	b, err := parseEntries(raw)
	switch {
	case err != nil:
		b.Zero()
		return Bundle{}, fmt.Errorf("%w: %w", ErrNotBundle, err)
	case b.size() > MaxBundleBytes:
		b.Zero()
		return Bundle{}, ErrTooLarge
	}
	return b, nil
}

func parseEntries(raw []byte) (Bundle, error) {
	b := Bundle{Entries: map[string]Entry{}}
	switch {
	case !json.Valid(raw):
		return b, errors.New("not JSON")
	case kindOf(raw) != KindObject:
		return b, fmt.Errorf("a JSON %s", kindOf(raw))
	case !utf8.Valid(raw):
		return b, errors.New("not UTF-8")
	case hasLoneSurrogate(raw):
		return b, errors.New("half a surrogate pair")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	_, _ = decoder.Token() // the opening brace: raw is a valid object
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return b, errors.New("not JSON")
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return b, errors.New("not JSON")
		}
		key := token.(string)
		if _, twice := b.Entries[key]; twice {
			clear(value)
			return b, errors.New("a key that comes twice")
		}
		entry, err := parseEntry(value)
		if err != nil {
			return b, err
		}
		b.Entries[key] = entry
	}
	return b, nil
}

// parseEntry takes ownership of raw, one valid JSON value.
func parseEntry(raw []byte) (Entry, error) {
	kind := kindOf(raw)
	if kind != KindString {
		return Entry{Kind: kind, Value: secret.New(raw)}, nil
	}
	if !bytes.ContainsRune(raw, '\\') {
		return Text(raw[1 : len(raw)-1]), nil // no escapes: no copy that stays behind
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return Entry{}, errors.New("not a JSON string")
	}
	clear(raw)
	return Text([]byte(text)), nil
}

// JSON returns the entries as one JSON object, keys in ascending order, characters
// unescaped where JSON allows it. The text is plaintext: the caller clears it.
//
// It fails with [ErrNotBundle] where an entry's bytes are not of its kind, such as a
// string that is no UTF-8, and with [ErrTooLarge] above [MaxBundleBytes].
func (b Bundle) JSON() ([]byte, error) {
	size := b.size()
	if size > MaxBundleBytes {
		return nil, ErrTooLarge
	}
	// All the room at once: growing would leave copies of the values behind.
	out, err := b.appendJSON(make([]byte, 0, size))
	if err != nil {
		clear(out)
		return nil, err
	}
	return out, nil
}

// size is the length of the text that JSON returns.
func (b Bundle) size() int {
	size := len(`{}`) + max(0, len(b.Entries)-1)
	for key, entry := range b.Entries {
		size += quotedLen([]byte(key)) + len(`:`)
		if value := entry.Value.Expose(); entry.Kind == KindString {
			size += quotedLen(value)
		} else {
			size += len(value)
		}
	}
	return size
}

// appendJSON returns what it wrote also with an error, for the caller to clear.
func (b Bundle) appendJSON(out []byte) ([]byte, error) {
	out = append(out, '{')
	for i, key := range b.Keys() {
		entry := b.Entries[key]
		value := entry.Value.Expose()
		if !utf8.ValidString(key) {
			return out, fmt.Errorf("%w: a key is not UTF-8", ErrNotBundle)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendQuoted(out, []byte(key)), ':')
		switch {
		case entry.Kind == KindString && !utf8.Valid(value):
			return out, fmt.Errorf("%w: the value of key %q is not UTF-8", ErrNotBundle, key)
		case entry.Kind == KindString:
			out = appendQuoted(out, value)
		case !json.Valid(value) || !utf8.Valid(value) || kindOf(value) != entry.Kind:
			return out, fmt.Errorf("%w: the value of key %q is no JSON of its kind", ErrNotBundle, key)
		default:
			out = append(out, value...)
		}
	}
	return append(out, '}'), nil
}

// appendQuoted writes text as a JSON string (RFC 8259, section 7). encoding/json would
// do, but keeps a copy in a buffer that nobody can clear.
func appendQuoted(out, text []byte) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < 0x20:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// quotedLen is how many bytes appendQuoted writes.
func quotedLen(text []byte) int {
	n := 2 + len(text)
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			n++
		case c < 0x20:
			n += 5
		}
	}
	return n
}

// kindOf returns the type of a valid JSON text from its first character.
func kindOf(raw []byte) Kind {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		return KindString
	case '{':
		return KindObject
	case '[':
		return KindArray
	case 't', 'f':
		return KindBool
	case 'n':
		return KindNull
	}
	return KindNumber
}

// hasLoneSurrogate reports whether a valid JSON text has an escape such as \ud800
// that is half of a pair. encoding/json would read it as U+FFFD, which is another value.
func hasLoneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++ // to the character after the backslash; valid JSON always has one
		switch surrogateAt(raw, i) {
		case 0:
		case lowSurrogate:
			return true
		case highSurrogate:
			if raw[i+5] != '\\' || surrogateAt(raw, i+6) != lowSurrogate {
				return true
			}
			i += 10 // to the last digit of the second half
		}
	}
	return false
}

const (
	highSurrogate = 1
	lowSurrogate  = 2
)

// surrogateAt reads "uXXXX" at i, the place after a backslash.
func surrogateAt(raw []byte, i int) int {
	if i+4 >= len(raw) || raw[i] != 'u' || raw[i+1]|0x20 != 'd' {
		return 0
	}
	switch raw[i+2] | 0x20 {
	case '8', '9', 'a', 'b':
		return highSurrogate
	case 'c', 'd', 'e', 'f':
		return lowSurrogate
	}
	return 0
}
