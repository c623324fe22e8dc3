package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"secretsbridge/web/api/client"
)

// clean makes text of unknown origin safe to show: what is not printable, such as the
// control characters that move a terminal's cursor or the marks that turn the direction
// of a line, becomes an escape sequence that one can read.
func clean(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// writeJSON writes one object of the API on one line, as it came: what is not printable is
// escaped, which means the same in JSON and nothing to a terminal.
func writeJSON(w io.Writer, raw []byte) error {
	out, err := printableJSON(raw)
	if err != nil {
		return err
	}
	_, err = w.Write(append(out, '\n'))
	clear(out) // it may hold a value
	return err
}

// printableJSON is one object on one line, without a line end.
func printableJSON(raw []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, fmt.Errorf("%w: it is no JSON", client.ErrAnswer)
	}
	text := b.Bytes()
	defer clear(text) // it may hold a value
	var out bytes.Buffer
	out.Grow(len(text) + 1)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			out.WriteString(`\ufffd`)
		case strconv.IsPrint(r):
			out.Write(text[:size])
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
		text = text[size:]
	}
	return out.Bytes(), nil
}

// encode writes what this program itself says as JSON.
func encode(w io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeJSON(w, raw)
}

// show writes one object: as it came, or as text says.
func show[T any](a *cli, w io.Writer, item client.Item[T], text func(T) string) error {
	if a.output == "json" {
		return writeJSON(w, item.Raw)
	}
	_, err := io.WriteString(w, text(item.Value))
	return err
}

// list writes objects: as one JSON array, or as a table with a line for each.
func list[T any](a *cli, w io.Writer, items []client.Item[T], head string, line func(T) []string) error {
	l := newListed(a, w, head, func(v T) [][]string { return [][]string{line(v)} })
	if err := l.add(items); err != nil {
		return err
	}
	return l.end()
}

// listed writes a list that comes in parts, each as it comes: as one JSON array, or as a
// table whose columns are as wide as the parts so far needed.
type listed[T any] struct {
	json   bool
	out    io.Writer
	lines  func(T) [][]string // of one object in a table
	head   []string
	widths []int
	begun  bool
}

func newListed[T any](a *cli, w io.Writer, head string, lines func(T) [][]string) *listed[T] {
	names := strings.Split(head, " ")
	return &listed[T]{json: a.output == "json", out: w, lines: lines, head: names, widths: make([]int, len(names))}
}

// add writes some more.
func (l *listed[T]) add(items []client.Item[T]) error {
	if l.json {
		return l.addJSON(items)
	}
	var rows [][]string
	if !l.begun {
		l.begun, rows = true, [][]string{l.head}
	}
	for _, item := range items {
		for _, row := range l.lines(item.Value) {
			rows = append(rows, cleaned(row))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			l.widths[i] = max(l.widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		last := len(row) - 1
		for i, cell := range row[:last] {
			b.WriteString(cell + strings.Repeat(" ", l.widths[i]-utf8.RuneCountInString(cell)+2))
		}
		b.WriteString(row[last] + "\n")
	}
	_, err := io.WriteString(l.out, b.String())
	return err
}

func (l *listed[T]) addJSON(items []client.Item[T]) error {
	for _, item := range items {
		text, err := printableJSON(item.Raw)
		if err != nil {
			return err
		}
		before := byte(',')
		if !l.begun {
			l.begun, before = true, '['
		}
		if _, err := l.out.Write(append([]byte{before}, text...)); err != nil {
			return err
		}
	}
	return nil
}

// end writes what is behind the last part.
func (l *listed[T]) end() error {
	if !l.json {
		return l.add(nil) // the head, where there was nothing
	}
	text := "]\n"
	if !l.begun {
		text = "[]\n"
	}
	_, err := io.WriteString(l.out, text)
	return err
}

// fields writes pairs of a name and a value, one a line, without those that are empty.
func fields(pairs ...string) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", pairs[i], clean(pairs[i+1]))
		}
	}
	_ = t.Flush() // into memory
	return b.String()
}

func cleaned(cells []string) []string {
	for i := range cells {
		if cells[i] = clean(cells[i]); cells[i] == "" {
			cells[i] = "-"
		}
	}
	return cells
}

// short cuts a text for a table.
func short(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return s
}

// when is a moment for people: the clock on the wall, and how far that is from now.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST") + " (" + ago(t) + ")"
}

func whenever(t *time.Time) string {
	if t == nil {
		return ""
	}
	return when(*t)
}

// ago says how far a moment is from now, in one unit.
func ago(t time.Time) string {
	d := time.Since(t)
	if d < 0 {
		return "in " + span(-d)
	}
	return span(d) + " ago"
}

// span rounds a duration to one unit.
func span(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return strconv.Itoa(int(d.Round(time.Second)/time.Second)) + "s"
	case d < 90*time.Minute:
		return strconv.Itoa(int(d.Round(time.Minute)/time.Minute)) + "m"
	case d < 2*day:
		return strconv.Itoa(int(d.Round(time.Hour)/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d.Round(day)/day)) + "d"
}
