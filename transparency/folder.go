package transparency

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

// Folder has tiles as files, under the names that c2sp.org/tlog-tiles gives them: what a server
// exports, or what another tool has fetched from it.
type Folder struct{ FS fs.FS }

// ReadTiles implements [Tiles]. A tile that is not full may have grown since: then it is the
// beginning of the larger one. Errors wrap [fs.ErrNotExist] where a tile is missing.
func (f Folder) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		path := torchwood.TilePath(tile)
		read, err := f.read(path)
		want := tile.W * tlog.HashSize
		switch {
		case err != nil:
			return nil, fmt.Errorf("read a tile: %w", err)
		case len(read) < want:
			return nil, fmt.Errorf("read a tile: %s has %d bytes, not %d", path, len(read), want)
		}
		data[i] = read[:want]
	}
	return data, nil
}

func (f Folder) read(path string) ([]byte, error) {
	file, _, err := grown(f.FS, path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, Width*tlog.HashSize))
}
