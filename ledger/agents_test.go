package ledger_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/transparency"
)

const witnessing = events.AgentID("a_00000000000000000000000000")

// past is a history that one control plane shows.
type past struct {
	t      *testing.T
	size   int64
	hashes []tlog.Hash
}

func (p *past) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	read := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		read[i] = p.hashes[at]
	}
	return read, nil
}

// ReadTiles implements transparency.Tiles.
func (p *past) ReadTiles(_ context.Context, tiles []tlog.Tile) (read [][]byte, err error) {
	for _, tile := range tiles {
		data, err := tlog.ReadTileData(tile, p)
		if err != nil {
			return nil, err
		}
		read = append(read, data)
	}
	return read, nil
}

func history(t *testing.T, texts ...string) *past {
	p := &past{t: t}
	for _, text := range texts {
		grown, err := tlog.StoredHashes(p.size, []byte(text), p)
		if err != nil {
			t.Fatal(err)
		}
		p.hashes, p.size = append(p.hashes, grown...), p.size+1
	}
	return p
}

func (p *past) at(size int64) tlog.Tree {
	root, err := tlog.TreeHash(size, p)
	if err != nil {
		p.t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: root}
}

// shows is a server with a log and one agent.
type shows struct {
	*ledger.Agents
	t       *testing.T
	past    *past
	signed  int64 // size of the newest checkpoint
	signing string
	public  string
	ended   [2]string // a key that signs no more: its halves
	key     ed25519.PrivateKey
	kept    map[int64]string
	alarms  []error
}

func newShows(t *testing.T, texts ...string) *shows {
	t.Helper()
	s := &shows{t: t, past: history(t, texts...), kept: map[int64]string{}}
	s.signed = s.past.size
	var err error
	if s.signing, s.public, err = transparency.GenerateKey("log.example/a"); err != nil {
		t.Fatal(err)
	}
	if s.ended[0], s.ended[1], err = transparency.GenerateKey("log.example/a"); err != nil {
		t.Fatal(err)
	}
	if _, s.key, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	s.Agents = ledger.NewAgents(ledger.AgentsConfig{
		Latest: func(context.Context) (ledger.Checkpoint, error) {
			if s.signed == 0 {
				return ledger.Checkpoint{}, ledger.ErrNoCheckpoint
			}
			return ledger.Checkpoint{Tree: s.past.at(s.signed), Signed: []byte(s.sign(s.past, s.signed, s.signing))}, nil
		},
		Last:  func(context.Context) (events.Seq, error) { return events.Seq(s.past.size), nil },
		Tiles: tilesOf{s}, Keys: func() []string { return []string{s.ended[1], s.public} },
		Cosign: func(_ context.Context, size int64, witness, line string) error {
			if witness != "agent/"+string(witnessing) {
				t.Errorf("cosigned by %q", witness)
			}
			s.kept[size] = line
			return nil
		},
		Alarm: func(err error) { s.alarms = append(s.alarms, err) }, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	return s
}

// tilesOf are those of whatever past the server has now.
type tilesOf struct{ *shows }

func (s tilesOf) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	return s.past.ReadTiles(ctx, tiles)
}

func (s *shows) sign(p *past, size int64, key string) string {
	s.t.Helper()
	signer, err := transparency.NewSigner(key)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := signer.Sign(p.at(size))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(signed)
}

// line is a cosignature of a checkpoint.
func line(t *testing.T, key ed25519.PrivateKey, name, checkpoint string) string {
	t.Helper()
	signer, err := torchwood.NewCosignatureSigner(name, key)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(checkpoint, "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed[len(text)+2:])
}

func (s *shows) show(m events.AskCheckpoint) (events.ShownCheckpoint, error) {
	return s.Show(s.t.Context(), witnessing, s.key.Public().(ed25519.PublicKey), m)
}

func TestAnAgentIsShownTheLogAndVouchesForIt(t *testing.T) {
	s := newShows(t, "a", "b", "c", "d", "e", "f", "g")
	s.signed = 3
	first, err := s.show(events.AskCheckpoint{})
	if err != nil || len(first.Proof) != 0 || len(first.Keys) != 1 || first.Keys[0] != s.public {
		t.Fatalf("%+v, %v", first, err)
	}
	s.signed = 7
	ask := events.AskCheckpoint{Size: 3, Seen: first.Checkpoint, Cosignature: line(t, s.key, "agent/"+string(witnessing), first.Checkpoint)}
	next, err := s.show(ask)
	if err != nil || s.kept[3] != ask.Cosignature {
		t.Fatalf("%v, kept %v", err, s.kept)
	}
	var proof tlog.TreeProof
	for _, h := range next.Proof {
		proof = append(proof, tlog.Hash(h))
	}
	if err := tlog.CheckTree(proof, 7, s.past.at(7).Hash, 3, s.past.at(3).Hash); err != nil {
		t.Errorf("the proof: %v", err)
	}
	if again, err := s.show(events.AskCheckpoint{Size: 7, Seen: next.Checkpoint}); err != nil || len(again.Proof) != 0 {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	if len(s.alarms) > 0 || len(s.Refusing()) > 0 {
		t.Errorf("alarms %v", s.alarms)
	}
	s.signed = 0
	if _, err := s.show(events.AskCheckpoint{}); !errors.Is(err, ledger.ErrNotShown) || !errors.Is(err, command.ErrLogAway) {
		t.Errorf("with nothing signed: %v", err)
	}
}

// What our own key signed stops the server if the log is another one. The agent is shown the
// log that there is: it sees for itself.
func TestASignedCheckpointThatContradictsIsAnAlarm(t *testing.T) {
	for name, c := range map[string]struct {
		now   []string
		alarm command.Alarm
	}{
		"cut off":               {[]string{"a", "b"}, command.LogTruncated},
		"another commit":        {[]string{"a", "B", "c", "d"}, command.LogForked},
		"the same length":       {[]string{"a", "b", "x"}, command.LogForked},
		"cut off and refilled":  {[]string{"a", "b", "x", "y", "z"}, command.LogForked},
		"begun anew and larger": {[]string{"1", "2", "3", "4", "5", "6"}, command.LogForked},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShows(t, "a", "b", "c")
				seen := s.sign(s.past, 3, s.signing)
				s.past = history(t, c.now...)
				s.signed = s.past.size
				shown, err := s.show(events.AskCheckpoint{Size: 3, Seen: seen, Cosignature: line(t, s.key, "agent/"+string(witnessing), seen)})
				if err != nil || shown.Checkpoint != s.sign(s.past, s.past.size, s.signing) {
					t.Errorf("shown %+v, %v", shown, err)
				}
				if len(s.alarms) != 1 || !errors.Is(s.alarms[0], c.alarm) {
					t.Errorf("alarms %v, want %s", s.alarms, c.alarm)
				}
				if len(s.kept) != 0 {
					t.Error("the cosignature of another log was kept")
				}
			})
		})
	}
}

// An agent that was shown two logs hands both over. One of them is ours; the other one bears our
// signature, too.
func TestTheOtherLogThatAnAgentSawIsProof(t *testing.T) {
	s := newShows(t, "a", "b", "c")
	seen := s.sign(s.past, 3, s.signing)
	other := s.sign(history(t, "a", "B", "c", "d"), 3, s.signing)
	for range 2 {
		if _, err := s.show(events.AskCheckpoint{Size: 3, Seen: seen, Trouble: events.LogForked, Shown: other}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.alarms) != 2 || !errors.Is(s.alarms[0], command.LogForked) {
		t.Errorf("alarms %v", s.alarms)
	}
	if got := s.Refusing(); got[witnessing] != events.LogForked {
		t.Errorf("refusing %v", got)
	}
	if _, err := s.show(events.AskCheckpoint{Size: 3, Seen: seen}); err != nil || len(s.Refusing()) != 0 {
		t.Errorf("after its operator accepted: %v, %v", s.Refusing(), err)
	}
}

// A malicious agent can say what it likes: without our signature it stops nothing, and nothing
// of it is kept.
func TestAMereClaimStopsNothing(t *testing.T) {
	s := newShows(t, "a", "b", "c")
	good := s.sign(s.past, 3, s.signing)
	fork := history(t, "x", "y", "z", "z")
	foreign, _, err := transparency.GenerateKey("log.example/a")
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	name := "agent/" + string(witnessing)
	for what, c := range map[string]struct {
		say events.AskCheckpoint
		err error
	}{
		"a larger log by another key":      {events.AskCheckpoint{Size: 4, Seen: s.sign(fork, 4, foreign)}, nil},
		"another log by another key":       {events.AskCheckpoint{Size: 3, Seen: s.sign(fork, 3, foreign)}, nil},
		"another log by a key that ended":  {events.AskCheckpoint{Size: 3, Seen: s.sign(fork, 3, s.ended[0])}, nil},
		"a larger log by a key that ended": {events.AskCheckpoint{Size: 4, Seen: s.sign(fork, 4, s.ended[0])}, nil},
		"an edited size":                   {events.AskCheckpoint{Size: 9, Seen: strings.Replace(good, "\n3\n", "\n9\n", 1)}, nil},
		"no signature":                     {events.AskCheckpoint{Size: 9, Seen: "log.example/a\n9\nAAAA\n"}, nil},
		"trouble with a log of its own":    {events.AskCheckpoint{Size: 3, Seen: good, Trouble: events.LogForked, Shown: s.sign(fork, 3, foreign)}, nil},
		"trouble with this very log":       {events.AskCheckpoint{Size: 3, Seen: good, Trouble: events.LogSmaller, Shown: s.sign(s.past, 2, s.signing)}, nil},
		"trouble, and nothing else":        {events.AskCheckpoint{Trouble: events.LogForked}, ledger.ErrSeenMalformed},
		"an unknown trouble":               {events.AskCheckpoint{Size: 3, Seen: good, Trouble: "x", Shown: good}, ledger.ErrSeenMalformed},
		"another size than it shows":       {events.AskCheckpoint{Size: 2, Seen: good}, ledger.ErrSeenMalformed},
		"a size without a checkpoint":      {events.AskCheckpoint{Size: 2}, ledger.ErrSeenMalformed},
		"a negative size":                  {events.AskCheckpoint{Size: -1, Seen: good}, ledger.ErrSeenMalformed},
		"a checkpoint of a megabyte":       {events.AskCheckpoint{Size: 3, Seen: good + strings.Repeat("x", 1<<20)}, ledger.ErrSeenMalformed},
		"a cosignature of nothing":         {events.AskCheckpoint{Cosignature: line(t, s.key, name, good)}, ledger.ErrSeenMalformed},
		"another's cosignature":            {events.AskCheckpoint{Size: 3, Seen: good, Cosignature: line(t, stranger, name, good)}, ledger.ErrCosignature},
		"its own under another name":       {events.AskCheckpoint{Size: 3, Seen: good, Cosignature: line(t, s.key, "agent/a_00000000000000000000000001", good)}, ledger.ErrCosignature},
		"its own for another checkpoint":   {events.AskCheckpoint{Size: 3, Seen: good, Cosignature: line(t, s.key, name, s.sign(fork, 3, s.signing))}, ledger.ErrCosignature},
		"two lines":                        {events.AskCheckpoint{Size: 3, Seen: good, Cosignature: strings.Repeat(line(t, s.key, name, good), 2)}, ledger.ErrCosignature},
	} {
		if _, err := s.show(c.say); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", what, err, c.err)
		}
		if len(s.alarms) != 0 || len(s.kept) != 0 {
			t.Fatalf("%s: alarms %v, kept %v", what, s.alarms, s.kept)
		}
	}
}

// A server that reads behind another one has not lost what that one has signed.
func TestAServerThatIsBehindShowsNothingSmaller(t *testing.T) {
	s := newShows(t, "a", "b", "c", "d")
	seen := s.sign(s.past, 4, s.signing)
	s.signed = 2
	if shown, err := s.show(events.AskCheckpoint{Size: 4, Seen: seen}); !errors.Is(err, ledger.ErrNotShown) || len(s.alarms) != 0 {
		t.Errorf("%+v, %v, alarms %v", shown, err, s.alarms)
	}
}
