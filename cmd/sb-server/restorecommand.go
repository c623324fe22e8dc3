package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/egress"
	"secretsbridge/projections"
	"secretsbridge/transparency"
)

// restoreCommand makes an installation from a backup.
func restoreCommand() *cobra.Command {
	var from fromBackup
	var known []string
	var accept, keep bool
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "make an empty installation what a backup says",
		Long: "Proves that a backup is whole, fills an empty SB_DATA_DIR (and the empty database and NATS that are configured) with it, proves\n" +
			"that the log has the root that its key signed, and folds the views. A backup that is older than a checkpoint which --known or a\n" +
			"witness of SB_WITNESS_POLICY has seen is refused, unless --accept-older says that what came after may be lost.\n" +
			"Sealed values are destroyed, because one that was opened after the backup would open again; with --keep-values, where nothing ran\n" +
			"after the backup was written, those stay that the log says nobody has opened. docs/operations/backup.md says what follows.",
		Args: cobra.NoArgs,
	}
	from.flags(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&known, "known", nil, "file with a checkpoint that somebody has seen: of a witness, of exported tiles, or an agent's log.json; may be given again")
	flags.BoolVar(&accept, "accept-older", false, "go on although newer checkpoints are known, or a witness does not answer: what came after the backup is lost")
	flags.BoolVar(&keep, "keep-values", false, "nothing ran after the backup was written: keep sealed values that the log says are unopened")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if accept && keep {
			return errors.New("--keep-values is for a backup after which nothing ran, and --accept-older for one after which something did: leave one out")
		}
		return restore(cmd, &from, known, accept, keep)
	}
	return cmd
}

func restore(cmd *cobra.Command, from *fromBackup, known []string, accept, keep bool) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	s, err := loadSettings()
	if err != nil {
		return err
	}
	notes, roots, err := readKnown(known)
	if err != nil {
		return err
	}
	read, err := from.verify(roots)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the backup is whole: %d commits, root %s, written at %s\n", read.head.Commits, read.manifest.Root, read.head.At.Format(time.RFC3339))
	fact := events.LogRestored{Commits: read.head.Commits, Root: read.manifest.Root.String(), At: read.head.At}
	if fact.Newer, err = newest(read, notes, roots); err != nil {
		return err
	}
	if err := askWitnesses(ctx, s, read, &fact); err != nil {
		return err
	}
	switch {
	case accept:
	case fact.Newer > 0:
		return fmt.Errorf("a checkpoint of %d commits is known and the backup ends at %d: look for a newer backup; with --accept-older what came after is lost, and docs/operations/backup.md says what that needs", fact.Newer, fact.Commits)
	case len(fact.Unasked) > 0:
		return fmt.Errorf("witnesses %q do not answer, so nobody knows whether the backup is the newest: bring them back, or write --accept-older", fact.Unasked)
	}
	if err := emptyDatabase(ctx, s); err != nil {
		return err
	}
	dir, err := openEmptyDataDir(s)
	if err != nil {
		return err
	}
	defer dir.close()
	began := time.Now()
	filled := filling{settings: s, read: read, keep: keep}
	if err := filled.fill(ctx, from); err != nil {
		return fmt.Errorf("%w; what was filled is no installation: empty it before the next try", err)
	}
	fmt.Fprintf(out, "keys, rows and log are back after %s\n", time.Since(began).Round(time.Millisecond))
	return offlineIn(ctx, s, func(st *stack) error {
		if err := st.proveRestored(ctx, read); err != nil {
			return err
		}
		if fact.Kept, fact.Destroyed, err = st.settleEnvelopes(ctx); err != nil {
			return err
		}
		fact.Destroyed += filled.destroyed
		meta := command.Meta{Command: events.DeriveCommandID("restored", fact.Root), Actor: operator, Time: time.Now()}
		if _, err := command.Record(ctx, st.store, events.LogStream(), meta, fact); err != nil {
			return err
		}
		if err := st.foldRestored(ctx); err != nil {
			return err
		}
		if err := os.Remove(s.path(restoringFile)); err != nil {
			return err
		}
		fmt.Fprintf(out, "restored as of commit %d, root %s, in %s; %d sealed values stayed and %d were destroyed\n",
			fact.Commits, fact.Root, time.Since(began).Round(time.Millisecond), fact.Kept, fact.Destroyed)
		if fact.Newer > 0 {
			fmt.Fprintln(out, "agents that saw more do no jobs: on each, `sb-agent accept-log --dir DIR --forget` before this server starts")
		}
		return nil
	})
}

// readKnown reads checkpoints from files, and asks for the roots at their sizes.
func readKnown(files []string) (notes [][]byte, roots map[int64]tlog.Hash, err error) {
	roots = map[int64]tlog.Hash{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		var agent struct {
			Checkpoint string `json:"checkpoint"`
		}
		if json.Unmarshal(raw, &agent) == nil && agent.Checkpoint != "" {
			raw = []byte(agent.Checkpoint)
		}
		for _, note := range transparency.SplitCheckpoints(raw) {
			tree, _, err := transparency.ReadCheckpoint(note)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", file, err)
			}
			notes, roots[tree.N] = append(notes, note), tlog.Hash{}
		}
	}
	return notes, roots, nil
}

// newest is the size of the largest checkpoint that is known and beyond the backup, 0 if none is.
// One of the same log with another past is an alarm that nobody can accept.
func newest(read readBackup, notes [][]byte, roots map[int64]tlog.Hash) (events.Seq, error) {
	verifiers, err := transparency.NewVerifiers(read.manifest.Keys...)
	if err != nil {
		return 0, err
	}
	largest := int64(0)
	for _, note := range notes {
		tree, origin, err := verifiers.Open(note)
		switch {
		case err != nil:
			return 0, fmt.Errorf("a checkpoint of --known: %w", err)
		case origin != read.head.Origin:
			return 0, fmt.Errorf("a checkpoint of --known is of %s, and the backup of %s", origin, read.head.Origin)
		case tree.N > int64(read.head.Commits):
			largest = max(largest, tree.N)
		case roots[tree.N] != tree.Hash:
			return 0, fmt.Errorf("%w: of its first %d commits the backup has root %s, and %s was signed", command.LogForked, tree.N, roots[tree.N], tree.Hash)
		}
	}
	return events.Seq(largest), nil
}

// witnessPatience bounds the question to one witness.
const witnessPatience = 10 * time.Second

// askWitnesses asks those of the policy what they have seen.
func askWitnesses(ctx context.Context, s settings, read readBackup, fact *events.LogRestored) error {
	witnesses, _, err := s.witnesses(read.manifest.Keys)
	if err != nil {
		return err
	}
	client := egress.Client(egress.Policy{Allow: s.Egress, PlainLoopback: true})
	for _, w := range witnesses {
		ctx, cancel := context.WithTimeout(ctx, witnessPatience)
		size, err := w.Seen(ctx, client, []byte(read.manifest.Signed))
		cancel()
		if err != nil {
			s.logger().Warn("a witness does not say what it has seen", "witness", w.Name, "err", err)
			fact.Unasked = append(fact.Unasked, w.Name)
			continue
		}
		if size > int64(fact.Commits) {
			fact.Newer = max(fact.Newer, events.Seq(size))
		}
	}
	slices.Sort(fact.Unasked)
	return nil
}

// openEmptyDataDir takes a data directory that holds nothing, and marks that it is being filled.
func openEmptyDataDir(s settings) (*dataDir, error) {
	dir, err := lockDataDir(s)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.DataDir)
	if err == nil {
		for _, e := range entries {
			if e.Name() != "lock" && (s.local() || e.Name() != "control") {
				err = fmt.Errorf("%s is not empty (%s): a restore makes an installation and changes none; set SB_DATA_DIR to an empty folder", s.DataDir, e.Name())
				break
			}
		}
	}
	if err == nil {
		err = writeFile(s.path(restoringFile), []byte("sb-server restore fills this folder\n"), 0o600)
	}
	if err != nil {
		dir.close()
		return nil, err
	}
	return dir, nil
}

// wholeDataDir refuses one that a restore has not finished.
func wholeDataDir(s settings) error {
	_, err := os.Stat(s.path(restoringFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s: %w: empty it and restore again", s.DataDir, errHalfRestored)
	}
	return err
}

// proveRestored reads the whole log back: each MAC is checked, the tree is compared with each
// checkpoint that was kept, and at its end with what the backup says.
func (st *stack) proveRestored(ctx context.Context, read readBackup) error {
	last, err := st.store.Last(ctx)
	if err != nil {
		return err
	}
	if last != read.head.Commits {
		return fmt.Errorf("%w: the restored log ends at %d, and the backup at %d", command.LogDamaged, last, read.head.Commits)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return st.ledger.Run(ctx) })
	group.Go(func() error {
		defer stop()
		if err := st.ledger.Proven(ctx); err != nil {
			return err
		}
		if tree := st.ledger.Tree(); tree.N != int64(read.head.Commits) || tree.N > 0 && tree.Hash != read.manifest.Root {
			return fmt.Errorf("%w: the restored log has %d commits of root %s", command.LogForked, tree.N, tree.Hash)
		}
		return nil
	})
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// foldRestored makes the views and the audit.
func (st *stack) foldRestored(ctx context.Context) error {
	owner, err := st.database.openOwner(ctx)
	if err != nil {
		return err
	}
	defer owner.Close()
	_, err = projections.Rebuild(ctx, owner, st.store)
	return err
}
