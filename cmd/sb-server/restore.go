package main

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"

	"secretsbridge/backup"
	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/nats"
	"secretsbridge/store"
)

// restoringFile is in a data directory while it is filled: what a crash leaves of that is no
// installation, and nothing starts on it.
const restoringFile = "restoring"

// errHalfRestored says that a restore did not come to its end.
var errHalfRestored = errors.New("a restore into it did not come to its end")

// filling fills an empty installation from a backup: the second reading of the file, after it was
// proven to be whole. Keys come first, then rows, then the log, because each needs what came before.
type filling struct {
	settings settings
	read     readBackup
	keep     bool // sealed values stay where the log says that they wait

	destroyed int // sealed values that did not stay
	base      foundation
	tx        pgx.Tx // of all rows
	log       *fillingLog
}

// fillingLog is the log while it is filled.
type fillingLog struct {
	*nats.Refill
	close func()
}

// fill returns when keys, rows and log are where they belong. Views are the caller's.
func (f *filling) fill(ctx context.Context, from *fromBackup) (err error) {
	defer func() { f.close(ctx) }()
	_, _, err = from.read(backup.Sink{
		File:   f.file,
		Table:  func(t backup.Table) (io.WriteCloser, error) { return f.table(ctx, t) },
		Commit: func(c backup.Commit) error { return f.commit(ctx, c) },
	})
	if err != nil {
		return err
	}
	if err := f.beginLog(ctx); err != nil { // of a log without commits
		return err
	}
	return f.log.Wait(ctx)
}

func (f *filling) file(name string, body []byte) error {
	if !slices.Contains(besideKeys, name) && !keyPath(name) {
		return fmt.Errorf("%w: it has a file %q, which no installation has", backup.ErrDamaged, name)
	}
	path := f.settings.path(filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	mode := os.FileMode(0o600)
	if name == "ca.pem" {
		mode = 0o644
	}
	return writeFile(path, body, mode)
}

// begin comes before the first row: the key manager must open what was sealed, and vouch for the
// backup; then the database is made as the version that wrote the backup had it.
func (f *filling) begin(ctx context.Context) (err error) {
	if f.tx != nil {
		return nil
	}
	if err := f.vouched(ctx); err != nil {
		return err
	}
	if err := f.base.open(ctx, f.settings); err != nil {
		return err
	}
	if err := store.MigrateTo(ctx, f.base.owner, f.read.head.Schema); err != nil {
		return err
	}
	f.tx, err = f.base.owner.Begin(ctx)
	return err
}

// emptyDatabase refuses an operator's database that holds something, before anything is written. A
// private one is in the data directory, which must be empty.
func emptyDatabase(ctx context.Context, s settings) error {
	if s.DatabaseURL == "" {
		return nil
	}
	var b foundation
	defer b.close(ctx)
	if err := b.open(ctx, s); err != nil {
		return err
	}
	unused, err := store.Unused(ctx, b.owner)
	if err != nil {
		return err
	}
	if !unused {
		return errors.New("the database is not empty: it holds an installation, and a restore changes none; give it an empty one, or remove schemas private, views and audit")
	}
	return nil
}

// vouched proves the backup's MAC. Whoever can encrypt to its recipients cannot make that.
func (f *filling) vouched(ctx context.Context) error {
	km, err := f.settings.backend(ctx, false, f.settings.logger()) // its probe may be among the rows that are to come
	if err != nil {
		return err
	}
	defer closeKMS(km)
	if err := km.Check(ctx); err != nil {
		return fmt.Errorf("key manager %s cannot serve: %w", f.settings.KMS.Backend, err)
	}
	mac, err := backupMAC(ctx, km, f.read.manifest.Vouched())
	if err != nil {
		return err
	}
	if !hmac.Equal(mac, f.read.manifest.MAC) {
		return errors.New("the backup was not written by the installation of this key manager: with the right key manager, somebody else has made it")
	}
	return nil
}

func (f *filling) table(ctx context.Context, t backup.Table) (io.WriteCloser, error) {
	if err := f.begin(ctx); err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	rows := &tableRows{PipeWriter: w, done: make(chan error, 1)}
	want := f.read.manifest.Rows[t.Name]
	go func() {
		n, err := store.CopyIn(ctx, f.tx, store.CopiedTable(t), r)
		if err == nil && n != want {
			err = fmt.Errorf("%w: table %s has %d rows, and %d were written", backup.ErrDamaged, t.Name, n, want)
		}
		_ = r.CloseWithError(err)
		rows.done <- err
	}()
	return rows, nil
}

// tableRows is one table that is being filled. Close waits until it is.
type tableRows struct {
	*io.PipeWriter
	done chan error
}

func (t *tableRows) Close() error {
	_ = t.PipeWriter.Close()
	return <-t.done
}

// commit fills the log on. The rows are complete before its first commit.
func (f *filling) commit(ctx context.Context, c backup.Commit) error {
	if err := f.beginLog(ctx); err != nil {
		return err
	}
	return f.log.Put(ctx, nats.Kept(c))
}

func (f *filling) beginLog(ctx context.Context) (err error) {
	if f.log != nil {
		return nil
	}
	if err := f.begin(ctx); err != nil {
		return err
	}
	if err := store.Copied(ctx, f.tx); err != nil {
		return err
	}
	if !f.keep { // before anything could open one
		if f.destroyed, err = store.DestroyEnvelopes(ctx, f.tx); err != nil {
			return err
		}
	}
	if err := f.tx.Commit(ctx); err != nil {
		return fmt.Errorf("restore the rows: %w", err)
	}
	if err := migrateSchemas(ctx, f.base.dsn); err != nil {
		return err
	}
	f.log, err = f.base.openLog(ctx, f.settings)
	return err
}

func (f *filling) close(ctx context.Context) {
	if f.tx != nil {
		_ = f.tx.Rollback(context.WithoutCancel(ctx))
	}
	if f.log != nil {
		f.log.close()
	}
	f.base.close(ctx)
}

// keyPath reports whether a file is one of keys/.
func keyPath(name string) bool {
	dir, file := filepath.Split(name)
	return (dir == "keys/" || dir == "keys/nats/") && file != "" && file[0] != '.'
}

// settleEnvelopes destroys sealed values that the log says are used, ended or of nothing, and says
// how many stayed.
func (st *stack) settleEnvelopes(ctx context.Context) (kept, destroyed int, err error) {
	rows := store.Envelopes{Pool: st.pool}
	for after := events.EnvelopeID(""); ; {
		page, err := rows.All(ctx, string(after), 1000)
		if err != nil || len(page) == 0 {
			return kept, destroyed, err
		}
		after = page[len(page)-1].ID
		var gone []events.EnvelopeID
		for _, e := range page {
			useful, err := st.envelopeCounts(ctx, e)
			if err != nil {
				return kept, destroyed, err
			}
			if !useful {
				gone = append(gone, e.ID)
			}
		}
		if err := rows.Delete(ctx, gone...); err != nil {
			return kept, destroyed, err
		}
		kept, destroyed = kept+len(page)-len(gone), destroyed+len(gone)
	}
}

// envelopeCounts reports whether the log says that an envelope waits to be used.
func (st *stack) envelopeCounts(ctx context.Context, e store.EnvelopeOf) (bool, error) {
	request, _, err := command.Load[command.Request](ctx, st.store, events.RequestStream(e.Request))
	if err != nil {
		return false, err
	}
	if of, known := request.Envelope(e.ID); known {
		return of.State == command.EnvelopeReady, nil
	}
	// Of a value that was proposed, or handed over by an attempt that has not completed.
	return request.State != "" && !request.State.Final(), nil
}
