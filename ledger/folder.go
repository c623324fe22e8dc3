package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is a folder of a file system that a log is exported to: [Objects].
type Folder string

var _ Objects = Folder("")

func (f Folder) String() string { return "the folder " + string(f) }

// Top implements [Objects]. A folder that is missing is empty.
func (f Folder) Top(context.Context) ([]string, error) {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries[:min(len(entries), 1000)] {
		name := entry.Name()
		if entry.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names, err
}

func (f Folder) path(name string) string {
	return filepath.Join(string(f), filepath.FromSlash(name))
}

// Open implements [Objects].
func (f Folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	return os.Open(f.path(name))
}

// Make implements [Objects].
func (f Folder) Make(_ context.Context, name string, data io.ReadSeeker) error {
	there, err := os.Open(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return f.write(name, data)
	}
	if err != nil {
		return err
	}
	defer there.Close()
	if same, err := Same(there, data); err != nil || same {
		return err
	}
	return fmt.Errorf("%s: %w", f.path(name), ErrOtherObject)
}

// Replace implements [Objects].
func (f Folder) Replace(_ context.Context, name string, data []byte) error {
	return f.write(name, bytes.NewReader(data))
}

// write replaces a file whole and durably, and the folders above it.
func (f Folder) write(name string, data io.Reader) error {
	path := f.path(name)
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = io.Copy(file, data)
	if err := errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	for ; len(dir) >= len(filepath.Clean(string(f))); dir = filepath.Dir(dir) {
		in, err := os.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(in.Sync(), in.Close()); err != nil || dir == filepath.Dir(dir) {
			return err
		}
	}
	return nil
}

// Remove implements [Objects]. A folder that it leaves empty goes, too.
func (f Folder) Remove(_ context.Context, name string) error {
	path := f.path(name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if dir := filepath.Dir(path); dir != filepath.Clean(string(f)) {
		_ = os.Remove(dir) // if it is empty
	}
	return nil
}
