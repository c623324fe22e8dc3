// Package private keeps files that nobody but their owner may touch, and that are whole after a
// crash.
package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Mode is that of the files.
const Mode fs.FileMode = 0o600

// TempPrefix begins the name of a file that is still being written. After a crash one may be left.
const TempPrefix = ".tmp-"

// maxFile bounds what is read: a CA bundle and a JWT are a few kilobytes.
const maxFile = 1 << 20

// Replace puts content under name in one step: a crash leaves the old file or the new one, whole,
// and after the return a power cut does, too.
func Replace(dir, name string, content []byte) error {
	temp, err := os.CreateTemp(dir, TempPrefix+"*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // in vain after the rename
	_, err = temp.Write(content)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Read reads a file. It refuses one that others may read or write, and one of more than a
// megabyte.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path)
	case Exposed(info):
		return nil, fmt.Errorf("others may read or write %s (mode %v): run chmod 600 on it", path, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("%s is too large", path)
	}
	return content, err
}

// Exposed reports whether others may read or write a file that holds a secret. Group may read one that
// root owns, in a process that is not root: so do Kubernetes, for a Secret with fsGroup, and systemd,
// for a credential, give a file to one account. Who is in that group is then root's choice.
func Exposed(info fs.FileInfo) bool {
	allowed := fs.FileMode(0o700)
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid == 0 && os.Geteuid() != 0 {
		allowed |= 0o040
	}
	return info.Mode().Perm()&^allowed != 0
}

// Dir refuses a directory in which others could put files of their own.
func Dir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others may write to %s (mode %v): run chmod 700 on it", dir, info.Mode().Perm())
	}
	return nil
}
