package web_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/notices"
	"secretsbridge/rights"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// personal keeps addresses in memory.
type personal struct {
	mu sync.Mutex
	at map[events.UserID]string
}

func (p *personal) SetPersonal(_ context.Context, user events.UserID, address secret.Value, record func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := record(); err != nil {
		return err
	}
	if p.at == nil {
		p.at = map[events.UserID]string{}
	}
	p.at[user] = string(address.Expose())
	return nil
}

func (p *personal) HasPersonal(_ context.Context, user events.UserID) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at[user] != "", nil
}

func (p *personal) OpenPersonal(_ context.Context, user events.UserID) (secret.Value, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return secret.New([]byte(p.at[user])), nil
}

func TestPeopleChooseHowTheyAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before := read[api.Notices](t, r.call(r.developer, "GET", "/me/notices", nil))
	if before.Channel != "email" || !before.Usable || len(before.Muted) != 0 || before.Quiet != nil || before.DigestSeconds != 0 {
		t.Errorf("who said nothing is told %+v", before)
	}
	const hook = "https://hooks.slack.com/services/T0/B0/CANARY-4f1c"
	quiet := &api.QuietHours{From: "22:30", To: "07:00", Zone: "Europe/Berlin"}
	answer := r.call(r.developer, "POST", "/me/notices", api.ChooseNotices{Channel: "slack", URL: hook, Muted: []string{"voted"}, Quiet: quiet, DigestSeconds: 600})
	answer.wants(t, 200, "")
	shown := r.call(r.developer, "GET", "/me/notices", nil)
	if strings.Contains(string(shown.body), "CANARY") || strings.Contains(string(answer.body), "CANARY") {
		t.Error("an address came out again")
	}
	after := read[api.Notices](t, shown)
	if after.Channel != "slack" || after.Host != "hooks.slack.com" || !after.Usable || after.Quiet == nil || *after.Quiet != *quiet || after.DigestSeconds != 600 || len(after.Muted) != 1 {
		t.Errorf("chosen %+v", after)
	}
	r.call(r.developer, "POST", "/me/notices", api.ChooseNotices{Channel: "teams"}).wants(t, 200, "") // the address stays
	for name, c := range map[string]struct {
		ask  api.ChooseNotices
		code string
	}{
		"no such channel":         {api.ChooseNotices{Channel: "fax"}, "channel_unknown"},
		"an address of mail":      {api.ChooseNotices{Channel: "email", URL: hook}, "notice_url_invalid"},
		"no TLS":                  {api.ChooseNotices{Channel: "slack", URL: "http://hooks.slack.com/services/x"}, "notice_url_invalid"},
		"a user in the address":   {api.ChooseNotices{Channel: "slack", URL: "https://a:b@hooks.slack.com/x"}, "notice_url_invalid"},
		"no such notice":          {api.ChooseNotices{Channel: "email", Muted: []string{"weather"}}, "notice_unknown"},
		"a test cannot be muted":  {api.ChooseNotices{Channel: "email", Muted: []string{"test"}}, "notice_unknown"},
		"no such zone":            {api.ChooseNotices{Channel: "email", Quiet: &api.QuietHours{From: "22:00", To: "07:00", Zone: "Europe/Atlantis"}}, "quiet_hours_invalid"},
		"the zone of the host":    {api.ChooseNotices{Channel: "email", Quiet: &api.QuietHours{From: "22:00", To: "07:00", Zone: "Local"}}, "quiet_hours_invalid"},
		"hours that never end":    {api.ChooseNotices{Channel: "email", Quiet: &api.QuietHours{From: "22:00", To: "22:00", Zone: "UTC"}}, "quiet_hours_invalid"},
		"a digest of ten seconds": {api.ChooseNotices{Channel: "email", DigestSeconds: 10}, "digest_invalid"},
	} {
		t.Run(name, func(t *testing.T) { r.call(r.developer, "POST", "/me/notices", c.ask).wants(t, 422, c.code) })
	}
	r.call(r.other, "POST", "/me/notices", api.ChooseNotices{Channel: "teams"}).wants(t, 422, "notice_url_invalid") // who has none
}

func TestPeopleSeeWhatTheyWereTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := read[api.Queued](t, r.call(r.developer, "POST", "/me/notices/test", nil)).ID
	at := r.clock.Now()
	var fresh []notices.Delivery
	for _, event := range []events.EventID{"c_1.0", "c_2.0"} {
		fresh = append(fresh, notices.Delivery{
			ID: events.DeliveryOf(event, "x"), To: notices.ToUser(r.developer.ID), Kind: events.NoticeApproved, Event: event, Seq: 7, Request: "r_1", At: at, Due: at.Add(time.Minute),
		})
	}
	if _, err := (store.Deliveries{Pool: r.pool}).Put(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	first := read[api.Page[api.Delivery]](t, r.call(r.developer, "GET", "/me/notices/deliveries?limit=2", nil))
	if len(first.Items) != 2 || first.Next == "" || first.Items[0].ID != string(fresh[1].ID) || first.Items[0].State != "waiting" || first.Items[0].NextAt == nil || first.Items[0].EndedAt != nil {
		t.Errorf("first page %+v", first)
	}
	rest := read[api.Page[api.Delivery]](t, r.call(r.developer, "GET", "/me/notices/deliveries?limit=2&cursor="+first.Next, nil))
	if len(rest.Items) != 1 || rest.Items[0].ID != id || rest.Items[0].Notice != "test" || rest.Next != "" {
		t.Errorf("the rest %+v", rest)
	}
	if theirs := read[api.Page[api.Delivery]](t, r.call(r.other, "GET", "/me/notices/deliveries", nil)); len(theirs.Items) != 0 {
		t.Errorf("somebody else sees %+v", theirs)
	}
	r.call(r.developer, "GET", "/me/notices/deliveries?cursor=!", nil).wants(t, 400, "cursor_invalid")
}

// TestTheInboxAndNoticesAgree asks for everybody whether a request waits for them: the list of the
// API, which reads views, and the word that notices go by, which reads the log.
func TestTheInboxAndNoticesAgree(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	voted := r.submit(r.developer)
	r.call(r.approver, "POST", at(voted, "/approve"), nil).wants(t, 200, "")
	ids := []events.RequestID{voted, r.submit(r.developer), r.submit(r.other)}
	r.call(r.second, "POST", "/me/delegations", api.Delegate{To: string(r.other.ID), Until: r.clock.Now().Add(time.Hour), Absent: true})
	waiting := 0
	for _, who := range []person{r.developer, r.other, r.approver, r.second, r.admin} {
		listed := read[api.Page[api.Request]](t, r.call(who, "GET", "/requests?asked=me", nil))
		for _, id := range ids {
			of, _, err := command.Load[command.Request](t.Context(), r.log, events.RequestStream(id))
			if err != nil {
				t.Fatal(err)
			}
			word := rights.Word{From: r.rights, Who: who.ID, Powers: r.rights.Powers(who.ID), Person: true, Now: r.clock.Now()}
			votes := word.Votes(of, rights.MatterOf(r.rights.Governance(), of))
			inList := slices.ContainsFunc(listed.Items, func(shown api.Request) bool { return shown.ID == string(id) })
			if votes != inList {
				t.Errorf("%s: notices say %v, the list %v, of %s", who.ID, votes, inList, id)
			}
			if votes {
				waiting++
			}
		}
	}
	if waiting == 0 {
		t.Error("nothing waits for anybody")
	}
}
