package seal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// CanonicalEntry returns the one spelling of all entries that mean the same, for
// fingerprints: a provider may give JSON back with its keys in another order, its numbers
// and strings spelled in another way. Text is taken as it is. In JSON, keys are in
// ascending order of their bytes, strings as package json writes them, and numbers are
// exact: digits without zeros at either end, "e", and the power of ten. Of a key that comes
// twice the last one counts. The result is the caller's to clear; what is no entry is
// [ErrMalformed].
func CanonicalEntry(entry []byte) ([]byte, error) {
	kind, value, err := DecodeEntry(entry)
	if err != nil {
		return nil, err
	}
	if kind == EntryText {
		return bytes.Clone(entry), nil
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var parsed any
	if err := decoder.Decode(&parsed); err != nil {
		return nil, fmt.Errorf("canonical entry: %w", ErrMalformed)
	}
	return appendCanonical(append(make([]byte, 0, 2*len(entry)), entry[0]), parsed)
}

func appendCanonical(out []byte, value any) ([]byte, error) {
	var err error
	switch v := value.(type) {
	case map[string]any:
		out = append(out, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = appendCanonical(out, key); err != nil {
				return nil, err
			}
			if out, err = appendCanonical(append(out, ':'), v[key]); err != nil {
				return nil, err
			}
		}
		return append(out, '}'), nil
	case []any:
		out = append(out, '[')
		for i, item := range v {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = appendCanonical(out, item); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	case json.Number:
		return appendExact(out, string(v))
	}
	plain, err := json.Marshal(value) // a string, true, false or null
	if err != nil {
		return nil, fmt.Errorf("canonical entry: %w", ErrMalformed)
	}
	defer clear(plain)
	return append(out, plain...), nil
}

// appendExact writes a JSON number without its spelling: 1.50 and 15e-1 are 15e-1.
func appendExact(out []byte, number string) ([]byte, error) {
	digits, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	power := 0
	if exponent != "" {
		var err error
		if power, err = strconv.Atoi(strings.TrimPrefix(exponent, "+")); err != nil {
			return nil, fmt.Errorf("canonical entry: %w", ErrMalformed) // no provider keeps such a number
		}
	}
	digits, negative := strings.CutPrefix(digits, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	power -= len(fraction)
	digits = strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return append(out, '0'), nil
	}
	significant := strings.TrimRight(digits, "0")
	power += len(digits) - len(significant)
	if negative {
		out = append(out, '-')
	}
	out = append(append(out, significant...), 'e')
	return strconv.AppendInt(out, int64(power), 10), nil
}
