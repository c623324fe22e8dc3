package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"secretsbridge/backup"
	"secretsbridge/events"
)

// BenchmarkRestore backs an installation of 100,000 commits up, and restores it to where a server can
// start: log, rows, checks and views.
func BenchmarkRestore(b *testing.B) {
	const commits = 100_000
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // the user postgres passes through
		b.Fatal(err)
	}
	b.Setenv("SB_DATA_DIR", filepath.Join(dir, "first"))
	b.Setenv("SB_LOG_LEVEL", "ERROR")
	key, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	identity, file := filepath.Join(dir, "key"), filepath.Join(dir, "backup.age")
	if err := os.WriteFile(identity, []byte(key.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	s, err := loadSettings()
	if err != nil {
		b.Fatal(err)
	}
	lock, err := openDataDir(s)
	if err != nil {
		b.Fatal(err)
	}
	st, err := openStack(b.Context(), s, s.logger(), ground{fresh: true})
	if err != nil {
		b.Fatal(err)
	}
	var writers errgroup.Group
	for w := range 64 {
		writers.Go(func() error {
			actor := events.UserActor(events.NewUserID())
			stream := events.AccessStream(actor)
			for n := range commits / 64 {
				id := events.NewCommandID()
				commit := []events.Event{{
					ID: events.EventIDOf(id, 0), Stream: stream, Time: time.Now(), Actor: actor, Correlation: events.CorrelationID(id), Command: id,
					Fact: events.AccessDenied{Action: "request.read", Resource: stream.String(), Code: fmt.Sprintf("w%d n%d %s", w, n, strings.Repeat("x", 400))},
				}}
				if _, err := st.store.Append(b.Context(), stream, events.AnySeq, commit); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := writers.Wait(); err != nil {
		b.Fatal(err)
	}
	to, err := backup.ParseRecipients(key.Recipient().String())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		out, err := os.Create(file)
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if _, err := st.backUp(b.Context(), out, to); err != nil {
			b.Fatal(err)
		}
		if err := out.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "backup-s")
		b.Setenv("SB_DATA_DIR", filepath.Join(dir, fmt.Sprint("restored-", began.UnixNano())))
		cmd := &cobra.Command{}
		cmd.SetContext(b.Context())
		cmd.SetOut(io.Discard)
		began = time.Now()
		if err := restore(cmd, &fromBackup{file: file, identity: identity}, nil, false, false); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "restore-s")
	}
	st.close()
	lock.close()
}
