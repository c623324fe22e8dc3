package nats

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

const alice = events.Actor("user:u_alice")

var bodyHash, otherHash = [32]byte{1}, [32]byte{2}

func newMarks(t *testing.T) (*rig, *Marks) {
	t.Helper()
	r := newRig(t, 1)
	marks, err := OpenMarks(t.Context(), r.nc)
	if err != nil {
		t.Fatal(err)
	}
	return r, marks
}

func TestMarkRepeatsTheAnswer(t *testing.T) {
	_, marks := newMarks(t)
	begun, stored, err := marks.Begin(t.Context(), alice, "key", bodyHash)
	if err != nil || stored != nil {
		t.Fatalf("first Begin = %v, %v", stored, err)
	}
	if _, _, err := marks.Begin(t.Context(), alice, "key", bodyHash); !errors.Is(err, ErrInFlight) {
		t.Errorf("Begin while it is answered: %v", err)
	}
	if _, _, err := marks.Begin(t.Context(), alice, "key", otherHash); !errors.Is(err, ErrKeyReused) {
		t.Errorf("Begin with another body: %v", err)
	}
	want := MarkResult{Status: 201, Body: []byte(`{"id":"r_1"}`)}
	if err := marks.Finish(t.Context(), begun, want); err != nil {
		t.Fatal(err)
	}
	_, stored, err = marks.Begin(t.Context(), alice, "key", bodyHash)
	if err != nil || stored == nil {
		t.Fatalf("Begin after Finish = %v, %v", stored, err)
	}
	if diff := cmp.Diff(want, *stored); diff != "" {
		t.Errorf("stored answer (-want +got)\n%s", diff)
	}
	if _, _, err := marks.Begin(t.Context(), alice, "key", otherHash); !errors.Is(err, ErrKeyReused) {
		t.Errorf("Begin with another body after Finish: %v", err)
	}
	if _, stored, err := marks.Begin(t.Context(), "user:u_bob", "key", otherHash); err != nil || stored != nil {
		t.Errorf("another person's key = %v, %v", stored, err)
	}
}

func TestAbandonedMarkIsFree(t *testing.T) {
	_, marks := newMarks(t)
	begun, _, err := marks.Begin(t.Context(), alice, "key", bodyHash)
	if err != nil {
		t.Fatal(err)
	}
	if err := marks.Abandon(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	again, stored, err := marks.Begin(t.Context(), alice, "key", otherHash)
	if err != nil || stored != nil {
		t.Fatalf("Begin = %v, %v", stored, err)
	}
	for name, err := range map[string]error{
		"Finish": marks.Finish(t.Context(), begun, MarkResult{Status: 200}), "Abandon": marks.Abandon(t.Context(), begun),
	} {
		if !errors.Is(err, ErrMarkLost) {
			t.Errorf("%s of the first holder: %v, want lost", name, err)
		}
	}
	if err := marks.Finish(t.Context(), again, MarkResult{Status: 200}); err != nil {
		t.Error(err)
	}
}

func TestOfManyCallsOneIsAnswered(t *testing.T) {
	_, marks := newMarks(t)
	var begun atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			switch _, stored, err := marks.Begin(t.Context(), alice, "key", bodyHash); {
			case err == nil && stored == nil:
				begun.Add(1)
			case !errors.Is(err, ErrInFlight):
				t.Errorf("Begin = %v, %v", stored, err)
			}
		})
	}
	wg.Wait()
	if begun.Load() != 1 {
		t.Errorf("%d calls began, want 1", begun.Load())
	}
}

func TestDeadMarkIsTakenOverOnceAndEnds(t *testing.T) {
	r, marks := newMarks(t)
	key := subject.Mark(alice, "key")
	dead, err := json.Marshal(mark{Hash: bodyHash, Since: time.Now().Add(-takeover)})
	if err != nil {
		t.Fatal(err)
	}
	revision, err := marks.kv.Create(t.Context(), key, dead)
	if err != nil {
		t.Fatal(err)
	}
	begun, stored, err := marks.Begin(t.Context(), alice, "key", bodyHash)
	if err != nil || stored != nil {
		t.Fatalf("Begin = %v, %v, want to take over", stored, err)
	}
	if err := marks.Finish(t.Context(), Mark{key: key, hash: bodyHash, revision: revision}, MarkResult{}); !errors.Is(err, ErrMarkLost) {
		t.Errorf("Finish of the dead holder: %v, want lost", err)
	}
	if err := marks.Finish(t.Context(), begun, MarkResult{Status: 200}); err != nil {
		t.Fatal(err)
	}
	stream, err := r.streams.js.Stream(t.Context(), "KV_"+subject.MarksBucket)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(t.Context(), subject.KeyValue(subject.MarksBucket, key))
	if err != nil {
		t.Fatal(err)
	}
	if ttl := msg.Header.Get("Nats-TTL"); !strings.HasPrefix(ttl, "24h") {
		t.Errorf("the mark lives for %q, want a day", ttl)
	}
}

func TestPresence(t *testing.T) {
	r := newRig(t, 1)
	presence, err := OpenPresence(t.Context(), r.nc)
	if err != nil {
		t.Fatal(err)
	}
	if seen, err := presence.Seen(t.Context()); err != nil || len(seen) != 0 {
		t.Errorf("Seen = %v, %v, want nobody", seen, err)
	}
	one, two := events.NewAgentID(), events.NewAgentID()
	for i, id := range []events.AgentID{one, two, one} {
		if fresh, err := presence.Beat(t.Context(), id, time.Unix(int64(i), 0)); err != nil || !fresh {
			t.Fatalf("beat %d: %t, %v", i, fresh, err)
		}
	}
	before, err := presence.Seen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, heard := range []int64{0, 2} { // somebody repeats what the agent said
		if fresh, err := presence.Beat(t.Context(), one, time.Unix(heard, 0)); err != nil || fresh {
			t.Errorf("a repetition of beat %d: %t, %v", heard, fresh, err)
		}
	}
	seen, err := presence.Seen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []events.AgentID{one, two} {
		if age := time.Since(seen[id]); age < 0 || age > patience {
			t.Errorf("agent %s was seen %s ago", id, age)
		}
	}
	if len(seen) != 2 || seen[one].Before(seen[two]) || !seen[one].Equal(before[one]) {
		t.Errorf("Seen = %v", seen)
	}
}
