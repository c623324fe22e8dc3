package agent_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
)

// hard is the end of a value that is not easy to guess.
const hard = "q7Zt4mVxR2cN9wKe"

func printKey(fill byte) seal.DuplicateKey {
	key, err := seal.ParseDuplicateKey([]byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, seal.KeySize))))
	if err != nil {
		panic(err)
	}
	return key
}

// withPrints gives the agent a fingerprint key.
func withPrints(fill byte) func(*agent.Config) {
	return func(cfg *agent.Config) { cfg.FingerprintKey = printKey(fill) }
}

func text(value string) agent.Entry { return agent.Text([]byte(value)) }

func jsonOf(kind agent.Kind, value string) agent.Entry {
	return agent.Entry{Kind: kind, Value: secret.New([]byte(value))}
}

// printed are the fingerprints of all secrets, by ref.
func (s *standalone) printed() map[string]events.Fingerprinted {
	all := map[string]events.Fingerprinted{}
	for _, page := range s.prints {
		for _, f := range page.Secrets {
			all[f.Ref] = f
		}
	}
	return all
}

// TestEqualValuesHaveEqualFingerprintsWhereverTheyAre compares two connections of two
// kinds.
func TestEqualValuesHaveEqualFingerprintsWhereverTheyAre(t *testing.T) {
	other := providertest.NewMemory()
	change := func(cfg *agent.Config) {
		withPrints(1)(cfg)
		own := providertest.NewMemory()
		cfg.Connections = agent.NewConnections(map[events.ConnectionID]agent.Connection{
			"mine":   {Kind: events.ProviderFile, Open: func() (agent.Provider, error) { return own, nil }},
			"theirs": {Kind: events.ProviderVault, Open: func() (agent.Provider, error) { return other, nil }},
		}, cfg.Logger)
		write(t, own, "a", agent.Bundle{Entries: map[string]agent.Entry{
			"password": text(canary + hard), "again": text(canary + hard), "own": text(canary + "own" + hard), "weak": text("letmein"),
			"object": jsonOf(agent.KindObject, `{"key":"`+canary+hard+`","n":1.0}`), "number": jsonOf(agent.KindNumber, "12345678901234567890123456789"),
			"yes": jsonOf(agent.KindBool, "true"), "no": jsonOf(agent.KindNull, "null"),
		}})
		write(t, other, "x/y", agent.Bundle{Entries: map[string]agent.Entry{"pw": text(canary + hard)}})
		write(t, other, "x/z", agent.Bundle{Entries: map[string]agent.Entry{"o": jsonOf(agent.KindObject, ` { "n": 1, "key": "`+canary+hard+`" } `)}})
		write(t, other, "x/t", agent.Bundle{Entries: map[string]agent.Entry{"o": text(`{"key":"` + canary + hard + `","n":1.0}`)}})
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		on := func(name events.ConnectionID, kind events.ProviderKind) func(*events.Ticket) {
			return func(k *events.Ticket) { k.Connection, k.Provider = name, kind }
		}
		mine := r.queueJob(events.OperationFingerprint, on("mine", events.ProviderFile))
		r.settle(time.Second)
		theirs := r.queueJob(events.OperationFingerprint, on("theirs", events.ProviderVault))
		r.settle(time.Second)
		r.wantJob(t, mine, events.JobStateFinished, "", "done")
		r.wantJob(t, theirs, events.JobStateFinished, "", "done")
		a, b := mine.printed()["a"], theirs.printed()
		if len(a.Prints) != 3 || a.Refused != 4 || a.Version != "1" || !slices.IsSorted(a.Prints) {
			t.Fatalf("three different values and four that are refused: %+v", a)
		}
		for ref, want := range map[string]bool{"x/y": true, "x/z": true, "x/t": false} {
			if len(b[ref].Prints) != 1 || slices.Contains(a.Prints, b[ref].Prints[0]) != want {
				t.Errorf("%s: %v, want it in %v: %v", ref, b[ref].Prints, a.Prints, want)
			}
		}
		for _, page := range append(mine.prints, theirs.prints...) {
			if page.KeyID != printKey(1).ID() {
				t.Errorf("key id %q", page.KeyID)
			}
		}
		for _, print := range a.Prints {
			if raw, err := hex.DecodeString(print); err != nil || len(raw) != 32 {
				t.Errorf("a fingerprint is %q", print)
			}
		}
	})
}

func write(t *testing.T, m *providertest.Memory, text string, b agent.Bundle) {
	t.Helper()
	ref, err := agent.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Write(t.Context(), ref, b, ""); err != nil {
		t.Fatal(err)
	}
}

func TestFingerprintsOfTwoKeysDoNotCompare(t *testing.T) {
	var got []events.Fingerprinted
	var keys []string
	for _, fill := range []byte{1, 2} {
		bubble(t, withPrints(fill), func(t *testing.T, r *rig) {
			r.put(t, "a", "k", hard)
			s := r.queueJob(events.OperationFingerprint)
			r.settle(time.Second)
			r.wantJob(t, s, events.JobStateFinished, "", "done")
			got, keys = append(got, s.printed()["a"]), append(keys, s.prints[0].KeyID)
			if id := r.agent.Status().FingerprintKey; id != s.prints[0].KeyID {
				t.Errorf("the status names key %q, the page %q", id, s.prints[0].KeyID)
			}
		})
	}
	if got[0].Prints[0] == got[1].Prints[0] || keys[0] == keys[1] {
		t.Errorf("equal under two keys: %v, %v", got, keys)
	}
}

func TestAnAgentWithoutAKeyMakesNoFingerprints(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", hard)
		s := r.queueJob(events.OperationFingerprint)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFailed, events.FailureFingerprintKey, "done")
		if r.memory.Calls("read")+r.memory.Calls("list") != 0 || r.agent.Status().FingerprintKey != "" {
			t.Error("the provider was asked")
		}
	})
}

func TestASecretThatCannotBeReadIsPassedOver(t *testing.T) {
	reasons := map[string]error{
		ref(1): agent.ErrNotFound, ref(2): agent.ErrForbidden, ref(3): agent.ErrNotBundle, ref(4): agent.ErrTooLarge, ref(5): agent.ErrCorrupt,
	}
	bubble(t, withPrints(1), func(t *testing.T, r *rig) {
		for i := range 7 {
			r.put(t, ref(i), "k", hard)
		}
		many := agent.Bundle{Entries: map[string]agent.Entry{}}
		for i := range 1001 {
			many.Entries[fmt.Sprint(i)] = text(canary + hard + fmt.Sprint(i))
		}
		r.putBundle(t, "many", many)
		r.onRead(func(c providertest.Call) providertest.Fault { return providertest.Fault{Err: reasons[c.Ref.String()]} })
		s := r.queueJob(events.OperationFingerprint)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if diff := cmp.Diff([]string{ref(0), ref(6)}, s.found()); diff != "" || s.prints[0].Skipped != 6 {
			t.Errorf("%d passed over; secrets (-want +got):\n%s", s.prints[0].Skipped, diff)
		}
	})
}

func TestWhatConcernsAllSecretsEndsFingerprints(t *testing.T) {
	for name, c := range map[string]struct {
		read hook
		want events.FailureCode
	}{
		"no sign-in":             {func(providertest.Call) providertest.Fault { return providertest.Fault{Err: agent.ErrSignIn} }, events.FailureSignIn},
		"away without end":       {awayFrom(1, func() bool { return false }), events.FailureProviderUnavailable},
		"a provider that panics": {panicOn, events.FailureInternal},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, withPrints(1), func(t *testing.T, r *rig) {
				r.put(t, "a", "k", hard)
				r.onRead(c.read)
				s := r.queueJob(events.OperationFingerprint)
				r.settle(30 * time.Minute)
				r.wantJob(t, s, events.JobStateFailed, c.want, "done")
			})
		})
	}
}

func TestFingerprintsSitOutAnOutage(t *testing.T) {
	bubble(t, withPrints(1), func(t *testing.T, r *rig) {
		for i := range 10 {
			r.put(t, ref(i), "k", hard)
		}
		back := time.Now().Add(time.Minute)
		r.onRead(awayFrom(5, func() bool { return !time.Now().Before(back) }))
		s := r.queueJob(events.OperationFingerprint)
		r.settle(3 * time.Minute)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if diff := cmp.Diff(refs(10), s.found()); diff != "" || s.attempt != 1 {
			t.Errorf("attempt %d; secrets (-want +got):\n%s", s.attempt, diff)
		}
	})
}

// TestFingerprintsLeaveHalfOfTheProviderToOthers: one read at a time, and a rest as long
// as it took.
func TestFingerprintsLeaveHalfOfTheProviderToOthers(t *testing.T) {
	bubble(t, withPrints(1), func(t *testing.T, r *rig) {
		for i := range 100 {
			r.put(t, ref(i), "k", hard)
		}
		r.onRead(slow(300 * time.Millisecond))
		s := r.queueJob(events.OperationFingerprint)
		r.settle(59 * time.Second)
		r.wantJob(t, s, events.JobStateRunning, "", "")
		r.mu.Lock()
		pages := len(s.prints)
		r.mu.Unlock()
		if pages != 1 { // half a minute old
			t.Errorf("%d pages", pages)
		}
		r.settle(2 * time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
	})
}

func TestTheFingerprintKeyStaysWithTheAgent(t *testing.T) {
	text := []byte("fingerprint-key-canary-8c1f/20+z")
	key, err := seal.ParseDuplicateKey([]byte(base64.StdEncoding.EncodeToString(text)))
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, func(cfg *agent.Config) { cfg.FingerprintKey = key }, func(t *testing.T, r *rig) {
		for i := range 600 {
			r.put(t, ref(i), "k", hard, "l", fmt.Sprint(hard, i))
		}
		r.onCall(func(s events.Service, n int) fault { return fault{before: n == 1} })
		r.onRead(func(c providertest.Call) providertest.Fault {
			if c.N == 3 {
				return providertest.Fault{Err: agent.ErrForbidden}
			}
			return providertest.Fault{}
		})
		s := r.queueJob(events.OperationFingerprint)
		r.settle(time.Minute)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if len(s.prints) != 2 || !strings.Contains(r.log.String(), "has no fingerprints") {
			t.Fatalf("%d pages", len(s.prints))
		}
		said := r.log.String() + string(encode(t, r.agent.Status()))
		for _, body := range r.sent {
			said += string(body)
		}
		for name, form := range forms(string(text)) {
			if strings.Contains(strings.ToLower(said), strings.ToLower(form)) {
				t.Errorf("the key was said, as %s", name)
			}
		}
	})
}

// TestNoValueIsLeftAfterFingerprintsAndNames looks at what the provider gave away.
func TestNoValueIsLeftAfterFingerprintsAndNames(t *testing.T) {
	k := &keeper{Memory: providertest.NewMemory()}
	change := func(cfg *agent.Config) { withPrints(1)(cfg); serve(k)(cfg) }
	bubbleOn(t, k.Memory, change, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", hard, "l", "2")
		many := agent.Bundle{Entries: map[string]agent.Entry{}}
		for i := range 1001 {
			many.Entries[fmt.Sprint(i)] = text(canary)
		}
		r.putBundle(t, "many", many)
		r.queueJob(events.OperationFingerprint)
		r.queueJob(events.OperationKeys, ofSecret("a"))
		r.queueJob(events.OperationKeys, ofSecret("many"))
		r.settle(time.Second)
		if len(k.given) != 4 {
			t.Fatalf("%d reads", len(k.given))
		}
		for i, b := range k.given {
			for key, entry := range b.Entries {
				if len(bytes.Trim(entry.Value.Expose(), "\x00")) != 0 {
					t.Fatalf("read %d: key %q is not zeroed", i, key)
				}
			}
		}
	})
}
