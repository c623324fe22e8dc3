// Package witness makes an agent a witness of the control plane's log: it remembers the newest
// checkpoint that it was shown, refuses what contradicts it, and cosigns what goes on from it
// (c2sp.org/tlog-cosignature, Ed25519, with the key that the agent was enrolled with).
//
// In the agent's directory it keeps, mode 0600:
//
//	log.json                 the checkpoint, the log's keys, and what is wrong with the log
//	log-evidence-TIME.json   two checkpoints that contradict each other
//	log-accepted.json        the operator's word that the other log is the right one
//
// The log's keys are those that the control plane named, in a call that it signed, when the agent
// asked for the first time. Another key is taken only together with one that is known: both signed
// the same checkpoint.
package witness

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/internal/private"
	"secretsbridge/seal"
	"secretsbridge/transparency"
)

// maxKeys bounds the keys that a log may have at a time. It has two while one is rotated.
const maxKeys = 8

// Config is what a witness works with. All fields are needed.
type Config struct {
	Dir     string // of the agent's identity; one process owns it
	Agent   events.AgentID
	SignKey seal.SigningKey
	Logger  *slog.Logger
}

// Witness implements [agent.Witness]. It is safe for concurrent use.
type Witness struct {
	Config
	signer cosigner

	mu       sync.Mutex // guards what follows
	state    document
	tree     tlog.Tree // of the state's checkpoint
	line     string    // the cosignature of it; empty: none was made yet
	taken    bool      // the control plane has the line
	cosigned time.Time
	seen     time.Time
	unsaved  *events.ShownCheckpoint // what broke the log, while it could not be saved
}

// Open reads what the agent saw of the log, if it did. What others may have written, and what is
// damaged, is an error: an agent that does not know what it saw must not look away.
func Open(cfg Config) (*Witness, error) {
	w := &Witness{Config: cfg}
	var err error
	if w.signer, err = newCosigner(cfg.Agent, cfg.SignKey); err != nil {
		return nil, fmt.Errorf("watch the log: %w", err)
	}
	if err := private.Dir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("watch the log: %w", err)
	}
	if err := w.load(); err != nil {
		return nil, fmt.Errorf("watch the log: %w", err)
	}
	if t := w.state.Trouble; t != nil {
		cfg.Logger.Error("no jobs are done; see docs/how-to/log-trouble.md", "trouble", t.Why, "problem", t.Why.Sentence(), "since", t.At, "evidence", t.Evidence)
	}
	return w, nil
}

// Ask implements [agent.Witness].
func (w *Witness) Ask() events.AskCheckpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.accept()
	ask := events.AskCheckpoint{Size: w.tree.N, Seen: w.state.Checkpoint}
	if t := w.state.Trouble; t != nil {
		w.save()
		ask.Trouble, ask.Shown = t.Why, t.Shown
		return ask
	}
	if w.line == "" && w.tree.N > 0 {
		w.cosign() // after a restart
	}
	if !w.taken {
		ask.Cosignature = w.line
	}
	return ask
}

// Broken implements [agent.Witness].
func (w *Witness) Broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken()
}

func (w *Witness) broken() error {
	if t := w.state.Trouble; t != nil {
		return fmt.Errorf("%w: %s", agent.ErrLogBroken, t.Why.Sentence())
	}
	return nil
}

// Status implements [agent.Witness].
func (w *Witness) Status() agent.LogStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := agent.LogStatus{Size: w.tree.N, Cosigned: w.cosigned, Seen: w.seen}
	if w.tree.N > 0 {
		s.Root = w.tree.Hash.String()
	}
	if t := w.state.Trouble; t != nil {
		s.Trouble, s.Evidence = t.Why, t.Evidence
	}
	return s
}

// See implements [agent.Witness].
func (w *Witness) See(asked events.AskCheckpoint, shown events.ShownCheckpoint) (news bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.broken(); err != nil {
		return false, err
	}
	if asked.Size != w.tree.N {
		return false, errors.New("the answer is about another size than this agent has now")
	}
	if len(shown.Checkpoint) > events.MaxCheckpoint || len(shown.Keys) > maxKeys || len(shown.Proof) > 2*64 {
		return false, errors.New("the answer is larger than any that a control plane makes")
	}
	if w.tree.N == 0 {
		return w.first(shown)
	}
	tree, why, err := w.judge(shown)
	if err != nil {
		return false, err
	}
	if why != "" {
		return false, w.fails(why, shown)
	}
	if asked.Cosignature != "" {
		w.taken = true
	}
	keys := transparency.Signing([]byte(shown.Checkpoint), slices.Concat(w.state.Keys, shown.Keys))
	if tree.N == w.tree.N && slices.Equal(keys, w.state.Keys) {
		w.seen = time.Now()
		return false, nil
	}
	return true, w.take(tree, shown.Checkpoint, keys)
}

// first pins the log that the control plane shows.
func (w *Witness) first(shown events.ShownCheckpoint) (news bool, err error) {
	tree, origin, err := open(shown.Keys, shown.Checkpoint)
	switch {
	case err != nil:
		return false, fmt.Errorf("the first checkpoint is signed by none of the keys that the control plane names: %w", err)
	case tree.N < 1:
		return false, errors.New("the first checkpoint is of an empty log")
	}
	if err := w.take(tree, shown.Checkpoint, transparency.Signing([]byte(shown.Checkpoint), shown.Keys)); err != nil {
		return false, err
	}
	w.Logger.Info("the log is seen for the first time; this agent holds the control plane to it from now on", "log", origin, "size", tree.N)
	return true, nil
}

// judge says what is wrong with a log, or nothing. What is no checkpoint at all is an error.
func (w *Witness) judge(shown events.ShownCheckpoint) (tlog.Tree, events.LogTrouble, error) {
	tree, _, err := open(w.state.Keys, shown.Checkpoint)
	if err != nil {
		tree, _, err = open(shown.Keys, shown.Checkpoint)
		return tree, events.LogStranger, err
	}
	return tree, w.contradicts(tree, shown.Proof), nil
}

// contradicts says how a tree contradicts the one that is kept.
func (w *Witness) contradicts(tree tlog.Tree, hashes [][]byte) events.LogTrouble {
	switch {
	case tree.N < w.tree.N:
		return events.LogSmaller
	case tree.N == w.tree.N && tree.Hash != w.tree.Hash:
		return events.LogForked
	case tree.N == w.tree.N:
		return ""
	}
	proof := make(tlog.TreeProof, len(hashes))
	for i, h := range hashes {
		if len(h) != tlog.HashSize {
			return events.LogUnproven
		}
		proof[i] = tlog.Hash(h)
	}
	if tlog.CheckTree(proof, tree.N, tree.Hash, w.tree.N, w.tree.Hash) != nil {
		return events.LogUnproven
	}
	return ""
}

// take keeps a checkpoint, and cosigns it once it is kept.
func (w *Witness) take(tree tlog.Tree, checkpoint string, keys []string) error {
	next := w.state
	next.Keys, next.Checkpoint = keys, checkpoint
	if err := next.write(w.Dir); err != nil {
		return fmt.Errorf("keep the checkpoint of %d commits: %w", tree.N, err)
	}
	// From here on this agent never says anything else of a tree up to that size.
	w.state, w.tree, w.seen = next, tree, time.Now()
	w.cosign()
	return nil
}

// cosign makes the line for the checkpoint that is kept.
func (w *Witness) cosign() {
	line, err := w.signer.line(w.state.Checkpoint)
	if err != nil {
		w.Logger.Error("the checkpoint is not cosigned", "err", err) // it was parsed before: a defect
		return
	}
	w.line, w.taken, w.cosigned = line, false, time.Now()
}

// fails saves the evidence and refuses all jobs from now on.
func (w *Witness) fails(why events.LogTrouble, shown events.ShownCheckpoint) error {
	t := &trouble{At: time.Now().UTC(), Why: why, Shown: shown.Checkpoint, Keys: shown.Keys, Evidence: evidenceName(time.Now())}
	w.state.Trouble, w.unsaved = t, &shown // whatever becomes of the files
	w.Logger.Error("no jobs are done from now on; see docs/how-to/log-trouble.md",
		"trouble", why, "problem", why.Sentence(), "size", w.tree.N, "evidence", t.Evidence)
	w.save()
	return w.broken()
}

// save keeps the evidence and the trouble, if they are not kept yet.
func (w *Witness) save() {
	if w.unsaved == nil {
		return
	}
	err := writeEvidence(w.Dir, *w.state.Trouble, w.state, *w.unsaved)
	if err = errors.Join(err, w.state.write(w.Dir)); err != nil {
		w.Logger.Error("what is wrong with the log cannot be kept, and would be forgotten if the agent stopped now; it is tried again", "err", err)
		return
	}
	w.unsaved = nil
}

// open reads a checkpoint that one of the keys signed.
func open(keys []string, checkpoint string) (tlog.Tree, string, error) {
	v, err := transparency.NewVerifiers(keys...)
	if err != nil {
		return tlog.Tree{}, "", err
	}
	return v.Open([]byte(checkpoint))
}
