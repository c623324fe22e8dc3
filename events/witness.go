package events

// Agents are witnesses of the log: each remembers the newest checkpoint that it was shown, takes
// none that contradicts it, and cosigns it. So who shows two people two logs must fool all agents.

// AskCheckpoint asks for the newest checkpoint of the log, and says what the agent saw of it.
// Texts of checkpoints are those of c2sp.org/tlog-checkpoint, with the signatures of the log.
type AskCheckpoint struct {
	Size        int64  `json:"size"`                  // of the tree of Seen; 0: none
	Seen        string `json:"seen,omitempty"`        // the newest checkpoint that the agent vouches for
	Cosignature string `json:"cosignature,omitempty"` // the agent's line for it (c2sp.org/tlog-cosignature), until it was taken

	// Trouble is why the agent does no jobs, and Shown the checkpoint in which it found it.
	Trouble LogTrouble `json:"trouble,omitempty"`
	Shown   string     `json:"shown,omitempty"`
}

// ShownCheckpoint is the newest checkpoint of the log.
type ShownCheckpoint struct {
	Checkpoint string   `json:"checkpoint"`
	Proof      [][]byte `json:"proof,omitempty"` // that its tree goes on from the one of Size (RFC 6962, section 2.1.2)
	Keys       []string `json:"keys"`            // that sign checkpoints (c2sp.org/signed-note), the current one first
}

// Bounds of what is said of the log, in bytes. A checkpoint with the signatures of two keys has
// 400, and a line 170.
const (
	MaxCheckpoint  = 4 << 10
	MaxCosignature = 512
)

// LogTrouble is why an agent takes the log for another than the one it vouched for.
type LogTrouble string

// The troubles.
const (
	LogSmaller  LogTrouble = "smaller"  // a tree was shown that is smaller than one before
	LogForked   LogTrouble = "forked"   // another root of the same size
	LogUnproven LogTrouble = "unproven" // a larger tree that does not go on from the one before
	LogStranger LogTrouble = "stranger" // none of the keys signed it that the agent knows
)

// Sentence says it to people.
func (t LogTrouble) Sentence() string {
	switch t {
	case LogSmaller:
		return "the control plane showed a log that is shorter than the one that this agent saw before"
	case LogForked:
		return "the control plane showed another log of the same length as the one that this agent saw before"
	case LogUnproven:
		return "the control plane showed a log that does not go on from the one that this agent saw before"
	case LogStranger:
		return "the control plane showed a log that is signed by none of the keys that this agent knows"
	}
	return ""
}

// Valid reports whether it is one of the troubles.
func (t LogTrouble) Valid() bool { return t.Sentence() != "" }
