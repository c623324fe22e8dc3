package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/events"
	"secretsbridge/transparency"
	"secretsbridge/web/api/client"
)

// replayBatch is how many commits are folded together.
const replayBatch = 500

// errFolded ends a fold that came as far as it was to.
var errFolded = errors.New("folded")

// eventsLog is the log in a file, line i being the commit with sequence i. It is a [command.Feed] of
// what is in the file. One goroutine at a time uses it.
type eventsLog struct {
	file *os.File
	temp bool // the file is ours, and goes with it
	last events.Seq

	through events.Seq            // a batch ends here, so that nobody is given what they do not want
	tree    *transparency.Builder // of what was delivered, each commit once
	until   time.Time             // when the last of these was
}

// openLog opens an events file, or keeps the log of the server, as far as it is needed, in a file of
// its own meanwhile. Nothing in it is a value.
func openLog(c *cobra.Command, path string, to *client.Client, needed []wanted) (_ *eventsLog, err error) {
	l := &eventsLog{tree: &transparency.Builder{}}
	var from io.Reader
	switch {
	case path == "-":
		from = c.InOrStdin()
	case path != "":
		if l.file, err = os.Open(path); err != nil {
			return nil, usage("read the events file: %w", err)
		}
	default:
		upto := uint64(0)
		for _, w := range needed {
			if upto = max(upto, uint64(w.seq)); w.seq == 0 {
				upto = math.MaxUint64
				break
			}
		}
		from = &serverCommits{ctx: c.Context(), to: to, upto: upto}
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if from != nil {
		if l.file, err = os.CreateTemp("", "sb-events-*"); err != nil { // readable by its owner only
			return nil, fmt.Errorf("keep the log meanwhile: %w", err)
		}
		l.temp = true
		if _, err = io.Copy(l.file, from); err != nil {
			return nil, err
		}
	}
	return l, l.lines(c.Context(), 0, func(seq events.Seq, _ []byte) error { l.last = seq; return nil })
}

func (l *eventsLog) close() {
	if l.file == nil {
		return
	}
	_ = l.file.Close()
	if l.temp {
		_ = os.Remove(l.file.Name())
	}
}

// lines visits every line after a sequence. It is good until the next one is read.
func (l *eventsLog) lines(ctx context.Context, after events.Seq, visit func(events.Seq, []byte) error) error {
	if _, err := l.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the events: %w", err)
	}
	from := bufio.NewReaderSize(l.file, events.MaxCommitBytes+2)
	for seq := events.Seq(1); ; seq++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw, err := from.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(raw) == 0:
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			return fail("events_invalid", "line %d is longer than a commit may be", seq)
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("read the events: %w", err)
		}
		if seq <= after {
			continue
		}
		if err := visit(seq, bytes.TrimSuffix(raw, []byte("\n"))); err != nil {
			return err
		}
	}
}

// Last implements [command.Feed].
func (l *eventsLog) Last(context.Context) (events.Seq, error) { return l.last, nil }

// At implements [command.Feed].
func (l *eventsLog) At(ctx context.Context, seq events.Seq) (found events.Recorded, err error) {
	err = l.Follow(ctx, seq-1, 1, func(_ context.Context, commits []events.Recorded) error {
		found = commits[0]
		return errFolded
	})
	if errors.Is(err, errFolded) {
		err = nil
	}
	return found, err
}

// Follow implements [command.Feed], but for that it ends where the file does, with an error: nobody
// asks for more than there is.
func (l *eventsLog) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	var commits []events.Recorded
	flush := func() error {
		if len(commits) == 0 {
			return nil
		}
		batch := commits
		commits = nil // whoever took them may keep them
		return deliver(ctx, batch)
	}
	err := l.lines(ctx, after, func(seq events.Seq, raw []byte) error {
		commit, err := recorded(seq, raw)
		if err != nil {
			return err
		}
		if l.tree.Size() == transparency.Leaf(seq) {
			l.tree.Append(transparency.LeafHash(raw))
			l.until = commit.Events[0].Time
		}
		if commits = append(commits, commit); len(commits) < limit && seq != l.through {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err == nil {
		err = fail("events_invalid", "the events end with commit %d", l.last)
	}
	return err
}

// recorded reads one line.
func recorded(seq events.Seq, raw []byte) (events.Recorded, error) {
	raw = bytes.Clone(raw)
	facts, err := events.Decode(raw)
	var unknown *events.UnknownTypeError
	switch {
	case errors.As(err, &unknown):
		return events.Recorded{}, fail("events_invalid", "commit %d: %w; update this program", seq, err)
	case err != nil:
		return events.Recorded{}, fail("events_invalid", "line %d: %w", seq, err)
	}
	return events.Recorded{Seq: seq, Stream: facts[0].Stream, Events: facts, Raw: raw}, nil
}

// find is the commit that a moment stands for. Of a time it is the last one that is not later by its
// own time, as the server has it: so the whole log is looked through. 0 is before the first.
func (l *eventsLog) find(ctx context.Context, w wanted) (events.Seq, error) {
	switch {
	case w.end():
		return l.last, nil
	case w.seq > l.last:
		return 0, usage("there is no commit %d: the log ends with %d", w.seq, l.last)
	case w.seq > 0:
		return w.seq, nil
	}
	found := events.Seq(0)
	err := l.lines(ctx, 0, func(seq events.Seq, raw []byte) error {
		var commit []struct {
			Time time.Time `json:"time"`
		}
		if err := json.Unmarshal(raw, &commit); err != nil || len(commit) == 0 {
			return fail("events_invalid", "line %d is not a commit", seq)
		}
		for _, e := range commit { // one decision has one time
			if !e.Time.After(w.time) {
				found = seq
			}
		}
		return nil
	})
	return found, err
}

// tell says up to which commit was folded, and the root of the tree of just that.
func (l *eventsLog) tell(c *cobra.Command) error {
	tree := l.tree.Tree()
	note(c, "folded %d commits, up to %s; the root of their tree is %s", tree.N, l.until.UTC().Format(time.RFC3339), tree.Hash)
	return nil
}
