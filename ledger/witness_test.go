package ledger_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/ledger"
	"secretsbridge/transparency"
)

// witness is one of c2sp.org/tlog-witness, in memory: it checks what it is given as the
// specification says, and answers what a test tells it to instead.
type witness struct {
	t      *testing.T
	signer *torchwood.CosignatureSigner
	log    transparency.Verifiers

	mu     sync.Mutex
	saw    tlog.Tree
	calls  int
	answer func(http.Request) *http.Response // in place of its own, unless nil
}

func newWitness(t *testing.T, r *rig, name string) *witness {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{t: t}
	if w.signer, err = torchwood.NewCosignatureSigner(name, key); err != nil {
		t.Fatal(err)
	}
	if w.log, err = transparency.NewVerifiers(r.public); err != nil {
		t.Fatal(err)
	}
	return w
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.calls++
	how := w.answer
	w.mu.Unlock()
	if req.Method != http.MethodPost || req.URL.Path != "/w/add-checkpoint" {
		return answer(http.StatusBadGateway, ""), nil
	}
	if how != nil {
		if res := how(*req); res != nil {
			return res, nil
		}
		<-req.Context().Done() // it never answers
		return nil, req.Context().Err()
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.add(body), nil
}

// add is what a witness does with a checkpoint.
func (w *witness) add(body []byte) *http.Response {
	head, signed, found := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	var old int64
	if _, err := fmt.Sscanf(lines[0], "old %d", &old); err != nil || !found {
		return answer(http.StatusBadRequest, "")
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(h) != tlog.HashSize {
			return answer(http.StatusBadRequest, "")
		}
		proof = append(proof, tlog.Hash(h))
	}
	tree, _, err := w.log.Open(signed)
	switch {
	case err != nil:
		return answer(http.StatusForbidden, "")
	case old > tree.N:
		return answer(http.StatusBadRequest, "")
	case old != w.saw.N:
		return answer(http.StatusConflict, fmt.Sprintf("%d\n", w.saw.N))
	case old == tree.N && w.saw != tree:
		return answer(http.StatusUnprocessableEntity, "")
	case (old == 0 || old == tree.N) && len(proof) > 0:
		return answer(http.StatusUnprocessableEntity, "")
	case old > 0 && old < tree.N && tlog.CheckTree(proof, tree.N, tree.Hash, old, w.saw.Hash) != nil:
		return answer(http.StatusUnprocessableEntity, "")
	}
	w.saw = tree
	return answer(http.StatusOK, w.line(signed))
}

// line is its cosignature.
func (w *witness) line(signed []byte) string {
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	n, err := note.Sign(&note.Note{Text: string(text) + "\n"}, w.signer)
	if err != nil {
		w.t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(n), "\n\n")
	return line
}

func (w *witness) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

func (w *witness) says(how func(http.Request) *http.Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = how
}

// watched is a rig's configuration with witnesses that are reached by their hosts, and no quorum.
func (r *rig) watched(witnesses map[string]*witness) ledger.Config {
	r.t.Helper()
	return r.watchedBy(witnesses, "quorum none\n")
}

// watchedBy is the same with a quorum.
func (r *rig) watchedBy(witnesses map[string]*witness, quorum string) ledger.Config {
	r.t.Helper()
	var policy strings.Builder
	for host, w := range witnesses {
		fmt.Fprintf(&policy, "witness %s %s https://%s/w/\n", host, w.signer.Verifier(), host)
	}
	policy.WriteString(quorum)
	cfg := r.config()
	var err error
	if cfg.Witnesses, cfg.Quorum, err = ledger.Witnesses([]byte(policy.String()), []string{r.public}); err != nil {
		r.t.Fatal(err)
	}
	cfg.Tiles = r
	cfg.Client = &http.Client{Timeout: 10 * time.Second, Transport: byHost(witnesses)}
	return cfg
}

type byHost map[string]*witness

func (b byHost) RoundTrip(req *http.Request) (*http.Response, error) {
	return b[req.URL.Host].RoundTrip(req)
}

// cosigned are the names of who cosigned the latest checkpoint, each verified.
func (r *rig) cosigned(witnesses map[string]*witness) (size int64, hosts []string) {
	r.t.Helper()
	last, err := r.kept.Latest(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for host, w := range witnesses {
		if n, err := note.Open(last.Note(), note.VerifierList(w.signer.Verifier())); err == nil && len(n.Sigs) == 1 {
			hosts = append(hosts, host)
		}
	}
	return last.Tree.N, hosts
}

func TestWitnessesCosignEachCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		witnesses := map[string]*witness{"one.example": newWitness(t, r, "one"), "two.example": newWitness(t, r, "two")}
		r.fill(3)
		k, ended := r.run(r.watched(witnesses))
		settle(5 * time.Second)
		for _, more := range []int{1, 300, 2} {
			r.fill(more)
			settle(5 * time.Second)
			size, hosts := r.cosigned(witnesses)
			if last, _ := r.log.Last(t.Context()); size != int64(last) || len(hosts) != 2 {
				t.Errorf("the checkpoint of %d commits is cosigned by %v", size, hosts)
			}
		}
		if calls := witnesses["one.example"].asked(); calls != 4 {
			t.Errorf("asked %d times for 4 checkpoints", calls)
		}
		settle(6 * time.Minute)
		if calls := witnesses["one.example"].asked(); calls != 5 {
			t.Errorf("asked %d times: once more while nothing comes", calls)
		}
		if s := k.Stats().Witnesses["one"]; s.Size != 306 || s.Cosigned != 5 || s.Failing {
			t.Errorf("told: %+v", s)
		}
		if err := ended(); err != nil {
			t.Error(err)
		}
	})
}

func TestAWitnessThatKnowsLessIsGivenTheProofFromThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		w := newWitness(t, r, "one")
		r.fill(9)
		w.saw = r.tree(5) // before this term, and Postgres has forgotten it
		_, ended := r.run(r.watched(map[string]*witness{"one.example": w}))
		settle(5 * time.Second)
		if size, hosts := r.cosigned(map[string]*witness{"one.example": w}); size != 9 || len(hosts) != 1 || ended() != nil {
			t.Errorf("the checkpoint of %d commits is cosigned by %v; %v", size, hosts, ended())
		}
	})
}

// otherHistories are what a witness may have seen that a log of nine commits contradicts.
var otherHistories = map[string]func(*rig) tlog.Tree{
	"more commits than there are":   func(*rig) tlog.Tree { return tlog.Tree{N: 12} },
	"others below":                  func(*rig) tlog.Tree { return tlog.Tree{N: 6, Hash: tlog.Hash{1}} },
	"as many, of which one differs": func(r *rig) tlog.Tree { return tlog.Tree{N: 9, Hash: r.tree(8).Hash} },
}

func TestAQuorumThatSawAnotherHistoryStopsTheServer(t *testing.T) {
	for name, saw := range otherHistories {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.fill(9)
				witnesses := map[string]*witness{
					"one.example": newWitness(t, r, "one"), "two.example": newWitness(t, r, "two"), "three.example": newWitness(t, r, "three"),
				}
				witnesses["one.example"].saw, witnesses["two.example"].saw = saw(r), saw(r)
				_, ended := r.run(r.watchedBy(witnesses, "group g 2 one.example two.example three.example\nquorum g\n"))
				settle(10 * time.Second)
				if err := ended(); !errors.Is(err, command.LogForked) || !strings.Contains(err.Error(), "witnesses one, two ") {
					t.Errorf("%v, want LogForked by one and two", err)
				}
			})
		})
	}
}

// lies are what a witness may answer to any checkpoint, without a signature, to stop the server.
var lies = map[string]func() *http.Response{
	"says that it saw more":         func() *http.Response { return answer(http.StatusConflict, "999999\n") },
	"takes no proof":                func() *http.Response { return answer(http.StatusUnprocessableEntity, "") },
	"saw another tree of this size": func() *http.Response { return answer(http.StatusConflict, "9\n") },
	"says that it saw more each time": func() *http.Response {
		return answer(http.StatusConflict, fmt.Sprintf("%d\n", 1_000_000+time.Now().Unix()))
	},
}

func TestAWitnessThatLiesStopsNothing(t *testing.T) {
	const both = "group g all one.example two.example\nquorum g\n"
	for name, lie := range lies {
		for _, c := range []struct {
			what, quorum string
			liars        int
		}{
			{"that is the quorum by itself", "quorum one.example\n", 1},
			{"that is one of those that make it", "group g any one.example two.example\nquorum g\n", 1},
			{"that is needed for it", both, 1},
			{"and another, where none are trusted", "quorum none\n", 2},
		} {
			t.Run(name+", "+c.what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					one, two := newWitness(t, r, "one"), newWitness(t, r, "two")
					for _, w := range []*witness{one, two}[:c.liars] {
						w.says(func(http.Request) *http.Response { return lie() })
					}
					witnesses := map[string]*witness{"one.example": one, "two.example": two}
					r.fill(9)
					k, ended := r.run(r.watchedBy(witnesses, c.quorum))
					settle(5 * time.Minute)
					if s := k.Stats().Witnesses["one"]; !s.Contradicts || !s.Failing {
						t.Errorf("told: %+v", s)
					}
					if calls := one.asked(); calls < 5 || calls > 25 {
						t.Errorf("asked %d times within 5 minutes", calls)
					}
					if name != "saw another tree of this size" {
						r.fill(1)
						settle(2 * time.Minute)
					}
					if _, hosts := r.cosigned(witnesses); len(hosts) != 2-c.liars || ended() != nil {
						t.Fatalf("cosigned by %v; %v", hosts, ended())
					}
					one.says(nil)
					two.says(nil)
					settle(2 * time.Minute)
					if _, hosts := r.cosigned(witnesses); len(hosts) != 2 || ended() != nil {
						t.Fatalf("when it cosigns again: by %v; %v", hosts, ended())
					}
					if s := k.Stats().Witnesses["one"]; s.Contradicts || s.Failing {
						t.Errorf("told when it cosigns again: %+v", s)
					}
				})
			})
		}
	}
}

func TestAWitnessThatFailsIsAskedAgainAndHoldsUpNobody(t *testing.T) {
	other := newWitness(t, newRig(t), "one")
	for name, how := range map[string]func(http.Request) *http.Response{
		"does not know the log": func(http.Request) *http.Response { return answer(http.StatusNotFound, "") },
		"knows another key":     func(http.Request) *http.Response { return answer(http.StatusForbidden, "") },
		"is asked too often":    func(http.Request) *http.Response { return answer(http.StatusTooManyRequests, "") },
		"is broken":             func(http.Request) *http.Response { return answer(http.StatusInternalServerError, "") },
		"redirects":             func(http.Request) *http.Response { return answer(http.StatusFound, "") },
		"says nothing":          func(http.Request) *http.Response { return answer(http.StatusOK, "") },
		"says garbage":          func(http.Request) *http.Response { return answer(http.StatusOK, "— one AAAA\nhello") },
		"says too much": func(http.Request) *http.Response {
			return answer(http.StatusOK, strings.Repeat("— one AAAA\n", 1<<16))
		},
		"names no size":           func(http.Request) *http.Response { return answer(http.StatusConflict, "seven\n") },
		"names a size in its way": func(http.Request) *http.Response { return answer(http.StatusConflict, "+3\n") },
		"names a negative size":   func(http.Request) *http.Response { return answer(http.StatusConflict, "-3\n") },
		"never answers":           func(http.Request) *http.Response { return nil },
		"signs with another's key": func(req http.Request) *http.Response {
			body, _ := io.ReadAll(req.Body)
			_, signed, _ := bytes.Cut(body, []byte("\n\n"))
			return answer(http.StatusOK, other.line(signed))
		},
		"signs another checkpoint": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				good, bad := newWitness(t, r, "good"), newWitness(t, r, "one")
				if how == nil {
					before := r.signed(tlog.Tree{N: 2})
					how = func(http.Request) *http.Response { return answer(http.StatusOK, bad.line(before.Signed)) }
				}
				bad.says(how)
				witnesses := map[string]*witness{"good.example": good, "bad.example": bad}
				r.fill(9)
				k, ended := r.run(r.watched(witnesses))
				settle(30 * time.Second)
				if _, hosts := r.cosigned(witnesses); len(hosts) != 1 || hosts[0] != "good.example" || ended() != nil {
					t.Fatalf("cosigned by %v; %v", hosts, ended())
				}
				if calls := bad.asked(); calls < 2 || calls > 7 {
					t.Errorf("asked %d times within 30 s", calls)
				}
				if !k.Stats().Witnesses["one"].Failing || k.Stats().Witnesses["good"].Failing {
					t.Errorf("told: %+v", k.Stats().Witnesses)
				}
				bad.says(nil)
				settle(2 * time.Minute)
				if _, hosts := r.cosigned(witnesses); len(hosts) != 2 {
					t.Errorf("when it works again: cosigned by %v", hosts)
				}
			})
		})
	}
}

func TestPoliciesOfWitnesses(t *testing.T) {
	r := newRig(t)
	one, two := newWitness(t, r, "one").signer.Verifier().String(), newWitness(t, r, "two").signer.Verifier().String()
	for name, c := range map[string]struct {
		text string
		urls string // of the witnesses, or what the error says after "!"
	}{
		"two and a quorum":      {"witness a " + one + " https://a.example/x/\nwitness b " + two + " http://127.0.0.1:7000 # near\ngroup g any a b\nquorum g\n", "https://a.example/x http://127.0.0.1:7000"},
		"this log":              {"log " + r.public + "\nwitness a " + one + " https://a.example\nquorum a\n", "https://a.example"},
		"one without a URL":     {"witness a " + one + "\nwitness b " + two + " https://b.example\nquorum none\n", "https://b.example"},
		"another log":           {"log " + newRig(t).public + "\nquorum none\n", "!another log"},
		"no quorum":             {"witness a " + one + " https://a.example\n", "!quorum"},
		"a URL without TLS":     {"witness a " + one + " http://a.example\nquorum none\n", "!https"},
		"a URL with a query":    {"witness a " + one + " https://a.example/?x=1\nquorum none\n", "!after ?"},
		"more after a URL":      {"witness a " + one + " https://a.example b\nquorum none\n", "!after its URL"},
		"a key that signs logs": {"witness a " + r.public + " https://a.example\nquorum none\n", "!not one of cosignatures"},
		"one name twice":        {"witness a " + one + " https://a.example\nwitness b " + one + " https://b.example\nquorum none\n", "!two witnesses sign as one"},
		"an unknown word":       {"witnes a " + one + "\nquorum none\n", "!unknown keyword"},
	} {
		witnesses, _, err := ledger.Witnesses([]byte(c.text), []string{"other+key", r.public})
		if want, refused := strings.CutPrefix(c.urls, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error that says %q", name, err, want)
			}
			continue
		}
		var urls []string
		for _, w := range witnesses {
			urls = append(urls, w.URL)
		}
		if got := strings.Join(urls, " "); got != c.urls || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.urls)
		}
	}
}
