package backup

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
)

// Format is what this version writes and the only one that it reads.
const Format = 1

// ErrDamaged says that a file is no whole backup, or not what was written.
var ErrDamaged = errors.New("the backup is damaged")

const (
	headName     = "head.json"
	filesDir     = "files/"
	privateDir   = "private/"
	logDir       = "log/"
	manifestName = "manifest.json"

	// pieceBytes is how much is gathered for one entry of rows or commits. Both ends hold one piece
	// in memory, beside the largest commit or row, of 1 MB.
	pieceBytes = 1 << 20

	// maxEntry bounds what a reader takes for one entry, in bytes: a piece, a whole commit beside it,
	// and base64.
	maxEntry = 8 << 20
)

// Head is the beginning of a backup.
type Head struct {
	Format  int        `json:"format"`
	Version string     `json:"version"` // of the program that wrote it
	At      time.Time  `json:"at"`
	Origin  string     `json:"origin"`  // of the log's checkpoints: which log this is
	Commits events.Seq `json:"commits"` // the log's last one, at which the rows were read
	Schema  int32      `json:"schema"`  // of the rows: the number of the last migration
	Tables  []Table    `json:"tables"`

	// Kept are the newest checkpoint that the installation had published and the newest that each
	// witness cosigned, the largest first, each with all its cosignatures.
	Kept []string `json:"kept,omitempty"`
}

// Table is one table of schema private, with those of its columns that are written.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// Commit is one commit of the log as it is kept: the stored bytes, and the parts of its header that
// the log's writer vouches for.
type Commit struct {
	Seq     events.Seq `json:"seq"`
	Subject string     `json:"subject"`
	Writer  string     `json:"writer,omitempty"` // MAC; empty in a log from before there were any
	After   string     `json:"after,omitempty"`  // the sequence that it was to follow on its subject; empty: any
	Data    []byte     `json:"data"`
}

// Manifest is the end of a backup.
type Manifest struct {
	Commits events.Seq       `json:"commits"`
	Root    tlog.Hash        `json:"root"` // of the tree of all commits
	Rows    map[string]int64 `json:"rows"` // by table
	Files   []string         `json:"files"`

	// Signed is the checkpoint of all commits, by the log's keys. Keys are all that ever signed, the
	// current one last.
	Signed string   `json:"signed"`
	Keys   []string `json:"keys"`

	// Digest is the SHA-256 of all entries before, each with its name and length. MAC is one over
	// [Manifest.Vouched] under a key that only this installation's key manager derives.
	Digest []byte `json:"digest"`
	MAC    []byte `json:"mac"`
}

// Vouched is what the MAC is over: a hash of everything in the manifest but the MAC.
func (m Manifest) Vouched() []byte {
	m.MAC = nil
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err) // it has texts, numbers and bytes only
	}
	sum := sha256.Sum256(raw)
	return sum[:]
}

// check refuses what this version does not know how to read.
func (h Head) check() error {
	if h.Format != Format {
		return fmt.Errorf("the backup has format %d and this version reads format %d: use the version that wrote it, %s", h.Format, Format, h.Version)
	}
	if h.Origin == "" || h.Schema < 1 || len(h.Tables) == 0 {
		return fmt.Errorf("%w: its head is not complete", ErrDamaged)
	}
	for _, t := range h.Tables {
		if !word(t.Name) || len(t.Columns) == 0 || slices.ContainsFunc(t.Columns, func(c string) bool { return !word(c) }) {
			return fmt.Errorf("%w: table %q has columns %q", ErrDamaged, t.Name, t.Columns)
		}
	}
	return nil
}

// word reports whether a name is one of ours: it goes into SQL and into paths.
func word(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_0123456789") == ""
}

// local reports whether a file stays within the folder that it is unpacked into.
func local(name string) bool {
	return name != "" && path.Clean(name) == name && !path.IsAbs(name) && name != ".." && !strings.HasPrefix(name, "../")
}

// decodeStrict reads one JSON value and refuses fields of another version.
func decodeStrict(r io.Reader, into any) error {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}
