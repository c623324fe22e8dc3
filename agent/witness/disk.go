package witness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/private"
)

const (
	stateFile    = "log.json"
	acceptedFile = "log-accepted.json"

	// format is of log.json.
	format = 1
)

// document is log.json.
type document struct {
	Format     int            `json:"format"`
	Agent      events.AgentID `json:"agent"`      // an agent that is enrolled anew begins anew
	Keys       []string       `json:"keys"`       // of the log (c2sp.org/signed-note)
	Checkpoint string         `json:"checkpoint"` // that the agent vouches for
	Trouble    *trouble       `json:"trouble,omitempty"`
}

// trouble is why no jobs are done.
type trouble struct {
	At       time.Time         `json:"at"`
	Why      events.LogTrouble `json:"why"`
	Shown    string            `json:"shown"`    // the checkpoint that contradicts
	Keys     []string          `json:"keys"`     // that the control plane named with it
	Evidence string            `json:"evidence"` // name of the file
}

// evidence is what is kept for whoever has to find out. Both checkpoints are signed by the log:
// two that contradict each other prove that it told two stories.
type evidence struct {
	At    time.Time         `json:"at"`
	Agent events.AgentID    `json:"agent"`
	Why   events.LogTrouble `json:"why"`
	Known string            `json:"known"` // checkpoint
	Shown string            `json:"shown"`
	Proof [][]byte          `json:"proof,omitempty"` // of consistency, as it was shown
	Keys  []string          `json:"keys"`            // that the agent knew
	Named []string          `json:"named"`           // keys that the control plane named
}

func evidenceName(at time.Time) string {
	return "log-evidence-" + at.UTC().Format("20060102T150405.000000000Z") + ".json"
}

func writeEvidence(dir string, t trouble, state document, shown events.ShownCheckpoint) error {
	return writeJSON(dir, t.Evidence, evidence{
		At: t.At, Agent: state.Agent, Why: t.Why, Known: state.Checkpoint, Shown: shown.Checkpoint,
		Proof: shown.Proof, Keys: state.Keys, Named: shown.Keys,
	})
}

// load reads log.json. There is none before the log was seen, and one of another agent is that of
// an enrolment that was replaced.
func (w *Witness) load() error {
	state, err := read(w.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.state = document{Format: format, Agent: w.Agent}
		return nil
	case err != nil:
		return err
	case state.Agent != w.Agent:
		w.Logger.Warn("what this directory knows of a log is of another agent; it is begun anew", "other", state.Agent)
		w.state = document{Format: format, Agent: w.Agent}
		return nil
	}
	if state.Checkpoint == "" && state.Trouble == nil {
		w.state = state // the operator had it forget the log
		return nil
	}
	tree, _, err := open(state.Keys, state.Checkpoint)
	if err != nil {
		return fmt.Errorf("%s is damaged: %w", stateFile, err)
	}
	w.state, w.tree = state, tree
	return nil
}

func read(dir string) (document, error) {
	var d document
	err := readJSON(filepath.Join(dir, stateFile), &d, func() error {
		switch {
		case d.Format != format:
			return fmt.Errorf("format %d is unknown to this version", d.Format)
		case d.Trouble != nil && !d.Trouble.Why.Valid():
			return errors.New("its trouble is none of those that this version knows")
		}
		return nil
	})
	return d, err
}

func (d document) write(dir string) error { return writeJSON(dir, stateFile, d) }

func writeJSON(dir, name string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return private.Replace(dir, name, append(raw, '\n'))
}

// readJSON reads a file of this package, strictly.
func readJSON(path string, into any, check func() error) error {
	raw, err := private.Read(path)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err = dec.Decode(into); err == nil {
		err = check()
	}
	if err != nil {
		return fmt.Errorf("%s is damaged or of a newer version: %w", filepath.Base(path), err)
	}
	return nil
}
