package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/backup"
	"secretsbridge/events"
	"secretsbridge/internal/build"
	"secretsbridge/kms"
	"secretsbridge/nats"
	"secretsbridge/store"
)

const (
	// backupLabel is what the key of backups' MACs is derived for. No connection has such a name, so
	// it is no key of fingerprints.
	backupLabel = "backup"

	// backupLooks is how often a moment is looked for at which nothing commits, backupPause apart. A
	// look takes two questions to the log, a millisecond or two.
	backupLooks = 1000
	backupPause = 3 * time.Millisecond
)

// moment is the state of an installation at one commit: rows that were read while the log did not
// grow. It is what a crash after that commit would have left, and every start copes with that.
type moment struct {
	*store.Snapshot
	commits events.Seq
}

// openMoment waits for one. The log ends at the same commit before and after the rows are fixed, so
// no fact speaks of other rows than these; what was under way between a fact and its row is in
// either order what a crash may leave.
func (st *stack) openMoment(ctx context.Context) (moment, error) {
	for range backupLooks {
		before, err := st.store.Last(ctx)
		if err != nil {
			return moment{}, err
		}
		rows, err := store.OpenSnapshot(ctx, st.pool)
		if err != nil {
			return moment{}, err
		}
		after, err := st.store.Last(ctx)
		if err == nil && after == before {
			return moment{rows, after}, nil
		}
		rows.Close(ctx)
		if err != nil {
			return moment{}, err
		}
		select {
		case <-ctx.Done():
			return moment{}, ctx.Err()
		case <-time.After(backupPause):
		}
	}
	return moment{}, fmt.Errorf("the log grew during each of %d looks, so rows and log could not be read at one commit: run it again when less is done", backupLooks)
}

// backUp writes a backup of the running installation, or of one that does not run.
func (st *stack) backUp(ctx context.Context, to io.Writer, recipients backup.Recipients) (backup.Manifest, error) {
	version, err := store.Migrations()
	if err != nil {
		return backup.Manifest{}, err
	}
	at, err := st.openMoment(ctx)
	if err != nil {
		return backup.Manifest{}, err
	}
	defer at.Close(ctx)
	tables, err := at.Tables(ctx)
	if err != nil {
		return backup.Manifest{}, err
	}
	kept, err := at.Newest(ctx)
	if err != nil {
		return backup.Manifest{}, err
	}
	head := backup.Head{
		Kept:    kept,
		Version: build.Version(), At: time.Now().UTC(), Origin: st.keys.checkpoints.origin(), Commits: at.commits, Schema: version,
	}
	for _, t := range tables {
		head.Tables = append(head.Tables, backup.Table(t))
	}
	return backup.Write(to, recipients, head, backup.Source{
		Files: func(put func(string, []byte) error) error { return backupFiles(st.settings, put) },
		Rows: func(t backup.Table, to io.Writer) (int64, error) {
			return at.CopyOut(ctx, store.CopiedTable(t), to)
		},
		Commits: func(take func(backup.Commit) error) error {
			return st.store.Export(ctx, at.commits, func(k nats.Kept) error { return take(backup.Commit(k)) })
		},
		Prove: st.proveBackup,
		MAC:   func(digest []byte) ([]byte, error) { return backupMAC(ctx, st.keys.wrapping, digest) },
	})
}

// proveBackup signs the tree of all commits.
func (st *stack) proveBackup(tree tlog.Tree, m *backup.Manifest) error {
	m.Keys = st.keys.checkpoints.public()
	if tree.N == 0 {
		return nil
	}
	signer, err := st.keys.checkpoints.signer(time.Now())
	if err != nil {
		return err
	}
	signed, err := signer.Sign(tree)
	if err != nil {
		return fmt.Errorf("sign the tree of the backup: %w", err)
	}
	m.Signed = string(signed)
	return nil
}

// backupMAC is this installation's word for a digest.
func backupMAC(ctx context.Context, km kms.KeyManager, digest []byte) ([]byte, error) {
	key, err := km.FingerprintKey(ctx, backupLabel)
	if err != nil {
		return nil, fmt.Errorf("derive the key of backups: %w", err)
	}
	defer key.Zero()
	mac := hmac.New(sha256.New, key.Expose())
	mac.Write([]byte("secrets-bridge backup v1\n"))
	mac.Write(digest)
	return mac.Sum(nil), nil
}

// besideKeys are files of the data directory that a backup has beside keys/: the development CA,
// which agents pin, and the port that they remember.
var besideKeys = []string{"ca.pem", "leaf-addr"}

// backupFiles hands over what of the data directory belongs into a backup. Leftovers of a file that
// was being replaced begin with a dot.
func backupFiles(s settings, put func(name string, body []byte) error) error {
	one := func(name string) error {
		body, err := os.ReadFile(s.path(filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer clear(body)
		return put(name, body)
	}
	for _, name := range besideKeys {
		if err := one(name); err != nil {
			return err
		}
	}
	err := filepath.WalkDir(s.path("keys"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		name, err := filepath.Rel(s.DataDir, path)
		if err != nil {
			return err
		}
		return one(filepath.ToSlash(name))
	})
	if errors.Is(err, fs.ErrNotExist) { // the keys are rows then
		return nil
	}
	return err
}
