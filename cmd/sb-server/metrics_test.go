package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"secretsbridge/accounts"
	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/projections"
	"secretsbridge/worker"
)

// measured is a server of which all is known.
func measured() metrics {
	return metrics{
		loops: func() []worker.LoopStats {
			return []worker.LoopStats{
				{Name: "dispatch", Held: true, Fence: 7, Terms: 2, LastRun: time.Unix(1_800_000_000, 500e6), Lag: 1500 * time.Millisecond, Handled: 11, Failed: 3, Buried: 1, Position: 39},
				{Name: "ends"},
			}
		},
		log:       func(context.Context) (events.Seq, error) { return 42, nil },
		views:     func(context.Context) (events.Seq, error) { return 40, nil },
		agents:    func(context.Context) (int, int, error) { return 3, 5, nil },
		witnessed: func(context.Context) (int64, error) { return 41, nil }, distrusting: func() int { return 1 },
		halted: func() error { return nil },
		outbox: func(context.Context) (int, time.Duration, error) { return 6, 2500 * time.Millisecond, nil },
		open:   func(context.Context) (int, int, error) { return 14, 2, nil },
		proof: func() ledger.Stats {
			return ledger.Stats{
				Size: 41, Signed: 38, SignedAt: time.Unix(1_800_000_000, 0), Scrub: ledger.ScrubStats{Done: 20, Of: 37, EndedAt: time.Unix(1_700_000_000, 0)},
				Tiles: ledger.TilesStats{Size: 36}, Witnesses: map[string]ledger.WitnessStats{"w.example": {Size: 35, Cosigned: 4, Failing: true, Contradicts: true}},
			}
		},
		looks: func() map[look]looked {
			return map[look]looked{lookAll: {2, time.Unix(1_800_000_000, 0)}}
		},
		refused: func() map[accounts.RowKind]uint64 {
			return map[accounts.RowKind]uint64{{Table: "sessions", Why: "row_forged"}: 3}
		},
		clusters: func(context.Context) ([]projections.ClusterAgents, error) {
			return []projections.ClusterAgents{{Cluster: "here", Online: 3, Enrolled: 4}, {Cluster: "there", Enrolled: 1}}, nil
		},
		rights:  func() events.Seq { return 42 },
		age:     func(context.Context, events.Seq) (time.Duration, error) { return 1500 * time.Millisecond, nil },
		queued:  func(context.Context) (int, error) { return 7, nil },
		logger:  slog.New(slog.DiscardHandler),
		figures: newFigures(),
	}
}

// ours is what a scrape says of our own metrics, without versions.
func ours(t *testing.T, m metrics) []string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("a scrape gives %d: %s", answer.Code, answer.Body)
	}
	var lines []string
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, "sb_") && !strings.HasPrefix(line, "sb_build_info") && !strings.HasPrefix(line, "sb_append_duration_seconds") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestAScrapeTellsOfLoopsAndParts(t *testing.T) {
	want := []string{
		`sb_agent_reports_refused_total 0`, `sb_agents{state="offline"} 2`, `sb_agents{state="online"} 3`,
		`sb_checkpoint_size 38`, `sb_checkpoint_timestamp_seconds 1.8e+09`,
		`sb_cluster_agents{cluster="here",state="offline"} 1`, `sb_cluster_agents{cluster="here",state="online"} 3`,
		`sb_cluster_agents{cluster="there",state="offline"} 1`, `sb_cluster_agents{cluster="there",state="online"} 0`,
		`sb_compared_differences{look="all"} 2`, `sb_compared_timestamp_seconds{look="all"} 1.8e+09`,
		`sb_distrusting_agents 1`,
		`sb_follower_lag_commits{follower="rights"} 0`, `sb_follower_lag_commits{follower="views"} 2`,
		`sb_follower_lag_seconds{follower="rights"} 0`, `sb_follower_lag_seconds{follower="views"} 1.5`,
		`sb_jobs_queued 7`,
		`sb_log_alarm{name="log_damaged"} 0`, `sb_log_alarm{name="log_foreign_fact"} 0`, `sb_log_alarm{name="log_forked"} 0`,
		`sb_log_alarm{name="log_reconfigured"} 0`, `sb_log_alarm{name="log_recreated"} 0`, `sb_log_alarm{name="log_replayed_fact"} 0`,
		`sb_log_alarm{name="log_sequence_reused"} 0`, `sb_log_alarm{name="log_store_failed"} 0`, `sb_log_alarm{name="log_truncated"} 0`,
		`sb_log_last_sequence 42`,
		`sb_loop_dead_letters_total{loop="dispatch"} 1`, `sb_loop_dead_letters_total{loop="ends"} 0`,
		`sb_loop_failed_total{loop="dispatch"} 3`, `sb_loop_failed_total{loop="ends"} 0`,
		`sb_loop_handled_total{loop="dispatch"} 11`, `sb_loop_handled_total{loop="ends"} 0`,
		`sb_loop_held{loop="dispatch"} 1`, `sb_loop_held{loop="ends"} 0`,
		`sb_loop_lag_seconds{loop="dispatch"} 1.5`, `sb_loop_lag_seconds{loop="ends"} 0`,
		`sb_loop_last_run_timestamp_seconds{loop="dispatch"} 1.8000000005e+09`, `sb_loop_last_run_timestamp_seconds{loop="ends"} 0`,
		`sb_loop_position{loop="dispatch"} 39`, `sb_loop_position{loop="ends"} 0`,
		`sb_loop_terms_total{loop="dispatch"} 2`, `sb_loop_terms_total{loop="ends"} 0`,
		`sb_outbox_late_seconds 2.5`, `sb_outbox_waiting 6`,
		`sb_part_up{part="database"} 1`, `sb_part_up{part="log"} 1`,
		`sb_refused_rows_total{table="sessions",why="row_forged"} 3`,
		`sb_scrub_commits 37`, `sb_scrub_done_commits 20`, `sb_scrub_last_run_timestamp_seconds 1.7e+09`, `sb_tiles_size 36`, `sb_tree_size 41`,
		`sb_views_lag_commits 2`, `sb_views_position 40`,
		`sb_watched_requests 2`, `sb_watches_open 14`,
		`sb_witness_contradicts{witness="w.example"} 1`,
		`sb_witness_cosignatures_total{witness="w.example"} 4`, `sb_witness_failing{witness="w.example"} 1`, `sb_witness_size{witness="w.example"} 35`,
		`sb_witnessed_commits 41`,
	}
	if diff := cmp.Diff(want, ours(t, measured())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAScrapeTellsWhatItCanWhileAPartIsAway(t *testing.T) {
	away := errors.New("away")
	seq := func(context.Context) (events.Seq, error) { return 0, away }
	for name, test := range map[string]struct {
		change  func(*metrics)
		want    []string
		missing []string
	}{
		"the log":   {func(m *metrics) { m.log = seq }, []string{`sb_part_up{part="log"} 0`, `sb_views_position 40`}, []string{"sb_log_last", "sb_views_lag"}},
		"the views": {func(m *metrics) { m.views = seq }, []string{`sb_part_up{part="database"} 0`, `sb_log_last_sequence 42`}, []string{"sb_views_", "sb_agents", "sb_outbox_", "sb_watche"}},
		"the agents": {func(m *metrics) { m.agents = func(context.Context) (int, int, error) { return 0, 0, away } },
			[]string{`sb_part_up{part="database"} 1`, `sb_views_position 40`, `sb_outbox_waiting 6`, `sb_watches_open 14`}, []string{"sb_agents"}},
		"the outbox": {func(m *metrics) { m.outbox = func(context.Context) (int, time.Duration, error) { return 0, 0, away } },
			[]string{`sb_agents{state="online"} 3`, `sb_watches_open 14`}, []string{"sb_outbox_"}},
		"the cosignatures": {func(m *metrics) { m.witnessed = func(context.Context) (int64, error) { return 0, away } },
			[]string{`sb_agents{state="online"} 3`, `sb_distrusting_agents 1`}, []string{"sb_witnessed"}},
		"the watches": {func(m *metrics) { m.open = func(context.Context) (int, int, error) { return 0, 0, away } },
			[]string{`sb_agents{state="online"} 3`, `sb_outbox_waiting 6`}, []string{"sb_watche"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := measured()
			test.change(&m)
			lines := ours(t, m)
			for _, want := range append(test.want, `sb_loop_held{loop="dispatch"} 1`) {
				if !slices.Contains(lines, want) {
					t.Errorf("%s is not told", want)
				}
			}
			for _, line := range lines {
				for _, prefix := range test.missing {
					if strings.HasPrefix(line, prefix) {
						t.Errorf("%s is told, and cannot be known", line)
					}
				}
			}
		})
	}
}

func TestAScrapeTellsTheAlarm(t *testing.T) {
	for _, alarm := range command.Alarms {
		m := measured()
		m.halted = func() error { return fmt.Errorf("look: %w: commit 3", alarm) }
		raised := 0
		for _, line := range ours(t, m) {
			if strings.HasPrefix(line, "sb_log_alarm") && strings.HasSuffix(line, " 1") {
				raised++
			}
		}
		if want := fmt.Sprintf("sb_log_alarm{name=%q} 1", string(alarm)); raised != 1 || !slices.Contains(ours(t, m), want) {
			t.Errorf("%d alarms are told, and %s should be", raised, alarm)
		}
	}
}

// TestEachAlarmSaysWhatToDo: the section of the alert has a part for each.
func TestEachAlarmSaysWhatToDo(t *testing.T) {
	text := document(t, "operations", "alerts.md")
	for _, alarm := range command.Alarms {
		if !strings.Contains(text, "\n### "+string(alarm)+"\n") {
			t.Errorf("docs/operations/alerts.md has no part %s", alarm)
		}
	}
	if exitCode(fmt.Errorf("serve: %w", command.LogForked)) != exitUnsafe || exitCode(command.LogStoreFailed) != 1 || exitCode(errors.New("x")) != 1 {
		t.Error("an exit code is another one than docs/operations/alerts.md says")
	}
}

// exported are the metrics of a server that is well and was used, with their labels.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	m := measured()
	use(t, m.figures)
	families, err := m.registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, f := range families {
		var labels []string
		for _, pair := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, pair.GetName())
		}
		found[f.GetName()] = labels
	}
	return found
}

// TestLabelsAreWordsOfTheProgram: whoever adds a label says here why nobody's name can be in it.
func TestLabelsAreWordsOfTheProgram(t *testing.T) {
	harmless := map[string]string{
		"witness": "of a key in the operator's policy",
		"route":   "templates of web.Routes, and two words", "method": "of web.Routes, and a word", "status": "of HTTP, by hundreds",
		"code": "of problems, rejections and failures: tables of the program", "purpose": "window.Purpose", "by": "routes, services and loops", "outcome": "words",
		"type": "events registry", "operation": "events.Operation, events.CallOperation or the port of key managers", "service": "events.Services",
		"provider": "events.ProviderKinds", "follower": "two words", "cluster": "named by operators for whole networks, and at most 500 of them",
		"loop": "worker.LoopName: small letters and hyphens", "look": "two words", "part": "two words", "name": "command.Alarms", "state": "two words",
		"table": "tables of schema private", "why": "words", "version": "of the build", "go": "of the build",
	}
	for name, labels := range exported(t) {
		for _, label := range labels {
			if strings.HasPrefix(name, "sb_") && harmless[label] == "" {
				t.Errorf("%s has a label %s", name, label)
			}
		}
	}
}

func document(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "docs"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMetricsAreDocumented(t *testing.T) {
	told := map[string][]string{}
	row := regexp.MustCompile("(?m)^\\| `(sb_[a-z_]+)` \\| (gauge|counter|histogram) \\| ([^|]*)\\|")
	for _, m := range row.FindAllStringSubmatch(document(t, "reference", "metrics.md"), -1) {
		var labels []string
		for _, label := range strings.Split(m[3], ", ") {
			name, _, _ := strings.Cut(label, ":") // what follows are values
			if name = strings.Trim(strings.TrimSpace(name), "`"); name != "" && strings.Contains(label, "`") {
				labels = append(labels, name)
			}
		}
		if m[2] == "counter" != strings.HasSuffix(m[1], "_total") {
			t.Errorf("%s is called a %s", m[1], m[2])
		}
		told[m[1]] = labels
	}
	there := exported(t)
	maps.DeleteFunc(there, func(name string, _ []string) bool { return !strings.HasPrefix(name, "sb_") })
	for name, labels := range there {
		slices.Sort(labels)
		// A row may list the values of a label after its name.
		for i, label := range labels {
			if i < len(told[name]) && !slices.Contains(told[name], label) {
				t.Errorf("docs/reference/metrics.md does not name the label %s of %s", label, name)
			}
		}
		if (len(labels) == 0) != (len(told[name]) == 0) {
			t.Errorf("docs/reference/metrics.md gives %s the labels %v; it has %v", name, told[name], labels)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(told))); diff != "" {
		t.Errorf("docs/reference/metrics.md (-exported +documented)\n%s", diff)
	}
}

type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

var (
	matchers = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]|\b(by|on|without|ignoring)\s*\([^)]*\)|"[^"]*"|\boffset\s+\w+`)
	word     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
)

// readBy are the metrics that an expression of PromQL reads.
func readBy(expr string) []string {
	var names []string
	for _, w := range word.FindAllString(matchers.ReplaceAllString(expr, " "), -1) {
		switch w = strings.TrimSpace(w); {
		case strings.HasSuffix(w, "("): // a function
		case slices.Contains([]string{"and", "or", "unless", "bool", "sum", "max", "min"}, w): // before by
		default:
			names = append(names, w)
		}
	}
	return names
}

// TestEachAlertReadsWhatIsExportedAndHasASection compares the rules with the metrics, and with
// what the operator is told to do.
func TestEachAlertReadsWhatIsExportedAndHasASection(t *testing.T) {
	var file ruleFile
	if err := yaml.UnmarshalWithOptions([]byte(document(t, "operations", "alerts.yaml")), &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	there := exported(t)
	sections := map[string]string{}
	for _, section := range strings.Split(document(t, "operations", "alerts.md"), "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		sections[title] = text
	}
	seen := map[string]bool{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if seen[rule.Alert] {
				t.Errorf("two alerts are called %s", rule.Alert)
			}
			seen[rule.Alert] = true
			names := readBy(rule.Expr)
			if len(names) == 0 {
				t.Errorf("%s reads nothing", rule.Alert)
			}
			for _, name := range names {
				family := strings.TrimSuffix(name, "_bucket")    // of a histogram
				if _, ok := there[family]; !ok && name != "up" { // Prometheus' own
					t.Errorf("%s reads %s, which nobody exports", rule.Alert, name)
				}
			}
			if !slices.Contains([]string{"critical", "warning"}, rule.Labels["severity"]) || rule.Annotations["summary"] == "" {
				t.Errorf("%s says neither how bad it is nor what happened", rule.Alert)
			}
			if want := "docs/operations/alerts.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook_url"] != want {
				t.Errorf("%s leads to %q, not to %q", rule.Alert, rule.Annotations["runbook_url"], want)
			}
			for _, part := range []string{"What it means", "What users notice", "How to look", "What to do", "How it clears"} {
				if !strings.Contains(sections[rule.Alert], "**"+part+".**") {
					t.Errorf("the section of %s does not say: %s", rule.Alert, part)
				}
			}
		}
	}
	for title := range sections {
		if !seen[title] {
			t.Errorf("alerts.md has a section %s, and no rule is called so", title)
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d alerts are read", len(seen))
	}
}

func TestMetricsOfAnExpressionAreFound(t *testing.T) {
	for expr, want := range map[string][]string{
		`up{job="x"} == 0`: {"up"},
		`sum by (loop) (increase(sb_a_total{loop!~"b|c"}[10m])) > 20 and on (loop) max(sb_d) == 1`: {"sb_a_total", "sb_d"},
		`time() - max by (loop) (sb_e) > 3`: {"sb_e"},
	} {
		if diff := cmp.Diff(want, readBy(expr)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", expr, diff)
		}
	}
}
