package transparency_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/transparency"
)

// log is a log in memory: its lines, and all hashes over them, by the reference.
type log struct {
	lines  [][]byte
	hashes stored
}

func commit(t testing.TB, n int, facts ...events.Fact) []byte {
	t.Helper()
	var batch []events.Event
	for i, fact := range facts {
		stream := events.Stream{Aggregate: events.AggregateAccess, ID: "u_1"}
		if _, ok := fact.(events.CheckpointKeyRotated); ok {
			stream = events.CheckpointStream()
		}
		batch = append(batch, events.Event{
			ID: events.EventID(fmt.Sprintf("e_%d_%d", n, i)), Stream: stream, Time: time.Unix(int64(n), 0), Actor: "user:u_1",
			Correlation: "c_1", Command: "m_1", Fact: fact,
		})
	}
	raw, err := events.Encode(batch)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (l *log) add(t testing.TB, raw []byte) {
	t.Helper()
	grown, err := tlog.StoredHashes(int64(len(l.lines)), raw, l.hashes)
	if err != nil {
		t.Fatal(err)
	}
	l.lines, l.hashes = append(l.lines, raw), append(l.hashes, grown...)
}

func newLog(t testing.TB, size int) *log {
	l := &log{}
	for i := range size {
		l.add(t, commit(t, i, events.AuditRead{Reading: events.ReadingCommits}))
	}
	return l
}

func (l *log) tree(t testing.TB, size int64) tlog.Tree {
	t.Helper()
	hash, err := tlog.TreeHash(size, l.hashes)
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: hash}
}

// ReadTiles has tiles of whatever width is asked for.
func (l *log) ReadTiles(_ context.Context, tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		one, err := tlog.ReadTileData(tile, l.hashes)
		if err != nil {
			return nil, err
		}
		data = append(data, one)
	}
	return data, nil
}

// keys are those of a log and of one witness that its policy asks for.
type keys struct {
	signing, verifying string
	witness            *torchwood.CosignatureSigner
	policy             *transparency.Policy
}

const origin = "log.example/a"

func newKeys(t testing.TB) keys {
	t.Helper()
	var k keys
	var err error
	if k.signing, k.verifying, err = transparency.GenerateKey(origin); err != nil {
		t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if k.witness, err = torchwood.NewCosignatureSigner("witness.example/w", private); err != nil {
		t.Fatal(err)
	}
	k.policy = parse(t, transparency.PolicyText(k.verifying, []transparency.Witness{{Name: "witness.example/w", Key: k.witness.Verifier().String()}}, 1))
	return k
}

func parse(t testing.TB, text string) *transparency.Policy {
	t.Helper()
	p, err := transparency.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return p
}

// sign makes a checkpoint with the keys of a log, cosigned.
func (k keys) sign(t testing.TB, tree tlog.Tree, signing ...string) []byte {
	t.Helper()
	if len(signing) == 0 {
		signing = []string{k.signing}
	}
	var signers []note.Signer
	for _, key := range signing {
		s, err := note.NewSigner(key)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, s)
	}
	signed, err := note.Sign(&note.Note{Text: torchwood.Checkpoint{Origin: origin, Tree: tree}.String()}, append(signers, k.witness)...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func file(lines [][]byte) []byte {
	var all []byte
	for _, line := range lines {
		all = append(append(all, line...), '\n')
	}
	return all
}

// changes are what is done to one event, with what is to be found where. It gets lines that it may
// change the order of, and a place, with one more line behind it.
var changes = map[string]func(r *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong){
	"one letter": func(r *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		other := bytes.Clone(lines[at])
		i := bytes.Index(other, []byte("user:u_")) + len("user:u_")
		other[i] = '2'
		lines[at] = other
		return lines, transparency.Differs
	},
	"a bit of a brace": func(_ *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		other := bytes.Clone(lines[at])
		other[1] ^= 1
		lines[at] = other
		return lines, transparency.NoCommit
	},
	"a space more": func(_ *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		lines[at] = bytes.Replace(lines[at], []byte(":"), []byte(": "), 1)
		return lines, transparency.Differs
	},
	"deleted": func(_ *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		return slices.Delete(lines, at, at+1), transparency.Missing
	},
	"emptied": func(_ *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		lines[at] = nil
		return lines, transparency.NoCommit
	},
	"inserted": func(_ *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		return slices.Insert(lines, at, bytes.Replace(lines[at], []byte("e_"), []byte("x_"), 1)), transparency.TooMany
	},
	"repeated": func(_ *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		return slices.Insert(lines, at, lines[max(at-1, 0)]), transparency.TooMany
	},
	"swapped with the next": func(_ *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		lines[at], lines[at+1] = lines[at+1], lines[at]
		return lines, transparency.Reordered
	},
	"moved behind another": func(r *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		moved := lines[at]
		to := at + 1 + r.IntN(len(lines)-at-1)
		return slices.Insert(slices.Delete(lines, at, at+1), to, moved), transparency.Reordered
	},
	"truncated": func(_ *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		return lines[:at], transparency.Missing
	},
	"cut within": func(_ *rand.Rand, lines [][]byte, at int) ([][]byte, transparency.Wrong) {
		return append(lines[:at:at], lines[at][:len(lines[at])/2]), transparency.NoCommit
	},
}

// One event changed, deleted, inserted, moved or cut off is found in every trial; with tiles it is
// named, without them it is within the range that is named.
func TestAnyChangeOfOneEventIsFound(t *testing.T) {
	whole, k := newLog(t, 1100), newKeys(t)
	var names []string
	for name := range changes {
		names = append(names, name)
	}
	slices.Sort(names)
	r := rand.New(rand.NewPCG(1, 2))
	for trial := range 1000 {
		name := names[trial%len(names)]
		size := 2 + r.IntN(len(whole.lines)-1)
		if trial%7 == 0 {
			size = []int{2, 256, 257, 512, 768, 1024}[r.IntN(6)]
		}
		at := r.IntN(size - 1)
		lines, what := changes[name](r, slices.Clone(whole.lines[:size]), at)
		seq := events.Seq(at + 1)
		if name == "repeated" && at == 0 {
			seq = 2 // the first of two equal lines is where it belongs
		}
		middle := int64(1 + r.IntN(size))
		against := transparency.Against{
			Policy: k.policy, Tiles: whole,
			Checkpoints: [][]byte{k.sign(t, whole.tree(t, int64(size))), k.sign(t, whole.tree(t, middle))},
		}
		_, err := transparency.VerifyEvents(t.Context(), bytes.NewReader(file(lines)), against)
		var bad *transparency.BadEvent
		if !errors.As(err, &bad) || bad.Seq != seq || bad.Upto != seq || bad.What != what {
			t.Fatalf("trial %d: event %d of %d %s: %v (%+v)", trial, seq, size, name, err, bad)
		}
		against.Tiles = nil
		_, err = transparency.VerifyEvents(t.Context(), bytes.NewReader(file(lines)), against)
		if !errors.As(err, &bad) || bad.Seq > seq || bad.Upto < seq {
			t.Fatalf("trial %d without tiles: event %d of %d %s: %v (%+v)", trial, seq, size, name, err, bad)
		}
		if seq > events.Seq(middle) && bad.Seq <= events.Seq(middle) && bad.Upto != seq {
			t.Fatalf("trial %d: the checkpoint of %d did not narrow down %v", trial, middle, bad)
		}
	}
}

func TestAGoodFileIsGood(t *testing.T) {
	whole, k := newLog(t, 1100), newKeys(t)
	for _, size := range []int{0, 1, 2, 255, 256, 257, 1024, 1100} {
		tree := whole.tree(t, int64(size))
		for name, tiles := range map[string]transparency.Tiles{"with tiles": whole, "without": nil} {
			checkpoints := [][]byte{k.sign(t, tree)}
			if size > 0 {
				checkpoints = append(checkpoints, k.sign(t, whole.tree(t, int64(size+1)/2)))
			}
			got, err := transparency.VerifyEvents(t.Context(), bytes.NewReader(file(whole.lines[:size])), transparency.Against{Policy: k.policy, Tiles: tiles, Checkpoints: checkpoints})
			if err != nil || got.Newest.Tree != tree || got.Commits != int64(size) {
				t.Errorf("%d lines %s: %+v, %v", size, name, got, err)
			}
			if want := []string{origin, "witness.example/w"}; err == nil && !slices.Equal(got.Newest.Signers, want) {
				t.Errorf("signers %q, want %q", got.Newest.Signers, want)
			}
		}
		for known := 1; known <= size; known += 1 + size/3 {
			got, err := transparency.VerifyEvents(t.Context(), bytes.NewReader(file(whole.lines[known:size])),
				transparency.Against{Policy: k.policy, Tiles: whole, Checkpoints: [][]byte{k.sign(t, tree)}, Known: whole.tree(t, int64(known))})
			if err != nil || got.Commits != int64(size-known) {
				t.Errorf("%d lines behind %d: %+v, %v", size-known, known, got, err)
			}
		}
	}
}

func TestLinesBehindTheCheckpointAreTooMany(t *testing.T) {
	whole, k := newLog(t, 300), newKeys(t)
	for name, tiles := range map[string]transparency.Tiles{"with tiles": whole, "without": nil} {
		_, err := transparency.VerifyEvents(t.Context(), bytes.NewReader(file(whole.lines)),
			transparency.Against{Policy: k.policy, Tiles: tiles, Checkpoints: [][]byte{k.sign(t, whole.tree(t, 299))}})
		var bad *transparency.BadEvent
		if !errors.As(err, &bad) || bad.Seq != 300 || bad.What != transparency.TooMany {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFileBehindALineThatIsTooLongGoesOn(t *testing.T) {
	whole, k := newLog(t, 10), newKeys(t)
	lines := slices.Insert(slices.Clone(whole.lines), 4, bytes.Repeat([]byte("a"), 3*events.MaxCommitBytes))
	_, err := transparency.VerifyEvents(t.Context(), bytes.NewReader(file(lines)),
		transparency.Against{Policy: k.policy, Tiles: whole, Checkpoints: [][]byte{k.sign(t, whole.tree(t, 10))}})
	var bad *transparency.BadEvent
	if !errors.As(err, &bad) || bad.Seq != 5 || bad.What != transparency.TooMany || bad.Count != 1 {
		t.Errorf("%v", err)
	}
}

func TestAForkedOrShrunkLogIsNamed(t *testing.T) {
	whole, other, k := newLog(t, 300), &log{}, newKeys(t)
	for i, line := range whole.lines {
		if i == 100 {
			line = bytes.Replace(line, []byte("u_1"), []byte("u_2"), 1)
		}
		other.add(t, line)
	}
	small := whole.tree(t, 200)
	for name, c := range map[string]struct {
		against transparency.Against
		lines   [][]byte
		want    error
	}{
		"forked behind what is known":         {transparency.Against{Tiles: other, Checkpoints: [][]byte{k.sign(t, other.tree(t, 300))}, Known: small}, other.lines[200:], transparency.ErrForked},
		"another root of one size":            {transparency.Against{Tiles: other, Checkpoints: [][]byte{k.sign(t, other.tree(t, 200))}, Known: small}, nil, transparency.ErrForked},
		"shrunk":                              {transparency.Against{Tiles: whole, Checkpoints: [][]byte{k.sign(t, whole.tree(t, 199))}, Known: small}, nil, transparency.ErrShrunk},
		"a smaller checkpoint of another log": {transparency.Against{Tiles: other, Checkpoints: [][]byte{k.sign(t, other.tree(t, 300)), k.sign(t, small)}}, other.lines, transparency.ErrForked},
		"two of one size":                     {transparency.Against{Checkpoints: [][]byte{k.sign(t, whole.tree(t, 300)), k.sign(t, other.tree(t, 300))}}, whole.lines, transparency.ErrForked},
		"tiles of another log":                {transparency.Against{Tiles: other, Checkpoints: [][]byte{k.sign(t, whole.tree(t, 300))}}, whole.lines, transparency.ErrTiles},
		"no checkpoint":                       {transparency.Against{Tiles: whole}, whole.lines, transparency.ErrCheckpoint},
		"a checkpoint of another key":         {transparency.Against{Tiles: whole, Checkpoints: [][]byte{newKeys(t).sign(t, whole.tree(t, 300))}}, whole.lines, transparency.ErrCheckpoint},
	} {
		c.against.Policy = k.policy
		if _, err := transparency.VerifyEvents(t.Context(), bytes.NewReader(file(c.lines)), c.against); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAnOldPolicyLeadsOverARotation(t *testing.T) {
	l, k := newLog(t, 20), newKeys(t)
	signing, verifying, err := transparency.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	l.add(t, commit(t, 20, events.CheckpointKeyRotated{Serial: 2, Key: verifying, PreviousUntil: time.Unix(9, 0)}))
	for i := range 20 {
		l.add(t, commit(t, 21+i, events.AuditRead{Reading: events.ReadingCommits}))
	}
	both, alone := k.sign(t, l.tree(t, 25), signing, k.signing), k.sign(t, l.tree(t, 41), signing)
	before := k.sign(t, l.tree(t, 15))
	for name, tiles := range map[string]transparency.Tiles{"with tiles": l, "without": nil} {
		got, err := transparency.VerifyEvents(t.Context(), bytes.NewReader(file(l.lines)), transparency.Against{Policy: k.policy, Tiles: tiles, Checkpoints: [][]byte{alone, before, both}})
		if err != nil || got.Newest.Tree.N != 41 || got.Policy.Key() != verifying {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		// The rotation has to be in what the old key signed.
		_, err = transparency.VerifyEvents(t.Context(), bytes.NewReader(file(l.lines)), transparency.Against{Policy: k.policy, Tiles: tiles, Checkpoints: [][]byte{alone, before}})
		if !errors.Is(err, transparency.ErrCheckpoint) {
			t.Errorf("%s: a key that nobody vouched for: %v", name, err)
		}
	}
}

func TestPoliciesNameOneLogAndTheirWitnesses(t *testing.T) {
	k, second := newKeys(t), newKeys(t)
	for name, text := range map[string]string{
		"nothing":      "",
		"no log":       "quorum none\n",
		"two keys":     "log " + k.verifying + "\nlog " + second.verifying + "\nquorum none\n",
		"no quorum":    "log " + k.verifying + "\n",
		"unknown word": "log " + k.verifying + "\nquorum none\nplease\n",
		"too long":     "log " + k.verifying + "\nquorum none\n" + strings.Repeat("#\n", transparency.MaxPolicy),
	} {
		if _, err := transparency.ParsePolicy([]byte(text)); !errors.Is(err, transparency.ErrPolicy) {
			t.Errorf("%s: %v, want ErrPolicy", name, err)
		}
	}
	tree := newLog(t, 3).tree(t, 3)
	alone, err := note.NewSigner(k.signing)
	if err != nil {
		t.Fatal(err)
	}
	unseen, err := note.Sign(&note.Note{Text: torchwood.Checkpoint{Origin: origin, Tree: tree}.String()}, alone)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.policy.Open(unseen); !errors.Is(err, transparency.ErrCheckpoint) {
		t.Errorf("a checkpoint that no witness saw: %v", err)
	}
	if _, err := parse(t, transparency.PolicyText(k.verifying, nil, 0)).Open(unseen); err != nil {
		t.Errorf("without witnesses: %v", err)
	}
	witness := transparency.Witness{Name: "all", Key: k.witness.Verifier().String()}
	two := parse(t, transparency.PolicyText(k.verifying, []transparency.Witness{witness, {Name: "a b", Key: second.witness.Verifier().String()}}, 1))
	if _, err := two.Open(k.sign(t, tree)); err != nil {
		t.Errorf("one witness of two: %v", err)
	}
}

func TestProofsHoldForTheirCommitAlone(t *testing.T) {
	l, k := newLog(t, 700), newKeys(t)
	tree := l.tree(t, 700)
	p, signed := transparency.Prover{Tree: tree, Tiles: l}, k.sign(t, tree)
	for _, seq := range []events.Seq{1, 2, 256, 257, 512, 700} {
		proof, err := p.Proof(t.Context(), seq, signed)
		if err != nil {
			t.Fatal(err)
		}
		raw := l.lines[seq-1]
		if got, opened, err := k.policy.VerifyProof(proof, raw); err != nil || got != seq || opened.Tree != tree {
			t.Errorf("proof of %d: %d, %v", seq, got, err)
		}
		if _, _, err := k.policy.VerifyProof(proof, append(slices.Clone(raw), ' ')); !errors.Is(err, transparency.ErrProof) {
			t.Errorf("proof of %d with other bytes: %v", seq, err)
		}
		if _, _, err := newKeys(t).policy.VerifyProof(proof, raw); !errors.Is(err, transparency.ErrCheckpoint) {
			t.Errorf("proof of %d by another key: %v", seq, err)
		}
		for i := 0; i < len(proof); i += 7 {
			other := bytes.Clone(proof)
			other[i] ^= 1
			if _, _, err := k.policy.VerifyProof(other, raw); err == nil {
				t.Fatalf("proof of %d holds with byte %d changed", seq, i)
			}
		}
		for size := max(int64(seq), 3); size <= 700; size += 131 {
			inclusion, err := p.Inclusion(t.Context(), seq, size)
			if err != nil || tlog.CheckRecord(inclusion, size, l.tree(t, size).Hash, transparency.Leaf(seq), transparency.LeafHash(raw)) != nil {
				t.Errorf("inclusion of %d in %d: %v", seq, size, err)
			}
		}
	}
	for _, sizes := range [][2]int64{{1, 1}, {1, 700}, {256, 257}, {699, 700}, {511, 512}, {700, 700}} {
		from, to := l.tree(t, sizes[0]), l.tree(t, sizes[1])
		consistency, err := p.Consistency(t.Context(), from.N, to.N)
		if err != nil || tlog.CheckTree(consistency, to.N, to.Hash, from.N, from.Hash) != nil {
			t.Errorf("consistency of %v: %v", sizes, err)
		}
	}
	for name, err := range map[string]error{
		"commit 0":      second(p.Inclusion(t.Context(), 0, 5)),
		"commit beyond": second(p.Inclusion(t.Context(), 6, 5)),
		"size beyond":   second(p.Inclusion(t.Context(), 6, 701)),
		"size 0":        second(p.Consistency(t.Context(), 0, 5)),
		"backwards":     second(p.Consistency(t.Context(), 6, 5)),
		"tree beyond":   second(p.Consistency(t.Context(), 6, 701)),
	} {
		if !errors.Is(err, transparency.ErrNotInTree) {
			t.Errorf("%s: %v, want ErrNotInTree", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestCheckpointsOfAFileAreToldApart(t *testing.T) {
	k, l := newKeys(t), newLog(t, 3)
	one, two := k.sign(t, l.tree(t, 2)), k.sign(t, l.tree(t, 3))
	for name, text := range map[string][]byte{
		"at once":          slices.Concat(one, two),
		"with empty lines": slices.Concat([]byte("\n"), one, []byte("\n\n"), two, []byte("\n")),
	} {
		got := transparency.SplitCheckpoints(text)
		if len(got) != 2 || !bytes.Equal(got[0], one) || !bytes.Equal(got[1], two) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := transparency.SplitCheckpoints([]byte("hello\n")); len(got) != 1 {
		t.Errorf("no checkpoint: %q", got)
	}
}
