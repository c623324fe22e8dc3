package leaks

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Form is one way to write a text down.
type Form struct {
	Name  string
	Bytes []byte
}

// Forms returns a text in every form that is looked for. Base64 has three for each
// alphabet, by where the text begins in what was encoded; characters at its ends that
// depend on what lies beside it are cut. What is no text has no forms that are text's.
func Forms(text string) []Form {
	raw := []byte(text)
	forms := []Form{
		{"raw", raw},
		{"hex", []byte(hex.EncodeToString(raw))},
		{"HEX", bytes.ToUpper([]byte(hex.EncodeToString(raw)))},
		{"URL", []byte(url.QueryEscape(text))},
		{"url", lowerEscapes(url.QueryEscape(text))},
		{"JSON in ASCII", quoted(text)},
		{"decimal", []byte(strings.Trim(fmt.Sprint(raw), "[]"))}, // as fmt prints bytes
	}
	if utf8.ValidString(text) {
		forms = append(forms,
			Form{"JSON", escaped(text)},
			Form{"UTF-16 LE", wide(text, binary.LittleEndian)},
			Form{"UTF-16 BE", wide(text, binary.BigEndian)})
	}
	for shift := range 3 {
		at := append(make([]byte, shift), raw...)
		standard, urls := base64.StdEncoding.EncodeToString(at), base64.URLEncoding.EncodeToString(at)
		forms = append(forms,
			Form{fmt.Sprintf("base64 at %d", shift), []byte(standard[4 : len(standard)-4])},
			Form{fmt.Sprintf("base64url at %d", shift), []byte(urls[4 : len(urls)-4])})
	}
	return forms
}

// lowerEscapes writes %C3 as %c3 and leaves letters alone.
func lowerEscapes(text string) []byte {
	out := []byte(text)
	for i := 0; i+2 < len(out); i++ {
		if out[i] == '%' {
			copy(out[i:], bytes.ToLower(out[i:i+3]))
		}
	}
	return out
}

// escaped is how Go writes JSON: <, > and & have six characters each.
func escaped(text string) []byte {
	out, _ := json.Marshal(text)
	return out[1 : len(out)-1]
}

func quoted(text string) []byte {
	q := strconv.QuoteToASCII(text)
	return []byte(q[1 : len(q)-1])
}

func wide(text string, order binary.AppendByteOrder) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}
