package transparency

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
)

// ErrPolicy says that a text is no policy that can be used.
var ErrPolicy = errors.New("not a policy of one log")

// MaxPolicy is how long a policy may be, in bytes: some hundred witnesses.
const MaxPolicy = 64 << 10

// Policy says which key signs checkpoints of a log and which witnesses must have seen them
// (c2sp.org/tlog-policy). It is a value; whoever holds it knows the log.
type Policy struct {
	text   string
	key    string // of the log
	origin string
	rules  torchwood.Policy

	witnesses []string
}

// ParsePolicy reads a policy. It names exactly one key of a log: of two, the library would want both
// signatures, and then no checkpoint counts before a rotation and none after it. Errors wrap [ErrPolicy].
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > MaxPolicy {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrPolicy, MaxPolicy)
	}
	var keys []string
	var witnesses []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		switch fields := strings.Fields(line); {
		case len(fields) > 1 && fields[0] == "log":
			keys = append(keys, fields[1])
		case len(fields) > 2 && fields[0] == "witness":
			name, _, _ := strings.Cut(fields[2], "+")
			witnesses = append(witnesses, name)
		}
	}
	if len(keys) != 1 {
		return nil, fmt.Errorf("%w: it has %d lines that begin with \"log\", and needs one", ErrPolicy, len(keys))
	}
	rules, err := torchwood.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	key, err := note.NewVerifier(keys[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	return &Policy{text: string(text), key: keys[0], origin: key.Name(), rules: rules, witnesses: witnesses}, nil
}

// String is the policy's text.
func (p *Policy) String() string { return p.text }

// Origin is the name of the log.
func (p *Policy) Origin() string { return p.origin }

// Key is the log's key.
func (p *Policy) Key() string { return p.key }

// Witnesses are the names of its witnesses' keys, with which their cosignatures begin.
func (p *Policy) Witnesses() []string { return slices.Clone(p.witnesses) }

// Rules is the policy for the library.
func (p *Policy) Rules() torchwood.Policy { return p.rules }

// Rotated is the same policy for another key of the same log, which the log itself has named.
func (p *Policy) Rotated(key string) (*Policy, error) {
	next, err := ParsePolicy([]byte(strings.Replace(p.text, p.key, key, 1)))
	if err != nil {
		return nil, err
	}
	if next.origin != p.origin {
		return nil, fmt.Errorf("%w: the key is of %q, the log is %q", ErrPolicy, next.origin, p.origin)
	}
	return next, nil
}

// Opened is a checkpoint that satisfies a policy.
type Opened struct {
	Tree    tlog.Tree
	Signed  []byte
	Signers []string // whose signatures were checked: the log first, then witnesses by name
}

// Open checks a checkpoint. Errors wrap [ErrCheckpoint].
func (p *Policy) Open(signed []byte) (Opened, error) {
	c, n, err := torchwood.VerifyCheckpoint(signed, p.rules)
	if err != nil {
		return Opened{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	opened := Opened{Tree: c.Tree, Signed: bytes.Clone(signed)}
	for _, sig := range n.Sigs {
		if sig.Name != p.origin {
			opened.Signers = append(opened.Signers, sig.Name)
		}
	}
	slices.Sort(opened.Signers)
	opened.Signers = slices.Insert(slices.Compact(opened.Signers), 0, p.origin)
	return opened, nil
}

// ReadCheckpoint reads what a signed checkpoint is of and checks no signature: for one that was checked
// before. Errors wrap [ErrCheckpoint].
func ReadCheckpoint(signed []byte) (tlog.Tree, string, error) {
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	c, err := torchwood.ParseCheckpoint(string(text) + "\n")
	if err != nil {
		return tlog.Tree{}, "", fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return c.Tree, c.Origin, nil
}

// VerifyProof checks a text that [Prover.Proof] made against the bytes of a commit, and returns the
// commit's sequence, and the checkpoint that it is proven by. Errors: [ErrCheckpoint], [ErrProof].
func (p *Policy) VerifyProof(proof, raw []byte) (events.Seq, Opened, error) {
	_, signed, found := bytes.Cut(proof, []byte("\n\n"))
	if !found {
		return 0, Opened{}, fmt.Errorf("%w: it is no c2sp.org/tlog-proof", ErrProof)
	}
	opened, err := p.Open(signed)
	if err != nil {
		return 0, Opened{}, err
	}
	var other *torchwood.VerifyRecordError
	switch err := torchwood.VerifyProof(p.rules, LeafHash(raw), proof); {
	case errors.As(err, &other):
		return 0, Opened{}, fmt.Errorf("%w: these are not the bytes of commit %d", ErrProof, SeqOf(other.Index))
	case err != nil:
		return 0, Opened{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	for line := range strings.Lines(string(proof)) {
		var leaf int64
		if _, err := fmt.Sscanf(line, "index %d", &leaf); err == nil {
			return SeqOf(leaf), opened, nil
		}
	}
	return 0, Opened{}, fmt.Errorf("%w: it names no leaf", ErrProof)
}

// ErrProof says that a proof does not prove a commit.
var ErrProof = errors.New("the proof does not hold")

// Witness is who cosigns checkpoints.
type Witness struct {
	Name string
	Key  string // of verifiers: "NAME+HASH+KEY", with an Ed25519 key for cosignatures
}

// PolicyText writes a policy: the log's key, its witnesses, and that so many of them must have
// cosigned, which may be 0. Two witnesses of one name are told apart by numbers.
func PolicyText(key string, witnesses []Witness, quorum int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "log %s\n", key)
	names := map[string]bool{"none": true, "any": true, "all": true, "witnesses": true}
	var group []string
	for _, w := range witnesses {
		name := strings.Join(strings.FieldsFunc(w.Name, func(r rune) bool { return r <= ' ' || r == '#' || r == '+' }), "-")
		for n := 2; names[name] || name == ""; n++ {
			name = fmt.Sprintf("%s-%d", w.Name, n)
		}
		names[name] = true
		group = append(group, name)
		fmt.Fprintf(&text, "witness %s %s\n", name, w.Key)
	}
	if quorum == 0 || len(group) == 0 {
		text.WriteString("quorum none\n")
		return text.String()
	}
	fmt.Fprintf(&text, "group witnesses %d %s\nquorum witnesses\n", quorum, strings.Join(group, " "))
	return text.String()
}

// SplitCheckpoints reads a file of checkpoints one after another: each ends with its signature
// lines, and empty lines between two are left out.
func SplitCheckpoints(text []byte) [][]byte {
	var all [][]byte
	var one []byte
	signatures := false
	for line := range bytes.Lines(text) {
		signature := bytes.HasPrefix(line, []byte("\u2014 "))
		if signatures && !signature {
			all, one, signatures = append(all, one), nil, false
		}
		if len(one) == 0 && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		one, signatures = append(one, line...), signatures || signature
	}
	if len(one) > 0 {
		all = append(all, one)
	}
	return all
}
