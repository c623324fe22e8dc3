package web_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

var wanted = api.Submit{Secret: "file/prod/db", Keys: []string{"password"}, Reason: "deploy <b> & more"}

func replayed(a answer) bool { return a.Header.Get(api.HeaderReplayed) == "true" }

func TestTheSameCallIsAnsweredAlike(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.call(r.developer, "POST", "/requests", wanted, key("k")).wants(t, 201, "")
	id := events.RequestID(read[api.Submitted](t, first).ID)
	secret := r.found("prod/db")
	calls := []struct {
		who  person
		path string
		body any
	}{
		{r.developer, "/requests", wanted},
		{r.approver, at(id, "/approve"), api.Verdict{Comment: "<fine> & so on"}},
		{r.admin, "/connections", api.CreateConnection{Name: "odd", Provider: "file", Cluster: "demo", Description: "<b> & more"}},
		{r.admin, "/connections/odd/disable", nil},
		{r.admin, "/connections/odd/enable", nil},
		{r.admin, "/connections/odd/schedule", api.Schedule{EverySeconds: 900}},
		{r.admin, "/jobs", api.QueueJob{Type: "discover", Connection: "odd"}},
		{r.admin, "/jobs/" + string(events.ScanOf("odd", events.OperationDiscover, 1)) + "/cancel", api.Reason{Reason: "<b> & more"}},
		{r.admin, "/secrets/" + string(secret) + "/assign", api.Assign{Owner: "payments"}},
		{r.developer, "/secrets/" + string(secret) + "/keys", nil},
		{r.admin, "/ownership", api.Ownership{Rules: []api.OwnershipRule{{OwnerLabel: "team"}}}},
	}
	for _, c := range calls {
		first := r.call(c.who, "POST", c.path, c.body, key("k-"+c.path))
		before := len(r.commits())
		again := r.call(c.who, "POST", c.path, c.body, key("k-"+c.path))
		if first.StatusCode != again.StatusCode || replayed(first) || !replayed(again) {
			t.Errorf("%s: %d and %d, replayed %v and %v", c.path, first.StatusCode, again.StatusCode, replayed(first), replayed(again))
		}
		var a, b any
		if err := errors.Join(json.Unmarshal(first.body, &a), json.Unmarshal(again.body, &b)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s (-first +again):\n%s", c.path, diff)
		}
		if after := len(r.commits()); after != before {
			t.Errorf("%s: %d facts more", c.path, after-before)
		}
	}
}

func TestAKeyBelongsToOneCallOfOnePerson(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := read[api.Submitted](t, r.call(r.developer, "POST", "/requests", wanted, key("k")))
	for name, body := range map[string]api.Submit{
		"another secret": {Secret: "file/prod/other", Keys: wanted.Keys, Reason: wanted.Reason},
		"another reason": {Secret: wanted.Secret, Keys: wanted.Keys, Reason: "x"},
		"a broken one":   {},
	} {
		t.Run(name, func(t *testing.T) {
			r.call(r.developer, "POST", "/requests", body, key("k")).wants(t, 422, "idempotency_key_reused")
		})
	}
	r.call(r.developer, "POST", "/requests/"+id.ID+"/cancel", nil, key("k")).wants(t, 422, "idempotency_key_reused")
	theirs := read[api.Submitted](t, r.call(r.other, "POST", "/requests", wanted, key("k")))
	if theirs.ID == id.ID {
		t.Error("two people share a request")
	}
	if got := facts[events.RequestSubmitted](r); len(got) != 2 || got[1].Actor != events.UserActor(r.other.ID) {
		t.Errorf("requests: %+v", got)
	}
}

func TestARefusalIsNotRemembered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.call(r.admin, "POST", "/connections/file/disable", nil).wants(t, 200, "")
	r.call(r.developer, "POST", "/requests", wanted, key("k")).wants(t, 409, "connection_disabled")
	r.call(r.admin, "POST", "/connections/file/enable", nil).wants(t, 200, "")
	if got := r.call(r.developer, "POST", "/requests", wanted, key("k")).wants(t, 201, ""); replayed(got) {
		t.Error("replayed")
	}
}

func TestAnAnswerIsRepeatedOnlyToWhoMayStillAsk(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.call(r.developer, "POST", "/requests", wanted, key("k")).wants(t, 201, "")
	r.setRoles(r.developer.ID, "admin")
	r.call(r.developer, "POST", "/requests", wanted, key("k")).wants(t, 403, "forbidden")
}

func TestManyAtOnceMakeOneRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var wg sync.WaitGroup
	answers := make(chan answer, 32)
	for range cap(answers) {
		wg.Go(func() {
			got, err := r.try(r.developer, "POST", "/requests", wanted, key("k"))
			if err != nil {
				t.Error(err)
				return
			}
			answers <- got
		})
	}
	wg.Wait()
	close(answers)
	ids, first := map[string]bool{}, 0
	for got := range answers {
		switch {
		case got.StatusCode == 201:
			ids[read[api.Submitted](t, got).ID] = true
			if !replayed(got) {
				first++
			}
		case got.problem.Code != "idempotency_in_flight" || got.StatusCode != 409 || got.Header.Get("Retry-After") == "":
			t.Errorf("%d %s", got.StatusCode, got.body)
		}
	}
	if len(ids) != 1 || first != 1 || len(facts[events.RequestSubmitted](r)) != 1 {
		t.Errorf("ids %v, %d first answers, %d requests", ids, first, len(facts[events.RequestSubmitted](r)))
	}
}

// TestACrashBetweenAppendAndMark loses the mark of calls that were done.
func TestACrashBetweenAppendAndMark(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.submit(r.developer)
	crash := func(who person, path string, body any) (first, again answer) {
		t.Helper()
		r.marks.breaks(errors.New("connection closed"))
		first = r.call(who, "POST", path, body, key("k-"+path))
		r.marks.breaks(nil)
		r.call(who, "POST", path, body, key("k-"+path)).wants(t, 409, "idempotency_in_flight")
		r.clock.Add(takeover)
		before := len(r.commits())
		again = r.call(who, "POST", path, body, key("k-"+path)).wants(t, first.StatusCode, "")
		if after := len(r.commits()); after != before {
			t.Errorf("%s: the retry made %d facts", path, after-before)
		}
		return first, again
	}
	first, again := crash(r.developer, "/requests", wanted)
	if a, b := read[api.Submitted](t, first), read[api.Submitted](t, again); a != b {
		t.Errorf("%+v, then %+v", a, b)
	}
	first, again = crash(r.approver, at(id, "/approve"), api.Verdict{Comment: "x"})
	if a, b := read[api.Done](t, first), read[api.Done](t, again); a != b {
		t.Errorf("%+v, then %+v", a, b)
	}
	first, again = crash(r.admin, "/connections", api.CreateConnection{Name: "odd", Provider: "file", Cluster: "demo"})
	if a, b := read[api.Connection](t, first), read[api.Connection](t, again); a != b {
		t.Errorf("%+v, then %+v", a, b)
	}
	secret := r.found("prod/db")
	for path, call := range map[string]struct {
		who  person
		body any
	}{
		"/jobs":                                {r.admin, api.QueueJob{Type: "fingerprint", Connection: "odd"}},
		"/connections/odd/schedule":            {r.admin, api.Schedule{EverySeconds: 900}},
		"/secrets/" + string(secret) + "/keys": {r.developer, nil},
	} {
		first, again := crash(call.who, path, call.body)
		if diff := cmp.Diff(string(first.body), string(again.body)); diff != "" {
			t.Errorf("%s (-first +again):\n%s", path, diff)
		}
	}
}

// TestAnotherBodyNeverGetsTheFirstOnesOutcome comes with a key whose mark has gone: it
// ended, or its call was abandoned without a word from the log.
func TestAnotherBodyNeverGetsTheFirstOnesOutcome(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := read[api.Submitted](t, r.call(r.developer, "POST", "/requests", wanted, key("k")))
	r.marks.forget()
	again := read[api.Submitted](t, r.call(r.developer, "POST", "/requests", wanted, key("k")))
	if again != first {
		t.Errorf("the same call made %+v, then %+v", first, again)
	}
	r.marks.forget()
	other := read[api.Submitted](t, r.call(r.developer, "POST", "/requests", api.Submit{Secret: "file/other", Reason: "x"}, key("k")))
	if other.ID == first.ID {
		t.Error("a request for another secret was answered with the first one")
	}
}

func TestARevealIsNeverRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, path := r.ready(r.enrol(), "canary-once")
	r.call(r.developer, "POST", path, nil, key("")).wants(t, 400, "idempotency_key_missing")
	r.call(r.developer, "POST", path, nil, key("k")).wants(t, 200, "")
	r.call(r.developer, "POST", path, nil, key("k")).wants(t, 410, "already_revealed")
	if strings.Contains(r.marks.dump(), "canary-once") {
		t.Error("the value is in a mark")
	}
}

func TestOfManyRevealsOneGetsTheValue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, path := r.ready(r.enrol(), "canary-one")
	var wg sync.WaitGroup
	answers := make(chan answer, 32)
	for i := range cap(answers) {
		wg.Go(func() {
			got, err := r.try(r.developer, "POST", path, nil, key("k"+itoa(events.Seq(i%2))))
			if err != nil {
				t.Error(err)
				return
			}
			answers <- got
		})
	}
	wg.Wait()
	close(answers)
	won := 0
	for got := range answers {
		if got.StatusCode == 200 {
			won++
		} else {
			got.wants(t, 410, "already_revealed")
		}
	}
	if won != 1 {
		t.Errorf("%d got the value", won)
	}
}

func TestAnInvitationIsShownOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := api.Invite{Name: "one", Cluster: "demo"}
	first := read[api.Invitation](t, r.call(r.admin, "POST", "/agents/invitations", m, key("k")))
	again := r.call(r.admin, "POST", "/agents/invitations", m, key("k")).wants(t, 409, "idempotency_not_replayable")
	if len(facts[events.EnrolmentTokenIssued](r)) != 1 {
		t.Error("two tokens were issued")
	}
	everywhere := string(again.body) + r.marks.dump() + r.logged.String()
	for _, c := range r.commits() {
		everywhere += string(c.Raw)
	}
	if strings.Contains(everywhere, first.Token) || strings.Contains(everywhere, first.Token[len(first.Token)-43:]) {
		t.Error("the token is somewhere else")
	}
}
