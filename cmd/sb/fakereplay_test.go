package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"secretsbridge/events"
)

// logBegan is when the first commit of the fake's log was recorded; each that follows is a second
// later, but for the last, whose clock was behind.
var logBegan = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// fakeLog are the stored bytes of six commits: r_1 is submitted, approved and cancelled, and
// beside it a connection is made, switched off, and described by the governance.
func fakeLog(t testing.TB) (raws [][]byte) {
	t.Helper()
	request := events.RequestID("r_1")
	for i, c := range []struct {
		stream events.Stream
		fact   events.Fact
	}{
		{events.ConnectionStream("file"), events.ConnectionCreated{Connection: "file", Provider: events.ProviderFile, Cluster: "demo"}},
		{events.RequestStream(request), events.RequestSubmitted{
			Request: request, Requester: "u_1", Operation: events.OperationRead, Connection: "file", Cluster: "demo", Ref: "prod/db", Reason: "a \u009b b",
			Workflow: events.Workflow{Name: "one", Steps: []events.Step{{ID: "team", Role: "approver", Approvals: 1}}}, PendingUntil: logBegan.Add(time.Hour),
		}},
		{events.RequestStream(request), events.RequestApproved{Job: "j_1", Until: logBegan.Add(time.Hour)}},
		{events.ConnectionStream("file"), events.ConnectionDisabled{Reason: "moved"}},
		{events.GovernanceStream(), events.GovernanceChanged{Version: 1, Set: []events.Object{{Kind: events.KindTeam, Name: "payments", Spec: events.Team{}}}}},
		{events.RequestStream(request), events.RequestCancelled{Comment: "no more"}},
	} {
		at := logBegan.Add(time.Duration(i) * time.Second)
		if i == 5 {
			at = logBegan.Add(3500 * time.Millisecond)
		}
		id := events.CommandID(fmt.Sprintf("c_%d", i))
		raw, err := events.Encode([]events.Event{{ID: events.EventIDOf(id, 0), Stream: c.stream, Time: at, Actor: "user:u_1", Correlation: "x_1", Command: id, Fact: c.fact}})
		if err != nil {
			t.Fatal(err)
		}
		raws = append(raws, raw)
	}
	return raws
}

// fakeCommits has that log, of which two commits fit into an answer.
func (f *fake) fakeCommits(w *httptest.ResponseRecorder, r *http.Request) {
	after, _ := strconv.Atoi(r.URL.Query().Get("after"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	raws := fakeLog(f.t)
	w.Header().Set("Content-Type", "application/x-ndjson")
	for _, raw := range raws[min(after, len(raws)):min(after+min(limit, 2), len(raws))] {
		w.Write(append(raw, '\n'))
	}
}

func fakeEventsFile(t testing.TB) []byte { return append(bytes.Join(fakeLog(t), []byte("\n")), '\n') }

// asOf is the moment that is asked about, as a sequence: a time is that of commit 7.
func (f *fake) asOf(r *http.Request) uint64 {
	text := r.URL.Query().Get("as_of")
	if text == "" {
		return 0
	}
	if seq, err := strconv.ParseUint(text, 10, 64); err == nil {
		return seq
	}
	if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
		f.t.Errorf("as_of is %q", text)
	}
	return 7
}
