package transparency

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

// BundlePath names the stored bytes of the commits with leaves n*[Width] to n*Width+width-1, one a
// line: as c2sp.org/tlog-tiles names bundles of entries, in a folder of their own, because lines are
// not what that format has in bundles. One of [Width] commits is full and never changes.
func BundlePath(n int64, width int) string {
	tile := torchwood.TilePath(tlog.Tile{H: torchwood.TileHeight, L: -1, N: n, W: width})
	return "commits/" + strings.TrimPrefix(tile, "tile/entries/")
}

// Bundles reads the first size commits of an exported log, as an events file. Of a bundle that grew
// since, it reads the beginning. Errors wrap [fs.ErrNotExist] where a bundle is missing.
func Bundles(fsys fs.FS, size int64) io.ReadCloser { return &bundles{fs: fsys, size: size} }

type bundles struct {
	fs   fs.FS
	size int64
	at   int64 // commits that were read
	left int   // lines that are left of file
	file fs.File
	name string
}

func (b *bundles) Read(p []byte) (int, error) {
	for b.file == nil {
		if b.at == b.size {
			return 0, io.EOF
		}
		b.left = int(min(Width, b.size-b.at))
		var err error
		if b.file, b.name, err = grown(b.fs, BundlePath(b.at/Width, b.left)); err != nil {
			return 0, fmt.Errorf("read commits from %d on: %w", b.at+1, err)
		}
	}
	n, err := b.file.Read(p)
	for i, c := range p[:n] {
		if c != '\n' {
			continue
		}
		b.at++
		if b.left--; b.left == 0 {
			return i + 1, b.Close()
		}
	}
	if errors.Is(err, io.EOF) {
		return n, fmt.Errorf("%s ends %d commits too early", b.name, b.left)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *bundles) Close() error {
	if b.file == nil {
		return nil
	}
	err := b.file.Close()
	b.file = nil
	return err
}

// grown opens a file of an exported log. One that is not full may have been replaced by a larger
// one or by the full one, which begin with the same.
func grown(fsys fs.FS, name string) (fs.File, string, error) {
	file, err := fsys.Open(name)
	whole, width, partial := strings.Cut(name, ".p/")
	if !partial || !errors.Is(err, fs.ErrNotExist) {
		return file, name, err
	}
	missing := err
	if file, err = fsys.Open(whole); !errors.Is(err, fs.ErrNotExist) {
		return file, whole, err
	}
	least, err := strconv.Atoi(width)
	if err != nil {
		return nil, "", err
	}
	there, err := fs.ReadDir(fsys, whole+".p")
	if err != nil {
		return nil, "", missing
	}
	for _, entry := range there {
		if n, err := strconv.Atoi(entry.Name()); err == nil && n > least {
			name = path.Join(whole+".p", entry.Name())
			file, err = fsys.Open(name)
			return file, name, err
		}
	}
	return nil, "", missing
}
