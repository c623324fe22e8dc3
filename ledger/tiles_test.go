package ledger_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/ledger"
)

// Commits implements [ledger.Commits].
func (r *rig) Commits(ctx context.Context, after events.Seq, limit, _ int) ([][]byte, error) {
	var found [][]byte
	last, err := r.log.Last(ctx)
	for seq := after + 1; seq <= last && len(found) < limit; seq++ {
		c, err := r.log.At(ctx, seq)
		if err != nil {
			return nil, err
		}
		found = append(found, c.Raw)
	}
	return found, err
}

// exported checks a folder by itself: its checkpoint opens, all its tiles are of that tree, and
// its commits are its leaves.
func (r *rig) exported(dir string) (size int64, files []string) {
	r.t.Helper()
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		r.t.Fatal(err)
	}
	tree, _, err := r.config().Verifiers.Open(signed)
	if err != nil {
		r.t.Fatal(err)
	}
	tiles, err := torchwood.NewTileFS(os.DirFS(dir))
	if err != nil {
		r.t.Fatal(err)
	}
	lines, err := os.ReadFile(filepath.Join(dir, "commits.jsonl"))
	if err != nil {
		r.t.Fatal(err)
	}
	commits := bytes.Split(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n"))
	if int64(len(commits)) != tree.N {
		r.t.Fatalf("%d lines of commits, the checkpoint is of %d", len(commits), tree.N)
	}
	hashes := torchwood.TileHashReaderWithContext(r.t.Context(), tree, tiles)
	for i, raw := range commits {
		leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(i))})
		if err != nil || leaf[0] != tlog.RecordHash(raw) {
			r.t.Fatalf("commit %d is not the leaf of the folder's tree: %v", i+1, err)
		}
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			files = append(files, name)
		}
		return err
	})
	slices.Sort(files)
	return tree.N, files
}

func (r *rig) exporting(dir string) ledger.Config {
	cfg := r.config()
	cfg.Folder, cfg.Tiles, cfg.Commits = ledger.Folder(dir), r, r
	return cfg
}

func TestAFolderHasAllThatItsCheckpointSays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiles")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(300)
		_, ended := r.run(r.exporting(dir))
		settle(15 * time.Second)
		size, files := r.exported(dir)
		if want := "checkpoint commits.jsonl tile/0/000 tile/0/001.p/44 tile/1/000.p/1"; size != 300 || strings.Join(files, " ") != want {
			t.Errorf("%d commits in %v", size, files)
		}
		full := filepath.Join(dir, "tile/0/000")
		before, err := os.Stat(full)
		if err != nil {
			t.Fatal(err)
		}
		r.fill(230)
		settle(15 * time.Second)
		size, files = r.exported(dir)
		if want := "checkpoint commits.jsonl tile/0/000 tile/0/001 tile/0/002.p/18 tile/1/000.p/2"; size != 530 || strings.Join(files, " ") != want {
			t.Errorf("%d commits in %v", size, files)
		}
		if after, err := os.Stat(full); err != nil || !os.SameFile(before, after) {
			t.Errorf("a full tile was written again, %v", err)
		}
		if err := ended(); err != nil {
			t.Error(err)
		}
	})
}

func TestAnExportGoesOnAfterACrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiles")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(10)
		ctx, crash := context.WithCancel(t.Context())
		first := r
		first.within = ctx
		first.run(r.exporting(dir))
		settle(15 * time.Second)
		crash()
		settle(time.Second)
		// Commits were written, and half a line; the checkpoint was not.
		path := filepath.Join(dir, "commits.jsonl")
		lines, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(lines, "{}\n{\"half\""...), 0o644); err != nil {
			t.Fatal(err)
		}
		r.fill(5)
		r.within = nil
		k, ended := r.run(r.exporting(dir))
		settle(20 * time.Second)
		if size, _ := r.exported(dir); size != 15 || ended() != nil || k.Stats().Tiles.Size != 15 {
			t.Errorf("%d commits; %v", size, ended())
		}
	})
}

func TestAFolderOfAnotherLogIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, other := newRig(t), newRig(t)
		other.fill(3)
		signed := other.signed(other.tree(3)).Signed
		if err := os.WriteFile(filepath.Join(dir, "checkpoint"), signed, 0o644); err != nil {
			t.Fatal(err)
		}
		r.fill(10)
		_, ended := r.run(r.exporting(dir))
		settle(30 * time.Second)
		if now, err := os.ReadFile(filepath.Join(dir, "checkpoint")); err != nil || !bytes.Equal(now, signed) || ended() != nil {
			t.Errorf("it was written over: %v; %v", err, ended())
		}
	})
}
