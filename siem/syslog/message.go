// Package syslog carries records to a syslog receiver over TLS: messages of RFC 5424, framed by
// their length (RFC 5425, section 4.3).
package syslog

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"secretsbridge/siem"
)

const (
	// facility is "log audit" (RFC 5424, section 6.2.1).
	facility = 13

	// Enterprise is the private enterprise number of our structured data. It is the one that is
	// kept for documentation (RFC 5612): the project has none of its own.
	Enterprise = "32473"

	// maxHeader bounds what stands in front of a record: a host has 255 bytes at most, and
	// everything of a fact in it 200, which may become three times as many.
	maxHeader = 2048

	// MinMessage is what a message may be bounded to at least, and DefaultMessage what a receiver
	// should take (RFC 5425, section 4.3.1: 2,048 octets are a must, 8,192 are advised).
	MinMessage     = siem.MinRecord + maxHeader
	DefaultMessage = 8192
	MaxMessage     = 1 << 20

	application = "secrets-bridge"
	maxMsgID    = 32 // RFC 5424, section 6
	maxHost     = 255
	maxParam    = 200
)

// severities are those of syslog for [siem.Record.Severity]: informational, notice, warning and
// critical.
var severities = map[int]int{1: 6, 2: 5, 3: 4, 4: 2}

// Host makes a text one that may stand as the name of a host; "-" where nothing is left.
func Host(name string) string {
	name = printable(name, maxHost)
	if name == "" {
		return "-"
	}
	return name
}

// printable keeps what RFC 5424 calls PRINTUSASCII: visible ASCII without a space.
func printable(text string, most int) string {
	text = strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return -1
		}
		return c
	}, text)
	return text[:min(len(text), most)]
}

// Append writes a message of at most so many bytes behind what is there. The record stands in it as
// a format has it, in UTF-8 with the mark that RFC 5424 asks for where it is more than ASCII.
func Append(to []byte, host string, r siem.Record, f siem.Format, most int) ([]byte, error) {
	begin := len(to)
	severity, ok := severities[r.Severity()]
	if !ok {
		severity = 6
	}
	to = fmt.Appendf(to, "<%d>1 %s %s %s - %s ", 8*facility+severity, r.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), host, application, msgID(r.Type))
	to = fmt.Appendf(to, `[fact@%s seq="%d" place="%d" leafHash="%s" id="%s" stream="%s"] `, Enterprise, r.Seq, r.Place, r.Hash(), param(string(r.ID)), param(r.Stream))
	left := most - (len(to) - begin) - len(bom)
	record, err := f.Append(nil, r, left)
	if err != nil {
		return to[:begin], err
	}
	for _, c := range record {
		if c >= 0x80 {
			to = append(to, bom...)
			break
		}
	}
	return append(to, record...), nil
}

// bom says that what follows is UTF-8 (RFC 5424, section 6.4).
const bom = "\xef\xbb\xbf"

// msgID is the type of a fact without what every type has, so that it fits.
func msgID(typ string) string {
	id := printable(siem.Operation(typ), maxMsgID)
	if id == "" {
		return "-"
	}
	return id
}

// param escapes what ends the value of a parameter (RFC 5424, section 6.3.3). What cannot be
// printed becomes U+FFFD.
func param(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) > maxParam {
		text = strings.ToValidUTF8(text[:maxParam], "")
	}
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return unicode.ReplacementChar
		}
		return c
	}, text)
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(text)
}

// frame puts the length of a message in front of it.
func frame(to, message []byte) []byte {
	to = strconv.AppendInt(to, int64(len(message)), 10)
	to = append(to, ' ')
	return append(to, message...)
}
