package subject_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// token is one part of a subject as our identifiers allow it.
var token = rapid.StringMatching(`[a-zA-Z0-9_-]{1,40}`)

func TestWhatIsBuiltIsParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream := events.Stream{Aggregate: rapid.SampledFrom([]events.Aggregate{
			events.AggregateRequest, events.AggregateAgent, events.AggregateConnection, events.AggregateAccess,
		}).Draw(t, "aggregate"), ID: token.Draw(t, "id")}
		if got, ok := subject.ParseEvents(subject.Events(stream)); !ok || got != stream {
			t.Errorf("stream %v became %v", stream, got)
		}
		cluster, op, job := events.ClusterID(token.Draw(t, "cluster")), events.Operation(token.Draw(t, "op")), events.JobID(token.Draw(t, "job"))
		if c, o, j, ok := subject.ParseJob(subject.Job(cluster, op, job)); !ok || c != cluster || o != op || j != job {
			t.Errorf("job %s %s %s became %s %s %s", cluster, op, job, c, o, j)
		}
		account, service := token.Draw(t, "account"), events.Service(token.Draw(t, "service"))
		if a, s, ok := subject.ParseService(subject.Service(account, service)); !ok || a != account || s != service {
			t.Errorf("service %s %s became %s %s", account, service, a, s)
		}
		secret := rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "secret")
		if what, ok := subject.ParseConsumer(subject.Consumer(string(cluster), secret)); !ok || what != string(cluster) {
			t.Errorf("consumer of %s became that of %s", cluster, what)
		}
	})
}

func TestWhatIsNotOursIsNotParsed(t *testing.T) {
	for _, s := range []string{
		"", ".", "evt", "evt.request", "evt.request.", "evt.request.r_1.x", "evt.other.r_1", "evt.request.*", "evt.request.>", "jobs.request.r_1",
		"jobs", "jobs.one.read", "jobs.one.read.", "jobs..read.j_1", "jobs.one.read.j_1.x", "agent.A", "agent.A.", "agent..start", "agent.A.start.x", "agents.A.start",
	} {
		if stream, ok := subject.ParseEvents(s); ok {
			t.Errorf("%q is stream %s", s, stream)
		}
		if _, _, job, ok := subject.ParseJob(s); ok {
			t.Errorf("%q is job %s", s, job)
		}
		if account, _, ok := subject.ParseService(s); ok {
			t.Errorf("%q is a service of %s", s, account)
		}
	}
	for _, name := range []string{"", "x", "-x"} {
		if what, ok := subject.ParseConsumer(name); ok {
			t.Errorf("%q is a consumer of %q", name, what)
		}
	}
}

func TestMarksOfDifferentCallersDiffer(t *testing.T) {
	if subject.Mark("user:a", "bc") == subject.Mark("user:ab", "c") {
		t.Error("two callers share a mark")
	}
	if mark := subject.Mark("user:a", strings.Repeat(". *>", 1000)); strings.ContainsAny(mark, ". *>") || len(mark) != 64 {
		t.Errorf("mark %q cannot be a key", mark)
	}
}

func TestOnlyRepliesOfImportsAreTrusted(t *testing.T) {
	for reply, want := range map[string]bool{
		"_R_.abc.def": true, "": false, "_INBOX.x": false, "$JS.ACK.a.b.1.1.1.1.1": false, "$JS.ACK.a.b.1.1.1.1.1@_R_.x": false, "_R_": false,
	} {
		if got := subject.ImportedReply(reply); got != want {
			t.Errorf("ImportedReply(%q) = %v", reply, got)
		}
	}
}
