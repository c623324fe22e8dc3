package nats

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/nats/subject"
	"secretsbridge/transparency"
)

// reign is an admin of NATS, who may do everything there and has no key of the control plane,
// and a server that has written, read and watches its log meanwhile.
type reign struct {
	*rig
	admin jetstream.JetStream
	store *Store
	ended chan error // of the watch
	began []*jetstream.RawStreamMsg
}

var (
	betrayed = events.UserStream("u_betrayed00000000000000000000") // whose grant was taken
	another  = events.UserStream("u_another000000000000000000000")
	grant    = events.GrantGiven{Grant: "gr_1", Role: "admin", Reason: "for a day"}
)

func newReign(t *testing.T) *reign {
	t.Helper()
	r := &reign{rig: newRig(t, 1)}
	r.streams.interval = 20 * time.Millisecond
	nc, err := r.hub().ConnectProvisioner("admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if r.admin, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return r
}

// begin makes the log anew, fills and watches it.
func (r *reign) begin(t *testing.T) {
	t.Helper()
	r.remake(t, eventsConfig(1))
	r.store = openStore(t, r.nc)
	for _, c := range []struct {
		stream   events.Stream
		expected events.Seq
		fact     events.Fact
	}{
		{betrayed, 0, events.UserAdded{User: events.UserID(betrayed.ID), Kind: events.UserPerson}},
		{betrayed, 1, grant},
		{another, 0, events.UserAdded{User: events.UserID(another.ID), Kind: events.UserPerson}},
		{betrayed, events.AnySeq, events.RecoveryCodesMade{Count: 10}},
		{betrayed, 4, events.GrantTaken{Grant: grant.Grant, Reason: "the day is over"}},
	} {
		if _, err := r.store.Append(t.Context(), c.stream, c.expected, commitOf(c.stream, c.fact)); err != nil {
			t.Fatal(err)
		}
	}
	r.began = nil
	stream := r.stream(t)
	for seq := uint64(1); seq <= 5; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		r.began = append(r.began, msg)
	}
	if err := r.powers(t, r.store); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r.ended = make(chan error, 1)
	go func() { r.ended <- r.streams.Watch(ctx, r.store) }()
}

// powers is an error if somebody has more of them than the control plane gave.
func (r *reign) powers(t *testing.T, store *Store) error {
	t.Helper()
	for _, stream := range []events.Stream{betrayed, another} {
		user, _, err := command.Load[command.User](t.Context(), store, stream)
		if err != nil {
			return err
		}
		if len(user.Grants) > 0 {
			t.Errorf("%s holds %v", stream, user.Grants)
		}
	}
	return nil
}

func (r *reign) stream(t *testing.T) jetstream.Stream {
	t.Helper()
	stream, err := r.admin.Stream(t.Context(), subject.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// remake deletes the stream and makes an empty one of that name. NATS deletes a stream's files
// behind its answer, and a stream made at once can find some of them; then it is made once more.
func (r *reign) remake(t *testing.T, config jetstream.StreamConfig) {
	t.Helper()
	for range 20 {
		if err := r.admin.DeleteStream(t.Context(), subject.EventsStream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Fatal(err)
		}
		made, err := r.admin.CreateStream(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		if made.CachedInfo().State.LastSeq == 0 {
			return
		}
	}
	t.Fatal("a stream that is made anew is not empty")
}

func (r *reign) update(t *testing.T, change func(*jetstream.StreamConfig)) {
	t.Helper()
	config := eventsConfig(1)
	change(&config)
	if _, err := r.admin.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// put publishes to the log. With lie the server asks what the message expects of its subject of
// one that nobody writes to, so a message that was the first of its subject is taken once more
// with the header that its MAC binds.
func (r *reign) put(t *testing.T, name string, header natsgo.Header, raw []byte, lie bool) {
	t.Helper()
	msg := &natsgo.Msg{Subject: name, Header: natsgo.Header{}, Data: raw}
	for key, values := range header {
		msg.Header[key] = values
	}
	if lie {
		msg.Header.Set("Nats-Expected-Last-Subject-Sequence-Subject", "evt.request.nobody")
	}
	if _, err := r.admin.PublishMsg(t.Context(), msg); err != nil {
		t.Fatalf("put a message on %s: %v", name, err)
	}
}

// commitOf is a commit of one fact.
func commitOf(stream events.Stream, fact events.Fact) []events.Event {
	commit := denial(stream, "")
	commit[0].Fact = fact
	return commit
}

func encoded(t *testing.T, stream events.Stream, fact events.Fact) []byte {
	t.Helper()
	raw, err := events.Encode(commitOf(stream, fact))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// caught waits for the alarm, and checks that nothing is written, read or given any more.
func (r *reign) caught(t *testing.T, want ...command.Alarm) {
	t.Helper()
	err := receive(t, r.ended)
	if alarm, ok := command.AlarmOf(err); !ok || !slices.Contains(want, alarm) {
		t.Errorf("the watch ends with %v, want one of %q", err, want)
	}
	if _, err := r.store.Append(t.Context(), another, events.AnySeq, commitOf(another, grant)); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("append after the alarm: %v", err)
	}
	if _, err := r.store.AppendAll(t.Context(), []command.Commit{{Stream: another, Expected: events.AnySeq, Events: commitOf(another, grant)}}); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("append of several after the alarm: %v", err)
	}
	if err := r.powers(t, r.store); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("load after the alarm: %v", err)
	}
	if _, err := r.store.Last(t.Context()); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("the end after the alarm: %v", err)
	}
	if _, err := r.store.At(t.Context(), 1); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("a commit after the alarm: %v", err)
	}
	follow := func(context.Context, []events.Recorded) error { t.Error("it is delivered"); return nil }
	if err := r.store.Follow(t.Context(), 0, 10, follow); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("follow after the alarm: %v", err)
	}
	// A server that starts now proves first that the log goes to where the views are.
	err = r.streams.Require(t.Context())
	if err == nil {
		after := openStore(t, r.nc)
		if err = prove(t, after, 5, transparency.LeafHash(r.began[4].Data)); err == nil {
			err = r.powers(t, after)
		}
	}
	if err != nil && !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("after a start: %v", err)
	}
}

// TestAnAdminOfNATSIsCaughtWhileTheServerRuns has them change the log in every way that the API
// of NATS has.
func TestAnAdminOfNATSIsCaughtWhileTheServerRuns(t *testing.T) {
	r := newReign(t)
	again := func(t *testing.T, which ...int) { // stored messages, as they were
		t.Helper()
		for _, i := range which {
			r.put(t, r.began[i-1].Subject, r.began[i-1].Header, r.began[i-1].Data, false)
		}
	}
	grow := func(t *testing.T, n int) {
		t.Helper()
		for range n {
			r.put(t, "evt.access.grown", nil, []byte("[]"), false)
		}
	}
	for name, attack := range map[string]struct {
		does  func(t *testing.T)
		alarm []command.Alarm
	}{
		"purges by a limit": {
			func(t *testing.T) { r.update(t, func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 }) },
			[]command.Alarm{command.LogReconfigured},
		},
		"purges by a limit and puts it back": {
			func(t *testing.T) {
				r.update(t, func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 1, jetstream.DiscardOld })
				grow(t, 1)
				r.update(t, func(*jetstream.StreamConfig) {})
			},
			[]command.Alarm{command.LogReconfigured, command.LogDamaged},
		},
		"purges a subject by a limit and puts it back": {
			func(t *testing.T) {
				r.update(t, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.Discard = 3, jetstream.DiscardOld })
				again(t, 4)
				r.update(t, func(*jetstream.StreamConfig) {})
			},
			[]command.Alarm{command.LogReconfigured, command.LogDamaged},
		},
		"deletes the stream": {
			func(t *testing.T) {
				if err := r.admin.DeleteStream(t.Context(), subject.EventsStream); err != nil {
					t.Fatal(err)
				}
			},
			[]command.Alarm{command.LogTruncated},
		},
		"makes it anew, empty": {
			func(t *testing.T) { r.remake(t, eventsConfig(1)) },
			[]command.Alarm{command.LogRecreated, command.LogTruncated},
		},
		"makes it anew without the end, and lets it grow": {
			func(t *testing.T) { r.remake(t, eventsConfig(1)); again(t, 1, 2, 3, 4); grow(t, 9) },
			[]command.Alarm{command.LogRecreated, command.LogTruncated},
		},
		"makes it anew, as it was": {
			func(t *testing.T) { r.remake(t, eventsConfig(1)); again(t, 1, 2, 3, 4, 5) },
			[]command.Alarm{command.LogRecreated, command.LogTruncated},
		},
		"makes it anew with another past, and lets it grow": {
			func(t *testing.T) {
				r.remake(t, eventsConfig(1))
				again(t, 1, 2)
				r.put(t, subject.Events(another), r.began[2].Header, encoded(t, another, grant), false)
				again(t, 4)
				grow(t, 9)
			},
			[]command.Alarm{command.LogRecreated, command.LogTruncated},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r.begin(t)
			attack.does(t)
			r.caught(t, attack.alarm...)
		})
	}
}

// TestSettingsOfTheLogAreWatched changes one after the other.
func TestSettingsOfTheLogAreWatched(t *testing.T) {
	r := newReign(t)
	changed := 0
	for field, drift := range drifts {
		t.Run(field, func(t *testing.T) {
			config := eventsConfig(1)
			drift(&config)
			r.begin(t)
			if _, err := r.admin.UpdateStream(t.Context(), config); err != nil {
				return // the server refuses
			}
			changed++
			r.caught(t, command.LogReconfigured)
		})
	}
	if changed < 12 {
		t.Errorf("the server took %d of %d changes, which proves little", changed, len(drifts))
	}
}

// TestAForgedFactIsNeverFolded publishes to the log what the control plane did not write, and
// what it wrote in another place.
func TestAForgedFactIsNeverFolded(t *testing.T) {
	r := newReign(t)
	header := func(of int) natsgo.Header { return r.began[of-1].Header }
	mac := func(of int) natsgo.Header { return natsgo.Header{writerHeader: header(of)[writerHeader]} }
	forged := func(t *testing.T) []byte { return encoded(t, betrayed, grant) }
	for name, attack := range map[string]struct {
		stream events.Stream
		header func() natsgo.Header
		raw    func(t *testing.T) []byte
		lie    bool
		alarm  command.Alarm
	}{
		"a grant without a MAC":                {betrayed, func() natsgo.Header { return nil }, forged, false, command.LogForeign},
		"a grant with the MAC of another fact": {betrayed, func() natsgo.Header { return mac(2) }, forged, false, command.LogForeign},
		"a grant with the MAC of what follows anything": {
			betrayed, func() natsgo.Header { return mac(4) }, forged, false, command.LogForeign,
		},
		"a grant with a MAC of nothing": {
			betrayed, func() natsgo.Header { return natsgo.Header{writerHeader: {writerForm + strings.Repeat("A", 43)}} }, forged, false, command.LogForeign,
		},
		"a grant with an empty MAC":   {betrayed, func() natsgo.Header { return natsgo.Header{writerHeader: {writerForm}} }, forged, false, command.LogForeign},
		"a grant with a MAC too long": {betrayed, func() natsgo.Header { return natsgo.Header{writerHeader: {mac(4).Get(writerHeader) + "AAAA"}} }, forged, false, command.LogForeign},
		"a true grant on its own subject, wherever": {
			betrayed, func() natsgo.Header { return mac(2) }, func(*testing.T) []byte { return r.began[1].Data }, false, command.LogForeign,
		},
		"a true fact on its own subject that follows anything": {
			betrayed, func() natsgo.Header { return mac(4) }, func(*testing.T) []byte { return r.began[3].Data }, false, command.LogReplayed,
		},
		"the true beginning on its own subject": {
			betrayed, func() natsgo.Header { return header(1) }, func(*testing.T) []byte { return r.began[0].Data }, true, command.LogReplayed,
		},
		"a true fact on another subject": {
			another, func() natsgo.Header { return mac(4) }, func(*testing.T) []byte { return r.began[3].Data }, false, command.LogForeign,
		},
		"a true beginning on a subject that has none": {
			events.UserStream("u_nobody0000000000000000000000"), func() natsgo.Header { return header(1) },
			func(*testing.T) []byte { return r.began[0].Data }, false, command.LogForeign,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r.begin(t)
			r.put(t, subject.Events(attack.stream), attack.header(), attack.raw(t), attack.lie)
			// Who reads the stream finds it, also who knows it up to here; and so does who only follows.
			if attack.alarm == command.LogForeign {
				err := openStore(t, r.nc).Follow(t.Context(), 5, 10, func(context.Context, []events.Recorded) error { t.Error("it is delivered"); return nil })
				if !errors.Is(err, attack.alarm) {
					t.Errorf("follow: %v, want %v", err, attack.alarm)
				}
			}
			for who, store := range map[string]*Store{"a server that runs": r.store, "a server that starts": openStore(t, r.nc)} {
				_, err := store.Load(t.Context(), attack.stream)
				if !errors.Is(err, attack.alarm) {
					t.Errorf("%s loads: %v, want %v", who, err, attack.alarm)
				}
				if err := store.Halted(); !errors.Is(err, attack.alarm) {
					t.Errorf("%s is halted by %v", who, err)
				}
			}
			r.caught(t, attack.alarm)
		})
	}
}
