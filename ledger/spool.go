package ledger

import (
	"bytes"
	"io"
	"os"
)

// spoolMemory is how many bytes of a bundle are held in memory. Most have less than 1 MB; one of 256
// commits of the largest size has 240 MB.
const spoolMemory = 8 << 20

// spool holds a bundle until it is put: in memory, or beyond [spoolMemory] in a file without a name.
type spool struct {
	small bytes.Buffer
	large *os.File
	size  int64
}

func (s *spool) Write(p []byte) (int, error) {
	if s.large == nil && s.size+int64(len(p)) > spoolMemory {
		file, err := os.CreateTemp("", "sb-bundle-*")
		if err != nil {
			return 0, err
		}
		s.large = file
		if err := os.Remove(file.Name()); err != nil {
			return 0, err
		}
		if _, err := s.small.WriteTo(file); err != nil {
			return 0, err
		}
	}
	to := io.Writer(&s.small)
	if s.large != nil {
		to = s.large
	}
	n, err := to.Write(p)
	s.size += int64(n)
	return n, err
}

// reader reads all of it, from the beginning.
func (s *spool) reader() io.ReadSeeker {
	if s.large != nil {
		return io.NewSectionReader(s.large, 0, s.size)
	}
	return bytes.NewReader(s.small.Bytes())
}

// reset empties it.
func (s *spool) reset() (err error) {
	if s.large != nil {
		err = s.large.Close()
	}
	s.small.Reset()
	s.large, s.size = nil, 0
	return err
}
