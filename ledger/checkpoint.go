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

var (
	// ErrNoCheckpoint says that none was signed yet, or none of that size.
	ErrNoCheckpoint = errors.New("no checkpoint")

	// ErrNotGrown says that a checkpoint of that size or a larger one is kept already.
	ErrNotGrown = errors.New("a checkpoint of as large a tree is kept already")
)

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

// Cosigned is the newest that a witness cosigned.
type Cosigned struct {
	Size int64
	Line string // with the time at which it did (transparency.CosignedAt)
}

// Checkpoints are kept outside of the log. Package store has them in Postgres.
type Checkpoints interface {
	// Latest is the one of the largest tree, or ErrNoCheckpoint.
	Latest(ctx context.Context) (Checkpoint, error)

	// Since are those of larger trees than that, the smallest first, at most limit, without their
	// cosignatures.
	Since(ctx context.Context, size int64, limit int) ([]Checkpoint, error)

	// Begin claims the checkpoints for the holder of the loop's lease with that fence. From then
	// on nobody with an older one keeps any: [worker.ErrFenced].
	Begin(ctx context.Context, fence uint64) error

	// Keep stores one of a larger tree than all before. Another one of the same size or a larger
	// one is [ErrNotGrown]: by nobody's order does the log shrink. Who is not the holder that
	// began last gets [worker.ErrFenced].
	Keep(ctx context.Context, fence uint64, c Checkpoint) error

	// Thin removes what is older than a time, but for the last one of each hour, the newest of
	// all and the newest that each witness cosigned. It says how many went.
	Thin(ctx context.Context, before time.Time) (int, error)

	// Cosign adds the line of a witness to the checkpoint of a size, in place of an older one. If
	// none of that size is kept, it is [ErrNoCheckpoint].
	Cosign(ctx context.Context, size int64, witness, line string) error

	// Witnessed is the largest size that each witness cosigned, by its name.
	Witnessed(ctx context.Context) (map[string]int64, error)
}
