package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"secretsbridge/events"
)

// ErrTooMuch says that there are more files, or more in them, than is read.
var ErrTooMuch = errors.New("there is more than is read at once")

// Read reads all files below a directory that end in .yaml or .yml, but none whose name, or
// whose folder's, begins with a dot. What is wrong with them comes as faults, sorted; the set
// then has the objects that are right. An error is one of reading.
func Read(dir fs.FS) (*Set, []Fault, error) {
	r := &reader{set: &Set{places: map[events.ObjectRef]place{}}}
	err := fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(base, "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir() || !strings.HasSuffix(base, ".yaml") && !strings.HasSuffix(base, ".yml"):
			return nil
		}
		return r.file(dir, name)
	})
	if err != nil {
		return nil, nil, err
	}
	return r.end()
}

// ReadFile is [Read] for one file.
func ReadFile(dir fs.FS, name string) (*Set, []Fault, error) {
	r := &reader{set: &Set{places: map[events.ObjectRef]place{}}}
	if err := r.file(dir, name); err != nil {
		return nil, nil, err
	}
	return r.end()
}

type reader struct {
	set    *Set
	faults []Fault
	files  int
	bytes  int
}

func (r *reader) end() (*Set, []Fault, error) {
	slices.SortFunc(r.set.Objects, func(a, b events.Object) int { return a.Ref().Compare(b.Ref()) })
	SortFaults(r.faults)
	return r.set, r.faults, nil
}

// file reads one file. What a link leads to counts; what is no regular file may never end.
func (r *reader) file(dir fs.FS, name string) error {
	if r.files++; r.files > MaxFiles {
		return fmt.Errorf("%w: more than %d files", ErrTooMuch, MaxFiles)
	}
	info, err := fs.Stat(dir, name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		r.wrong(Fault{File: name, Problem: "it is no regular file"})
		return nil
	}
	file, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, MaxFileBytes+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if r.bytes += len(text); r.bytes > MaxBytes {
		return fmt.Errorf("%w: more than %d MiB", ErrTooMuch, MaxBytes>>20)
	}
	switch {
	case len(text) > MaxFileBytes:
		r.wrong(Fault{File: name, Problem: fmt.Sprintf("it has more than %d MiB", MaxFileBytes>>20)})
	case !utf8.Valid(text):
		r.wrong(Fault{File: name, Problem: "it is no UTF-8 text"})
	default:
		r.parse(name, string(text))
	}
	return nil
}

// take adds an object, unless its name is taken.
func (r *reader) take(o events.Object, at place) {
	if before, ok := r.set.places[o.Ref()]; ok {
		r.wrong(Fault{
			File: at.file, Line: at.line, Kind: o.Kind, Name: o.Name, Problem: fmt.Sprintf("it is there twice: %s:%d has it, too", before.file, before.line),
		})
		return
	}
	r.set.places[o.Ref()] = at
	r.set.Objects = append(r.set.Objects, Tidy(o))
}
