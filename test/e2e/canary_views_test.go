package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"secretsbridge/test/leaks"
	"secretsbridge/web/api"
)

// views searches what people are shown: lists, single things, histories, the first event of
// each stream, reports also as CSV, and some of it as the command line words it.
func (c *canaries) views(t *testing.T, search *leaks.Search) (hits []leaks.Hit) {
	t.Helper()
	size := 0
	look := func(where, text string) {
		size += len(text)
		hits = append(hits, search.Block(where, 0, []byte(text))...)
	}
	shown := func(who, path string) string {
		text := c.get(t, who, path)
		look("GET "+path, text)
		return text
	}
	for _, r := range c.all(t, shown, "admin", "/requests") {
		shown("admin", "/requests/"+r)
		shown("admin", "/requests/"+r+"/events")
		look("stream of "+r, c.get(t, "admin", "/requests/"+r+"/stream"))
	}
	for _, j := range c.all(t, shown, "admin", "/jobs") {
		shown("admin", "/jobs/"+j)
		look("stream of "+j, c.get(t, "admin", "/jobs/"+j+"/stream"))
	}
	for i, s := range c.all(t, shown, "developer", "/secrets") {
		shown("developer", "/secrets/"+s)
		if i < 3 { // each takes a process
			look("sb secret show", c.must(t, "developer", "secret", "show", s))
		}
	}
	c.all(t, shown, "admin", "/audit/events")
	for _, path := range []string{"/secrets/facets", "/secrets/count", "/ownership", "/connections", "/agents", "/people", "/machines", "/governance", "/governance/history", "/amendments"} {
		shown("admin", path)
	}
	for _, report := range []string{"stale", "unowned", "out-of-band", "duplicates"} {
		shown("admin", "/reports/"+report)
		look("sb report "+report, c.must(t, "admin", "report", report, "--output", "csv"))
		look("sb report "+report, c.must(t, "admin", "report", report))
	}
	for _, args := range [][]string{{"request", "list"}, {"job", "list"}, {"secret", "list"}, {"audit", "list"}, {"agent", "list"}, {"connection", "list"}} {
		look("sb "+strings.Join(args, " "), c.must(t, "admin", args...))
	}
	t.Logf("views: %d kB, %d hits", size>>10, len(hits))
	return hits
}

// all walks the pages of a list and returns the ids in them.
func (c *canaries) all(t *testing.T, shown func(who, path string) string, who, path string) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		var page api.Page[struct {
			ID string `json:"id"`
		}]
		if err := json.Unmarshal([]byte(shown(who, path+"?limit=200"+cursor)), &page); err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			ids = append(ids, item.ID)
		}
		if page.Next == "" {
			return ids
		}
		cursor = "&cursor=" + page.Next
	}
}

// get is the body of what a call of the API answers, and of a stream its first event.
func (c *canaries) get(t *testing.T, who, path string) string {
	t.Helper()
	token, status := c.token(who)
	if token == "" {
		t.Fatalf("sign in as %s: %d", who, status)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.url+"/api/v1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d", path, resp.StatusCode)
	}
	if strings.HasSuffix(path, "/stream") {
		return firstEvent(t, resp.Body)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return string(body)
}

func firstEvent(t *testing.T, stream io.Reader) string {
	t.Helper()
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("a stream ends without an event: %v", err)
		}
		if strings.HasPrefix(line, "data: ") {
			return line
		}
	}
}
