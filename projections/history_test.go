package projections_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

// day is when all histories of these tests happen.
var day = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// writer appends facts to a log, a second apart.
type writer struct {
	t   testing.TB
	log *commandtest.Memory
	n   int
}

func (w *writer) append(stream events.Stream, actor events.Actor, facts ...events.Fact) events.Seq {
	w.t.Helper()
	w.n++
	seq, err := w.log.Append(context.Background(), stream, events.AnySeq,
		commit(stream, actor, fmt.Sprintf("c_%06d", w.n), day.Add(time.Duration(w.n)*time.Second), facts...))
	if err != nil {
		w.t.Fatal(err)
	}
	return seq
}

func commit(stream events.Stream, actor events.Actor, id string, at time.Time, facts ...events.Fact) []events.Event {
	made := make([]events.Event, len(facts))
	for i, f := range facts {
		made[i] = events.Event{
			ID: events.EventIDOf(events.CommandID(id), i), Stream: stream, Time: at, Actor: actor,
			Correlation: events.CorrelationID("x_" + stream.ID), Command: events.CommandID(id), Fact: f,
		}
	}
	return made
}

var twoSteps = events.Workflow{Rule: "production", Name: "two people", Version: 3, Steps: []events.Step{
	{ID: "team", Role: "approver", Approvals: 1}, {ID: "security", Role: "security", Approvals: 1},
}}

func submitted(id events.RequestID, by events.UserID, at time.Time) events.RequestSubmitted {
	return events.RequestSubmitted{
		Request: id, Requester: by, Operation: events.OperationRead, Connection: "file", Cluster: "demo",
		Ref: "prod/db/password", Keys: []string{"password", "user"}, Reason: "incident 42", Workflow: twoSteps,
		PendingUntil: at.Add(time.Hour), ApprovalSeconds: 900, RevealSeconds: 600,
	}
}

// life is the whole life of one request, one element for each commit.
func life(id events.RequestID, by events.UserID, at time.Time) [][]events.Fact {
	job, agent := events.JobOf(id), events.AgentID("a_1")
	one, two := events.EnvelopeOf(job, 2, "password"), events.EnvelopeOf(job, 2, "user")
	ends := at.Add(20 * time.Minute)
	return [][]events.Fact{
		{submitted(id, by, at)},
		{events.ApprovalGiven{Step: "team", Approver: "u_2", Comment: "fine"}},
		{events.ApprovalGiven{Step: "security", Approver: "u_3"}, events.RequestApproved{Job: job, Until: at.Add(15 * time.Minute)}},
		{events.JobStarted{Job: job, Agent: agent, Attempt: 1}},
		{events.LeaseLost{Job: job, Agent: agent, Attempt: 1}, events.JobStarted{Job: job, Agent: agent, Attempt: 2}},
		{
			events.EnvelopeStored{Envelope: one, Key: "password", Fingerprint: "f1", KMSKey: "local:1", Expires: ends},
			events.EnvelopeStored{Envelope: two, Key: "user", Fingerprint: "f2", KMSKey: "local:1", Expires: ends.Add(time.Minute)},
			events.RequestExecuted{Job: job, Agent: agent, Attempt: 2, ProviderVersion: "7"},
		},
		{events.EnvelopeRevealed{Envelope: one, Key: "password", By: by}},
		{events.RevealFailed{Envelope: one, Code: events.FailureEnvelopeBroken}},
		{events.EnvelopeExpired{Envelope: two, Key: "user"}},
	}
}

// fill writes a plausible log of about n commits: requests that overlap, agents,
// connections and sign-ins.
func fill(t testing.TB, log *commandtest.Memory, n int) {
	t.Helper()
	w := &writer{t: t, log: log}
	random := rand.New(rand.NewPCG(1, uint64(n)))
	w.append(events.ConnectionStream("file"), "user:u_1", events.ConnectionCreated{Connection: "file", Provider: events.ProviderFile, Cluster: "demo"})
	w.append(events.AgentStream("a_1"), "user:u_1", events.EnrolmentTokenIssued{Agent: "a_1", Name: "one", Cluster: "demo", TokenHash: "hash", Expires: day})
	w.append(events.AgentStream("a_1"), "anonymous:-",
		events.AgentEnrolled{Account: "AACC", UserKey: "UKEY", BoxKey: "box", Version: "1"},
		events.AgentCredentialsIssued{UserKey: "UKEY", Expires: day.Add(time.Hour)})
	type open struct {
		id   events.RequestID
		left [][]events.Fact
	}
	var live []open
	for w.n < n {
		switch {
		case len(live) < 20 && random.IntN(3) == 0:
			id := events.RequestID(fmt.Sprintf("r_%06d", w.n))
			live = append(live, open{id, life(id, events.UserID(fmt.Sprintf("u_%d", random.IntN(4))), day)})
		case random.IntN(20) == 0:
			w.append(events.AccessStream("user:u_1"), "user:u_1", events.SignedIn{User: "u_1", Session: "s_1"})
		case random.IntN(12) == 0:
			w.append(events.PageStream("j_scan", w.n), "agent:a_1", anyPage(random)...)
		case random.IntN(60) == 0:
			w.append(events.SettingOwnership(), "user:u_1", events.OwnershipRulesSet{Version: w.n, Rules: []events.OwnershipRule{
				{Prefix: fmt.Sprintf("s/%d", random.IntN(10)), Owner: "first"}, {OwnerLabel: "team", Environment: "rest"},
			}})
		case random.IntN(40) == 0:
			id := events.UserID(fmt.Sprintf("u_%d", random.IntN(4)))
			w.append(events.UserStream(id), "user:u_1", events.UserAdded{User: id, Kind: events.UserPerson},
				events.GrantGiven{Grant: events.GrantID(fmt.Sprintf("g_%06d", w.n)), Role: "developer", Scope: events.Scope{Project: "shop"}})
		case random.IntN(50) == 0:
			w.append(events.AgentStream("a_1"), "system:worker", events.AgentConnected{Version: "1"})
		case len(live) > 0:
			i := random.IntN(len(live))
			w.append(events.RequestStream(live[i].id), "user:u_1", live[i].left[0]...)
			if live[i].left = live[i].left[1:]; len(live[i].left) == 0 {
				live = append(live[:i], live[i+1:]...)
			}
		}
	}
}

// anyPage finds, changes and misses some of a hundred secrets.
func anyPage(random *rand.Rand) []events.Fact {
	var secrets [2][]events.SecretMetadata
	var gone []string
	for range 1 + random.IntN(12) {
		m := events.SecretMetadata{
			Ref: fmt.Sprintf("s/%02d", random.IntN(100)), Version: fmt.Sprint(random.IntN(5)), Updated: day,
			Labels: map[string]string{"team": fmt.Sprint(random.IntN(3)), "uid": fmt.Sprint(random.IntN(50))},
		}
		if i := random.IntN(3); i < 2 {
			secrets[i] = append(secrets[i], m)
		} else {
			gone = append(gone, m.Ref)
		}
	}
	return []events.Fact{
		events.SecretsFound{Scan: "j_scan", Connection: "file", Secrets: secrets[0]},
		events.SecretsChanged{Scan: "j_scan", Connection: "file", Secrets: secrets[1]},
		events.SecretsGone{Scan: "j_scan", Connection: "file", Refs: gone},
	}
}

// cut is a feed whose batches are cut into pieces, as a slow log would deliver them.
type cut struct {
	command.Feed
	size func() int // of the next piece, from 1
}

func (c cut) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	return c.Feed.Follow(ctx, after, limit, func(ctx context.Context, batch []events.Recorded) error {
		for len(batch) > 0 {
			n := min(c.size(), len(batch))
			if err := deliver(ctx, batch[:n:n]); err != nil {
				return err
			}
			batch = batch[n:]
		}
		return nil
	})
}
