package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"io"
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

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/ledger/ledgertest"
	"secretsbridge/transparency"
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
	lines, err := io.ReadAll(transparency.Bundles(os.DirFS(dir), tree.N))
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

func (r *rig) exporting(to ledger.Objects) ledger.Config {
	cfg := r.config()
	cfg.Export, cfg.Tiles, cfg.Commits = to, r, r
	return cfg
}

func TestObjectsInAFolder(t *testing.T) {
	ledgertest.RunObjects(t, ledger.Folder(filepath.Join(t.TempDir(), "deep", "tiles")))
}

func TestAFolderHasAllThatItsCheckpointSays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiles")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(300)
		_, ended := r.run(r.exporting(ledger.Folder(dir)))
		settle(15 * time.Second)
		size, files := r.exported(dir)
		if want := "checkpoint commits/000 commits/001.p/44 tile/0/000 tile/0/001.p/44 tile/1/000.p/1"; size != 300 || strings.Join(files, " ") != want {
			t.Errorf("%d commits in %v", size, files)
		}
		var before []os.FileInfo
		for _, full := range []string{"tile/0/000", "commits/000"} {
			info, err := os.Stat(filepath.Join(dir, full))
			if err != nil {
				t.Fatal(err)
			}
			before = append(before, info)
		}
		r.fill(230)
		settle(15 * time.Second)
		size, files = r.exported(dir)
		if want := "checkpoint commits/000 commits/001 commits/002.p/18 tile/0/000 tile/0/001 tile/0/002.p/18 tile/1/000.p/2"; size != 530 || strings.Join(files, " ") != want {
			t.Errorf("%d commits in %v", size, files)
		}
		for i, full := range []string{"tile/0/000", "commits/000"} {
			if after, err := os.Stat(filepath.Join(dir, full)); err != nil || !os.SameFile(before[i], after) {
				t.Errorf("%s was written again, %v", full, err)
			}
		}
		if err := ended(); err != nil {
			t.Error(err)
		}
	})
}

// TestAnExportGoesOnAfterACrash crashes before and after each change of an export that goes from one
// bundle over into another, and lets somebody else go on.
func TestAnExportGoesOnAfterACrash(t *testing.T) {
	steps := 1
	for crash := 0; crash < steps; crash++ {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.fill(250)
			ctx, stop := context.WithCancel(t.Context())
			first := *r
			first.within = ctx
			to := &ledgertest.Objects{}
			first.run(first.exporting(to))
			settle(15 * time.Second)
			seen := 0
			died := errors.New("it died")
			to.Fault = func(string, string, bool) error {
				if seen++; seen > crash {
					return died
				}
				return nil
			}
			r.fill(20)
			settle(9 * time.Second)
			stop()
			settle(time.Second)
			if crash == 0 && seen == 0 {
				t.Fatal("nothing was exported")
			}
			to.Fault = nil
			k, ended := r.run(r.exporting(to))
			settle(20 * time.Second)
			all, puts := to.All()
			dir := t.TempDir()
			for name, data := range all {
				path := filepath.Join(dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
					t.Fatal(err)
				}
				if name != "checkpoint" && puts[name] != 1 {
					t.Errorf("crash %d: %s was written %d times", crash, name, puts[name])
				}
			}
			if size, _ := r.exported(dir); size != 270 || ended() != nil || k.Stats().Tiles.Size != 270 {
				t.Errorf("crash %d: %d commits; %v", crash, size, ended())
			}
			if seen > crash { // it has a step that was not reached yet
				steps++
			}
		})
	}
	if steps < 10 {
		t.Errorf("%d steps only", steps)
	}
}

// A bundle that is too large for memory comes out as it is, and leaves no file behind.
func TestALargeBundle(t *testing.T) {
	dir, temporary := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for i := range 10 {
			stream := events.Stream{Aggregate: events.AggregateSetting, ID: "kms"}
			meta := command.Meta{Command: events.NewCommandID(), Actor: events.SystemActor("test"), Time: time.Now()}
			if _, err := command.Record(r.t.Context(), r.log, stream, meta, events.KMSKeyRotated{KMSKey: strings.Repeat(string(rune('a'+i)), 900_000)}); err != nil {
				t.Fatal(err)
			}
		}
		_, ended := r.run(r.exporting(ledger.Folder(dir)))
		settle(15 * time.Second)
		if size, _ := r.exported(dir); size != 10 || ended() != nil {
			t.Errorf("%d commits; %v", size, ended())
		}
	})
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAPlaceWithOtherThingsIsLeftAlone(t *testing.T) {
	for _, name := range []string{"commits.jsonl", "photos/cat", "commits/000.p/10", "tile/0/000.p/10"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			to := &ledgertest.Objects{}
			if err := to.Replace(t.Context(), name, []byte("not ours")); err != nil {
				t.Fatal(err)
			}
			r.fill(10)
			cfg := r.exporting(to)
			k, ended := r.run(cfg)
			settle(30 * time.Second)
			all, _ := to.All()
			if string(all[name]) != "not ours" || all["checkpoint"] != nil || ended() != nil || k.Stats().Tiles.Size != 0 {
				t.Errorf("%s: %q, %d exported, %v", name, all, k.Stats().Tiles.Size, ended())
			}
		})
	}
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
		_, ended := r.run(r.exporting(ledger.Folder(dir)))
		settle(30 * time.Second)
		if now, err := os.ReadFile(filepath.Join(dir, "checkpoint")); err != nil || !bytes.Equal(now, signed) || ended() != nil {
			t.Errorf("it was written over: %v; %v", err, ended())
		}
	})
}
