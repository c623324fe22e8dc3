package web_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

// walk reads a list from its first page to its last, and calls between after each.
func walk[T any](r *rig, who person, path string, limit int, id func(T) string, between func()) (seen []string) {
	r.t.Helper()
	more := "?"
	if strings.Contains(path, more) {
		more = "&"
	}
	for cursor := ""; ; {
		from := fmt.Sprintf("%s%slimit=%d", path, more, limit)
		if cursor != "" {
			from += "&cursor=" + url.QueryEscape(cursor)
		}
		page := read[api.Page[T]](r.t, r.call(who, "GET", from, nil, r.newest()))
		if len(page.Items) > limit || page.Next != "" && len(page.Items) < limit {
			r.t.Fatalf("%s: %d items, next %q", path, len(page.Items), page.Next)
		}
		for _, item := range page.Items {
			seen = append(seen, id(item))
		}
		if cursor = page.Next; cursor == "" {
			return seen
		}
		between()
	}
}

func TestPagesWalkEverythingOnceWhileMoreComes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var mine, all []string // newest first
	for i := range 7 {
		mine = append([]string{string(r.submit(r.developer))}, mine...)
		all = append([]string{mine[0]}, all...)
		if i%3 == 0 {
			all = append([]string{string(r.submit(r.other))}, all...)
		}
	}
	id := func(v api.Request) string { return v.ID }
	more := func() { r.submit(r.developer); r.submit(r.other) }
	if diff := cmp.Diff(mine, walk(r, r.developer, "/requests", 2, id, more)); diff != "" {
		t.Errorf("one's own (-want +got):\n%s", diff)
	}
	n := len(facts[events.RequestSubmitted](r))
	if got := walk(r, r.approver, "/requests", 3, id, func() {}); len(got) != n || !containsInOrder(got, all) {
		t.Errorf("everybody's: %d of %d", len(got), n)
	}
	if got := read[api.Page[api.Request]](t, r.call(r.approver, "GET", "/requests?mine=true", nil)); len(got.Items) != 0 {
		t.Errorf("an approver's own: %d", len(got.Items))
	}
	if got := read[api.Page[api.Request]](t, r.call(r.approver, "GET", "/requests?state=approved&state=running&connection=file", nil)); len(got.Items) != 0 {
		t.Errorf("approved: %d", len(got.Items))
	}
	for i := range 5 {
		r.call(r.admin, "POST", "/connections", api.CreateConnection{Name: fmt.Sprintf("c%d", i), Provider: "file", Cluster: "demo"}).wants(t, 201, "")
		r.call(r.admin, "POST", "/agents/invitations", api.Invite{Name: fmt.Sprintf("a%d", i), Cluster: "demo"}).wants(t, 201, "")
	}
	if got := walk(r, r.admin, "/connections", 2, func(c api.Connection) string { return c.Name }, func() {}); len(got) != 6 || !distinct(got) {
		t.Errorf("connections: %v", got)
	}
	if got := walk(r, r.admin, "/agents", 2, func(a api.Agent) string { return a.ID }, func() {}); len(got) != 5 || !distinct(got) {
		t.Errorf("agents: %v", got)
	}
	count := 0
	for _, c := range r.commits() {
		count += len(c.Events)
	}
	denied := func() { r.call(r.developer, "GET", "/audit/events", nil).wants(t, 403, "forbidden") }
	if got := walk(r, r.admin, "/audit/events", 7, func(e api.Event) string { return e.ID }, denied); len(got) != count || !distinct(got) {
		t.Errorf("audit: %d of %d", len(got), count)
	}
}

func distinct(all []string) bool {
	seen := map[string]bool{}
	for _, s := range all {
		seen[s] = true
	}
	return len(seen) == len(all)
}

func containsInOrder(all, part []string) bool {
	for _, s := range all {
		if len(part) > 0 && s == part[0] {
			part = part[1:]
		}
	}
	return len(part) == 0 && distinct(all)
}

func TestParametersThatAreNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.admin = r.join("admin", "approver")
	for _, list := range []string{
		"/requests", "/connections", "/agents", "/audit/events", "/jobs", "/secrets", "/reports/stale", "/reports/unowned", "/reports/out-of-band", "/reports/duplicates",
	} {
		for _, q := range []string{"limit=0", "limit=-1", "limit=201", "limit=1e1", "limit=99999999999999999999", "nothing=1", "Limit=1", "%zz=1", "a;b", "limit=", "limit=1&limit=2", "cursor=", "cursor=MQ&cursor=MQ"} {
			r.call(r.admin, "GET", list+"?"+q, nil).wants(t, 400, "parameter_invalid")
		}
		for _, cursor := range []string{"x", "AAAA", "LTE", "MS4yLjM", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw", "%27", "+"} {
			r.call(r.admin, "GET", list+"?cursor="+cursor, nil).wants(t, 400, "cursor_invalid")
		}
		for _, seq := range []string{"x", "-1", "1.5", "99999999999999999999"} {
			r.call(r.admin, "GET", list, nil, with(api.HeaderNotOlderThan, seq)).wants(t, 400, "parameter_invalid")
		}
		r.call(r.admin, "GET", list+"?limit=200", nil).wants(t, 200, "")
	}
	for _, path := range []string{
		"/requests?state=", "/requests?connection=a&connection=b", "/connections?state=active&state=disabled", "/agents?cluster=", "/requests?state=lost", "/requests?mine=yes", "/connections?state=lost", "/agents?state=lost",
		"/audit/events?stream=x", "/audit/events?stream=request/", "/audit/events?since=yesterday", "/audit/events?until=2026-11-24",
	} {
		r.call(r.admin, "GET", path, nil).wants(t, 400, "parameter_invalid")
	}
	r.call(r.admin, "GET", "/audit/events?since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z", nil).wants(t, 200, "")
	r.call(r.admin, "GET", "/audit/events?type=%25_'", nil).wants(t, 200, "")
}

func TestAConnectionHasAnETag(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.call(r.developer, "GET", "/connections/file", nil, r.newest()).wants(t, 200, "")
	tag := first.Header.Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	again := r.call(r.developer, "GET", "/connections/file", nil, with("If-None-Match", tag)).wants(t, 304, "")
	if len(again.body) != 0 || again.Header.Get("ETag") != tag {
		t.Errorf("%q %q", again.body, again.Header.Get("ETag"))
	}
	r.call(r.admin, "POST", "/connections/file/disable", nil).wants(t, 200, "")
	changed := r.call(r.developer, "GET", "/connections/file", nil, with("If-None-Match", tag)).wants(t, 200, "")
	if changed.Header.Get("ETag") == tag || read[api.Connection](t, changed).State != "disabled" {
		t.Errorf("%s", changed.body)
	}
}
