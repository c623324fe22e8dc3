package web_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/projections"
	"secretsbridge/transparency"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// signedLog is what is signed of a rig's log: a checkpoint of all that is there when a test says so.
type signedLog struct {
	log *commandtest.Memory

	mu         sync.Mutex
	signing    string
	keys       web.LogKeys
	cosigner   *torchwood.CosignatureSigner
	newest     ledger.Checkpoint
	cosigned   []ledger.Checkpoint // by how many
	commits    [][]byte
	hashes     []tlog.Hash
	unreadable error // of its tiles
}

const logOrigin = "secrets-bridge/test"

func newSigned(t testing.TB, log *commandtest.Memory) *signedLog {
	t.Helper()
	signing, verifying, err := transparency.GenerateKey(logOrigin)
	if err != nil {
		t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cosigner, err := torchwood.NewCosignatureSigner("witness.example/w", private)
	if err != nil {
		t.Fatal(err)
	}
	return &signedLog{log: log, signing: signing, cosigner: cosigner, keys: web.LogKeys{Origin: logOrigin, Keys: []web.LogKey{{Key: verifying}}}}
}

// sign makes a checkpoint of all that the log has, with so many cosignatures.
func (s *signedLog) sign(t testing.TB, cosignatures int) ledger.Checkpoint {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	last, err := s.log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := events.Seq(len(s.commits)) + 1; seq <= last; seq++ {
		c, err := s.log.At(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		grown, err := tlog.StoredHashes(int64(seq-1), c.Raw, hashReader(s.hashes))
		if err != nil {
			t.Fatal(err)
		}
		s.commits, s.hashes = append(s.commits, c.Raw), append(s.hashes, grown...)
	}
	root, err := tlog.TreeHash(int64(last), hashReader(s.hashes))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := transparency.NewSigner(s.signing)
	if err != nil {
		t.Fatal(err)
	}
	k := ledger.Checkpoint{Tree: tlog.Tree{N: int64(last), Hash: root}}
	if k.Signed, err = signer.Sign(k.Tree); err != nil {
		t.Fatal(err)
	}
	if cosignatures > 0 {
		text, _, _ := bytes.Cut(k.Signed, []byte("\n\n"))
		all, err := note.Sign(&note.Note{Text: string(text) + "\n"}, s.cosigner)
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := bytes.Cut(all, []byte("\n\n"))
		k.Cosignatures = []string{string(line)}
		s.cosigned = append(s.cosigned, k)
	}
	s.newest = k
	return k
}

type hashReader []tlog.Hash

func (h hashReader) ReadHashes(indexes []int64) (read []tlog.Hash, err error) {
	for _, at := range indexes {
		read = append(read, h[at])
	}
	return read, nil
}

func (s *signedLog) Latest(context.Context) (ledger.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest.Signed == nil {
		return ledger.Checkpoint{}, ledger.ErrNoCheckpoint
	}
	return s.newest, nil
}

func (s *signedLog) Cosigned(_ context.Context, least int, witnesses []string) (ledger.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if least > 1 || len(witnesses) > 0 && !slices.Contains(witnesses, s.cosigner.Name()) || len(s.cosigned) == 0 {
		return ledger.Checkpoint{}, ledger.ErrNoCheckpoint
	}
	return s.cosigned[len(s.cosigned)-1], nil
}

func (s *signedLog) Keys(context.Context) (web.LogKeys, error) { return s.keys, nil }

func (s *signedLog) ReadTiles(_ context.Context, tiles []tlog.Tile) (data [][]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unreadable != nil {
		return nil, s.unreadable
	}
	for _, tile := range tiles {
		one, err := tlog.ReadTileData(tile, hashReader(s.hashes))
		if err != nil {
			return nil, err
		}
		data = append(data, one)
	}
	return data, nil
}

func (s *signedLog) Commits(_ context.Context, after events.Seq, limit, maxBytes int) (found [][]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, raw := range s.commits[min(int(after), len(s.commits)):] {
		if maxBytes -= len(raw); len(found) == limit || len(found) > 0 && maxBytes < 0 {
			break
		}
		found = append(found, raw)
	}
	return found, nil
}

// withLedger has a rig, and what is signed of its log.
func withLedger(t *testing.T) (*rig, *signedLog) {
	t.Helper()
	r := newRig(t)
	return r, r.ledger
}

// remote reads tiles as an auditor does.
type remote struct{ *rig }

func (r remote) ReadTiles(_ context.Context, tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		got := r.call(r.admin, "GET", "/audit/log/"+torchwood.TilePath(tile), nil)
		if got.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %s", torchwood.TilePath(tile), got.body)
		}
		data = append(data, got.body)
	}
	return data, nil
}

func (r *rig) fill(n int) {
	r.t.Helper()
	for range n {
		r.record(events.Stream{Aggregate: events.AggregateAccess, ID: "u_1"}, events.AuditRead{Reading: events.ReadingEvents})
	}
}

// TestAnAuditorVerifiesTheLogByTheAPIAlone does all that sb audit verify does, with HTTP answers.
func TestAnAuditorVerifiesTheLogByTheAPIAlone(t *testing.T) {
	t.Parallel()
	r, s := withLedger(t)
	r.fill(600)
	k := s.sign(t, 1)
	checkpoint := r.call(r.admin, "GET", "/audit/log/checkpoint", nil).wants(t, 200, "")
	if got := checkpoint.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" || !bytes.Equal(checkpoint.body, k.Note()) {
		t.Fatalf("a checkpoint of type %s: %s", got, checkpoint.body)
	}
	shown := read[api.LogKeys](t, r.call(r.admin, "GET", "/audit/log/keys", nil).wants(t, 200, ""))
	policy, err := transparency.ParsePolicy([]byte(shown.Policy))
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	for after := 0; ; {
		got := r.call(r.admin, "GET", fmt.Sprintf("/audit/log/commits?after=%d&limit=250", after), nil).wants(t, 200, "")
		if len(got.body) == 0 {
			break
		}
		after += bytes.Count(got.body, []byte("\n"))
		file.Write(got.body)
	}
	got, err := transparency.VerifyEvents(t.Context(), &file, transparency.Against{Policy: policy, Checkpoints: [][]byte{checkpoint.body}, Tiles: remote{r}})
	if err != nil || got.Newest.Tree != k.Tree || got.Commits != k.Tree.N {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, seq := range []int{1, 256, 257, int(k.Tree.N)} {
		proof := r.call(r.admin, "GET", fmt.Sprintf("/audit/log/proof/%d", seq), nil).wants(t, 200, "")
		if at, _, err := policy.VerifyProof(proof.body, s.commits[seq-1]); err != nil || at != events.Seq(seq) {
			t.Errorf("proof of %d: %d, %v", seq, at, err)
		}
		for _, size := range []int64{int64(max(seq, 300)), k.Tree.N} {
			p := read[api.Inclusion](t, r.call(r.admin, "GET", fmt.Sprintf("/audit/log/inclusion?seq=%d&size=%d", seq, size), nil).wants(t, 200, ""))
			root, _ := tlog.TreeHash(size, hashReader(s.hashes))
			if err := tlog.CheckRecord(hashesIn(t, p.Hashes), p.Size, root, p.Leaf, transparency.LeafHash(s.commits[seq-1])); err != nil || p.LeafHash != transparency.LeafHash(s.commits[seq-1]).String() {
				t.Errorf("inclusion of %d in %d: %v", seq, size, err)
			}
		}
	}
	for _, from := range []int64{1, 255, 256, 600} {
		p := read[api.Consistency](t, r.call(r.admin, "GET", fmt.Sprintf("/audit/log/consistency?from=%d", from), nil).wants(t, 200, ""))
		root, _ := tlog.TreeHash(from, hashReader(s.hashes))
		if err := tlog.CheckTree(hashesIn(t, p.Hashes), p.To, k.Tree.Hash, from, root); err != nil || p.To != k.Tree.N {
			t.Errorf("consistency from %d: %v", from, err)
		}
	}
	// One reading of bytes and one of proofs, however many calls.
	var how []events.AuditReading
	for _, e := range facts[events.AuditRead](r) {
		if e.Actor == events.UserActor(r.admin.ID) {
			how = append(how, e.Fact.(events.AuditRead).Reading)
		}
	}
	if slices.Sort(how); !slices.Equal(how, []events.AuditReading{events.ReadingCommits, events.ReadingProofs}) {
		t.Errorf("readings on record: %q", how)
	}
}

func hashesIn(t *testing.T, texts []string) (hashes []tlog.Hash) {
	t.Helper()
	for _, text := range texts {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != tlog.HashSize {
			t.Fatalf("hash %q: %v", text, err)
		}
		hashes = append(hashes, tlog.Hash(raw))
	}
	return hashes
}

// TestTilesAreThoseOfTheNewestCheckpoint follows c2sp.org/tlog-tiles.
func TestTilesAreThoseOfTheNewestCheckpoint(t *testing.T) {
	t.Parallel()
	r, s := withLedger(t)
	r.call(r.admin, "GET", "/audit/log/tile/0/000", nil).wants(t, 404, "checkpoint_unknown")
	r.fill(600)
	k := s.sign(t, 0)
	part := int(k.Tree.N % 256)
	r.fill(300) // that no checkpoint has
	for path, width := range map[string]int{
		"0/000": 256, "0/001": 256, "1/000.p/2": 2, "1/000.p/1": 1, fmt.Sprintf("0/002.p/%d", part): part, "0/002.p/1": 1, "0/000.p/255": 255,
	} {
		got := r.call(r.admin, "GET", "/audit/log/tile/"+path, nil).wants(t, 200, "")
		wantCache := "no-store"
		if width == 256 {
			wantCache = "private, max-age=31536000, immutable"
		}
		if len(got.body) != 32*width || got.Header.Get("Content-Type") != "application/octet-stream" || got.Header.Get("Cache-Control") != wantCache {
			t.Errorf("%s: %d bytes, %s, %s", path, len(got.body), got.Header.Get("Content-Type"), got.Header.Get("Cache-Control"))
		}
	}
	for _, path := range []string{
		"0/002", fmt.Sprintf("0/002.p/%d", part+1), "0/003.p/1", "1/000", "1/000.p/3", "2/000.p/1", "6/000.p/1", "7/000.p/1", "63/000.p/1", "0/x001/000",
		"0/000.p/256", "0/000.p/0", "0/0", "0/0000", "0/x000/000", "-1/000", "00/000", "0/000/", "entries/000", "data/000", "0", "0/../0/000", "0/999999999", "0/000.p/01",
		"0/x999/x999/x999/x999/x999/x999/999", strings.Repeat("0/", 100),
	} {
		r.call(r.admin, "GET", "/audit/log/tile/"+path, nil).wants(t, 404, "tile_unknown")
	}
	r.call(r.admin, "GET", "/audit/log/tile/0/000?x=1", nil).wants(t, 400, "parameter_invalid")
}

func TestProofsAreOfTheNewestCheckpointOrWhatWitnessesSaw(t *testing.T) {
	t.Parallel()
	r, s := withLedger(t)
	for _, path := range []string{"checkpoint", "commits", "inclusion?seq=1", "consistency?from=1", "proof/1"} {
		r.call(r.admin, "GET", "/audit/log/"+path, nil).wants(t, 404, "checkpoint_unknown")
	}
	r.fill(10)
	seen := s.sign(t, 1)
	r.fill(10)
	newest := s.sign(t, 0)
	r.fill(1)
	n, beyond := newest.Tree.N, newest.Tree.N+1
	for path, code := range map[string]string{
		fmt.Sprintf("inclusion?seq=%d", beyond):         "commit_unknown",
		fmt.Sprintf("inclusion?seq=1&size=%d", beyond):  "proof_size_unknown",
		"inclusion?seq=5&size=4":                        "commit_unknown",
		fmt.Sprintf("consistency?from=1&to=%d", beyond): "proof_size_unknown",
		fmt.Sprintf("consistency?from=%d", beyond):      "proof_size_unknown",
		"consistency?from=5&to=4":                       "proof_size_unknown",
		fmt.Sprintf("proof/%d", beyond):                 "commit_unknown",
		"proof/0":                                       "commit_unknown",
		"proof/-1":                                      "commit_unknown",
		"proof/x":                                       "commit_unknown",
		fmt.Sprintf("proof/%d?witnesses=1", n):          "commit_unknown",
		"proof/1?witnesses=2":                           "checkpoint_unknown",
		"checkpoint?witness=witness.example/other":      "checkpoint_unknown",
		"checkpoint?witness=witness.example/w&witness=witness.example/other": "checkpoint_unknown",
		"checkpoint?witnesses=2": "checkpoint_unknown",
	} {
		r.call(r.admin, "GET", "/audit/log/"+path, nil).wants(t, 404, code)
	}
	for _, path := range []string{
		"inclusion", "inclusion?seq=0", "inclusion?seq=x", "inclusion?seq=1&size=0", "inclusion?seq=9007199254740992", "consistency", "consistency?from=0", "consistency?from=1&to=-1",
		"commits?after=-1", "commits?after=9007199254740992", "commits?limit=0", "commits?limit=4097", "checkpoint?witnesses=0", "checkpoint?witnesses=65", "checkpoint?size=1",
	} {
		r.call(r.admin, "GET", "/audit/log/"+path, nil).wants(t, 400, "parameter_invalid")
	}
	witnessed := r.call(r.admin, "GET", "/audit/log/checkpoint?witnesses=1", nil).wants(t, 200, "")
	if !bytes.Equal(witnessed.body, seen.Note()) {
		t.Errorf("cosigned by one: %s", witnessed.body)
	}
	named := r.call(r.admin, "GET", "/audit/log/checkpoint?witnesses=1&witness=witness.example/w&witness=witness.example/other", nil).wants(t, 200, "")
	if !bytes.Equal(named.body, seen.Note()) {
		t.Errorf("cosigned by one of two: %s", named.body)
	}
	all := r.call(r.admin, "GET", "/audit/log/commits", nil).wants(t, 200, "")
	if got := bytes.Count(all.body, []byte("\n")); int64(got) != n {
		t.Errorf("%d commits, and the newest checkpoint is of %d", got, n)
	}
	if got := r.call(r.admin, "GET", fmt.Sprintf("/audit/log/commits?after=%d", n), nil).wants(t, 200, ""); len(got.body) != 0 {
		t.Errorf("commits behind the checkpoint: %s", got.body)
	}
}

func TestTilesThatAreNotThoseOfTheCheckpointProveNothing(t *testing.T) {
	t.Parallel()
	r, s := withLedger(t)
	r.fill(10)
	s.sign(t, 0)
	s.mu.Lock()
	s.hashes[3][0] ^= 1
	s.mu.Unlock()
	for _, path := range []string{"inclusion?seq=1", "consistency?from=1", "proof/1"} {
		r.call(r.admin, "GET", "/audit/log/"+path, nil).wants(t, 500, "internal")
	}
	s.unreadable = fmt.Errorf("read: %w", projections.ErrNotFound)
	for _, path := range []string{"inclusion?seq=1", "consistency?from=1", "proof/1", "tile/0/000.p/1"} {
		r.call(r.admin, "GET", "/audit/log/"+path, nil).wants(t, 503, "view_behind")
	}
}

func TestNothingOfTheLogIsReleasedWhereReadingIsNotRecorded(t *testing.T) {
	t.Parallel()
	r, s := withLedger(t)
	r.fill(10)
	s.sign(t, 0)
	r.breaks(func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails })
	for _, path := range []string{"checkpoint", "commits", "inclusion?seq=1", "consistency?from=1", "proof/1", "tile/0/000.p/1", "keys"} {
		r.call(r.admin, "GET", "/audit/log/"+path, nil).wants(t, 503, "unavailable")
	}
}

func TestPoliciesAskForMoreThanHalfOfTheWitnesses(t *testing.T) {
	t.Parallel()
	r, s := withLedger(t)
	s.sign(t, 0)
	witness := func(name string, agent bool) web.LogWitness {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := torchwood.NewCosignatureSigner(name, private)
		if err != nil {
			t.Fatal(err)
		}
		return web.LogWitness{Witness: transparency.Witness{Name: name, Key: c.Verifier().String()}, Agent: agent}
	}
	until := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	s.keys.Keys = append(s.keys.Keys, web.LogKey{Key: "old", Until: until})
	agents := []web.LogWitness{witness("agent/a_1", true), witness("agent/a_2", true)}
	outside := []web.LogWitness{witness("w1.example", false), witness("w2.example", false), witness("w3.example", false)}
	for want, witnesses := range map[string][]web.LogWitness{
		"quorum none\n": nil,
		"group witnesses 1 agent/a_1 agent/a_2\n":              agents,
		"group witnesses 2 w1.example w2.example w3.example\n": slices.Concat(outside, agents),
	} {
		s.keys.Witnesses = witnesses
		shown := read[api.LogKeys](t, r.call(r.admin, "GET", "/audit/log/keys", nil).wants(t, 200, ""))
		if _, err := transparency.ParsePolicy([]byte(shown.Policy)); err != nil || !strings.Contains(shown.Policy, want) || len(shown.Witnesses) != len(witnesses) {
			t.Errorf("policy, %v, want %q in\n%s", err, want, shown.Policy)
		}
		if shown.Keys[0].Until != nil || !shown.Keys[1].Until.Equal(until) {
			t.Errorf("keys: %+v", shown.Keys)
		}
	}
}
