package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// noEnvelope stands for the envelope of a request that has none: the server is asked all
// the same, and says why there is nothing to open.
const noEnvelope = "none"

func revealCommand(a *cli) *cobra.Command {
	var key string
	var all bool
	c := &cobra.Command{
		Use:   "reveal ID",
		Short: "Open a value, once",
		Long: "Opens a value that is ready, once, and writes it alone to standard output; on a terminal a new\n" +
			"line follows, and a value that could control the terminal is written in Go's notation for strings.\n" +
			"With --all each value is one line, KEY=VALUE, with the value in that notation if it is not plain;\n" +
			"with --output json it is one array.",
		Args: takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if all && c.Flags().Changed("key") {
				return usage("--key and --all exclude each other")
			}
			r, err := client.Get[api.Request](c.Context(), to, client.Path("requests", args[0]), nil)
			if err != nil {
				return err
			}
			chosen, err := choose(r.Value.Envelopes, key, c.Flags().Changed("key"), all)
			if err != nil {
				return err
			}
			if chosen[0] == noEnvelope && len(r.Value.Envelopes) > 0 {
				note(c, "the request has values for %s", strings.Join(keysOf(r.Value.Envelopes), ", "))
			}
			// From here on a signal does not end the command: the server spends the
			// value when it answers, so the answer is waited for and written.
			ctx := context.WithoutCancel(c.Context())
			open := func(envelope string) (client.Opened, error) {
				return client.Reveal(ctx, to, r.Value, envelope)
			}
			switch {
			case all && a.output == "json":
				return revealArray(c.OutOrStdout(), chosen, open)
			case all:
				return revealLines(c.OutOrStdout(), chosen, open)
			}
			got, err := open(chosen[0])
			if err != nil {
				return err
			}
			defer got.Value.Zero()
			if a.output == "json" {
				return writeOpened(c.OutOrStdout(), got)
			}
			return writeValue(c, got.Value.Expose(), isTerminal(c.OutOrStdout()))
		}),
	}
	c.Flags().StringVar(&key, "key", "", "the key to open, where several are ready")
	c.Flags().BoolVar(&all, "all", false, "open all that are ready")
	return c
}

// choose finds the envelopes to open, at least one. Where none is ready it is one that
// the server refuses, with its own reason.
func choose(envelopes []api.Envelope, key string, byKey, all bool) ([]string, error) {
	var ready, names, other []string
	for _, e := range envelopes {
		switch {
		case byKey && e.Key != key:
		case e.State == "ready":
			ready, names = append(ready, e.ID), append(names, e.Key)
		default:
			other = append(other, e.ID)
		}
	}
	switch {
	case len(ready) == 0:
		return append(other, noEnvelope)[:1], nil
	case len(ready) > 1 && !all && !byKey:
		slices.Sort(names)
		return nil, fail("key_needed", "several values are ready: choose one with --key, or --all; they are %s", strings.Join(names, ", "))
	case all:
		return ready, nil
	}
	return ready[:1], nil
}

func keysOf(envelopes []api.Envelope) []string {
	var names []string
	for _, e := range envelopes {
		names = append(names, e.Key)
	}
	slices.Sort(names)
	return names
}

// revealArray opens one after the other. What was opened is written at once, and the
// array is whole even if a later one is refused: nobody can open a value again.
func revealArray(out io.Writer, envelopes []string, open func(string) (client.Opened, error)) error {
	for i, id := range envelopes {
		got, err := open(id)
		if err != nil {
			if i > 0 {
				_, _ = io.WriteString(out, "]\n") // the refusal says more than a broken pipe
			}
			return err
		}
		if _, err := io.WriteString(out, "[,"[min(i, 1):min(i, 1)+1]); err != nil {
			return err
		}
		err = writeOpened(out, got)
		got.Value.Zero()
		if err != nil {
			return err
		}
	}
	_, err := io.WriteString(out, "]\n")
	return err
}

func revealLines(out io.Writer, envelopes []string, open func(string) (client.Opened, error)) error {
	for _, id := range envelopes {
		got, err := open(id)
		if err != nil {
			return err
		}
		text := string(got.Value.Expose())
		if !plain(text) || text == "" || strings.ContainsAny(text, "\"\\") {
			text = strconv.Quote(text)
		}
		_, err = fmt.Fprintf(out, "%s=%s\n", clean(got.Key), text)
		got.Value.Zero()
		if err != nil {
			return err
		}
	}
	return nil
}

// plain reports whether a text is printable and on one line.
func plain(text string) bool { return clean(text) == text }

// opened is an opened value in JSON. Exactly one of Value and ValueBase64 is there: the
// second for bytes that are no UTF-8 text.
type opened struct {
	Key         string  `json:"key"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
	Seq         uint64  `json:"seq"`
}

func writeOpened(out io.Writer, got client.Opened) error {
	shown := opened{Key: got.Key, Seq: got.Seq}
	if b := got.Value.Expose(); utf8.Valid(b) {
		text := string(b)
		shown.Value = &text
	} else {
		shown.ValueBase64 = b
	}
	return encode(out, shown)
}

// writeValue writes a value alone. On a terminal, what could control it is written as a
// string in Go's notation: the value is spent, so refusing it would lose it.
func writeValue(c *cobra.Command, value []byte, terminal bool) error {
	out := c.OutOrStdout()
	if !terminal {
		_, err := out.Write(value)
		return err
	}
	lines := bytes.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\t' })
	if !utf8.Valid(value) || slices.ContainsFunc(lines, func(line []byte) bool { return !plain(string(line)) }) {
		note(c, "the value holds characters that could control your terminal and is shown quoted; write it to a file or a pipe to get its bytes")
		value = strconv.AppendQuote(nil, string(value))
		defer clear(value)
	}
	if _, err := out.Write(value); err != nil {
		return err
	}
	_, err := io.WriteString(out, "\n")
	return err
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
