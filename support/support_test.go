package support_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/support"
	"secretsbridge/support/supporttest"
)

// TestABundleHasWhatCouldBeMade has documents that fail, break, hang and are too long: the others are
// whole, and the manifest says what is missing.
func TestABundleHasWhatCouldBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		says := func(name, text string, err error) support.Document {
			return support.Document{Name: name, About: "about " + name, Write: func(_ context.Context, to io.Writer) error {
				_, also := io.WriteString(to, text)
				return errors.Join(err, also)
			}}
		}
		b := support.Bundle{
			Program: "test", Version: "1", At: time.Now(), Hide: func(s string) string { return strings.ReplaceAll(s, "hush5b1", "[hidden]") },
			Documents: []support.Document{
				says("whole.txt", "hush5b1 of somebody@example.org <x.y+z@sub.example.org>, not a@b, and @2x", nil),
				says("half.txt", "the beginning", errors.New("away: hush5b1")),
				{Name: "broken.txt", Write: func(context.Context, io.Writer) error { panic("hush5b1 is nil") }},
				{Name: "slow.txt", Write: func(ctx context.Context, _ io.Writer) error { <-ctx.Done(); return ctx.Err() }},
				says("long.txt", strings.Repeat("0123456789abcdef", support.MaxDocument/16+1), nil),
				says("binary.txt", "a\xff\xfeb", nil),
				support.JSON("value.json", "a value", func(context.Context) (any, error) { return map[string]int{"x": 1}, nil }),
			},
		}
		var file bytes.Buffer
		if err := b.Write(t.Context(), &file); err != nil {
			t.Fatal(err)
		}
		found := supporttest.Unpack(t, file.Bytes())
		if got, want := found["whole.txt"], "[hidden] of [address] <[address]>, not a@b, and @2x"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if len(found["long.txt"]) != support.MaxDocument || found["half.txt"] != "the beginning" || found["binary.txt"] != "ab" || found["value.json"] != "{\n  \"x\": 1\n}\n" {
			t.Errorf("%d bytes of long.txt, %q, %q, %q", len(found["long.txt"]), found["half.txt"], found["binary.txt"], found["value.json"])
		}
		var m struct {
			Format    string
			Not       []string `json:"not_in_it"`
			Documents []struct {
				Name, Error string
				Cut         bool
			}
		}
		if err := json.Unmarshal([]byte(found["manifest.json"]), &m); err != nil || m.Format != support.Format || len(m.Not) == 0 || len(m.Documents) != 7 {
			t.Fatalf("%s, %v", found["manifest.json"], err)
		}
		for _, d := range m.Documents {
			if want := map[string]string{"half.txt": "away: [hidden]", "broken.txt": "it broke: [hidden] is nil", "slow.txt": "context deadline exceeded"}[d.Name]; d.Error != want || d.Cut != (d.Name == "long.txt") {
				t.Errorf("%+v, want %q", d, want)
			}
		}
	})
}

func TestABundleIsBounded(t *testing.T) {
	b := support.Bundle{At: time.Now()}
	for _, name := range []string{"1", "2", "3", "4", "5", "6"} {
		b.Documents = append(b.Documents, support.Document{Name: name, Write: func(_ context.Context, to io.Writer) error {
			_, err := to.Write(bytes.Repeat([]byte("x"), support.MaxDocument))
			return err
		}})
	}
	var file bytes.Buffer
	if err := b.Write(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	all := 0
	for name, text := range supporttest.Unpack(t, file.Bytes()) {
		if name != "manifest.json" {
			all += len(text)
		}
	}
	if all != support.MaxBundle {
		t.Errorf("%d bytes, want %d", all, support.MaxBundle)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := b.Write(stopped, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever asked has gone: %v", err)
	}
}
