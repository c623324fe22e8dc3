package nats

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/internal/window"
	"secretsbridge/internal/window/windowtest"
	"secretsbridge/nats/subject"
)

var windowKey = bytes.Repeat([]byte{7}, windowKeySize)

func openWindows(t testing.TB, nc *natsgo.Conn, now func() time.Time) *Windows {
	t.Helper()
	w, err := OpenWindows(t.Context(), WindowsConfig{Conn: nc, Key: windowKey, Rates: window.DefaultRates, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWindowsAreKept(t *testing.T) {
	for name, replicas := range map[string]int{"one replica": 1, "three replicas": 3} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, replicas)
			windowtest.Suite(t, func(t *testing.T, rates window.Rates, now func() time.Time) (one, two windowtest.Windows) {
				// Keys of its own for each test, as of another installation.
				config := WindowsConfig{Key: []byte(strings.Repeat(t.Name(), windowKeySize)), Rates: rates, Now: now}
				var both [2]*Windows
				for i := range both {
					config.Conn = connect(t, r.hubs[i%len(r.hubs)])
					var err error
					if both[i], err = OpenWindows(t.Context(), config); err != nil {
						t.Fatal(err)
					}
				}
				return both[0], both[1]
			})
		})
	}
}

// TestNobodyIsNamedInNATS looks at everything that the bucket holds.
func TestNobodyIsNamedInNATS(t *testing.T) {
	r := newRig(t, 1)
	w := openWindows(t, r.nc, time.Now)
	who := []string{"canary.account@example.org", "2001:db8:ca:4a57::/64", "user:u_canary0000000000000000000"}
	for _, p := range windowtest.Purposes() {
		for _, name := range who {
			if _, _, err := w.Take(t.Context(), p, name, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	stream, err := r.streams.js.Stream(t.Context(), subject.BucketStream(subject.WindowsBucket))
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(len(windowtest.Purposes()) * len(who)); info.State.Msgs != want {
		t.Errorf("%d messages, want %d", info.State.Msgs, want)
	}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		key, ok := strings.CutPrefix(msg.Subject, subject.KeyValue(subject.WindowsBucket, ""))
		if raw, err := hex.DecodeString(key); !ok || err != nil || len(raw) != 32 {
			t.Errorf("a key is %q", msg.Subject)
		}
		if _, err := time.Parse(time.RFC3339Nano, string(msg.Data)); err != nil {
			t.Errorf("a window holds %q", msg.Data)
		}
		if ttl, err := time.ParseDuration(msg.Header.Get("Nats-TTL")); err != nil || ttl < time.Minute || ttl > 2*time.Hour {
			t.Errorf("a window lives for %q: %v", msg.Header.Get("Nats-TTL"), err)
		}
	}
	if subject.Window(windowKey, "denials", "x") == subject.Window(bytes.Repeat([]byte{8}, 32), "denials", "x") ||
		subject.Window(windowKey, "denial", "sx") == subject.Window(windowKey, "denials", "x") {
		t.Error("two windows have one key")
	}
}

// TestAWindowThatEndedIsBegunAnew lets NATS end a key while the count goes on.
func TestAWindowThatEndedIsBegunAnew(t *testing.T) {
	r := newRig(t, 1)
	w := openWindows(t, r.nc, time.Now)
	key := subject.Window(windowKey, window.Denials.String(), "user:u_1")
	if _, err := w.write(t.Context(), key, 0, time.Now().Add(time.Minute), time.Second); err != nil {
		t.Fatal(err)
	}
	if wait, _, err := w.Take(t.Context(), window.Denials, "user:u_1", 1); err != nil || wait == 0 {
		t.Fatalf("wait %s, %v: it must be over", wait, err)
	}
	w.forget(key)
	eventually(t, "the window ends", func(ctx context.Context) error {
		at, err := w.read(ctx, key)
		if err == nil && !at.until.IsZero() {
			return errors.New("it is still there")
		}
		return err
	})
	if wait, left, err := w.Take(t.Context(), window.Denials, "user:u_1", 1); err != nil || wait != 0 || left != 59 {
		t.Errorf("wait %s, %d left, %v", wait, left, err)
	}
}

// TestAClockThatWasAheadIsForgottenWithItsKey counts by a clock that is an hour ahead, and lets the key
// end as NATS does, by its own clock: whoever is counted is not refused for the rest of the hour.
func TestAClockThatWasAheadIsForgottenWithItsKey(t *testing.T) {
	r := newRig(t, 1)
	var ahead atomic.Int64
	w := openWindows(t, r.nc, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	ahead.Store(int64(time.Hour))
	if wait, _, err := w.Take(t.Context(), window.Reveals, "somebody", 1); wait > 0 || err != nil {
		t.Fatalf("wait %s, %v", wait, err)
	}
	ahead.Store(0)
	if wait, _, err := w.Take(t.Context(), window.Reveals, "somebody", 1); wait == 0 || err != nil {
		t.Fatalf("while the key lives: wait %s, %v", wait, err)
	}
	if err := w.stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if wait, _, err := w.Take(t.Context(), window.Reveals, "somebody", 1); wait > 0 || err != nil {
		t.Errorf("after the key has ended: wait %s, %v", wait, err)
	}
}

// TestAClockThatWasAheadHoldsUpNobodyForLong counts by a clock that is an hour ahead and by one that is
// right. By the right one there is no burst, and then so much as a rate allows, although the key lives
// on; and by the one that is ahead nothing is given back for it.
func TestAClockThatWasAheadHoldsUpNobodyForLong(t *testing.T) {
	r := newRig(t, 1)
	start := time.Now()
	var passed atomic.Int64
	right := openWindows(t, r.nc, func() time.Time { return start.Add(time.Duration(passed.Load())) })
	ahead := openWindows(t, r.nc, func() time.Time { return start.Add(time.Hour + time.Duration(passed.Load())) })
	limit := right.Limit(window.Reveals)
	each := limit.Per / time.Duration(limit.Burst)
	_, before, err := ahead.Take(t.Context(), window.Reveals, "somebody", limit.Burst/2)
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 3
	for n := range rounds {
		if wait, _, err := right.Take(t.Context(), window.Reveals, "somebody", 1); wait != each || err != nil {
			t.Fatalf("round %d, at once: wait %s and not %s, %v", n, wait, each, err)
		}
		passed.Add(int64(each))
		if wait, left, err := right.Take(t.Context(), window.Reveals, "somebody", 1); wait > 0 || left > 0 || err != nil {
			t.Fatalf("round %d, after %s: wait %s, %d left, %v", n, each, wait, left, err)
		}
	}
	// What was given back by the time that passed, and taken at the other, are the same.
	if _, left, err := ahead.Take(t.Context(), window.Reveals, "somebody", 1); left != before-1 || err != nil {
		t.Errorf("by the clock that is ahead %d are left of %d, %v", left, before, err)
	}
}

// TestWhoIsOverIsRefusedWithoutAsking: once a process knows, it needs no NATS to refuse.
// It needs it to grant.
func TestWhoIsOverIsRefusedWithoutAsking(t *testing.T) {
	r := newRig(t, 1)
	now := time.Now()
	w, other := openWindows(t, r.nc, func() time.Time { return now }), openWindows(t, connect(t, r.hub()), func() time.Time { return now })
	if wait, _, err := other.Take(t.Context(), window.Denials, "user:u_1", 60); err != nil || wait != 0 {
		t.Fatalf("wait %s, %v", wait, err)
	}
	if wait, _, err := w.Take(t.Context(), window.Denials, "user:u_1", 1); err != nil || wait == 0 {
		t.Fatalf("wait %s, %v", wait, err)
	}
	r.nc.Close()
	if wait, _, err := w.Take(t.Context(), window.Denials, "user:u_1", 1); err != nil || wait == 0 {
		t.Errorf("wait %s, %v: it was over", wait, err)
	}
	if _, _, err := w.Take(t.Context(), window.Denials, "user:u_2", 1); err == nil {
		t.Error("somebody was granted what nobody counted")
	}
	now = now.Add(time.Hour)
	if _, _, err := w.Take(t.Context(), window.Denials, "user:u_1", 1); err == nil {
		t.Error("somebody was granted what nobody counted")
	}
}

// TestAFullBucketForgetsTheOldest: a flood from many addresses does not keep others out.
func TestAFullBucketForgetsTheOldest(t *testing.T) {
	r := newRig(t, 1)
	w := openWindows(t, r.nc, time.Now)
	small := windowsConfig(1)
	small.MaxBytes = 64 << 10
	if _, err := r.streams.js.UpdateStream(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if wait, left, err := w.Take(t.Context(), window.CallsOfAddress, fmt.Sprint("2001:db8:", i), 1); err != nil || wait != 0 || left != 1199 {
			t.Fatalf("address %d: wait %s, %d left, %v", i, wait, left, err)
		}
		// Whoever goes on is not the oldest, and stays counted.
		if _, left, err := w.Take(t.Context(), window.Invitations, "user:u_1", 1); err != nil || left > max(0, 99-i)+1 {
			t.Fatalf("call %d: %d left, %v", i, left, err)
		}
	}
	info, err := w.stream.Info(t.Context())
	if err != nil || info.State.Bytes > 64<<10 || info.State.Msgs < 50 {
		t.Errorf("%+v, %v", info.State, err)
	}
	if _, left, err := w.Take(t.Context(), window.CallsOfAddress, "2001:db8:0", 1); err != nil || left != 1199 {
		t.Errorf("%d left, %v, want to begin anew", left, err)
	}
}

// TestAKeyThatOthersKeepWritingIsTooMuch has another writer win each time.
func TestAKeyThatOthersKeepWritingIsTooMuch(t *testing.T) {
	r := newRig(t, 1)
	w := openWindows(t, r.nc, time.Now)
	var reads atomic.Int32
	w.stream = rivalled{w.stream, func() {
		reads.Add(1)
		name := subject.KeyValue(subject.WindowsBucket, subject.Window(windowKey, window.Denials.String(), "user:u_1"))
		if _, err := r.streams.js.Publish(t.Context(), name, []byte(time.Now().UTC().Format(time.RFC3339Nano))); err != nil {
			t.Error(err)
		}
	}}
	wait, left, err := w.Take(t.Context(), window.Denials, "user:u_1", 1)
	if err != nil || wait != contended || left != 0 || reads.Load() != takeAttempts {
		t.Errorf("wait %s, %d left, %v after %d reads", wait, left, err, reads.Load())
	}
}

// rivalled is a stream where somebody writes after each read.
type rivalled struct {
	jetstream.Stream
	write func()
}

func (s rivalled) GetLastMsgForSubject(ctx context.Context, name string) (*jetstream.RawStreamMsg, error) {
	msg, err := s.Stream.GetLastMsgForSubject(ctx, name)
	s.write()
	return msg, err
}
