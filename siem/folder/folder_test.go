package folder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/siem"
	"secretsbridge/siem/folder"
)

// commit has as many facts as it is told.
func commit(t *testing.T, seq, facts int, day time.Time) []siem.Record {
	t.Helper()
	var all []events.Event
	for n := range facts {
		all = append(all, events.Event{
			ID: events.EventID(fmt.Sprintf("c_%d.%d", seq, n)), Stream: events.AccessStream("user:u_1"), Time: day, Actor: "user:u_1", Command: "c_1",
			Fact: events.AccessDenied{Action: "a", Resource: strings.Repeat("long\n", 40), Code: "forbidden"},
		})
	}
	raw, err := events.Encode(all)
	if err != nil {
		t.Fatal(err)
	}
	records, err := siem.Records(events.Seq(seq), raw)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func origin(text string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return text, nil }
}

// lines are all lines of a folder, file by file.
func lines(t *testing.T, dir string) (names []string, all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", e.Name(), info.Mode())
		}
		if !strings.HasPrefix(e.Name(), "audit-") {
			continue
		}
		names = append(names, e.Name())
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.SplitAfter(string(text), "\n")...)
		if last := len(all) - 1; all[last] == "" {
			all = all[:last]
		}
	}
	return names, all
}

// inOrder reports whether lines are the facts of commits with two facts each, from the first on.
func inOrder(t *testing.T, f siem.Format, all []string, commits int) {
	t.Helper()
	if len(all) != 2*commits {
		t.Fatalf("%d lines, want %d", len(all), 2*commits)
	}
	for i, line := range all {
		seq, place, err := f.At([]byte(line))
		if err != nil || int(seq) != 1+i/2 || place != i%2 {
			t.Fatalf("line %d stands at %d.%d, %v", i, seq, place, err)
		}
	}
}

// TestAFolderIsWrittenOnce gives records twice, in several terms, and cuts what was not settled at
// every byte of a line.
func TestAFolderIsWrittenOnce(t *testing.T) {
	t.Parallel()
	for _, format := range siem.Formats {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "audit")
			f := &folder.Folder{Dir: dir, Format: format, Origin: origin("one"), Max: 4000}
			write := func(from, to int) {
				t.Helper()
				for seq := from; seq <= to; seq++ {
					if err := f.Write(t.Context(), commit(t, seq, 2, noon.Add(time.Duration(seq)*time.Hour))); err != nil {
						t.Fatal(err)
					}
				}
				if err := f.Settle(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			write(1, 20)
			f.Close()
			write(1, 25)
			f.Close()
			f.Close() // once more changes nothing
			write(18, 30)
			names, all := lines(t, dir)
			inOrder(t, format, all, 30)
			if len(names) < 3 || !strings.Contains(names[0], "audit-00000000000000000001-20261128.") || !strings.Contains(names[len(names)-1], "-20261129.") {
				t.Errorf("files: %v", names)
			}
			newest := filepath.Join(dir, names[len(names)-1])
			text, err := os.ReadFile(newest)
			if err != nil {
				t.Fatal(err)
			}
			for _, left := range []int{0, 1, len(text) / 3, len(text) / 2, len(text) - 2, len(text) - 1} {
				f.Close()
				if err := os.WriteFile(newest, text[:left], 0o600); err != nil {
					t.Fatal(err)
				}
				write(1, 30)
				_, all := lines(t, dir)
				inOrder(t, format, all, 30)
			}
		})
	}
}

func TestAnotherFormatBeginsAnotherFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := &folder.Folder{Dir: dir, Format: siem.CEF, Origin: origin("one")}
	if err := one.Write(t.Context(), commit(t, 1, 2, noon)); err != nil {
		t.Fatal(err)
	}
	other := &folder.Folder{Dir: dir, Format: siem.OCSF, Origin: origin("one")}
	if err := other.Write(t.Context(), commit(t, 2, 2, noon)); !errors.Is(err, folder.ErrInUse) {
		t.Fatalf("two write at once: %v", err)
	}
	one.Close()
	if err := other.Write(t.Context(), append(commit(t, 1, 2, noon), commit(t, 2, 2, noon)...)); err != nil {
		t.Fatal(err)
	}
	other.Close()
	names, all := lines(t, dir)
	if len(names) != 2 || len(all) != 4 || !strings.HasPrefix(all[0], "CEF:0|") || !strings.HasPrefix(all[2], "{") {
		t.Errorf("%v: %v", names, all)
	}
}

func TestAFolderIsOfOneLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := &folder.Folder{Dir: dir, Format: siem.CEF, Origin: origin("one")}
	if err := f.Write(t.Context(), commit(t, 1, 1, noon)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	f.Origin = origin("another")
	if err := f.Write(t.Context(), commit(t, 2, 1, noon)); !errors.Is(err, folder.ErrForeign) {
		t.Errorf("facts of another log: %v", err)
	}
	f.Origin = origin("one")
	names, _ := lines(t, dir)
	damaged := filepath.Join(dir, names[0])
	if err := os.WriteFile(damaged, append(bytes.Repeat([]byte("x"), 50), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), commit(t, 2, 1, noon)); !errors.Is(err, folder.ErrDamaged) || !strings.Contains(err.Error(), names[0]) {
		t.Errorf("a damaged file: %v", err)
	}
}

// TestAFolderThatCannotBeWrittenSaysSo writes into what is none.
func TestAFolderThatCannotBeWrittenSaysSo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := folder.Check(dir); err == nil {
		t.Error("a file passes as a folder")
	}
	f := &folder.Folder{Dir: dir, Format: siem.CEF, Origin: origin("one")}
	if err := f.Write(t.Context(), commit(t, 1, 1, noon)); err == nil {
		t.Error("records were written into nothing")
	}
	if err := folder.Check(filepath.Join(t.TempDir(), "a", "b")); err != nil {
		t.Errorf("a folder that is not there yet: %v", err)
	}
}
