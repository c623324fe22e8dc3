// Package evidence is one file that proves what became of a request, to somebody who has no
// access to the installation: the commits that tell of it, as they are stored, each with a proof
// that it is in the log of a signed checkpoint. Whoever has the keys of the log and of its
// witnesses (c2sp.org/tlog-policy) can verify it offline.
//
// It proves that what it holds is in the log. That nothing of the request was left out shows
// only the whole log.
package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/transparency"
)

// Format is the first field of every file.
const Format = "secrets-bridge/evidence/v1"

// MaxBytes is how long a file may be, and MaxCommits how many commits it may hold.
const (
	MaxBytes   = 64 << 20
	MaxCommits = 20_000
)

// ErrEvidence says that a file proves nothing. The error says what is wrong, and where.
var ErrEvidence = errors.New("the evidence does not hold")

// File is the JSON of a file. Its order of fields is that of the text.
type File struct {
	Format     string           `json:"format"`
	Request    events.RequestID `json:"request"`
	MadeAt     time.Time        `json:"made_at"`    // by the server's clock; not proven
	Checkpoint string           `json:"checkpoint"` // c2sp.org/tlog-checkpoint, with cosignatures
	Commits    []Commit         `json:"commits"`    // by sequence
}

// Commit is one commit of the log.
type Commit struct {
	Seq   events.Seq  `json:"seq"`
	Raw   string      `json:"raw"`   // exactly as stored
	Proof []tlog.Hash `json:"proof"` // of inclusion in the checkpoint's tree (RFC 6962, section 2.1.1)
}

// Parse reads a file. Unknown fields are refused: nothing in it may be there for somebody else
// to read than who verifies it.
func Parse(text []byte) (File, error) {
	if len(text) > MaxBytes {
		return File{}, fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrEvidence, len(text), MaxBytes)
	}
	var f File
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return File{}, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	if dec.More() {
		return File{}, fmt.Errorf("%w: something follows the file's end", ErrEvidence)
	}
	switch {
	case f.Format != Format:
		return File{}, fmt.Errorf("%w: its format is %q, this version reads %q", ErrEvidence, f.Format, Format)
	case len(f.Commits) == 0 || len(f.Commits) > MaxCommits:
		return File{}, fmt.Errorf("%w: it has %d commits, want 1 to %d", ErrEvidence, len(f.Commits), MaxCommits)
	}
	return f, nil
}

// prove checks that the checkpoint satisfies the policy and that every commit is in its tree,
// and returns the commits as they were decided.
func (f File) prove(policy *transparency.Policy) (transparency.Opened, []events.Recorded, error) {
	checkpoint, err := policy.Open([]byte(f.Checkpoint))
	if err != nil {
		return transparency.Opened{}, nil, fmt.Errorf("%w: checkpoint: %w", ErrEvidence, err)
	}
	proven := make([]events.Recorded, len(f.Commits))
	last := events.Seq(0)
	for i, c := range f.Commits {
		if c.Seq <= last {
			return transparency.Opened{}, nil, fmt.Errorf("%w: commit %d follows %d", ErrEvidence, c.Seq, last)
		}
		last = c.Seq
		raw := []byte(c.Raw)
		if err := tlog.CheckRecord(c.Proof, checkpoint.Tree.N, checkpoint.Tree.Hash, transparency.Leaf(c.Seq), transparency.LeafHash(raw)); err != nil {
			return transparency.Opened{}, nil, fmt.Errorf("%w: commit %d is not the one in the log, or its proof is another's", ErrEvidence, c.Seq)
		}
		commit, err := events.Decode(raw)
		if err != nil {
			return transparency.Opened{}, nil, fmt.Errorf("%w: commit %d: %w", ErrEvidence, c.Seq, err)
		}
		proven[i] = events.Recorded{Seq: c.Seq, Stream: commit[0].Stream, Events: commit, Raw: raw}
	}
	return checkpoint, proven, nil
}
