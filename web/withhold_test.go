package web_test

import (
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web/api"
)

// TestAGuessIsNotAnsweredBeforeItsApproval: a requester who proposes a guess learns from
// nothing whether it is the value that is there.
func TestAGuessIsNotAnsweredBeforeItsApproval(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const guess, there = "hmac-sha256:AAAAAAAAAAAAAAAAAAAAAA", "hmac-sha256:BBBBBBBBBBBBBBBBBBBBBB"
	patch := func(before string, more ...events.Fact) events.RequestID {
		id := events.RequestOf(events.NewCommandID())
		change := events.Change{Key: "password", Action: events.ChangeSet, Envelope: events.ProposalOf(id, "password"), Fingerprint: guess}
		r.record(events.RequestStream(id), append([]events.Fact{
			events.RequestSubmitted{
				Request: id, Requester: r.developer.ID, Operation: events.OperationPatch, Cluster: "demo", Connection: "file", Ref: "prod/db",
				Keys: []string{"password"}, Changes: []events.Change{change}, Reason: "try", PendingUntil: r.clock.Now().Add(time.Hour),
				Workflow: events.Workflow{Name: "one-approval", Version: 1, Reapprove: events.ReapproveTouched, Steps: []events.Step{{ID: "team", Role: string(policy.RoleApprover), Approvals: 1}}},
			},
			events.PatchCompared{
				Number: 1, Job: events.ComparisonOf(id), Agent: "a_1", Exists: true, Version: "3",
				Keys: []events.Compared{{Key: "password", Effect: change.Effect(before), Before: before}},
			},
		}, more...)...)
		return id
	}
	seen := func(p person, id events.RequestID) string {
		t.Helper()
		var all []byte
		for _, path := range []string{at(id, ""), "/requests", at(id, "/events")} {
			got := r.call(p, "GET", path, nil, r.newest())
			got.wants(t, 200, "")
			all = append(all, got.body...)
		}
		return string(all)
	}
	right, wrong := patch(guess), patch(there)
	for _, word := range []string{`"effect":"unchanged"`, `"effect":"changed"`, guess, there} {
		if text := seen(r.developer, right) + seen(r.developer, wrong); strings.Contains(text, word) {
			t.Errorf("the requester sees %s in %s", word, text)
		}
	}
	if text := seen(r.approver, right); !strings.Contains(text, `"effect":"unchanged"`) || strings.Contains(text, "hmac-sha256") {
		t.Errorf("the approver sees %s", text)
	}
	if got := read[api.Request](t, r.call(r.developer, "GET", at(right, ""), nil)); !got.Patch.EffectsWithheld {
		t.Error("the requester is not told that something is withheld")
	}
	approved := patch(guess, events.ApprovalGiven{Step: "team", Approver: r.approver.ID}, events.RequestApproved{Job: "j_1", Until: r.clock.Now().Add(time.Hour)})
	if got := read[api.Request](t, r.call(r.developer, "GET", at(approved, ""), nil, r.newest())); got.Patch.EffectsWithheld || got.Patch.Changes[0].Effect != "unchanged" {
		t.Errorf("once it is approved: %+v", got.Patch)
	}
}
