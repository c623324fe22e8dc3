package siem

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"

	"secretsbridge/events"
)

// Product is what these records say they come from, and mapping the version of what they say: it
// changes when the same fact is told in other words.
const (
	Product = "Secrets Bridge"
	mapping = "1"
)

// Bounds of extension fields (Micro Focus, "Implementing ArcSight Common Event Format", version
// 25): of custom strings in characters, which are fewer than bytes, and of the others as much as
// the control plane ever writes.
const (
	maxCustom = 4000
	maxAction = 63
	maxID     = 200
)

// cefOf is a record of version 0, which every receiver takes. Its data stands as JSON in cs5, cut to
// so many bytes; cn3 says how long it is.
func cefOf(r Record, data int) []byte {
	told := tell(r)
	var b strings.Builder
	b.WriteString("CEF:0")
	for _, text := range []string{Product, Product, mapping, r.Type, told.sentence, strconv.Itoa(2 * told.severity)} {
		b.WriteByte('|')
		b.WriteString(escape(cut(text, maxID), `\|`))
	}
	b.WriteByte('|')
	first := true
	field := func(key, value string) {
		if value == "" {
			return
		}
		if !first {
			b.WriteByte(' ')
		}
		first = false
		b.WriteString(key + "=" + escape(value, `\=`))
	}
	field("cn1", strconv.FormatUint(uint64(r.Seq), 10))
	field("cn1Label", "sequence")
	field("cn2", strconv.Itoa(r.Place))
	field("cn2Label", "place")
	field("rt", strconv.FormatInt(r.Time.UnixMilli(), 10))
	field("externalId", cut(string(r.ID), maxID))
	field("suid", cut(string(r.Actor), maxID))
	field("duid", cut(string(told.user), maxID))
	field("act", cut(told.operation, maxAction))
	field("outcome", map[bool]string{true: "failure", false: "success"}[told.failed])
	field("reason", cut(told.code, maxAction))
	field("request", cut(told.resource, maxID))
	custom := func(n, label, value string) {
		if value != "" {
			field("cs"+n, value)
			field("cs"+n+"Label", label)
		}
	}
	custom("1", "stream", cut(r.Stream, maxID))
	custom("2", "correlation", cut(string(r.Correlation), maxID))
	custom("3", "leafHash", r.Hash())
	custom("4", "command", cut(string(r.Command), maxID))
	custom("5", "data", cut(string(r.Data), data))
	field("cn3", strconv.Itoa(len(r.Data)))
	field("cn3Label", "dataBytes")
	return []byte(b.String())
}

// escape makes a text one that ends neither its field nor its line: in front of a backslash, and of
// whatever else parts fields there, stands a backslash; line ends become \n and \r; whatever else
// cannot be printed becomes U+FFFD.
func escape(text, special string) string {
	var b strings.Builder
	for _, c := range text {
		switch {
		case strings.ContainsRune(special, c):
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\r' && special == `\=`:
			b.WriteString(`\r`)
		case (c == '\n' || c == '\u0085' || c == '\u2028' || c == '\u2029') && special == `\=`:
			b.WriteString(`\n`)
		case !unicode.IsPrint(c):
			b.WriteRune(unicode.ReplacementChar)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// extension is what follows the seven bars of a record that are not escaped.
func extension(record string) string {
	bars := 0
	for i := 0; i < len(record); i++ {
		switch record[i] {
		case '\\':
			i++
		case '|':
			if bars++; bars == 7 {
				return record[i+1:]
			}
		}
	}
	return ""
}

// told is what a record says of a fact beside the circumstances of every fact.
type told struct {
	meaning
	sentence  string // of the catalogue
	operation string // the type without what every type has; of a denial what was tried
	user      events.UserID
	code      string // stable, of what failed
	resource  string // of a denial
	role      string // of a grant
	session   events.SessionID
	failed    bool
}

// tell reads what the common fields of formats need.
func tell(r Record) told {
	m, known := meanings[r.Type]
	if !known {
		m = meaning{class: apiActivity, activity: activityOther, severity: informational}
	}
	t := told{meaning: m, sentence: sentences[r.Type], operation: Operation(r.Type), failed: m.failed || r.Denied()}
	if t.sentence == "" {
		t.sentence = "a fact of a newer version"
	}
	var data struct {
		User     events.UserID    `json:"user"`
		Session  events.SessionID `json:"session"`
		Code     string           `json:"code"`
		Action   string           `json:"action"`
		Resource string           `json:"resource"`
		Role     string           `json:"role"`
		Grant    events.GrantID   `json:"grant"`
	}
	// A field of another kind in a fact that has none of these is no fault.
	_ = json.Unmarshal(r.Data, &data)
	t.user, t.session, t.code = data.User, data.Session, data.Code
	if id, ok := strings.CutPrefix(r.Stream, string(events.AggregateUser)+"/"); ok {
		t.user = events.UserID(id)
	}
	if r.Type == "sb.access.denied.v1" {
		t.operation, t.resource = data.Action, data.Resource
	}
	if t.role = data.Role; t.role == "" {
		t.role = string(data.Grant)
	}
	return t
}

// Operation is a type of facts without its prefix and its version, such as request.submitted.
func Operation(typ string) string {
	name := strings.TrimPrefix(typ, "sb.")
	if i := strings.LastIndex(name, ".v"); i > 0 {
		name = name[:i]
	}
	return name
}

var sentences = map[string]string{}

func init() {
	for _, k := range events.Catalogue() {
		sentences[k.Type] = k.Sentence
	}
}
