package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

// Names in a folder.
const (
	checkpointName = "checkpoint"    // c2sp.org/tlog-checkpoint
	commitsName    = "commits.jsonl" // line i is the stored bytes of the commit with sequence i
)

// Folder is where a log is exported to, as c2sp.org/tlog-tiles lays it out, with the commits in one
// file beside. It verifies by itself: `sb audit verify --dir`. An empty one exports nothing.
type Folder string

// checkpoint is the one that is there.
func (f Folder) checkpoint() ([]byte, error) {
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(string(f), checkpointName))
}

// cut leaves so many lines of commits. Fewer are an error: the checkpoint says they are there.
func (f Folder) cut(lines int64) error {
	file, err := os.OpenFile(filepath.Join(string(f), commitsName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 1<<20)
	var end int64
	for n := int64(0); n < lines; {
		part, err := r.ReadSlice('\n')
		end += int64(len(part))
		switch {
		case err == nil:
			n++
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the folder %s has %d commits, and its checkpoint says %d: empty it, and all is exported again", f, n, lines)
		default:
			return err
		}
	}
	return errors.Join(file.Truncate(end), file.Sync())
}

// append adds lines of commits, durably.
func (f Folder) append(lines []byte) error {
	file, err := os.OpenFile(filepath.Join(string(f), commitsName), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(append(lines, '\n'))
	return errors.Join(err, file.Sync(), file.Close())
}

// write replaces a file whole and durably. A tile that is there has the same bytes and stays.
func (f Folder) write(name string, data []byte) error {
	path := filepath.Join(string(f), filepath.FromSlash(name))
	if name != checkpointName {
		if info, err := os.Stat(path); err == nil && info.Size() == int64(len(data)) {
			return nil
		}
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(data)
	if err := errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	in, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(in.Sync(), in.Close())
}

// sweep removes the partial tiles of the checkpoint before that the new one has no use for.
func (f Folder) sweep(before, now int64) error {
	used := map[tlog.Tile]bool{}
	for _, tile := range partial(now) {
		used[tile] = true
	}
	for _, tile := range partial(before) {
		if used[tile] {
			continue
		}
		path := filepath.Join(string(f), filepath.FromSlash(torchwood.TilePath(tile)))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_ = os.Remove(filepath.Dir(path)) // if it is empty
	}
	return nil
}

// partial are the tiles of a size that are not full, one a level at most.
func partial(size int64) (tiles []tlog.Tile) {
	for level, left := 0, size; left > 0; level, left = level+1, left>>torchwood.TileHeight {
		if width := int(left % torchwood.TileWidth); width > 0 {
			tiles = append(tiles, tlog.Tile{H: torchwood.TileHeight, L: level, N: left >> torchwood.TileHeight, W: width})
		}
	}
	return tiles
}
