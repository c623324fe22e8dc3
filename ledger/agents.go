package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/transparency"
)

// ErrNotShown says that the log cannot be shown now: nothing is signed yet, or this server has not
// read as far as the agent has seen. The agent asks again.
var ErrNotShown = fmt.Errorf("the log is not shown: %w", command.ErrLogAway)

// What is wrong with what an agent says of the log.
var (
	ErrSeenMalformed = &command.Rejection{Code: "checkpoint_malformed", Detail: "what the agent says of the log is not what agents say"}
	ErrCosignature   = &command.Rejection{Code: "cosignature_refused", Detail: "the cosignature is not this agent's for the checkpoint that it names"}
)

const (
	// endPause is before the end of a log that seems cut off is read again: a replica that has just
	// become the leader may lack the newest commits for a moment.
	endPause = time.Second

	// troubleFor is how long an agent's trouble counts after it said so; it says so every ten seconds.
	troubleFor = time.Minute
)

// AgentsConfig is what [Agents] work with. All fields are needed.
type AgentsConfig struct {
	Latest func(ctx context.Context) (Checkpoint, error) // that this server vouches for: [Keeper.Latest]
	Last   func(ctx context.Context) (events.Seq, error) // the end of the log
	Tiles  transparency.Tiles

	// Cosign is that of [Checkpoints].
	Cosign func(ctx context.Context, size int64, witness, line string) error

	// Keys are all that sign or signed checkpoints of this log (c2sp.org/signed-note).
	Keys func() []string

	// Alarm stops what writes to the log. It is told of each contradiction, again and again.
	Alarm func(error)

	Logger *slog.Logger
	Now    func() time.Time
}

// Agents shows the log to agents, takes their cosignatures, and finds out by what they saw that
// the log is not the one that was there. It is safe for concurrent use.
//
// An agent's word stops nothing. What it saw is believed only with the signature of a key that
// signs this log now.
type Agents struct {
	AgentsConfig

	mu       sync.Mutex
	troubles map[events.AgentID]trouble
}

type trouble struct {
	what events.LogTrouble
	at   time.Time
}

// NewAgents makes what shows the log to agents.
func NewAgents(cfg AgentsConfig) *Agents {
	return &Agents{AgentsConfig: cfg, troubles: map[events.AgentID]trouble{}}
}

// Show answers an agent. key is the 32 bytes of the Ed25519 key that it was enrolled with. Errors: [ErrNotShown], [ErrSeenMalformed], [ErrCosignature], and those of reading.
func (a *Agents) Show(ctx context.Context, by events.AgentID, key []byte, m events.AskCheckpoint) (events.ShownCheckpoint, error) {
	if !wellFormed(m) {
		return events.ShownCheckpoint{}, ErrSeenMalformed
	}
	last, err := a.Latest(ctx)
	if errors.Is(err, ErrNoCheckpoint) {
		return events.ShownCheckpoint{}, fmt.Errorf("%w: %w", ErrNotShown, err)
	}
	if err != nil {
		return events.ShownCheckpoint{}, err
	}
	shown := events.ShownCheckpoint{Checkpoint: string(last.Signed), Keys: transparency.Signing(last.Signed, a.Keys())}
	a.hear(by, m)

	seen, err := a.judge(ctx, by, last, shown.Keys, m.Seen)
	switch {
	case errors.Is(err, errNotOurs): // it was enrolled to another log, or its key has ended
		return shown, nil
	case errors.Is(err, command.ErrLogUnsafe):
		return shown, nil // the agent sees for itself
	case err != nil:
		return events.ShownCheckpoint{}, err
	case seen.tree.N != m.Size:
		return events.ShownCheckpoint{}, ErrSeenMalformed
	}
	for _, h := range seen.proof {
		shown.Proof = append(shown.Proof, h[:])
	}
	if m.Trouble != "" {
		// Where the log broke an agent's trust, two checkpoints contradict each other. If the
		// one that it saw is this log's, the other may be signed by our key.
		_, err := a.judge(ctx, by, last, shown.Keys, m.Shown)
		if err == nil || errors.Is(err, errNotOurs) || errors.Is(err, command.ErrLogUnsafe) {
			return shown, nil
		}
		return events.ShownCheckpoint{}, err
	}
	if m.Cosignature == "" {
		return shown, nil
	}
	name, err := transparency.AgentKey(by, key)
	if err != nil {
		return events.ShownCheckpoint{}, err
	}
	if _, err := transparency.OpenCosignature(m.Seen, m.Cosignature, name); err != nil {
		return events.ShownCheckpoint{}, ErrCosignature
	}
	err = a.Cosign(ctx, m.Size, transparency.AgentWitness(by), m.Cosignature)
	if err != nil && !errors.Is(err, ErrNoCheckpoint) { // it was thinned out: a newer one follows
		return events.ShownCheckpoint{}, err
	}
	return shown, nil
}

// wellFormed reports whether an agent of ours may say that.
func wellFormed(m events.AskCheckpoint) bool {
	return m.Size >= 0 && (m.Size == 0) == (m.Seen == "") && (m.Seen != "" || m.Cosignature == "") &&
		(m.Trouble == "") == (m.Shown == "") && (m.Trouble == "" || m.Trouble.Valid() && m.Seen != "") &&
		len(m.Seen) <= events.MaxCheckpoint && len(m.Shown) <= events.MaxCheckpoint && len(m.Cosignature) <= events.MaxCosignature
}

// errNotOurs says that no key of this log signed a checkpoint, so that it says nothing.
var errNotOurs = errors.New("not a checkpoint of this log")

// claim is a checkpoint that an agent holds, and the proof that the log goes on from it.
type claim struct {
	tree  tlog.Tree
	proof tlog.TreeProof
}

// judge compares a checkpoint that an agent holds with the log. A contradiction is an alarm, and
// is raised, where a key signed it that signs the log now. One of a key that has ended proves
// nothing: it may have ended because somebody else has it.
func (a *Agents) judge(ctx context.Context, by events.AgentID, last Checkpoint, current []string, held string) (claim, error) {
	if held == "" {
		return claim{}, nil
	}
	tree, err := open(held, current)
	ended := err != nil
	if ended {
		tree, err = open(held, a.Keys())
	}
	if err != nil {
		return claim{}, errNotOurs
	}
	proof, err := a.compare(ctx, last.Tree, tree)
	switch {
	case !errors.Is(err, command.ErrLogUnsafe):
		return claim{tree, proof}, err
	case ended:
		a.Logger.Error("an agent holds a checkpoint that contradicts the log, by a key that has ended; nothing is stopped", "agent", by, "size", tree.N, "err", err)
		return claim{}, errNotOurs
	}
	err = fmt.Errorf("%w: agent %s holds a checkpoint of %d commits that a key of this log signed: %q", err, by, tree.N, held)
	a.Logger.Error("an agent proves that the log is not the one that was signed", "agent", by, "size", tree.N, "err", err)
	a.Alarm(err)
	return claim{}, err
}

// compare proves that the log's tree goes on from another one.
func (a *Agents) compare(ctx context.Context, log, held tlog.Tree) (tlog.TreeProof, error) {
	if held.N > log.N {
		return nil, a.reaches(ctx, held.N)
	}
	if held.N < 1 {
		return nil, ErrSeenMalformed
	}
	proof, err := transparency.Prover{Tree: log, Tiles: a.Tiles}.Consistency(ctx, held.N, log.N)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotShown, err) // the audit is behind, or damaged: others find that
	}
	same := held.Hash == log.Hash
	if held.N < log.N {
		same = tlog.CheckTree(proof, log.N, log.Hash, held.N, held.Hash) == nil
	}
	if !same {
		return nil, fmt.Errorf("%w: its first %d commits have another root", command.LogForked, held.N)
	}
	return proof, nil
}

// reaches says that the log is too short, if it is. Otherwise this server has not read so far yet.
func (a *Agents) reaches(ctx context.Context, size int64) error {
	for try := range 2 {
		if try > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(endPause):
			}
		}
		end, err := a.Last(ctx)
		if err != nil {
			return fmt.Errorf("%w: read the end of the log: %w", ErrNotShown, err)
		}
		if int64(end) >= size {
			return fmt.Errorf("%w: an agent has seen %d commits, and this server has not proven as many", ErrNotShown, size)
		}
	}
	return fmt.Errorf("%w: it has fewer than %d commits", command.LogTruncated, size)
}

// hear notes whether an agent trusts the log, and says so when that changes.
func (a *Agents) hear(by events.AgentID, m events.AskCheckpoint) {
	now := a.Now()
	a.mu.Lock()
	before, was := a.troubles[by]
	if m.Trouble == "" {
		delete(a.troubles, by)
	} else {
		a.troubles[by] = trouble{m.Trouble, now}
	}
	a.mu.Unlock()
	switch {
	case m.Trouble != "" && (!was || before.what != m.Trouble):
		a.Logger.Error("an agent does no jobs, because it takes this log for another one", "agent", by, "trouble", m.Trouble, "seen", m.Seen, "shown", m.Shown)
	case m.Trouble == "" && was:
		a.Logger.Info("an agent takes this log for the right one again", "agent", by)
	}
}

// Refusing are the agents that said within the last minute, to this server, that they do no jobs,
// because they take the log for another one.
func (a *Agents) Refusing() map[events.AgentID]events.LogTrouble {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, refusing := a.Now(), map[events.AgentID]events.LogTrouble{}
	for id, t := range a.troubles {
		if now.Sub(t.at) > troubleFor {
			delete(a.troubles, id)
			continue
		}
		refusing[id] = t.what
	}
	return refusing
}

// open reads a checkpoint that one of the keys signed.
func open(checkpoint string, keys []string) (tlog.Tree, error) {
	v, err := transparency.NewVerifiers(keys...)
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, _, err := v.Open([]byte(checkpoint))
	return tree, err
}
