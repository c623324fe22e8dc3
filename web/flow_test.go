package web_test

import (
	"net/http"
	"strconv"
	"testing"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

func itoa[N ~uint64](n N) string { return strconv.FormatUint(uint64(n), 10) }

func TestAValueGoesFromSubmitToReveal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	id := r.submit(r.developer)
	if got := r.show(r.developer, id); got.State != "pending" || got.Requester.Name != r.developer.Name || got.Waiting == "" {
		t.Errorf("submitted: %+v", got)
	}
	r.call(r.approver, "POST", at(id, "/approve"), api.Verdict{Comment: "fine"}).wants(t, 200, "")
	if got := r.show(r.developer, id); got.State != "approved" || len(got.Votes) != 1 || got.Votes[0].Comment != "fine" {
		t.Errorf("approved: %+v", got)
	}
	a.execute(r.show(r.developer, id), map[string]string{"password": "<s3cret> & more"})
	got := r.show(r.developer, id)
	if got.State != "executed" || got.ProviderVersion != "7" || len(got.Envelopes) != 1 || got.Envelopes[0].State != "ready" {
		t.Fatalf("executed: %+v", got)
	}
	path := at(id, "/envelopes/"+got.Envelopes[0].ID+"/reveal")
	shown := read[api.Revealed](t, r.call(r.developer, "POST", path, nil))
	if value := r.opened(path, shown); shown.Key != "password" || value != "<s3cret> & more" {
		t.Errorf("revealed %s as %q", shown.Key, value)
	}
	r.call(r.developer, "POST", path, nil).wants(t, http.StatusGone, "already_revealed")
	if got := r.show(r.developer, id); got.Envelopes[0].State != "revealed" {
		t.Errorf("after the reveal: %+v", got.Envelopes)
	}
	history := read[api.Page[api.Event]](t, r.call(r.developer, "GET", at(id, "/events"), nil, r.newest()))
	if n := len(history.Items); n != 7 || history.Items[n-1].Actor != string(events.UserActor(r.developer.ID)) {
		t.Errorf("%d facts, the last by %s", n, history.Items[n-1].Actor)
	}
}

func TestBytesThatAreNoTextCome(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, path := r.ready(r.enrol(), "\xff\x00\xfe")
	shown := read[api.Revealed](t, r.call(r.developer, "POST", path, nil))
	if value := r.opened(path, shown); value != "\xff\x00\xfe" {
		t.Errorf("revealed %q", value)
	}
}
