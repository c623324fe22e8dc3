package projections

import (
	"strings"
	"time"
	"unicode/utf8"
)

// clean makes a text that Postgres takes: valid UTF-8 without NUL. What it replaces is
// in the stored commit as it was; a fact must not stop the fold.
func clean[S ~string](s S) S {
	if utf8.ValidString(string(s)) && strings.IndexByte(string(s), 0) < 0 {
		return s
	}
	return S(strings.ReplaceAll(strings.ToValidUTF8(string(s), "\uFFFD"), "\x00", "\uFFFD"))
}

// stored is a time as Postgres holds it: in UTC, in whole microseconds.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func storedAt(t time.Time) *time.Time {
	t = stored(t)
	return &t
}
