package syslog_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/siem"
	"secretsbridge/siem/outlet"
	"secretsbridge/siem/syslog"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

func denial(id, text string) []events.Event {
	return []events.Event{{
		ID: events.EventID(id), Stream: events.AccessStream("user:u_1"), Time: time.Date(2026, 11, 28, 9, 0, 0, 123456789, time.UTC), Actor: "user:u_1",
		Correlation: "x_1", Command: "c_1", Fact: events.AccessDenied{Action: "audit.read", Resource: text, Code: "forbidden"},
	}}
}

func recordsOf(t interface{ Fatal(...any) }, seq events.Seq, commit []events.Event) []siem.Record {
	raw, err := events.Encode(commit)
	if err != nil {
		t.Fatal(err)
	}
	all, err := siem.Records(seq, raw)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAMessage(t *testing.T) {
	t.Parallel()
	r := recordsOf(t, 17, denial("c_1.0", "GET /people"))[0]
	got, err := syslog.Append(nil, "bridge-1", r, siem.CEF, syslog.DefaultMessage)
	if err != nil {
		t.Fatal(err)
	}
	record, err := siem.CEF.Append(nil, r, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := `<108>1 2026-11-28T09:00:00.123456Z bridge-1 secrets-bridge - access.denied [fact@32473 seq="17" place="0" leafHash="` + r.Hash() +
		`" id="c_1.0" stream="access/user-u_1"] ` + string(record)
	if string(got) != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	if seq, place, err := position(got); seq != 17 || place != 0 || err != nil {
		t.Errorf("it stands at %d.%d, %v", seq, place, err)
	}
}

// grammar is that of RFC 5424, section 6, of what we write: a header, one element of structured
// data whose values escape what they must, and a message.
var grammar = regexp.MustCompile(`^<(\d{1,3})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) - ([!-~]{1,32}) \[fact@32473((?: [a-zA-Z]+="(?:[^"\\\]]|\\["\\\]])*")+)\] (?s:(.*))$`)

func TestEveryMessageFitsTheGrammar(t *testing.T) {
	t.Parallel()
	hosts := []string{"bridge-1", "", "a b\n<1>", "ä", strings.Repeat("h", 400)}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`"] evil`, "\n12 <1>1 ", `\`, "]", "ä", strings.Repeat("x", 20_000), strings.Repeat("\x00", 300)}))
		f := rapid.SampledFrom(siem.Formats).Draw(t, "format")
		most := rapid.SampledFrom([]int{syslog.MinMessage, syslog.DefaultMessage, syslog.MaxMessage}).Draw(t, "most")
		r := recordsOf(t, 3, denial(text.Draw(t, "id"), text.Draw(t, "text")))[0]
		r.Stream = text.Draw(t, "stream")
		got, err := syslog.Append([]byte("9 "), syslog.Host(rapid.SampledFrom(hosts).Draw(t, "host")), r, f, most)
		if err != nil {
			t.Fatal(err)
		}
		got = got[2:]
		parts := grammar.FindSubmatch(got)
		if parts == nil || len(got) > most || !utf8.Valid(got) {
			t.Fatalf("%d bytes: %q", len(got), got)
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000000Z", string(parts[2])); err != nil {
			t.Fatal(err)
		}
		message, marked := bytes.CutPrefix(parts[7], []byte("\xef\xbb\xbf"))
		if ascii := !bytes.ContainsFunc(message, func(c rune) bool { return c >= 0x80 }); marked == ascii {
			t.Fatalf("the mark of UTF-8 is %v, and the message ASCII %v: %q", marked, ascii, got)
		}
		if seq, place, err := f.At(message); seq != 3 || place != 0 || err != nil {
			t.Fatalf("%d.%d, %v: %q", seq, place, err, got)
		}
		if f.JSON() && !json.Valid(message) || bytes.ContainsAny(got, "\n\r\x00") {
			t.Fatalf("%q", got)
		}
	})
}

// TestTypesHaveIdsOfTheirOwn holds the catalogue to the 32 characters that there are.
func TestTypesHaveIdsOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, k := range events.Catalogue() {
		r := siem.Record{Type: k.Type}
		got, err := syslog.Append(nil, "h", r, siem.CEF, syslog.MaxMessage)
		if err != nil {
			t.Fatal(err)
		}
		id := strings.Fields(string(got))[5]
		if other := seen[id]; other != "" || id != siem.Operation(k.Type) {
			t.Errorf("%s has the id %s, like %q", k.Type, id, other)
		}
		seen[id] = k.Type
	}
}

// pair is a receiver, and what a sender to it is made of.
func pair(t *testing.T, change func(server, client *tls.Config, ca authority)) (*receiver, syslog.Config) {
	t.Helper()
	ca := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.sign(t, "127.0.0.1", x509.ExtKeyUsageServerAuth)}}
	client := &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS12}
	if change != nil {
		change(server, client, ca)
	}
	r := newReceiver(t, server)
	return r, syslog.Config{Addr: r.addr, Format: siem.CEF, Most: syslog.DefaultMessage, Host: "bridge", Trust: client}
}

func TestAReceiverIsKnownByItsName(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(server, client *tls.Config, ca authority)
		works  bool
	}{
		"that of the address": {nil, true},
		"in TLS 1.2":          {func(server, _ *tls.Config, _ authority) { server.MaxVersion = tls.VersionTLS12 }, true},
		"not in TLS 1.1": {func(server, _ *tls.Config, _ authority) {
			server.MaxVersion = tls.VersionTLS11
			server.MinVersion = tls.VersionTLS10
		}, false},
		"another name": {func(server, _ *tls.Config, ca authority) {
			server.Certificates[0] = ca.sign(t, "elsewhere.example.org", x509.ExtKeyUsageServerAuth)
		}, false},
		"another authority": {func(_, client *tls.Config, _ authority) { client.RootCAs = newAuthority(t).pool() }, false},
		"with our certificate": {func(server, client *tls.Config, ca authority) {
			server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool()
			client.Certificates = []tls.Certificate{ca.sign(t, "bridge", x509.ExtKeyUsageClientAuth)}
		}, true},
		"which it insists on": {func(server, _ *tls.Config, ca authority) {
			server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, cfg := pair(t, tt.change)
			s := syslog.New(cfg)
			defer s.Close()
			// In TLS 1.3 a client's certificate may be refused after the first bytes were sent.
			err := s.Write(t.Context(), recordsOf(t, 1, denial("c_1.0", "x")))
			if err == nil {
				err = s.Settle(t.Context())
			}
			got, _ := r.got()
			if (err == nil) != tt.works || (len(got) == 1) != tt.works {
				t.Errorf("%d messages arrived, and it says %v", len(got), err)
			}
		})
	}
}

// TestNothingCountsThatNobodyConfirmed has receivers that end otherwise than they should.
func TestNothingCountsThatNobodyConfirmed(t *testing.T) {
	t.Parallel()
	one := recordsOf(t, 1, denial("c_1.0", "x"))
	t.Run("one that crashes with something unread", func(t *testing.T) {
		t.Parallel()
		r, cfg := pair(t, nil)
		r.crash = 1
		s := syslog.New(cfg)
		defer s.Close()
		err := s.Write(t.Context(), one)
		r.running.Wait()
		if err == nil {
			err = s.Settle(t.Context())
		}
		if err == nil {
			t.Error("it counts as confirmed")
		}
		if again := s.Settle(t.Context()); !errors.Is(again, syslog.ErrUnconfirmed) {
			t.Errorf("asked again it says %v", again)
		}
	})
	t.Run("one that is gone before it is asked", func(t *testing.T) {
		t.Parallel()
		r, cfg := pair(t, nil)
		s := syslog.New(cfg)
		defer s.Close()
		if err := s.Write(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		if got, came := r.got(); len(got) == 0 {
			<-came
		}
		r.stop()
		if err := s.Settle(t.Context()); !errors.Is(err, syslog.ErrUnconfirmed) {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("one that reads and stays", func(t *testing.T) {
		t.Parallel()
		r, cfg := pair(t, nil)
		r.mute = true
		s := syslog.New(cfg)
		defer s.Close()
		if err := s.Write(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		if got, came := r.got(); len(got) == 0 {
			<-came
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := s.Settle(ctx); !errors.Is(err, syslog.ErrUnconfirmed) {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		s := syslog.New(syslog.Config{Addr: "127.0.0.1:1", Format: siem.CEF, Most: syslog.DefaultMessage, Host: "-", Trust: &tls.Config{}})
		if err := s.Write(t.Context(), one); err == nil {
			t.Error("nobody took it")
		}
		if err := s.Settle(t.Context()); err != nil {
			t.Errorf("nothing was sent, and it says %v", err)
		}
	})
}

// TestNothingIsMissingBehindRestarts stops the receiver and the server at random while facts come.
// Whatever is stopped, each fact is there at least once, and the first copies stand in order.
func TestNothingIsMissingBehindRestarts(t *testing.T) {
	t.Parallel()
	const facts = 600
	r, cfg := pair(t, nil)
	log, positions, leases := &commandtest.Memory{}, &workertest.Positions{}, &workertest.Leases{}
	appendFacts := func(from, to int) {
		for n := from; n < to; n++ {
			meta := command.Meta{Command: events.CommandID(fmt.Sprint("c_", n)), Actor: "user:u_1", Time: time.Now()}
			if _, err := command.Record(t.Context(), log, events.AccessStream("user:u_1"), meta,
				events.AccessDenied{Action: "a", Resource: fmt.Sprint("first ", n), Code: "forbidden"},
				events.AccessDenied{Action: "a", Resource: strings.Repeat("long ", n), Code: "forbidden"}); err != nil {
				t.Error(err)
				return
			}
		}
	}
	appendFacts(0, facts/3)
	random := rand.New(rand.NewPCG(1, 2))
	for restart := range 12 {
		r.mu.Lock()
		if restart%3 != 2 {
			r.crash = 1 + random.IntN(200)
		}
		before := len(r.messages)
		r.mu.Unlock()
		ctx, stop := context.WithCancel(t.Context())
		loop := outlet.Loop(outlet.Config{
			Name: "audit-syslog", Feed: log, Positions: positions, Sink: syslog.New(cfg), Each: time.Millisecond * time.Duration(1+random.IntN(20)),
		})
		lease, err := leases.Take(ctx, loop.Name)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = loop.Run(ctx, worker.NewTerm(lease)) // a fault is what the test is about
		}()
		if restart < 8 {
			appendFacts(facts/3+restart*facts/12, facts/3+(restart+1)*facts/12)
		}
		wanted := before + random.IntN(150)
	waiting:
		for {
			got, came := r.got()
			if len(got) >= wanted {
				break
			}
			select {
			case <-came:
			case <-ended: // the receiver crashed
				break waiting
			}
			if whole(got) == 2*facts {
				break
			}
		}
		stop()
		if restart%2 == 0 {
			r.stop() // the server has no time to settle
		}
		<-ended
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.stop()
		r.start()
	}
	r.mu.Lock()
	r.crash = 0
	r.mu.Unlock()
	ctx, stop := context.WithCancel(t.Context())
	loop := outlet.Loop(outlet.Config{Name: "audit-syslog", Feed: log, Positions: positions, Sink: syslog.New(cfg), Each: time.Millisecond})
	lease, err := leases.Take(ctx, loop.Name)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(ctx, worker.NewTerm(lease)) }()
	for {
		got, came := r.got()
		if whole(got) == 2*facts {
			t.Logf("%d messages for %d facts", len(got), 2*facts)
			break
		}
		select {
		case <-came:
		case err := <-ended:
			t.Fatal(err)
		}
	}
	stop()
	<-ended
}

// whole is how many facts are there from the first one on, without a gap.
func whole(messages [][]byte) int {
	next := 0
	for _, m := range messages {
		seq, place, err := position(m)
		if err != nil {
			panic(err)
		}
		if at := 2*(int(seq)-1) + place; at == next {
			next++
		} else if at > next {
			return -1
		}
	}
	return next
}

// position is where a message's fact stands in the log.
func position(message []byte) (seq events.Seq, place int, err error) {
	_, err = fmt.Sscanf(string(message[max(0, strings.Index(string(message), "[fact@")):]), `[fact@`+syslog.Enterprise+` seq="%d" place="%d"`, &seq, &place)
	return seq, place, err
}
