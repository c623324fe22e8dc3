package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"pgregory.net/rapid"

	"secretsbridge/web/api/client"
)

func TestCleanTextIsPrintable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		got := clean(text)
		for _, r := range got {
			if !strconv.IsPrint(r) {
				t.Fatalf("clean(%q) = %q", text, got)
			}
		}
		if clean(got) != got {
			t.Fatalf("clean(%q) is not clean", text)
		}
	})
}

func TestJSONIsPrintableAndMeansTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		raw, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := writeJSON(&out, raw); err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSuffix(out.String(), "\n")
		for _, r := range line {
			if !strconv.IsPrint(r) {
				t.Fatalf("%q holds %q", line, r)
			}
		}
		var got string
		if err := json.Unmarshal([]byte(line), &got); err != nil || got != want {
			t.Fatalf("%q came back as %q (%v)", want, got, err)
		}
	})
}

func TestValuesOnATerminal(t *testing.T) {
	for name, c := range map[string]struct {
		value, out string
		noted      bool
	}{
		"a plain value has a line end":              {"s3cret", "s3cret\n", false},
		"lines and tabs are plain":                  {"a\tb\nc\n", "a\tb\nc\n\n", false},
		"letters of any script are plain":           {"pässwörd 密码", "pässwörd 密码\n", false},
		"an escape is quoted, and nothing is lost":  {"a\x1b]0;x\x07", `"a\x1b]0;x\a"` + "\n", true},
		"a carriage return could hide what is left": {"good\rbad", `"good\rbad"` + "\n", true},
		"bytes are quoted":                          {"\xff\x00", `"\xff\x00"` + "\n", true},
		"a C1 control is quoted":                    {"\u009b2J", `"\u009b2J"` + "\n", true},
		"a mark that turns the line is quoted":      {"a\u202eb", `"a\u202eb"` + "\n", true},
		"an empty value is an empty line":           {"", "\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			var out, notes bytes.Buffer
			command := &cobra.Command{}
			command.SetOut(&out)
			command.SetErr(&notes)
			if err := writeValue(command, []byte(c.value), true); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.out, out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if noted := notes.Len() > 0; noted != c.noted {
				t.Errorf("noted %q", notes.String())
			}
			out.Reset()
			if err := writeValue(command, []byte(c.value), false); err != nil || out.String() != c.value {
				t.Errorf("into a pipe it is %q (%v)", out.String(), err)
			}
		})
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 89 * time.Second: "89s", 90 * time.Second: "2m", 89 * time.Minute: "89m", 90 * time.Minute: "2h",
		47 * time.Hour: "47h", 49 * time.Hour: "2d",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestAListThatComesInPartsKeepsItsColumns(t *testing.T) {
	items := func(names ...string) (items []client.Item[string]) {
		for _, name := range names {
			raw, err := json.Marshal(name)
			if err != nil {
				t.Fatal(err)
			}
			items = append(items, client.Item[string]{Value: name, Raw: raw})
		}
		return items
	}
	for output, want := range map[string]string{
		"text": "NAME  LETTERS\nlong  4\né     1\nlonger  6\na       1\n\\x1b    1\n",
		"json": `["long","é","longer","a","\u001b"]` + "\n",
	} {
		var out bytes.Buffer
		l := newListed(&cli{output: output}, &out, "NAME LETTERS", func(s string) [][]string {
			return [][]string{{s, strconv.Itoa(len([]rune(s)))}}
		})
		for _, part := range [][]client.Item[string]{items("long", "é"), items(), items("longer", "a", "\x1b")} {
			if err := l.add(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", output, diff)
		}
	}
}

func TestATableOfTheServersIsHarmlessOnATerminal(t *testing.T) {
	const text = "a,b\r\n\"x\x1b[2J\",\u202ey\r\n"
	for terminal, want := range map[bool]string{true: "a,b\n\"x\\x1b[2J\",\\u202ey\n", false: text} {
		var out bytes.Buffer
		if err := writeCSV(&out, []byte(text), terminal); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("terminal %v (-want +got):\n%s", terminal, diff)
		}
	}
}
