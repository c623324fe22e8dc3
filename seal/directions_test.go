package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"secretsbridge/seal"
)

// complete is a binding with the fields of its direction, to the party's own key.
func (p party) complete(d seal.Direction) seal.Binding {
	b := p.binding()
	b.Direction = d
	switch d {
	case seal.Propose:
		b.Envelope, b.Job, b.Attempt, b.NotAfter = "", "", 0, time.Time{}
	case seal.Patch:
		b.Attempt, b.Agent, b.AgentKey = 0, "", ""
	case seal.Deliver:
		b.Attempt = 0
	case seal.Reveal:
		b.Job, b.Attempt = "", 0
	case seal.Compare:
		b.Envelope, b.Attempt, b.Key = "", 0, ""
	case seal.SignIn:
		b = seal.Binding{Direction: d, AgentKey: b.AgentKey}
	case seal.Factor:
		b = seal.Binding{Direction: d, Envelope: b.Envelope, Key: b.Key, Agent: b.Agent}
	case seal.Integration:
		b = seal.Binding{Direction: d, Envelope: b.Envelope, Attempt: b.Attempt, Key: b.Key, Agent: b.Agent}
	case seal.Keyring:
		b = seal.Binding{Direction: d, Attempt: b.Attempt, Key: b.Key}
	}
	return b
}

// TestADirectionHasItsFieldsAndNoOther changes each field from there to missing, or the
// other way round: sealing refuses both.
func TestADirectionHasItsFieldsAndNoOther(t *testing.T) {
	p := newParty(t, seal.X25519)
	for _, d := range []seal.Direction{seal.Read, seal.Propose, seal.Patch, seal.Deliver, seal.Reveal, seal.Compare, seal.SignIn, seal.Factor, seal.Integration, seal.Keyring} {
		b := p.complete(d)
		key := seal.NewDataKey()
		if _, err := seal.SealValue(key, b, nil); err != nil {
			t.Errorf("%s: %v", d, err)
		}
		full := p.binding()
		for name, change := range map[string]func(*seal.Binding){
			"request":    func(b *seal.Binding) { toggle(&b.Request, full.Request) },
			"envelope":   func(b *seal.Binding) { toggle(&b.Envelope, full.Envelope) },
			"job":        func(b *seal.Binding) { toggle(&b.Job, full.Job) },
			"key":        func(b *seal.Binding) { toggle(&b.Key, full.Key) },
			"connection": func(b *seal.Binding) { toggle(&b.Connection, full.Connection) },
			"ref":        func(b *seal.Binding) { toggle(&b.Ref, full.Ref) },
			"agent":      func(b *seal.Binding) { toggle(&b.Agent, full.Agent) },
			"agent key":  func(b *seal.Binding) { toggle(&b.AgentKey, full.AgentKey) },
			"attempt":    func(b *seal.Binding) { b.Attempt = 1 - b.Attempt },
			"end": func(b *seal.Binding) {
				if b.NotAfter.IsZero() {
					b.NotAfter = end
				} else {
					b.NotAfter = time.Time{}
				}
			},
		} {
			other := b
			change(&other)
			if _, err := seal.SealValue(key, other, nil); !errors.Is(err, seal.ErrBinding) {
				t.Errorf("%s with %s the other way: error = %v, want %v", d, name, err, seal.ErrBinding)
			}
		}
	}
}

func toggle(field *string, there string) {
	if *field == "" {
		*field = there
	} else {
		*field = ""
	}
}

// sealed is one kind of padded HPKE message, and how it opens.
type sealed struct {
	bytes   []byte
	binding seal.Binding
	open    func(seal.RecipientKey, seal.Binding, []byte) ([]byte, error)
}

func (p party) padded(t *testing.T, value []byte) map[string]sealed {
	t.Helper()
	propose, deliver := p.complete(seal.Propose), p.complete(seal.Deliver)
	proposal, err := seal.SealProposal(p.agent.Public(), propose, value)
	if err != nil {
		t.Fatal(err)
	}
	message, err := seal.SealValueMessage(p.agent.Public(), p.signer, deliver, value)
	if err != nil {
		t.Fatal(err)
	}
	signIn, err := seal.SealProposal(p.agent.Public(), p.complete(seal.SignIn), value)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]sealed{
		"proposal": {proposal, propose, seal.OpenProposal},
		"sign-in":  {signIn, p.complete(seal.SignIn), seal.OpenProposal},
		"value message": {message, deliver, func(key seal.RecipientKey, b seal.Binding, m []byte) ([]byte, error) {
			return seal.OpenValueMessage(key, p.trusted(), b, before, m)
		}},
	}
}

func TestPaddedMessagesOpenWhereTheyWereSealedAndNowhereElse(t *testing.T) {
	for _, suite := range []seal.Suite{seal.X25519, seal.XWing} {
		p := newParty(t, suite)
		for _, value := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("v"), 251), bytes.Repeat([]byte("v"), 252), bytes.Repeat([]byte("v"), 253), bytes.Repeat([]byte("v"), seal.MaxValue)} {
			for name, s := range p.padded(t, value) {
				got, err := s.open(p.agent, s.binding, s.bytes)
				if err != nil || !bytes.Equal(got, value) {
					t.Fatalf("%s of %d bytes: opened to %d, %v", name, len(value), len(got), err)
				}
			}
		}
		for name, s := range p.padded(t, []byte("hunter2")) {
			for field, other := range otherBindings(t, s.binding) {
				got, err := s.open(p.agent, other, s.bytes)
				refused(t, name+" with another "+field, got, err, seal.ErrOpen)
			}
			stranger := newParty(t, suite)
			got, err := s.open(stranger.agent, s.binding, s.bytes)
			refused(t, name+" to another key", got, err, seal.ErrOpen, seal.ErrKey)
			for bit := range 8 * len(s.bytes) {
				changed := bytes.Clone(s.bytes)
				changed[bit/8] ^= 1 << (bit % 8)
				got, err := s.open(p.agent, s.binding, changed)
				refused(t, name+" with a bit flipped", got, err, append(refusals, seal.ErrKey)...)
			}
			for cut := range len(s.bytes) {
				got, err := s.open(p.agent, s.binding, s.bytes[:cut])
				refused(t, name+" cut short", got, err, append(refusals, seal.ErrKey)...)
			}
		}
	}
}

// TestAPaddedMessageTellsTheLengthInStepsOnly seals two values of the same step.
func TestAPaddedMessageTellsTheLengthInStepsOnly(t *testing.T) {
	p := newParty(t, seal.XWing)
	short, long := p.padded(t, nil), p.padded(t, bytes.Repeat([]byte("v"), 252))
	for name := range short {
		if len(short[name].bytes) != len(long[name].bytes) {
			t.Errorf("%s: %d and %d bytes", name, len(short[name].bytes), len(long[name].bytes))
		}
	}
}

// TestAMessageIsNotPaddedByAccident: what was sealed without padding does not open as a
// value.
func TestAMessageIsNotPaddedByAccident(t *testing.T) {
	p := newParty(t, seal.X25519)
	for _, plain := range [][]byte{{}, make([]byte, 64), make([]byte, 255), bytes.Repeat([]byte{0xff}, 256)} {
		message, err := seal.SealMessage(p.agent.Public(), p.signer, p.binding(), plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := seal.OpenValueMessage(p.agent, p.trusted(), p.binding(), before, message)
		refused(t, "unpadded", got, err, seal.ErrOpen)
	}
}

func TestAProposalIsForTheKeyInItsBinding(t *testing.T) {
	p, other := newParty(t, seal.XWing), newParty(t, seal.XWing)
	for name, tt := range map[string]struct {
		to   seal.RecipientPublic
		b    seal.Binding
		size int
		want error
	}{
		"another key":       {other.agent.Public(), p.complete(seal.Propose), 1, seal.ErrBinding},
		"another direction": {p.agent.Public(), p.complete(seal.Deliver), 1, seal.ErrBinding},
		"too long":          {p.agent.Public(), p.complete(seal.Propose), seal.MaxValue + 1, seal.ErrTooLarge},
	} {
		if got, err := seal.SealProposal(tt.to, tt.b, make([]byte, tt.size)); !errors.Is(err, tt.want) || got != nil {
			t.Errorf("%s: error = %v, want %v", name, err, tt.want)
		}
	}
}

func TestAnEntryKeepsItsKind(t *testing.T) {
	for _, tt := range []struct {
		kind  seal.EntryKind
		value string
		want  string // "" is refused
	}{
		{seal.EntryText, "hunter2", "shunter2"},
		{seal.EntryText, "", "s"},
		{seal.EntryText, "5", "s5"},
		{seal.EntryText, "\xff", ""},
		{seal.EntryJSON, "5", "j5"},
		{seal.EntryJSON, ` { "a" : [ 1, null ] } `, `j{"a":[1,null]}`},
		{seal.EntryJSON, `"5"`, ""},
		{seal.EntryJSON, `{"a"`, ""},
		{seal.EntryJSON, "", ""},
		{seal.EntryJSON, "[\"\xff\"]", ""},
		{'x', "5", ""},
		{seal.EntryText, strings.Repeat("v", seal.MaxEntry+1), ""},
	} {
		got, err := seal.EncodeEntry(tt.kind, []byte(tt.value))
		if string(got) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%c of %.20q: %.40q, %v", tt.kind, tt.value, got, err)
			continue
		}
		if tt.want == "" {
			continue
		}
		if kind, value, err := seal.DecodeEntry(got); err != nil || kind != tt.kind || !bytes.Equal(value, got[1:]) {
			t.Errorf("%q: decoded to %c, %q, %v", got, kind, value, err)
		}
	}
	for _, foreign := range []string{"", "x5", "j 5", "s\xff", "j\"5\""} {
		if _, _, err := seal.DecodeEntry([]byte(foreign)); !errors.Is(err, seal.ErrMalformed) {
			t.Errorf("%q: error = %v, want %v", foreign, err, seal.ErrMalformed)
		}
	}
}
