package witness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/internal/private"
	"secretsbridge/transparency"
)

// ErrNothingToAccept says that the agent has no trouble with the log.
var ErrNothingToAccept = errors.New("this agent has no trouble with the log")

// Trouble is what an operator has to judge: what the agent saw before, and what it was shown.
type Trouble struct {
	Why          events.LogTrouble
	Known, Shown tlog.Tree
	Origin       string // of the log that was shown
	Evidence     string // path of the file
}

// Look reads the trouble of an agent from its directory, or returns [ErrNothingToAccept].
func Look(dir string) (Trouble, error) {
	state, err := read(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && state.Trouble == nil {
		return Trouble{}, ErrNothingToAccept
	}
	if err != nil {
		return Trouble{}, fmt.Errorf("read what the agent knows of the log: %w", err)
	}
	t := Trouble{Why: state.Trouble.Why, Evidence: filepath.Join(dir, state.Trouble.Evidence)}
	if t.Known, _, err = open(state.Keys, state.Checkpoint); err != nil {
		return t, fmt.Errorf("read what the agent knows of the log: %w", err)
	}
	if t.Shown, t.Origin, err = open(state.Trouble.Keys, state.Trouble.Shown); err != nil {
		return t, fmt.Errorf("what the control plane showed is no checkpoint of a key that it names, and cannot be accepted: %w", err)
	}
	return t, nil
}

// acceptance is log-accepted.json.
type acceptance struct {
	Format int       `json:"format"`
	Root   tlog.Hash `json:"root"`
	Size   int64     `json:"size"`
	Forget bool      `json:"forget,omitempty"` // in place of a root: the next log that is shown is the right one
}

// Forget is the operator's word that what the agent saw counts no more: it believes the log that
// it is shown next, as one that has just been enrolled does. It is for the restore of a backup,
// before the restored control plane starts.
func Forget(dir string) error {
	if err := private.Dir(dir); err != nil {
		return fmt.Errorf("forget the log: %w", err)
	}
	if err := writeJSON(dir, acceptedFile, acceptance{Format: format, Forget: true}); err != nil {
		return fmt.Errorf("forget the log: %w", err)
	}
	return nil
}

// Accept is the operator's word that the log that was shown is the right one. The agent holds the
// control plane to it from its next look on, or its next start. The root says which log is meant;
// another than the one that was shown is refused. The evidence stays.
func Accept(dir string, root tlog.Hash) (Trouble, error) {
	t, err := Look(dir)
	if err != nil {
		return t, err
	}
	if root != t.Shown.Hash {
		return t, fmt.Errorf("the log that was shown has the root %s, not %s", t.Shown.Hash, root)
	}
	if err := private.Dir(dir); err != nil {
		return t, fmt.Errorf("accept the log: %w", err)
	}
	if err := writeJSON(dir, acceptedFile, acceptance{Format: format, Root: root, Size: t.Shown.N}); err != nil {
		return t, fmt.Errorf("accept the log: %w", err)
	}
	return t, nil
}

// accept takes the operator's word, if there is one.
func (w *Witness) accept() {
	path := filepath.Join(w.Dir, acceptedFile)
	var word acceptance
	err := readJSON(path, &word, func() error {
		if word.Format != format {
			return fmt.Errorf("format %d is unknown to this version", word.Format)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	next := document{Format: format, Agent: w.Agent}
	var tree tlog.Tree
	if t := w.state.Trouble; err == nil && !word.Forget {
		switch {
		case t == nil:
			err = ErrNothingToAccept
		default:
			next.Keys, next.Checkpoint = transparency.Signing([]byte(t.Shown), t.Keys), t.Shown
			tree, _, err = open(next.Keys, t.Shown)
			if err == nil && (tree.Hash != word.Root || tree.N != word.Size) {
				err = errors.New("it is about another log than the one that was shown last")
			}
		}
	}
	if err == nil {
		if fault := next.write(w.Dir); fault != nil {
			w.Logger.Error("the operator's acceptance of the log cannot be kept, and is tried again", "err", fault)
			return
		}
		w.Logger.Warn("the operator accepted another log; this agent does jobs again", "size", tree.N, "before", w.tree.N)
		w.state, w.tree, w.line, w.taken, w.unsaved = next, tree, "", false, nil
	} else {
		w.Logger.Error("the operator's acceptance of the log is not taken", "err", err)
	}
	_ = os.Remove(path) // it has no meaning any more
}
