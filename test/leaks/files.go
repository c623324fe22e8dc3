package leaks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Files looks at every regular file below a folder. A file that goes away meanwhile, as a
// database's do, is left out. It returns how many files it read.
func (s *Search) Files(dir string) (hits []Hit, files int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer file.Close()
		found, _, err := s.Reader(path, file)
		hits, files = append(hits, found...), files+1
		return err
	})
	if err != nil {
		return hits, files, fmt.Errorf("search below %s: %w", dir, err)
	}
	return hits, files, nil
}
