package evidence

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/transparency"
)

// Want names commits that belong into a file: those of a stream up to a sequence, inclusive, of
// all types or of some.
type Want struct {
	Stream events.Stream
	UpTo   events.Seq
	Types  []string // none means all
}

// rightsOf are the facts that say what somebody may do.
var rightsOf = []string{
	"sb.user.added.v1", "sb.user.disabled.v1", "sb.user.enabled.v1", "sb.user.grant_given.v1", "sb.user.grant_taken.v1",
	"sb.user.groups_told.v1", "sb.user.delegation_given.v1", "sb.user.delegation_ended.v1", "sb.user.delegation_expired.v1",
}

// whoIs are the facts that say which agent an id stands for.
var whoIs = []string{"sb.agent.enrolment_token_issued.v1", "sb.agent.enrolled.v1", "sb.agent.revoked.v1"}

// Wants says what else belongs into the file of a request, from its own history: the policy up
// to when it was submitted, the connection, the agents that worked on it, and the rights of who
// asked and of who voted, up to the last commit of the request.
func Wants(history []events.Recorded) []Want {
	if len(history) == 0 {
		return nil
	}
	submitted, last := history[0].Seq, history[len(history)-1].Seq
	wants := []Want{{Stream: events.GovernanceStream(), UpTo: submitted, Types: []string{"sb.governance.changed.v1"}}}
	add := func(w Want) {
		if !slices.ContainsFunc(wants, func(o Want) bool { return o.Stream == w.Stream }) {
			wants = append(wants, w)
		}
	}
	person := func(ids ...events.UserID) {
		for _, id := range ids {
			add(Want{Stream: events.UserStream(id), UpTo: last, Types: rightsOf})
		}
	}
	for _, c := range history {
		for _, e := range c.Events {
			switch f := e.Fact.(type) {
			case events.RequestSubmitted:
				add(Want{Stream: events.ConnectionStream(f.Connection), UpTo: submitted})
				person(f.Requester)
			case events.ApprovalGiven:
				person(f.Approver)
				person(f.Via...)
			case events.RequestRejected:
				person(f.Approver)
				person(f.Via...)
			case events.JobStarted:
				add(Want{Stream: events.AgentStream(f.Agent), UpTo: last, Types: whoIs})
			}
		}
	}
	return wants
}

// Of picks what is wanted from a history.
func (w Want) Of(history []events.Recorded) []events.Recorded {
	var found []events.Recorded
	for _, c := range history {
		if c.Seq <= w.UpTo && (len(w.Types) == 0 || slices.ContainsFunc(c.Events, w.wants)) {
			found = append(found, c)
		}
	}
	return found
}

func (w Want) wants(e events.Event) bool {
	typ, err := events.TypeOf(e.Fact)
	return err == nil && slices.Contains(w.Types, typ)
}

// Prove makes the proof that a leaf is in a tree.
type Prove func(ctx context.Context, tree tlog.Tree, leaf int64) (tlog.RecordProof, error)

// Make writes a file. Commits may come in any order, and more than once. A commit that is not the
// one of the tree makes no file: the error wraps [ErrEvidence].
func Make(ctx context.Context, request events.RequestID, now time.Time, checkpoint []byte, tree tlog.Tree, commits []events.Recorded, prove Prove) ([]byte, error) {
	commits = slices.SortedFunc(slices.Values(commits), func(a, b events.Recorded) int { return cmp.Compare(a.Seq, b.Seq) })
	commits = slices.CompactFunc(commits, func(a, b events.Recorded) bool { return a.Seq == b.Seq })
	if len(commits) > MaxCommits {
		return nil, fmt.Errorf("%w: it would have %d commits, the limit is %d", ErrEvidence, len(commits), MaxCommits)
	}
	f := File{Format: Format, Request: request, MadeAt: now.UTC(), Checkpoint: string(checkpoint), Commits: make([]Commit, len(commits))}
	for i, c := range commits {
		proof, err := prove(ctx, tree, transparency.Leaf(c.Seq))
		if err != nil {
			return nil, fmt.Errorf("prove commit %d: %w", c.Seq, err)
		}
		if tlog.CheckRecord(proof, tree.N, tree.Hash, transparency.Leaf(c.Seq), transparency.LeafHash(c.Raw)) != nil {
			return nil, fmt.Errorf("%w: commit %d is not the one in the signed tree", ErrEvidence, c.Seq)
		}
		f.Commits[i] = Commit{Seq: c.Seq, Raw: string(c.Raw), Proof: proof}
	}
	text, err := json.MarshalIndent(f, "", " ")
	if err == nil && len(text) > MaxBytes {
		err = fmt.Errorf("%w: it would have %d bytes, the limit is %d", ErrEvidence, len(text), MaxBytes)
	}
	return append(text, '\n'), err
}
