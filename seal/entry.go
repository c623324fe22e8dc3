package seal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// EntryKind is the JSON type of a proposed value, as far as it matters for writing it.
type EntryKind byte

const (
	// EntryText is a string: the bytes are its UTF-8 text.
	EntryText EntryKind = 's'

	// EntryJSON is any other JSON value: the bytes are its compact text.
	EntryJSON EntryKind = 'j'
)

// MaxEntry is the longest value that can be proposed, in bytes.
const MaxEntry = MaxValue - 1

// EncodeEntry puts a kind before a value, so that both are sealed and compared as one:
// the number 5 is not the text "5". The result is the caller's to clear. A text that is
// no UTF-8, or JSON that is none or a string, is [ErrMalformed]; one too long is
// [ErrTooLarge].
func EncodeEntry(kind EntryKind, value []byte) ([]byte, error) {
	if len(value) > MaxEntry {
		return nil, fmt.Errorf("value of %d bytes, at most %d: %w", len(value), MaxEntry, ErrTooLarge)
	}
	out := append(make([]byte, 0, 1+len(value)), byte(kind))
	switch kind {
	case EntryText:
		if !utf8.Valid(value) {
			return nil, fmt.Errorf("value is no UTF-8 text: %w", ErrMalformed)
		}
		return append(out, value...), nil
	case EntryJSON:
		// Room for all of it: growing would leave a copy behind.
		compact := bytes.NewBuffer(out)
		if !utf8.Valid(value) || json.Compact(compact, value) != nil || compact.Bytes()[1] == '"' {
			clear(out[:cap(out)])
			return nil, fmt.Errorf("value is no JSON, or a string: %w", ErrMalformed)
		}
		return compact.Bytes(), nil
	}
	return nil, fmt.Errorf("value of an unknown kind: %w", ErrMalformed)
}

// DecodeEntry returns the parts of what [EncodeEntry] made, as windows into it, or
// [ErrMalformed] for what it never makes.
func DecodeEntry(entry []byte) (EntryKind, []byte, error) {
	if len(entry) == 0 {
		return 0, nil, fmt.Errorf("empty entry: %w", ErrMalformed)
	}
	again, err := EncodeEntry(EntryKind(entry[0]), entry[1:])
	if err != nil {
		return 0, nil, err
	}
	defer clear(again)
	if !bytes.Equal(again, entry) {
		return 0, nil, fmt.Errorf("entry in another spelling: %w", ErrMalformed)
	}
	return EntryKind(entry[0]), entry[1:], nil
}
