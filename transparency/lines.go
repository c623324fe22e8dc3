package transparency

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
)

// lines reads an events file: line i is the commit with sequence i, exactly as it is stored. It holds
// one line at a time.
type lines struct {
	from  *bufio.Reader
	bytes int64
}

func newLines(from io.Reader) *lines {
	return &lines{from: bufio.NewReaderSize(from, events.MaxCommitBytes+2)}
}

// line is good until the next one is read. Of one that is longer than a commit may be, raw is nil.
type line struct {
	raw  []byte
	hash tlog.Hash
}

// next returns io.EOF behind the last line. That one may lack its newline.
func (l *lines) next() (line, error) {
	raw, err := l.from.ReadSlice('\n')
	l.bytes += int64(len(raw))
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return l.skip(raw)
	case err != nil && (!errors.Is(err, io.EOF) || len(raw) == 0):
		return line{}, err
	}
	raw = bytes.TrimSuffix(raw, []byte("\n"))
	return line{raw, LeafHash(raw)}, nil
}

// skip leaves out the rest of a line that is longer than any commit. What there was of it stands for
// it: no commit has that hash.
func (l *lines) skip(begin []byte) (line, error) {
	cut := line{hash: LeafHash(begin)}
	for {
		rest, err := l.from.ReadSlice('\n')
		l.bytes += int64(len(rest))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err == nil, errors.Is(err, io.EOF):
			return cut, nil
		default:
			return line{}, err
		}
	}
}

// shaped reports whether a line looks like a commit at both ends, which costs nothing.
func shaped(raw []byte) bool {
	return len(raw) <= events.MaxCommitBytes && bytes.HasPrefix(raw, []byte("[{")) && bytes.HasSuffix(raw, []byte("}]"))
}

// isCommit reports whether a line is a commit, of whatever version of the vocabulary.
func isCommit(raw []byte) bool {
	if !shaped(raw) || !json.Valid(raw) {
		return false
	}
	_, err := events.Decode(raw)
	var newer *events.UnknownTypeError
	return err == nil || errors.As(err, &newer)
}
