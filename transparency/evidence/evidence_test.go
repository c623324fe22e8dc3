package evidence_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/transparency"
	"secretsbridge/transparency/evidence"
)

var day = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

// log is a history in memory with its tree.
type log struct {
	t       *testing.T
	commits []events.Recorded
	hashes  []tlog.Hash
}

func (l *log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	read := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		read[i] = l.hashes[at]
	}
	return read, nil
}

func (l *log) add(stream events.Stream, actor events.Actor, facts ...events.Fact) {
	l.t.Helper()
	id := events.NewCommandID()
	commit := make([]events.Event, len(facts))
	for i, f := range facts {
		commit[i] = events.Event{
			ID: events.EventIDOf(id, i), Stream: stream, Time: day.Add(time.Duration(len(l.commits)) * time.Second), Actor: actor,
			Correlation: events.CorrelationID(id), Command: id, Fact: f,
		}
	}
	raw, err := events.Encode(commit)
	if err != nil {
		l.t.Fatal(err)
	}
	seq := events.Seq(len(l.commits) + 1)
	grown, err := tlog.StoredHashes(transparency.Leaf(seq), raw, l)
	if err != nil {
		l.t.Fatal(err)
	}
	l.hashes = append(l.hashes, grown...)
	l.commits = append(l.commits, events.Recorded{Seq: seq, Stream: stream, Events: commit, Raw: raw})
}

func (l *log) tree() tlog.Tree {
	root, err := tlog.TreeHash(int64(len(l.commits)), l)
	if err != nil {
		l.t.Fatal(err)
	}
	return tlog.Tree{N: int64(len(l.commits)), Hash: root}
}

func (l *log) prove(_ context.Context, tree tlog.Tree, leaf int64) (tlog.RecordProof, error) {
	return tlog.ProveRecord(tree.N, leaf, l)
}

const (
	request = events.RequestID("r_1")
	asker   = events.UserID("u_asker")
	voter   = events.UserID("u_voter")
	agent   = events.AgentID("a_1")
)

func rule(name string) events.Object {
	return events.Object{Kind: events.KindRole, Name: name, Spec: events.Role{}}
}

// receipt is what an agent signs when it has written a patch.
func receipt(t *testing.T, key seal.SigningKey, version string) *events.Receipt {
	t.Helper()
	said, err := json.Marshal(events.CompleteJob{Request: request, Job: "j_1", Attempt: 1, ProviderVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	frame := seal.Call{Service: string(events.ServiceComplete), Account: "A1"}.SignRequest(key, said)
	return &events.Receipt{Agent: agent, Account: "A1", Service: events.ServiceComplete, Key: key.Public().String(), Frame: frame}
}

// life is a log with one request among other things. An agent signed that the secret has that
// version.
func life(t *testing.T, signed string) *log {
	l := &log{t: t}
	agentKey, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	l.add(events.GovernanceStream(), "user:u_admin", events.GovernanceChanged{Version: 1, Set: []events.Object{rule("one"), rule("two")}})
	l.add(events.UserStream(voter), "user:u_admin", events.UserAdded{User: voter, Kind: events.UserPerson})
	l.add(events.AccessStream("user:u_voter"), "user:u_voter", events.SignedIn{User: voter, Session: "s_1"})
	l.add(events.AgentStream(agent), "user:u_admin", events.EnrolmentTokenIssued{Agent: agent, Name: "east", Cluster: "east"})
	l.add(events.AgentStream(agent), "agent:a_1", events.AgentEnrolled{Account: "A1", SignKey: agentKey.Public().String()})
	l.add(events.GovernanceStream(), "user:u_admin", events.GovernanceChanged{Version: 2, Set: []events.Object{rule("three")}, Removed: []events.ObjectRef{{Kind: events.KindRole, Name: "one"}}})
	l.add(events.RequestStream(request), "user:u_asker", events.RequestSubmitted{
		Request: request, Requester: asker, Operation: events.OperationPatch, Connection: "file", Cluster: "east", Ref: "prod/db", Reason: "rotate <it> & go",
		Workflow: events.Workflow{Rule: "r", Name: "w", Version: 2},
	})
	l.add(events.GovernanceStream(), "user:u_admin", events.GovernanceChanged{Version: 3, Set: []events.Object{rule("four")}})
	l.add(events.RequestStream("r_other"), "user:u_asker", events.RequestSubmitted{Request: "r_other", Requester: asker})
	l.add(events.RequestStream(request), "user:u_voter", events.ApprovalGiven{Step: "s", Approver: voter, Comment: "yes"}, events.RequestApproved{Job: "j_1"})
	l.add(events.RequestStream(request), "agent:a_1", events.JobStarted{Job: "j_1", Agent: agent, Attempt: 1})
	l.add(events.RequestStream(request), "agent:a_1", events.RequestExecuted{
		Job: "j_1", Agent: agent, Attempt: 1, ProviderVersion: "8", PreviousVersion: "7", Receipt: receipt(t, agentKey, signed),
	})
	l.add(events.RequestStream(request), "system:worker", events.RolloutBegun{Version: "8"})
	return l
}

func (l *log) gathered() []events.Recorded {
	of := func(stream events.Stream) (history []events.Recorded) {
		for _, c := range l.commits {
			if c.Stream == stream {
				history = append(history, c)
			}
		}
		return history
	}
	all := of(events.RequestStream(request))
	for _, w := range evidence.Wants(all) {
		all = append(all, w.Of(of(w.Stream))...)
	}
	return all
}

// keys sign the log, and witness it.
type keys struct {
	signer  *transparency.Signer
	witness *torchwood.CosignatureSigner
	policy  *transparency.Policy
}

func newKeys(t *testing.T) keys {
	t.Helper()
	signing, public, err := transparency.GenerateKey("secrets-bridge/test")
	if err != nil {
		t.Fatal(err)
	}
	var k keys
	if k.signer, err = transparency.NewSigner(signing); err != nil {
		t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if k.witness, err = torchwood.NewCosignatureSigner("w.example", private); err != nil {
		t.Fatal(err)
	}
	k.policy, err = transparency.ParsePolicy([]byte("log " + public + "\nwitness w " + k.witness.Verifier().String() + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k keys) checkpoint(t *testing.T, tree tlog.Tree, witnessed bool) []byte {
	t.Helper()
	signed, err := k.signer.Sign(tree)
	if err != nil || !witnessed {
		return signed
	}
	n, err := note.Open(signed, note.VerifierList()) // nobody is known yet
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		n, err = unverified.Note, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	signed, err = note.Sign(n, k.witness)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func made(t *testing.T, l *log, checkpoint []byte, commits []events.Recorded) []byte {
	t.Helper()
	text, err := evidence.Make(t.Context(), request, day, checkpoint, l.tree(), commits, l.prove)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEvidenceTellsTheLifeOfARequest(t *testing.T) {
	l, k := life(t, "8"), newKeys(t)
	got, err := evidence.Verify(made(t, l, k.checkpoint(t, l.tree(), true), l.gathered()), k.policy)
	if err != nil {
		t.Fatal(err)
	}
	want := evidence.Report{
		Request: request, Origin: "secrets-bridge/test", Size: 13, Signers: []string{"secrets-bridge/test", "w.example"},
		Asked: &evidence.Asked{
			By: asker, At: day.Add(6 * time.Second), Seq: 7, Operation: events.OperationPatch, Connection: "file", Ref: "prod/db", Reason: "rotate <it> & go",
			Workflow: events.Workflow{Rule: "r", Name: "w", Version: 2},
		},
		Policy:  evidence.Policy{Version: 2, Seq: 6, Objects: []events.Object{rule("three"), rule("two")}},
		Votes:   []evidence.Vote{{By: voter, At: day.Add(9 * time.Second), Seq: 10, Step: "s", Agreed: true, Comment: "yes"}},
		Work:    []evidence.Work{{Agent: agent, Name: "east", Cluster: "east", Attempt: 1, Seq: 11}},
		Outcome: &evidence.Outcome{State: "executed", Signed: agent, At: day.Add(11 * time.Second), Seq: 12, ProviderVersion: "8", PreviousVersion: "7"},
	}
	timeline := got.Timeline
	if key := l.commits[4].Events[0].Fact.(events.AgentEnrolled).SignKey; got.Work[0].Key != key {
		t.Errorf("key of the agent: %q, want %q", got.Work[0].Key, key)
	}
	got.Timeline, got.Rollout, got.Work[0].Key = nil, nil, ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if len(timeline) != 6 || timeline[5].Type != "sb.request.rollout_begun.v1" {
		t.Errorf("timeline: %v", timeline)
	}
}

// TestAnyChangeIsFound changes one byte of the file at a time, where it says something: a file
// that still verifies must tell exactly the same.
func TestAnyChangeIsFound(t *testing.T) {
	l, k := life(t, "8"), newKeys(t)
	text := made(t, l, k.checkpoint(t, l.tree(), true), l.gathered())
	want, err := evidence.Verify(text, k.policy)
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		changed := bytes.Clone(text)
		changed[rand.IntN(len(changed))] ^= 1 << rand.IntN(7)
		got, err := evidence.Verify(changed, k.policy)
		if err != nil {
			if !errors.Is(err, evidence.ErrEvidence) {
				t.Fatalf("%v, want ErrEvidence", err)
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("a changed file verifies and tells something else:\n%s", diff)
		}
	}
}

func TestWhatProvesNothingIsRefused(t *testing.T) {
	l, k := life(t, "8"), newKeys(t)
	signed := k.checkpoint(t, l.tree(), true)
	edit := func(with func(f *evidence.File)) []byte {
		f, err := evidence.Parse(made(t, l, signed, l.gathered()))
		if err != nil {
			t.Fatal(err)
		}
		with(&f)
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	madeOf := func(l *log) []byte { return made(t, l, k.checkpoint(t, l.tree(), true), l.gathered()) }
	for name, c := range map[string]struct {
		text []byte
		says string
	}{
		"no witness":        {made(t, l, k.checkpoint(t, l.tree(), false), l.gathered()), "checkpoint"},
		"another log's key": {made(t, l, newKeys(t).checkpoint(t, l.tree(), true), l.gathered()), "checkpoint"},
		"another request":   {edit(func(f *evidence.File) { f.Request = "r_other" }), "another request"},
		"not submitted":     {edit(func(f *evidence.File) { f.Commits = f.Commits[:3] }), "was submitted"},
		"a commit twice":    {edit(func(f *evidence.File) { f.Commits = append(f.Commits, f.Commits[len(f.Commits)-1]) }), "follows"},
		"another place":     {edit(func(f *evidence.File) { f.Commits[len(f.Commits)-1].Seq++ }), "not the one"},
		"a word changed":    {edit(func(f *evidence.File) { f.Commits[0].Raw = strings.Replace(f.Commits[0].Raw, "two", "six", 1) }), "not the one"},
		"another's format":  {edit(func(f *evidence.File) { f.Format = "x" }), "format"},
		"a false receipt":   {madeOf(life(t, "9")), "said something else"},
		"no commits":        {edit(func(f *evidence.File) { f.Commits = nil }), "commits"},
		"an unknown field":  {[]byte(`{"format":"` + evidence.Format + `","more":1}`), "more"},
		"two files":         {append(edit(func(*evidence.File) {}), "{}"...), "end"},
		"no JSON":           {[]byte("hello"), "invalid"},
		"nothing":           {nil, "EOF"},
	} {
		_, err := evidence.Verify(c.text, k.policy)
		if !errors.Is(err, evidence.ErrEvidence) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrEvidence that says %q", name, err, c.says)
		}
	}
}

func TestWhatIsNotInTheTreeMakesNoFile(t *testing.T) {
	l, k := life(t, "8"), newKeys(t)
	commits := l.gathered()
	commits[0].Raw = append(bytes.Clone(commits[0].Raw), ' ')
	_, err := evidence.Make(t.Context(), request, day, k.checkpoint(t, l.tree(), true), l.tree(), commits, l.prove)
	if !errors.Is(err, evidence.ErrEvidence) {
		t.Errorf("%v, want ErrEvidence", err)
	}
}

func TestGapsAreSaid(t *testing.T) {
	l, k := life(t, "8"), newKeys(t)
	var without []events.Recorded
	for _, c := range l.gathered() {
		if c.Seq != 1 && c.Seq != 4 && c.Seq != 5 && c.Seq != 12 {
			without = append(without, c)
		}
	}
	got, err := evidence.Verify(made(t, l, k.checkpoint(t, l.tree(), true), without), k.policy)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the text of version 2 of the policy is not in the file", "nothing in the file says who agent a_1 is",
		"the request had no outcome when the file was made",
	}
	if diff := cmp.Diff(want, got.Gaps); diff != "" || got.Policy.Objects != nil {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}
