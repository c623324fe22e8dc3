package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web/api"
)

// news is one message of the live stream.
type news struct {
	event  string
	upto   events.Seq
	topics []string
}

// read takes one line, and reports whether the message is whole.
func (n *news) read(line string) bool {
	name, value, _ := strings.Cut(line, ": ")
	switch name {
	case "event":
		*n = news{upto: n.upto, event: value}
	case "id":
		seq, _ := strconv.ParseUint(value, 10, 64)
		*n = news{upto: events.Seq(seq)}
	case "data":
		var data api.Changed
		if json.Unmarshal([]byte(value), &data) == nil {
			n.topics = data.Topics
		}
	}
	return line == "" && n.event != ""
}

// newsOf reads the next message that is no sign of life; false at the end of the stream.
func newsOf(lines *bufio.Scanner) (n news, ok bool) {
	for lines.Scan() {
		if n.read(lines.Text()) && n.event != "beat" {
			return n, true
		}
	}
	return news{}, false
}

// news is the next message that is no sign of life.
func (l *live) news() (n news, ok bool) {
	l.t.Helper()
	for late := time.After(patience); ; {
		select {
		case line, open := <-l.lines:
			if !open {
				return news{}, false
			}
			if n.read(line) && n.event != "beat" {
				return n, true
			}
		case <-late:
			l.t.Fatal("nothing comes")
		}
	}
}

func (l *live) wantsNews(event string, topics ...string) string {
	l.t.Helper()
	got, ok := l.news()
	if diff := cmp.Diff(topics, got.topics); !ok || got.event != event || diff != "" {
		l.t.Fatalf("%v, %q, topics (-want +got):\n%s", ok, got.event, diff)
	}
	return itoa(got.upto)
}

func TestALiveStreamTellsWhatToReadAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.api.SetPace(10 * time.Millisecond)
	all := []string{"requests", "jobs", "secrets", "integrations", "connections", "agents", "governance", "people", "machines", "audit", "me"}
	boss := r.listen(t, r.admin, "/live")
	begun := boss.wantsNews("ready", all...)
	mine := r.listen(t, r.developer, "/live")
	mine.wantsNews("ready", "requests", "secrets", "connections", "me")
	if again := r.listen(t, r.admin, "/live", with("Last-Event-ID", begun)); begun != itoa(r.last()) {
		t.Errorf("it began at %s", begun)
	} else { // nothing changed, so there is nothing to say
		r.submit(r.developer)
		again.wantsNews("change", "requests", "audit")
	}
	boss.wantsNews("change", "requests", "audit")
	seen := mine.wantsNews("change", "requests")
	if seen != itoa(r.last()) {
		t.Errorf("told up to %s of %d", seen, r.last())
	}
	r.call(r.developer, "GET", "/audit/events", nil).wants(t, 403, "forbidden") // a denial is audit's alone
	boss.wantsNews("change", "audit")
	r.record(events.ConnectionStream("file"), events.ConnectionEnabled{})
	boss.wantsNews("change", "connections", "audit")
	mine.wantsNews("change", "connections")
	late := r.listen(t, r.developer, "/live", with("Last-Event-ID", seen))
	late.wantsNews("reset", "requests", "secrets", "connections", "me")

	r.setRoles(r.developer.ID) // they are told of that change no more
	r.submit(r.other)
	boss.wantsNews("change", "requests", "people", "machines", "audit", "me")
	r.setRoles(r.developer.ID, policy.RoleAuditor)
	for told := false; !told; { // also of what came before, if it was not told by then
		got, ok := mine.news()
		if told = slices.Contains(got.topics, "people"); !ok || slices.Contains(got.topics, "machines") {
			t.Fatalf("%v, %v", ok, got.topics)
		}
	}
	for _, text := range []string{"x", "-1", "1e3"} {
		r.call(r.developer, "GET", "/live", nil, with("Last-Event-ID", text)).wants(t, 400, "parameter_invalid")
	}
	r.api.Drain()
	boss.drained()
}

func TestALiveStreamTellsOnceInAWhileAtMost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const pace = 2 * time.Second
	r.api.SetPace(pace)
	l := r.listen(t, r.admin, "/live")
	l.wantsNews("ready", "requests", "jobs", "secrets", "integrations", "connections", "agents", "governance", "people", "machines", "audit", "me")
	begun := time.Now()
	r.record(events.AccessStream("user:u_1"), events.SignedIn{})
	l.wantsNews("change", "audit")
	for i := range 20 {
		name := events.ConnectionID(fmt.Sprint("c", i))
		r.record(events.ConnectionStream(name), events.ConnectionCreated{Connection: name, Provider: events.ProviderFile, Cluster: "demo"})
	}
	for n := 1; ; n++ {
		id := l.wantsNews("change", "connections", "audit")
		if took := time.Since(begun); took < time.Duration(n)*pace {
			t.Errorf("%d messages after the first within %v", n, took)
		}
		if id == itoa(r.last()) {
			return
		}
	}
}

// TestALiveStreamIsNoUse: it keeps no session open, and ends with it.
func TestALiveStreamIsNoUse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.api.SetHeartbeat(50 * time.Millisecond)
	r.api.SetStreams(3)
	used := func(who person) (at time.Time) {
		t.Helper()
		sessions, err := r.sessions.List(t.Context(), who.ID)
		if err != nil || len(sessions) != 1 {
			t.Fatal(sessions, err)
		}
		return sessions[0].Touched
	}
	who := r.join(policy.RoleAuditor)
	before := used(who)
	r.clock.Add(10 * time.Minute)
	var open []*live
	for range 3 {
		l := r.listen(t, who, "/live")
		l.wantsBeat()
		open = append(open, l)
	}
	r.call(who, "GET", "/live", nil).wants(t, 429, "too_many_requests")
	if now := used(who); !now.Equal(before) {
		t.Errorf("used at %v, and at %v after", before, now)
	}
	r.call(who, "GET", "/me", nil).wants(t, 200, "")
	if now := used(who); now.Equal(before) {
		t.Error("another call is no use either")
	}
	r.call(who, "DELETE", "/sessions/current", nil).wants(t, 204, "")
	for _, l := range open {
		l.drained()
	}
}

// wantsBeat waits for a sign of life.
func (l *live) wantsBeat() {
	l.t.Helper()
	for late := time.After(patience); ; {
		select {
		case line, open := <-l.lines:
			if !open {
				l.t.Fatal("the stream ended")
			}
			if line == "event: beat" {
				return
			}
		case <-late:
			l.t.Fatal("no sign of life")
		}
	}
}

// drained waits for the end of a stream, whatever else comes before.
func (l *live) drained() {
	l.t.Helper()
	for late := time.After(patience); ; {
		select {
		case _, open := <-l.lines:
			if !open {
				return
			}
		case <-late:
			l.t.Fatal("the stream does not end")
		}
	}
}

// TestNoFollowerMissesAChange has 200 followers while thousands of commits of all kinds come in.
// What a message tells must be what was committed since the one before, no more and no less.
func TestNoFollowerMissesAChange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.api.SetPace(30 * time.Millisecond)
	r.api.SetStreams(200)
	r.settled() // what the rig itself committed is of other kinds
	const followers, commits = 200, 3000
	kinds := map[events.Aggregate][]string{
		events.AggregateAccess: {"audit"}, events.AggregateConnection: {"connections", "audit"}, events.AggregateJob: {"jobs", "audit"},
		events.AggregateSecret: {"secrets", "audit"}, events.AggregateRequest: {"requests", "audit"},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var group sync.WaitGroup
	heard := make([][]news, followers)
	lasts := make(chan struct{}, followers)
	ready := make(chan struct{}, followers)
	fault := make(chan error, followers)
	for i := range followers {
		group.Go(func() {
			resp, err := r.client.Do(r.request(r.admin, "GET", "/live", nil).WithContext(ctx))
			if err != nil || resp.StatusCode != http.StatusOK {
				fault <- errors.Join(err, errors.New("no stream"))
				return
			}
			defer resp.Body.Close()
			lines := bufio.NewScanner(resp.Body)
			for {
				n, ok := newsOf(lines)
				if !ok {
					fault <- errors.New("the stream ended")
					return
				}
				heard[i] = append(heard[i], n)
				if n.event == "ready" {
					ready <- struct{}{}
				}
				if slices.Contains(n.topics, "agents") && n.event == "change" { // the last commit's
					lasts <- struct{}{}
					return
				}
				if i%20 == 0 { // somebody slow
					time.Sleep(200 * time.Millisecond)
				}
			}
		})
	}
	wait := func(each <-chan struct{}) {
		t.Helper()
		for range followers {
			select {
			case <-each:
			case err := <-fault:
				t.Fatal(err)
			case <-ctx.Done():
				t.Fatal("a follower was not told")
			}
		}
	}
	wait(ready)
	var wanted []events.Aggregate
	for kind := range kinds {
		wanted = append(wanted, kind)
	}
	slices.Sort(wanted)
	random := rand.New(rand.NewPCG(1, 2))
	for n := range commits {
		if n%20 == 0 {
			r.settled() // or all would be folded in a few batches
		}
		switch kind := wanted[random.IntN(len(wanted))]; kind {
		case events.AggregateAccess:
			r.record(events.AccessStream("user:u_1"), events.SignedIn{})
		case events.AggregateConnection:
			r.record(events.ConnectionStream("file"), events.ConnectionEnabled{})
		case events.AggregateJob:
			r.record(events.JobStream("j_1"), events.JobTaken{Attempt: 1})
		case events.AggregateSecret:
			r.record(events.SecretStream(secretID("a")), events.SecretAssigned{Owner: "a"})
		case events.AggregateRequest:
			r.record(events.RequestStream("r_1"), events.StepReminded{Number: 1})
		}
	}
	r.record(events.AgentStream("a_1"), events.AgentConnected{})
	wait(lasts)
	group.Wait()
	kinds[events.AggregateAgent] = []string{"agents", "audit"}
	of := r.commits()
	messages := 0
	for i, all := range heard {
		for k, n := range all[1:] {
			want := map[string]bool{}
			for _, c := range of[all[k].upto:n.upto] {
				for _, topic := range kinds[c.Stream.Aggregate] {
					want[topic] = true
				}
			}
			got := map[string]bool{}
			for _, topic := range n.topics {
				got[topic] = true
			}
			if diff := cmp.Diff(want, got); diff != "" || n.upto <= all[k].upto {
				t.Fatalf("follower %d, from %d to %d (-want +got):\n%s", i, all[k].upto, n.upto, diff)
			}
			messages++
		}
	}
	if messages < 5*followers {
		t.Errorf("only %d messages", messages)
	}
	t.Logf("%d messages", messages)
}
