package nats

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/events"
	"secretsbridge/nats/leaf"
	"secretsbridge/nats/subject"
)

// evil marks every payload of the attacker.
const evil = "EVIL"

// siege is an attacker with valid keys of an agent of cluster "one", and all that it
// must not reach: another cluster's job in an agent's hands and another one waiting,
// an agent of its own cluster, the log, the buckets, the control plane's subjects.
type siege struct {
	*network
	attacker  *testAgent
	victim    *testAgent // of cluster "two", with a job in hand
	neighbour *testAgent // of the attacker's own cluster, with an account of its own
	link      *leaf.Link // the victim's
	raw       *rawLeaf   // another agent of cluster "two"; holds the job j_held
	ack       string     // subject of that job's acknowledgements
	inbox     string     // where raw listens
	one, two  string     // the clusters' consumers

	mu    sync.Mutex
	core  []string // subscriptions in CORE that a message of the attacker came by
	calls []string // "account service" of calls that carried one
}

func besiege(t *testing.T, n *network) *siege {
	t.Helper()
	s := &siege{network: n}
	s.attacker, s.victim, s.neighbour = s.enrol(t, "one"), s.enrol(t, "two"), s.enrol(t, "one")
	s.one, s.two = s.consumer(t, "one"), s.consumer(t, "two")
	s.watch(t)
	services(t, s.network, func(_ context.Context, account string, service events.Service, request []byte) []byte {
		if strings.Contains(string(request), evil) {
			s.mu.Lock()
			s.calls = append(s.calls, account+" "+string(service))
			s.mu.Unlock()
		}
		return append([]byte("secret of "+account+" "), request...)
	})
	second := s.enrol(t, "two")
	s.raw = dialRaw(t, s.network, second, false)
	s.inbox = "_INBOX.held"
	s.publish(t, "two", "j_held")
	s.raw.send("LS+ %s\r\n", s.inbox)
	s.raw.publish(subject.LocalPull, s.inbox, "", `{"batch":1,"expires":14000000000}`)
	eventually(t, "hold a job", func(context.Context) error {
		for _, m := range s.raw.received() {
			if m.reply != "" {
				s.ack, _, _ = strings.Cut(m.reply, "@") // what follows is the job's subject
				return nil
			}
		}
		return fmt.Errorf("got %v", s.raw.received())
	})
	s.publish(t, "two", "j_waiting")
	s.link = s.network.link(t, s.victim)
	return s
}

// watch notes where in CORE a message of the attacker comes. What matters is which
// subscription it came by: the subject that is shown can be forged.
func (s *siege) watch(t *testing.T) {
	t.Helper()
	nc := s.connect(t)
	for _, foreign := range []string{
		"evt.>", "jobs.>", "$KV.>", "_INBOX.>", "$SYS.>", "$SRV.>", "results.>", "$JS.API.STREAM.>", "$JS.API.DIRECT.>", "$JS.API.INFO",
		"$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.DURABLE.>", "$JS.API.CONSUMER.DELETE.>", subject.Pull(s.two), subject.Acks(s.two),
		subject.ServicesOf(s.victim.Account), subject.ServicesOf(s.neighbour.Account),
	} {
		if _, err := nc.Subscribe(foreign, func(m *natsgo.Msg) {
			if strings.Contains(string(m.Data), evil) || strings.Contains(fmt.Sprint(m.Header), evil) {
				s.mu.Lock()
				s.core = append(s.core, foreign)
				s.mu.Unlock()
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func (s *siege) consumer(t *testing.T, cluster string) string {
	t.Helper()
	name, err := s.authority.consumer(cluster)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// guesses are acknowledgements of the held job as the attacker can imagine them: all
// is known or can be counted through, but the secret in the consumer's name.
func (s *siege) guesses() []string {
	var all []string
	for _, name := range []string{"two", strings.Replace(s.one, "one", "two", 1), "*", ">", "two-*"} {
		guess := strings.Replace(s.ack, s.two, name, 1)
		all = append(all, guess, guess+"@"+subject.Job("two", events.OperationRead, "j_held"))
	}
	return all
}

// own is an acknowledgement to the attacker's own cluster.
func (s *siege) own() string {
	return strings.Replace(s.ack, s.two, s.one, 1)
}

// traffic is what goes on around the attack, for a listener to overhear.
func (s *siege) traffic(t *testing.T) {
	t.Helper()
	store := openStore(t, s.nc)
	if _, err := store.Append(t.Context(), events.AccessStream(events.Anonymous), events.AnySeq, denial(events.AccessStream(events.Anonymous), "overheard")); err != nil {
		t.Fatal(err)
	}
	presence, err := OpenPresence(t.Context(), s.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := presence.Beat(t.Context(), "a_overheard", time.Now()); err != nil {
		t.Fatal(err)
	}
	reply, err := s.link.Call(t.Context(), events.ServiceDataKey, []byte("overheard"))
	if err != nil || !strings.HasPrefix(string(reply), "secret of "+s.victim.Account) {
		t.Fatalf("the victim's call: %q, %v", reply, err)
	}
}

// world is everything that an attack must leave as it was.
type world struct {
	Log, Jobs, DeadLetters, Marks uint64
	Held, Waiting                 int
	Redelivered                   int
	Consumers                     []string
}

func (s *siege) world(t *testing.T) world {
	t.Helper()
	js, err := jetstream.New(s.nc)
	if err != nil {
		t.Fatal(err)
	}
	state := func(name string) jetstream.StreamState {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().State
	}
	jobs, err := js.Stream(t.Context(), subject.JobsStream)
	if err != nil {
		t.Fatal(err)
	}
	two, err := jobs.Consumer(t.Context(), s.two)
	if err != nil {
		t.Fatal(err)
	}
	info := two.CachedInfo()
	w := world{
		Log: state(subject.EventsStream).LastSeq, Jobs: state(subject.JobsStream).Msgs,
		DeadLetters: state(subject.DeadLettersStream).LastSeq, Marks: state("KV_" + subject.MarksBucket).LastSeq,
		Held: info.NumAckPending, Waiting: int(info.NumPending), Redelivered: info.NumRedelivered,
	}
	names := jobs.ConsumerNames(t.Context())
	for name := range names.Name() {
		w.Consumers = append(w.Consumers, name)
	}
	slices.Sort(w.Consumers)
	return w
}

func TestHostileLeaf(t *testing.T) {
	besiege(t, newNetwork(t, 0)).hold(t)
}

// hold makes every attack.
func (s *siege) hold(t *testing.T) {
	pull := `{"batch":1,"no_wait":true,"x":"` + evil + `"}`
	wait := `{"batch":1,"expires":2000000000,"x":"` + evil + `"}`
	next := func(consumer string) string { return "$JS.API.CONSUMER.MSG.NEXT.JOBS." + consumer }
	attacks := map[string]func(l *rawLeaf){
		"pull of another cluster": func(l *rawLeaf) {
			l.publish(next("two"), "_INBOX.evil", "", pull)
			l.publish(next(s.two), "_INBOX.evil", "", pull)
		},
		"pull under another local name": func(l *rawLeaf) {
			l.publish("jobs.next.two", "_INBOX.evil", "", pull)
			l.publish("hubjs.CONSUMER.MSG.NEXT.JOBS.two", "_INBOX.evil", "", pull)
		},
		"acknowledge another cluster's job": func(l *rawLeaf) { l.publish(s.ack, "", "", "+ACK"+evil); l.publish(s.ack, "", "", "+ACK") },
		"terminate another cluster's job": func(l *rawLeaf) {
			l.publish(s.ack, "_INBOX.evil", "", "+TERM "+evil)
			l.publish(s.ack, "", "", "+TERM")
		},
		"give another cluster's job back":  func(l *rawLeaf) { l.publish(s.ack, "", "", "-NAK") },
		"acknowledge and ask for the next": func(l *rawLeaf) { l.publish(s.ack, "_INBOX.evil", "", "+NXT "+pull) },
		"next on an invented acknowledgement": func(l *rawLeaf) {
			l.publish("$JS.ACK.JOBS."+s.two+".1.999.999.1.0", "_INBOX.evil", "", "+NXT")
		},
		"acknowledge in the second form": func(l *rawLeaf) {
			tail := strings.TrimPrefix(s.ack, "$JS.ACK.")
			l.publish("$JS.ACK._._."+tail, "", "", "+ACK")
			l.publish("$JS.ACK.hub.hash."+tail+".x", "", "", "+TERM")
		},
		"call services as another agent": func(l *rawLeaf) {
			for _, a := range []*testAgent{s.victim, s.neighbour} {
				l.publish(subject.Service(a.Account, events.ServiceDataKey), "_INBOX.evil", "", evil)
				l.publish(subject.Service(a.Account, events.ServiceObserved), "_INBOX.evil", "", evil)
			}
		},
		"answer for the control plane": func(l *rawLeaf) {
			l.send("LS+ agent.>\r\nLS+ agent.*.* q 1\r\nLS+ %s\r\n", subject.ServicesOf(s.victim.Account))
		},
		"inject replies into the queue": func(l *rawLeaf) {
			l.publish(subject.LocalPull, subject.Job("two", events.OperationRead, "j_evil"), "", pull)
			l.publish(subject.LocalPull, subject.Job("one", events.OperationRead, "j_evil"), "", pull)
		},
		"inject replies into the log": func(l *rawLeaf) {
			l.publish(subject.LocalPull, "evt.request.r_evil", "", pull)
			l.publish(subject.Service(s.attacker.Account, events.ServiceStart), "evt.request.r_evil", "", evil)
		},
		"inject replies into an inbox": func(l *rawLeaf) {
			l.publish(subject.LocalPull, s.inbox, "", wait)
			l.publish(subject.Service(s.attacker.Account, events.ServiceStart), s.inbox, "", evil)
		},
		"inject replies into acknowledgements": func(l *rawLeaf) {
			for _, ack := range append(s.guesses(), s.ack) { // even with the secret, no answer is made there
				l.publish(subject.Service(s.attacker.Account, events.ServiceStart), ack, "", evil)
			}
		},
		"inject acknowledgements by the answers to pulls": func(l *rawLeaf) {
			for _, ack := range s.guesses() {
				l.publish(subject.LocalPull, ack, "", `{"batch":1,"no_wait":true}`)
				l.publish(subject.LocalPull, ack, "", `{"batch":1,"expires":1000000}`)
			}
		},
		"inject acknowledgements by the answers to acknowledgements": func(l *rawLeaf) {
			for _, ack := range s.guesses() {
				l.publish(s.own(), ack, "", "+ACK")
				l.publish(s.own(), ack, "", "+WPI")
			}
		},
		"acknowledge dead letters unseen": func(l *rawLeaf) {
			l.publish(subject.LocalPull, "$JS.ACK.DEADLETTERS.handler.1.1.1.1.0", "", `{"batch":1,"no_wait":true}`)
		},
		"spoof the account by a subject inside the reply": func(l *rawLeaf) {
			l.publish(subject.Service(s.attacker.Account, events.ServiceStart), "$JS.ACK.a.b.1.1.1.1.1@"+subject.Service(s.victim.Account, events.ServiceDataKey), "", evil)
			l.publish(subject.Service(s.attacker.Account, events.ServiceStart), "_GR_.12345678.12345678.$JS.ACK.a.b.1.1.1.1.1@"+subject.Service(s.victim.Account, events.ServiceDataKey), "", evil)
		},
		"spoof the api by a subject inside the reply": func(l *rawLeaf) {
			for _, api := range []string{"STREAM.DELETE.JOBS", "STREAM.PURGE.JOBS", "CONSUMER.DELETE.JOBS." + s.two, "STREAM.DELETE.EVENTS", "CONSUMER.MSG.NEXT.JOBS." + s.two} {
				l.publish(subject.LocalPull, "$JS.ACK.a.b.1.1.1.1.1@$JS.API."+api, "", "")
				l.publish(s.own(), "$JS.ACK.a.b.1.1.1.1.1@$JS.API."+api, "", "")
				l.publish(subject.Service(s.attacker.Account, events.ServiceStart), "$JS.ACK.a.b.1.1.1.1.1@$JS.API."+api, "", "")
			}
		},
		"publish facts": func(l *rawLeaf) { l.publish("evt.request.r_evil", "_INBOX.evil", "", evil) },
		"publish jobs": func(l *rawLeaf) {
			l.publish(subject.Job("one", events.OperationRead, "j_evil"), "", "", evil)
			l.publish(subject.Job("two", events.OperationRead, "j_evil"), "", "", evil)
		},
		"write and read buckets": func(l *rawLeaf) {
			l.publish("$KV.marks.evil", "_INBOX.evil", "", evil)
			l.publish("$KV.presence.a_overheard", "", "", evil)
			l.send("LS+ $KV.>\r\n")
		},
		"subscribe to everything":         func(l *rawLeaf) { l.send("LS+ >\r\n") },
		"subscribe to everything, queued": func(l *rawLeaf) { l.send("LS+ > q 1\r\nLS+ *.> q 1\r\n") },
		"subscribe to others' inboxes":    func(l *rawLeaf) { l.send("LS+ _INBOX.>\r\nLS+ _R_.>\r\nLS+ %s\r\n", s.inbox) },
		"subscribe to the log":            func(l *rawLeaf) { l.send("LS+ evt.>\r\nLS+ evt.*.* q 1\r\n") },
		"subscribe to jobs":               func(l *rawLeaf) { l.send("LS+ jobs.>\r\nLS+ $JS.>\r\n") },
		"ask the api": func(l *rawLeaf) {
			l.send("LS+ _INBOX.evil\r\n")
			for _, api := range []string{
				"INFO", "STREAM.NAMES", "STREAM.INFO.EVENTS", "STREAM.INFO.JOBS", "STREAM.DELETE.EVENTS", "STREAM.DELETE.JOBS",
				"STREAM.PURGE.JOBS", "STREAM.MSG.GET.EVENTS", "STREAM.MSG.DELETE.JOBS", "DIRECT.GET.EVENTS", "DIRECT.GET.EVENTS.evt.>",
				"CONSUMER.NAMES.JOBS", "CONSUMER.INFO.JOBS." + s.one, "CONSUMER.INFO.JOBS." + s.two, "CONSUMER.DELETE.JOBS." + s.two, "CONSUMER.PAUSE.JOBS." + s.two,
				"CONSUMER.CREATE.JOBS.evil", "CONSUMER.DURABLE.CREATE.JOBS.evil", "CONSUMER.UNPIN.JOBS." + s.two, "STREAM.UPDATE.EVENTS", "STREAM.CREATE.EVIL",
			} {
				l.publish("$JS.API."+api, "_INBOX.evil", "", `{"seq":1,"last_by_subj":"evt.>","evil":"`+evil+`"}`)
				l.publish("$JS.hub.API."+api, "_INBOX.evil", "", `{"seq":1}`)
			}
		},
		"ask the system": func(l *rawLeaf) {
			l.send("LS+ _INBOX.evil\r\nLS+ $SYS.>\r\n")
			for _, name := range []string{"$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.ACCOUNT." + s.victim.Account + ".CONNZ", "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.CLAIMS.LIST", "$SYS.REQ.USER.INFO", "$SYS.REQ.SERVER.PING.JSZ", "$SRV.PING", "$SRV.INFO.agent-services"} {
				l.publish(name, "_INBOX.evil", "", "{}")
			}
		},
		"forge who is asking": func(l *rawLeaf) {
			header := `Nats-Request-Info: {"acc":"` + s.victim.Account + `","user":"` + evil + `"}` + "\r\nNats-Expected-Last-Subject-Sequence: 0"
			l.publish(subject.Service(s.victim.Account, events.ServiceStart), "_INBOX.evil", header, evil)
			l.publish(next(s.two), "_INBOX.evil", header, pull)
			l.publish(s.ack, "_INBOX.evil", header, "+TERM")
		},
		"have its messages traced into other places": func(l *rawLeaf) {
			for _, dest := range []string{"evt.request.r_evil", subject.Job("two", events.OperationRead, "j_evil"), s.inbox, "$KV.marks.evil", s.ack} {
				header := "Nats-Trace-Dest: " + dest + "\r\nNats-Rollup: all\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
				l.publish(subject.LocalPull, "_INBOX.evil", header, pull)
				l.publish(subject.Service(s.attacker.Account, events.ServiceStart), "_INBOX.evil", header, evil)
				l.publish(s.own(), "_INBOX.evil", header, "+WPI")
			}
		},
		"claim another origin": func(l *rawLeaf) {
			l.send("LMSG %s + _INBOX.evil q 4\r\n+ACK\r\n", s.ack)
			l.send("RMSG CORE %s 4\r\n+ACK\r\n", s.ack)
			l.send("A+ CORE\r\n")
		},
	}
	for _, hub := range []bool{false, true} {
		for name, attack := range attacks {
			if hub {
				name += ", as a hub"
			}
			t.Run(name, func(t *testing.T) { s.run(t, hub, attack) })
		}
	}
	t.Run("after it all the victims work on", s.aftermath)
}

// run makes one attack on a link of its own and compares the world.
func (s *siege) run(t *testing.T, hub bool, attack func(*rawLeaf)) {
	s.mu.Lock()
	s.core, s.calls = nil, nil
	s.mu.Unlock()
	before := s.world(t)
	l := dialRaw(t, s.network, s.attacker, hub)
	l.send("LS+ _INBOX.evil\r\n")
	attack(l)
	l.settle(t)
	s.traffic(t)
	before.Log++ // by the traffic
	l.settle(t)
	_ = l.conn.Close()
	if diff := cmp.Diff(before, s.world(t)); diff != "" {
		t.Errorf("the world (-before +after)\n%s", diff)
	}
	for _, m := range l.received() {
		for _, foreign := range []string{"overheard", "j_held", "j_waiting", "secret of " + s.victim.Account, "secret of " + s.neighbour.Account, `"type":"io.nats.jetstream.api`, "server_id"} {
			if strings.Contains(m.subject+m.data, foreign) {
				t.Errorf("the attacker got %+v", m)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, foreign := range s.core {
		t.Errorf("a message of the attacker came to a subscriber of %s", foreign)
	}
	for _, call := range s.calls {
		if !strings.HasPrefix(call, s.attacker.Account+" ") {
			t.Errorf("a service was called: %s", call)
		}
	}
	for _, m := range s.raw.received() {
		if strings.Contains(m.data, evil) {
			t.Errorf("the victim got %+v", m)
		}
	}
}

// aftermath proves that the attacker was able to act at all, and that nobody else was
// harmed: its own job it does get, and the other cluster's jobs end as they should.
func (s *siege) aftermath(t *testing.T) {
	l := dialRaw(t, s.network, s.attacker, false)
	l.send("LS+ _INBOX.own\r\n")
	l.publish(subject.Service(s.attacker.Account, events.ServiceStart), "_INBOX.own", "", "mine")
	tries := 0
	eventually(t, "its own job and its own service", func(context.Context) error {
		tries++ // a pull of an attack may still be open and swallow the first
		s.publish(t, "one", events.JobID(fmt.Sprint("j_own", tries)))
		l.publish(subject.LocalPull, "_INBOX.own", "", `{"batch":1,"expires":1000000000}`)
		l.settle(t)
		job, call := false, false
		for _, m := range l.received() {
			job = job || strings.HasPrefix(m.data, "ticket j_own")
			call = call || m.data == "secret of "+s.attacker.Account+" mine"
		}
		if !job || !call {
			return fmt.Errorf("got %+v", l.received())
		}
		return nil
	})
	s.raw.publish(s.ack, "_INBOX.held", "", "+ACK")
	if err := next(t, s.link, "j_waiting").Done(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "the held job ends", func(context.Context) error {
		if w := s.world(t); w.Held != 0 {
			return fmt.Errorf("%d are held", w.Held)
		}
		return nil
	})
}
