package siem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"secretsbridge/events"
	"secretsbridge/siem"
	"secretsbridge/transparency"
)

// commits are all facts ever written, as package events keeps them, each in a commit.
func commits(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, k := range events.Catalogue() {
		data, err := os.ReadFile("../events/testdata/" + k.Type + ".json")
		if err != nil {
			t.Fatal(err)
		}
		stored, err := events.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		fact := stored[0].Fact
		raw, err := events.Encode([]events.Event{
			{ID: "c_1.0", Stream: events.Stream{Aggregate: k.Aggregate, ID: "u_subject"}, Time: time.Date(2026, 11, 28, 9, 0, 0, 123456789, time.UTC),
				Actor: "user:u_actor", Correlation: "x_1", Command: "c_1", Fact: fact},
			{ID: "c_1.1", Stream: events.Stream{Aggregate: k.Aggregate, ID: "u_subject"}, Time: time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC),
				Actor: "user:u_actor", Correlation: "x_1", Command: "c_1", Fact: fact},
		})
		if err != nil {
			t.Fatal(err)
		}
		all[k.Type] = raw
	}
	return all
}

// records are those of a commit.
func records(t interface{ Fatal(...any) }, seq events.Seq, raw []byte) []siem.Record {
	all, err := siem.Records(seq, raw)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryFactSaysWhereItStands(t *testing.T) {
	t.Parallel()
	for typ, raw := range commits(t) {
		for place, r := range records(t, 184_211, raw) {
			for _, f := range siem.Formats {
				for _, most := range []int{0, siem.MinRecord} {
					line, err := f.Append([]byte("before "), r, most)
					if err != nil {
						t.Fatalf("%s as %s: %v", typ, f, err)
					}
					line = line[len("before "):]
					seq, at, err := f.At(line)
					if err != nil || seq != 184_211 || at != place {
						t.Errorf("%s as %s stands at %d.%d, %v", typ, f, seq, at, err)
					}
					if leaf := transparency.LeafHash(raw); !strings.Contains(string(line), siem.Record{Leaf: leaf}.Hash()[:43]) {
						t.Errorf("%s as %s has no hash: %s", typ, f, line)
					}
					if most > 0 && len(line) > most {
						t.Errorf("%s as %s has %d bytes", typ, f, len(line))
					}
				}
			}
		}
	}
}

// TestACloudEventIsWhatIsStored takes the three attributes away again.
func TestACloudEventIsWhatIsStored(t *testing.T) {
	t.Parallel()
	for typ, raw := range commits(t) {
		var stored []json.RawMessage
		if err := json.Unmarshal(raw, &stored); err != nil {
			t.Fatal(err)
		}
		for place, r := range records(t, 7, raw) {
			line, err := siem.CloudEvents.Append(nil, r, 0)
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf(`%s,"sequence":"00000000000000000007.00%d","leafhash":"%s"}`, stored[place][:len(stored[place])-1], place, r.Hash())
			if string(line) != want {
				t.Errorf("%s:\n%s\nwant\n%s", typ, line, want)
			}
		}
	}
}

// hostile draws what people type to be taken for something else.
func hostile() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{
				"\n", "\r\n", "|", `\`, `\\|`, "=", `\=`, "]", `"`, `"]`, "\u2028", "\u0085", "\x00", "\x1b[2J", "\u202e", "<108>1 ", "CEF:0|", " cn1=9 cn1Label=sequence cn2=9 ",
				" act=nothing", `","sequence":"9.9`, "}{", "\u00e4", "\U0001f600", "\ufeff", " ", "\t", "12 <",
			}),
			rapid.String(),
		), 0, 12).Draw(t, "parts")
		return strings.Join(parts, "")
	})
}

// TestWhatPeopleTypeStaysInItsPlace puts hostile text into every text of some facts.
func TestWhatPeopleTypeStaysInItsPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := hostile()
		facts := []events.Fact{
			events.AccessDenied{Action: text.Draw(t, "action"), Resource: text.Draw(t, "resource"), Code: text.Draw(t, "code")},
			events.UserDisabled{Reason: text.Draw(t, "reason")},
			events.SessionRevoked{User: events.UserID(text.Draw(t, "user")), Session: events.SessionID(text.Draw(t, "session")), Cause: text.Draw(t, "cause")},
			events.GrantGiven{Grant: "g_1", Role: text.Draw(t, "role"), Reason: text.Draw(t, "why")},
		}
		fact := rapid.SampledFrom(facts).Draw(t, "fact")
		raw, err := events.Encode([]events.Event{{
			ID: events.EventID(text.Draw(t, "id")), Stream: events.Stream{Aggregate: "access", ID: "a"}, Time: time.Unix(0, 0), Actor: events.Actor(text.Draw(t, "actor")),
			Correlation: events.CorrelationID(text.Draw(t, "correlation")), Command: events.CommandID(text.Draw(t, "command")), Fact: fact,
		}})
		if err != nil {
			t.Fatal(err)
		}
		most := rapid.SampledFrom([]int{0, siem.MinRecord}).Draw(t, "most")
		for _, r := range records(t, 3, raw) {
			for _, f := range siem.Formats {
				line, err := f.Append(nil, r, most)
				if err != nil {
					t.Fatalf("%s: %v", f, err)
				}
				check(t, f, string(line), r)
			}
		}
	})
}

// check reads a record as its receiver does.
func check(t interface {
	Errorf(string, ...any)
	Fatalf(string, ...any)
}, f siem.Format, line string, r siem.Record) {
	if !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n\x00\x1b") {
		t.Fatalf("%s is no line: %q", f, line)
	}
	if seq, place, err := f.At([]byte(line)); err != nil || seq != r.Seq || place != r.Place {
		t.Errorf("%s stands at %d.%d, %v: %q", f, seq, place, err, line)
	}
	if f == siem.CEF {
		header, fields, err := parseCEF(line)
		if err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if header[0] != "CEF:0" || header[4] != r.Type || fields["cs1"] != r.Stream || fields["cs3"] != r.Hash() || fields["cn2"] != fmt.Sprint(r.Place) {
			t.Errorf("%q of %v in %q", header, fields, line)
		}
		for key := range fields {
			if !slices.Contains(cefKeys, key) {
				t.Errorf("a field %q in %q", key, line)
			}
		}
		return
	}
	dec := json.NewDecoder(strings.NewReader(line))
	var m map[string]any
	if err := dec.Decode(&m); err != nil || dec.More() {
		t.Fatalf("%s is no JSON object: %v: %q", f, err, line)
	}
}

var cefKeys = strings.Fields(`cn1 cn1Label cn2 cn2Label cn3 cn3Label rt externalId suid duid act outcome reason request
	cs1 cs1Label cs2 cs2Label cs3 cs3Label cs4 cs4Label cs5 cs5Label`)

// parseCEF reads a record by the rules of its format: seven bars part the header, and a key is a
// word before "=" at the beginning or behind a space, neither of which is escaped.
func parseCEF(line string) (header []string, fields map[string]string, err error) {
	var part strings.Builder
	i := 0
	for ; i < len(line) && len(header) < 7; i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && strings.ContainsRune(`\|`, rune(line[i+1])):
			i++
			part.WriteByte(line[i])
		case line[i] == '\\':
			return nil, nil, errors.New("a header escapes what needs no escape")
		case line[i] == '|':
			header = append(header, part.String())
			part.Reset()
		default:
			part.WriteByte(line[i])
		}
	}
	if len(header) != 7 {
		return nil, nil, fmt.Errorf("%d parts of a header", len(header))
	}
	fields = map[string]string{}
	rest := line[i:]
	var keys, ends []int // where keys begin, and their "="
	for at := 0; at < len(rest); at++ {
		switch rest[at] {
		case '\\':
			at++
		case '=':
			begin := strings.LastIndexByte(rest[:at], ' ') + 1
			keys, ends = append(keys, begin), append(ends, at)
		}
	}
	for n, begin := range keys {
		end := len(rest)
		if n+1 < len(keys) {
			end = keys[n+1] - 1
		}
		key := rest[begin:ends[n]]
		if _, twice := fields[key]; twice || key == "" {
			return nil, nil, fmt.Errorf("key %q twice, or none", key)
		}
		fields[key] = strings.NewReplacer(`\\`, `\`, `\=`, "=", `\n`, "\n", `\r`, "\r").Replace(rest[ends[n]+1 : end])
	}
	return header, fields, nil
}

func TestARecordThatIsTooLongLosesItsDataAndSaysSo(t *testing.T) {
	t.Parallel()
	raw, err := events.Encode([]events.Event{{
		ID: "c_1.0", Stream: events.RequestStream("r_1"), Actor: "user:u_1", Command: "c_1",
		Fact: events.UserDisabled{Reason: strings.Repeat(`"=\|`, 100_000)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := records(t, 9, raw)[0]
	for f, says := range map[siem.Format]string{siem.CloudEvents: `"datacut":true`, siem.OCSF: `"is_truncated":true`, siem.CEF: fmt.Sprintf("cn3=%d ", len(r.Data))} {
		line, err := f.Append(nil, r, siem.MinRecord)
		if err != nil {
			t.Fatal(err)
		}
		if len(line) > siem.MinRecord || !strings.Contains(string(line), says) {
			t.Errorf("%s has %d bytes and says not %s: %.200s", f, len(line), says, line)
		}
		check(t, f, string(line), r)
		if _, err := f.Append(nil, r, 200); !errors.Is(err, siem.ErrBound) {
			t.Errorf("%s in 200 bytes: %v", f, err)
		}
	}
	if _, err := siem.Format("leef").Append(nil, r, 0); err == nil {
		t.Error("a format that there is not writes")
	}
}

func TestWhatIsNoCommitIsRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "[]", "{}", "[1]", `[{"type":""}]`, `[{"type":"x"}`, "[{\"type\":\"a\xff\"}]"} {
		if _, err := siem.Records(1, []byte(raw)); !errors.Is(err, siem.ErrNoCommit) {
			t.Errorf("%q: %v", raw, err)
		}
	}
	newer := `[{"specversion":"1.0","id":"c_9.0","source":"/x","type":"sb.request.paused.v1","subject":"request/r_1","time":"2030-01-01T00:00:00Z","data":{"user":7}}]`
	for _, f := range siem.Formats {
		line, err := f.Append(nil, records(t, 1, []byte(newer))[0], 0)
		if err != nil || !strings.Contains(string(line), "sb.request.paused.v1") {
			t.Errorf("what a newer version wrote as %s: %v, %s", f, err, line)
		}
	}
	for _, line := range []string{"", "{}", "CEF:0|", `CEF:0|a|b|c|d|e|f|cn1=0 cn1Label=sequence cn2=0 `, `{"sequence":"1"}`, `{"metadata":{"sequence":1}}`} {
		for _, f := range siem.Formats {
			if _, _, err := f.At([]byte(line)); err == nil {
				t.Errorf("%q as %s stands somewhere", line, f)
			}
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(`[{"id":"c_1.0","type":"sb.request.submitted.v1","subject":"request/r_1","time":"2026-11-28T00:00:00Z","data":{"reason":"a=b|c"}}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := siem.Records(5, raw)
		if err != nil {
			return
		}
		for _, r := range all {
			for _, format := range siem.Formats {
				for _, most := range []int{0, siem.MinRecord} {
					line, err := format.Append(nil, r, most)
					if err != nil {
						t.Fatalf("%s: %v", format, err)
					}
					if strings.ContainsAny(string(line), "\r\n") || most > 0 && len(line) > most {
						t.Fatalf("%s: %q", format, line)
					}
				}
			}
		}
	})
}
