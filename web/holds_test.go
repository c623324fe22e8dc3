package web_test

import (
	"strings"
	"testing"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

func (r *rig) holds() []api.LegalHold {
	r.t.Helper()
	return read[api.LegalHolds](r.t, r.call(r.admin, "GET", "/audit/holds", nil, r.newest())).Items
}

// TestNobodyWhoIsHeldIsErased has a hold placed by an auditor, refuses erasures of admins while one
// counts, and looks that each of that is a fact.
func TestNobodyWhoIsHeldIsErased(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	auditor, ann, bob := r.join("auditor"), r.join("developer"), r.join("developer")
	machine := r.machine("pipeline")
	erase := func(id events.UserID) answer { return r.call(r.admin, "POST", people(string(id), "/erase"), nil) }
	place := func(who person, hold api.PlaceHold) events.HoldID {
		t.Helper()
		return events.HoldID(read[api.Made](t, r.call(who, "POST", "/audit/holds", hold)).ID)
	}
	lift := func(id events.HoldID) {
		t.Helper()
		r.call(auditor, "POST", "/audit/holds/"+string(id)+"/lift", api.Reason{Reason: "it is closed"}).wants(t, 200, "")
	}

	of := place(auditor, api.PlaceHold{Reason: "case 1", User: string(ann.ID)})
	if got := r.holds(); len(got) != 1 || got[0].ID != string(of) || got[0].User != string(ann.ID) || got[0].UserName != ann.Name ||
		got[0].Reason != "case 1" || got[0].ByName != auditor.Name || !got[0].At.Equal(r.clock.Now()) {
		t.Fatalf("holds: %+v", got)
	}
	erase(ann.ID).wants(t, 409, "legal_hold")
	if denied := r.audit("type=sb.access.denied.v1&actor=user:" + string(r.admin.ID)); len(denied) != 1 || denied[0].Data.(map[string]any)["code"] != "legal_hold" {
		t.Errorf("what was refused is not told: %+v", denied)
	}
	if name := r.call(r.admin, "GET", people(string(ann.ID), ""), nil); !strings.Contains(string(name.body), ann.Email) {
		t.Error("who is held lost their address")
	}

	all := place(r.admin, api.PlaceHold{Reason: "case 2"})
	erase(bob.ID).wants(t, 409, "legal_hold")
	r.call(r.admin, "POST", "/machines/"+machine+"/erase", nil).wants(t, 409, "legal_hold")
	lift(of)
	erase(ann.ID).wants(t, 409, "legal_hold")
	lift(all)
	r.call(auditor, "POST", "/audit/holds/"+string(all)+"/lift", api.Reason{Reason: "again"}).wants(t, 404, "hold_unknown")
	if got := r.holds(); len(got) != 0 {
		t.Errorf("holds that were lifted: %+v", got)
	}
	for _, id := range []events.UserID{ann.ID, bob.ID} {
		erase(id).wants(t, 200, "")
	}
	r.call(r.admin, "POST", "/machines/"+machine+"/erase", nil).wants(t, 200, "")
	r.call(auditor, "POST", "/audit/holds", api.PlaceHold{Reason: "too late", User: string(ann.ID)}).wants(t, 409, "person_erased")
	r.call(auditor, "POST", "/audit/holds", api.PlaceHold{Reason: "nobody", User: string(events.NewUserID())}).wants(t, 404, "person_unknown")
	r.call(auditor, "POST", "/audit/holds", api.PlaceHold{Reason: " "}).wants(t, 422, "hold_reason_invalid")
	r.call(r.developer, "POST", "/audit/holds", api.PlaceHold{Reason: "mine"}).wants(t, 403, "forbidden")
	if got := r.audit("stream=setting/holds"); len(got) != 4 {
		t.Errorf("%d facts about holds, want 4", len(got))
	}
}
