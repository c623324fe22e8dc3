package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/transparency"
)

// checkpointName is the newest checkpoint (c2sp.org/tlog-checkpoint). It is the one object that is
// ever replaced.
const checkpointName = "checkpoint"

// ErrOtherObject says that an object of that name is there, with other bytes.
var ErrOtherObject = errors.New("it is there with other bytes")

// Objects are where a log is exported to: a folder, or a bucket of an object store. Names have
// slashes. What a call has done is durable when it returns. A call whose outcome is unknown may
// be made again.
type Objects interface {
	fmt.Stringer // names the place, as operators wrote it

	// Top are the names at the top; those that lead on end with a slash. At most 1,000.
	Top(ctx context.Context) ([]string, error)

	// Open reads an object; its errors wrap [fs.ErrNotExist] where there is none.
	Open(ctx context.Context, name string) (io.ReadCloser, error)

	// Make puts an object that is there whole or not at all. One that is there already stays: with the
	// same bytes that is no error, with others it is [ErrOtherObject].
	Make(ctx context.Context, name string, data io.ReadSeeker) error

	// Replace puts an object whole, whatever was there. Who reads meanwhile gets the old or the new one.
	Replace(ctx context.Context, name string, data []byte) error

	// Remove takes an object away; that there is none is no error.
	Remove(ctx context.Context, name string) error
}

// foreign names what is there and is not of an exported log. Names that begin with a dot, and
// lost+found, are a file system's own.
func foreign(top []string) string {
	i := slices.IndexFunc(top, func(name string) bool {
		return !slices.Contains([]string{checkpointName, "tile/", "commits/", "lost+found/"}, name) && !strings.HasPrefix(name, ".")
	})
	if i < 0 {
		return ""
	}
	return top[i]
}

// partial are the names of what is not full at a size: of bundles of commits one at most, and of
// tiles one a level.
func partial(size int64) (names []string) {
	if width := int(size % transparency.Width); width > 0 {
		names = append(names, transparency.BundlePath(size/transparency.Width, width))
	}
	for level, left := 0, size; left > 0; level, left = level+1, left>>torchwood.TileHeight {
		if width := int(left % torchwood.TileWidth); width > 0 {
			names = append(names, torchwood.TilePath(tlog.Tile{H: torchwood.TileHeight, L: level, N: left >> torchwood.TileHeight, W: width}))
		}
	}
	return names
}

// lastBundle is the one that a size ends in.
func lastBundle(size int64) string {
	n := (size - 1) / transparency.Width
	return transparency.BundlePath(n, int(size-n*transparency.Width))
}

// Same compares what two readers have, to their ends.
func Same(a, b io.Reader) (bool, error) {
	var x, y [32 << 10]byte
	for {
		n, endA := io.ReadFull(a, x[:])
		m, endB := io.ReadFull(b, y[:])
		for _, err := range []error{endA, endB} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return false, err
			}
		}
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if endA != nil || endB != nil {
			return true, nil
		}
	}
}
