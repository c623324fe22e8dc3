package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"secretsbridge/web/api"
)

// scrape reads the metrics of a server whose log is JSON.
func (c *control) scrape(t *testing.T) string {
	t.Helper()
	addr := regexp.MustCompile(`"msg":"/healthz, /readyz and /metrics are served","addr":"([^"]+)"`).FindStringSubmatch(c.log())
	if addr == nil {
		t.Fatal("the log does not say where metrics are")
	}
	resp, err := http.Get("http://" + addr[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %d, %v", resp.StatusCode, err)
	}
	return string(text)
}

// unseen are metrics that this server has no reason to tell of.
var unseen = map[string]string{
	"sb_witness_failing":      "it has no outside witness",
	"sb_witness_contradicts":  "it has no outside witness",
	"sb_compared_differences": "it has not compared anything yet",
	"sb_refused_rows_total":   "nobody has forged a row there",
}

// checkScrape asks a server that was used for every metric that the dashboard and the alerts read, and
// for what it must have counted.
func checkScrape(t *testing.T, c *control) {
	t.Helper()
	for range 12 { // more than somebody may try in a minute
		c.send("", "POST", "/sessions", "", api.SignIn{Email: "nobody@demo.local", Password: "wrong"}, nil)
	}
	eventually(t, time.Minute, "the calls of the demo agent's providers reported", func() bool {
		return strings.Contains(c.scrape(t), `sb_provider_calls_total{operation="read",outcome="ok",provider="file"} 1`)
	})
	text := c.scrape(t)
	for _, file := range []string{"docs/operations/alerts.yaml", "deploy/observe/secrets-bridge.json"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\b(?:sb|process|go)_[a-z_]+[a-z]\b`).FindAllString(string(raw), -1)
		if len(names) < 30 {
			t.Errorf("%s reads %d metrics", file, len(names))
		}
		for _, name := range names {
			if unseen[name] == "" && !strings.Contains(text, "\n"+name+" ") && !strings.Contains(text, "\n"+name+"{") {
				t.Errorf("%s reads %s, and a server that was used does not tell it", file, name)
			}
		}
	}
	for _, want := range []string{
		`sb_http_requests_total{method="POST",route="/api/v1/requests",status="2xx"} 1`,
		`sb_commands_total{by="POST /api/v1/requests/{id}/approve",code="",outcome="decided"} 1`,
		`sb_commands_total{by="agent.complete",code="",outcome="decided"} 1`,
		`sb_jobs_total{code="",operation="read",outcome="done"} 1`,
		`sb_cluster_agents{cluster="demo",state="online"} 1`,
		`sb_follower_lag_commits{follower="views"}`,
		`sb_rate_limited_total{purpose="sign-ins of account"}`,
		`sb_sign_ins_total{outcome="unknown_person"}`, `sb_sign_ins_total{outcome="ok"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("a server that was used does not tell %s", want)
		}
	}
	for _, hidden := range []string{"prod/db", "@demo.local", "canary", "r_", "u_", "a_0", "127.0.0.1"} {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "sb_") && strings.Contains(strings.ReplaceAll(line, "sb_", ""), hidden) && regexp.MustCompile(`"[^"]*`+regexp.QuoteMeta(hidden)+`[0-9@./]`).MatchString(line) {
				t.Errorf("metrics tell %q: %s", hidden, line)
			}
		}
	}
	var line struct{ Msg, Call, Route, Trace string }
	seen := false
	for text := range strings.Lines(c.log()) {
		if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "a call is answered" && line.Route == "/api/v1/requests" && line.Call != "" && line.Trace != "" {
			seen = true
		}
	}
	if !seen {
		t.Error("no line of the log tells of a call and its trace")
	}
}
