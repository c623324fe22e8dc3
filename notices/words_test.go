package notices

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
)

// TestEveryKindIsToldInWords makes each kind of notice happen, and reads what is said to whom.
func TestEveryKindIsToldInWords(t *testing.T) {
	approve := func(step events.StepID, by events.UserID) events.Fact {
		return events.ApprovalGiven{Step: step, Approver: by, Comment: "fine"}
	}
	request := events.RequestStream(req)
	filled := func(f *events.RequestSubmitted) {
		f.Operation, f.Fill = events.OperationPatch, &events.Fill{Team: "dba", Until: f.PendingUntil}
		f.Changes = []events.Change{{Key: "password", Action: events.ChangeSet, Fingerprint: canary, Envelope: canary}}
	}
	patch := func(f *events.RequestSubmitted) {
		f.Operation = events.OperationPatch
		f.Changes = []events.Change{{Key: "password", Action: events.ChangeSet, Fingerprint: canary, Envelope: canary}}
		f.Workflow.Reapprove = events.ReapproveNever
	}
	stored := events.EnvelopeStored{Envelope: canary, Key: "password", Fingerprint: canary, Expires: time.Now().Add(time.Hour)}
	approved := events.RequestApproved{Job: "j_1", Until: time.Now().Add(time.Hour)}
	tests := map[events.NoticeKind]struct {
		happen func(*world)
		to     []events.UserID
		text   string
	}{
		events.NoticeSubmitted:  {func(w *world) { w.submit() }, []events.UserID{ben, cleo}, "Ana Lopez asks to read file/prod/db/password"},
		events.NoticeStepOpened: {func(w *world) { w.submit(); w.record(request, approve("one", cleo)) }, []events.UserID{ben}, "Ana Lopez asks to read file/prod/db/password, and it is for you now to decide"},
		events.NoticeValues:     {func(w *world) { w.submit(filled) }, []events.UserID{dan}, "Ana Lopez asks for the values of file/prod/db/password"},
		events.NoticeVoted:      {func(w *world) { w.submit(); w.record(request, approve("one", cleo)) }, []events.UserID{ana}, "Cleo approved the request of Ana Lopez to read file/prod/db/password; others must, too"},
		events.NoticeApproved: {func(w *world) {
			w.submit()
			w.record(request, approve("one", cleo))
			w.record(request, approve("two", ben), approved)
		}, []events.UserID{ana}, "The request of Ana Lopez to read file/prod/db/password is approved"},
		events.NoticeRejected: {func(w *world) {
			w.submit()
			w.record(request, events.RequestRejected{Step: "one", Approver: ben, Comment: "no"})
		}, []events.UserID{ana}, "Ben Li rejected the request of Ana Lopez to read file/prod/db/password"},
		events.NoticeCancelled: {func(w *world) { w.submit(); w.record(request, events.RequestCancelled{}) }, []events.UserID{ben, cleo}, "Ana Lopez cancelled the request to read file/prod/db/password"},
		events.NoticeExecuted:  {func(w *world) { w.submit(); w.record(request, stored, events.RequestExecuted{Job: "j_1"}) }, []events.UserID{ana}, "File/prod/db/password is ready to be revealed"},
		events.NoticeFailed: {func(w *world) {
			w.submit()
			w.record(request, approve("one", cleo))
			w.record(request, events.RequestFailed{Code: events.FailureForbidden, Detail: "not allowed"})
		}, []events.UserID{ana, cleo}, "The request of Ana Lopez to read file/prod/db/password failed"},
		events.NoticeExpired: {func(w *world) { w.submit(); w.record(request, events.RequestExpired{From: events.StatePending}) }, []events.UserID{ana}, "The request of Ana Lopez to read file/prod/db/password reached its end"},
		events.NoticeRevealed: {func(w *world) {
			w.submit()
			w.record(request, approve("one", cleo))
			w.record(request, stored, events.RequestExecuted{})
			w.record(request, events.EnvelopeRevealed{Envelope: canary, Key: "password", By: ana})
		}, []events.UserID{ana, cleo}, "Ana Lopez revealed password of file/prod/db"},
		events.NoticeBreakGlass: {func(w *world) {
			w.submit()
			w.record(request, events.GlassBroken{Reason: "it burns", ReviewUntil: time.Now().Add(time.Hour)})
		}, []events.UserID{ben}, "Ana Lopez did without approval to read file/prod/db/password"},
		events.NoticeReviewed: {func(w *world) {
			w.submit()
			w.record(request, events.GlassBroken{Reason: "it burns"})
			w.record(request, events.GlassReviewed{By: ben, Outcome: events.ReviewJustified, Comment: "it burned"})
		}, []events.UserID{ana}, "Ben Li finds it justified that Ana Lopez did without approval to read file/prod/db/password"},
		events.NoticeReviewDue: {func(w *world) {
			w.submit()
			w.record(request, events.GlassBroken{Reason: "it burns"})
			w.record(request, events.ReviewOverdue{})
		}, []events.UserID{ben}, "Nobody reviewed in time that Ana Lopez did without approval to read file/prod/db/password"},
		events.NoticeReminder: {func(w *world) { w.submit(); w.record(request, events.StepReminded{Step: "one", Number: 1}) }, []events.UserID{ben, cleo}, "The request of Ana Lopez to read file/prod/db/password still waits for approval"},
		events.NoticeEscalated: {func(w *world) {
			w.submit(func(f *events.RequestSubmitted) { f.Workflow.Steps = f.Workflow.Steps[1:] })
			w.record(request, events.StepEscalated{Step: "two"})
		}, []events.UserID{cleo}, "The request of Ana Lopez to read file/prod/db/password has waited for too long: you may decide now"},
		events.NoticeVoided: {func(w *world) {
			w.submit(patch)
			w.record(request, approve("one", cleo))
			w.record(request, events.ApprovalsVoided{})
		}, []events.UserID{ana, ben, cleo}, "The secret changed, so the request of Ana Lopez to change file/prod/db/password must be approved again"},
		events.NoticeRolledOut: {func(w *world) { w.submit(patch); w.record(request, events.RequestApplied{}) }, []events.UserID{ana}, "The change of file/prod/db/password is live"},
		events.NoticeRollout:   {func(w *world) { w.submit(patch); w.record(request, events.RequestRolloutFailed{Failed: 2}) }, []events.UserID{ana}, "The change of file/prod/db/password is written, and its roll-out failed: 2 of the watched"},
		events.NoticeAgentLost: {func(w *world) {
			w.record(events.AgentStream("a_1"), events.EnrolmentTokenIssued{Agent: "a_1", Name: "edge", Cluster: "demo"})
			w.record(events.AgentStream("a_1"), events.AgentLost{})
		}, nil, "The agent edge of demo fell silent"},
		events.NoticeDelivery: {func(w *world) {
			w.record(events.IntegrationStream("chat"), events.DeliveryAbandoned{Delivery: "n_1", Notice: events.NoticeFailed})
		}, nil, "The integration chat could not be told"},
	}
	for _, kind := range events.NoticeKinds() {
		tt, known := tests[kind]
		if kind == events.NoticeExpiring {
			continue // TestAnEndThatIsNearIsToldOfOnce
		}
		if !known {
			t.Errorf("nobody tries %s", kind)
			continue
		}
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			w.told = []Integration{{ID: "audit", Kind: events.IntegrationWebhook}}
			tt.happen(w)
			if err := w.fan(); err != nil {
				t.Fatal(err)
			}
			var people []events.UserID
			heard := false
			for _, r := range w.outbox.rows {
				if r.Kind != kind {
					continue
				}
				if id, ok := r.To.User(); ok {
					people = append(people, id)
				} else {
					heard = true
				}
				said, err := w.composer.compose(t.Context(), r.Delivery)
				if err != nil {
					t.Fatalf("to %s: %v", r.To, err)
				}
				m := single(r.Delivery, said)
				if m.Subject != tt.text {
					t.Errorf("to %s it says\n%s\nwant\n%s", r.To, m.Subject, tt.text)
				}
				all, err := json.Marshal(m)
				if err != nil || strings.Contains(string(all), canary) || strings.Contains(string(all), "://evil") || strings.Contains(string(all), `\u202e`) || strings.ContainsRune(string(all), '\u202e') {
					t.Errorf("the message is %s, %v", all, err)
				}
				if !strings.HasPrefix(m.Link, "https://bridge.example.org/") {
					t.Errorf("it leads to %s", m.Link)
				}
				if r.Request != "" && (!strings.Contains(m.Lines[0].Detail, "reason: the nightly job fails") || !strings.Contains(m.Lines[0].Detail, "payments/prod") || !strings.Contains(m.Lines[0].Detail, "OPS-1")) {
					t.Errorf("its detail is %q", m.Lines[0].Detail)
				}
			}
			slices.Sort(people)
			if !slices.Equal(people, tt.to) {
				t.Errorf("told are %v, want %v", people, tt.to)
			}
			if !heard {
				t.Error("no integration hears of it")
			}
		})
	}
}

func TestWhoIsNotTold(t *testing.T) {
	request := events.RequestStream(req)
	count := func(w *world) (people int) {
		if err := w.fan(); err != nil {
			w.t.Fatal(err)
		}
		for _, r := range w.outbox.rows {
			if _, ok := r.To.User(); ok {
				people++
			}
		}
		return people
	}
	tests := map[string]struct {
		happen func(*world)
		want   int
	}{
		"of a direct read nobody is asked": {func(w *world) {
			w.submit(func(f *events.RequestSubmitted) { f.Workflow = events.Workflow{Direct: true} })
			w.record(request, events.RequestApproved{Job: "j_1", Until: time.Now().Add(time.Hour)}, events.RequestExecuted{})
		}, 0},
		"a machine reads no mail": {func(w *world) {
			w.submit(func(f *events.RequestSubmitted) { f.Requester, f.Workflow = robot, events.Workflow{Direct: true} })
			w.record(request, events.RequestFailed{})
		}, 0},
		"an approver asks others": {func(w *world) { w.submit(func(f *events.RequestSubmitted) { f.Requester = ben }) }, 1},
		"who muted it": {func(w *world) {
			w.record(events.UserStream(ben), events.NoticesChosen{Channel: events.ChannelEmail, Muted: []events.NoticeKind{events.NoticeSubmitted}})
			w.submit()
		}, 1},
		"who has no channel": {func(w *world) {
			w.record(events.UserStream(ben), events.NoticesChosen{Channel: events.ChannelNone})
			w.submit()
		}, 1},
		"who is disabled": {func(w *world) { w.record(events.UserStream(ben), events.UserDisabled{}); w.submit() }, 1},
		"who is away, and whose delegate is told": {func(w *world) {
			w.record(events.UserStream(ben), events.DelegationGiven{Delegation: "d_1", To: dan, Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour), Absent: true})
			w.submit(func(f *events.RequestSubmitted) { f.Workflow.Delegation = true })
		}, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.happen(w)
			if got := count(w); got != tt.want {
				t.Errorf("%d people are told, want %d", got, tt.want)
			}
		})
	}
}

func TestTextsAreCleaned(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                        "plain",
		"two\r\nlines\tand\u2028more":  "two lines and more",
		"\u202edesrever\u202c \u2066x": "desrever x",
		"bell\x07 nul\x00 zero\u200bw": "bell nul zerow",
		"see https://evil.example/a":   "see https: //evil.example/a",
		strings.Repeat("ä", 20):        strings.Repeat("ä", 9) + "…",
		"bad \xff bytes":               "bad � b…",
		"  around  ":                   "around",
	} {
		most := 100
		if strings.HasPrefix(text, "ä") || strings.HasPrefix(text, "bad") {
			most = 10
		}
		if most == 10 && strings.HasPrefix(text, "bad") {
			most = 8
		}
		if got := clean(text, most); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestQuietHours(t *testing.T) {
	at := func(text string) time.Time {
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	night := events.QuietHours{From: 22 * 60, To: 7 * 60, Zone: "Europe/Berlin"}
	noon := events.QuietHours{From: 12 * 60, To: 13*60 + 30, Zone: "Asia/Kolkata"}
	gap := events.QuietHours{From: 2*60 + 30, To: 5 * 60, Zone: "Europe/Berlin"}
	for _, tt := range []struct {
		name string
		q    events.QuietHours
		now  string
		end  string // empty: not quiet
	}{
		{"before midnight", night, "2026-11-27T22:30:00+01:00", "2026-11-28T07:00:00+01:00"},
		{"after midnight", night, "2026-11-28T06:59:59+01:00", "2026-11-28T07:00:00+01:00"},
		{"at their end", night, "2026-11-28T07:00:00+01:00", ""},
		{"at their beginning", night, "2026-11-27T22:00:00+01:00", "2026-11-28T07:00:00+01:00"},
		{"by day", night, "2026-11-28T12:00:00+01:00", ""},
		{"over the night that is an hour shorter", night, "2026-03-28T23:00:00+01:00", "2026-03-29T07:00:00+02:00"},
		{"over the night that is an hour longer", night, "2026-10-24T23:00:00+02:00", "2026-10-25T07:00:00+01:00"},
		{"in the hour that comes twice", night, "2026-10-25T02:30:00+01:00", "2026-10-25T07:00:00+01:00"},
		{"from a time that the clocks leave out", gap, "2026-03-29T04:00:00+02:00", "2026-03-29T05:00:00+02:00"},
		{"in another zone", noon, "2026-11-27T06:45:00Z", "2026-11-27T08:00:00Z"},
		{"in another zone, outside", noon, "2026-11-27T08:00:00Z", ""},
	} {
		end, quiet := quietUntil(&tt.q, at(tt.now))
		if quiet != (tt.end != "") || quiet && !end.Equal(at(tt.end)) {
			t.Errorf("%s: %v until %s, want %q", tt.name, quiet, end, tt.end)
		}
	}
	if _, quiet := quietUntil(nil, time.Now()); quiet {
		t.Error("no quiet hours are quiet")
	}
}
