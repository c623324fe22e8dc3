// Package ledger keeps the log's proof: it follows the log on its own, grows the tree, signs
// checkpoints, has them cosigned, and finds out when the log is not the one that was there.
package ledger

import (
	"bytes"
	"context"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrNoCheckpoint says that none was signed yet, or none of that size.
var ErrNoCheckpoint = errors.New("no checkpoint")

// Checkpoint is one signed state of the log.
type Checkpoint struct {
	Tree   tlog.Tree
	Signed []byte    // c2sp.org/tlog-checkpoint, with the signatures of the log's own keys
	At     time.Time // when it was signed

	// Cosignatures are signature lines of witnesses (c2sp.org/tlog-cosignature), each with its
	// newline, one a witness, by their names.
	Cosignatures []string
}

// Note is the checkpoint with all signatures.
func (c Checkpoint) Note() []byte {
	note := bytes.Clone(c.Signed)
	for _, line := range c.Cosignatures {
		note = append(note, line...)
	}
	return note
}

// Checkpoints are kept outside of the log. Package store has them in Postgres.
type Checkpoints interface {
	// Latest is the one of the largest tree, or ErrNoCheckpoint.
	Latest(ctx context.Context) (Checkpoint, error)

	// Keep stores one of a larger tree than all before. Another one of the same size or a larger
	// one is refused: by nobody's order does the log shrink.
	Keep(ctx context.Context, c Checkpoint) error

	// Cosign adds the line of a witness to the checkpoint of a size, in place of an older one.
	Cosign(ctx context.Context, size int64, witness, line string) error
}
