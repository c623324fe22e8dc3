// Package rules_test has Prometheus' own code read the alerting rules and the dashboard, and
// evaluates every rule against series that are made up: each alert fires when it must, and clears.
package rules_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

var root = filepath.Join("..", "..")

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ours are the alerting rules by name.
func ours(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, faults := rulefmt.Parse(read(t, "docs", "operations", "alerts.yaml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	found := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			found[r.Alert] = r
		}
	}
	return found
}

// TestEachAlertFiresAndClears: before `fires` it is silent, then it fires with these labels, and at
// `clears` it is silent again.
func TestEachAlertFiresAndClears(t *testing.T) {
	all := ours(t)
	var tried []string
	for _, c := range cases {
		tried = append(tried, c.alert)
		t.Run(c.alert, func(t *testing.T) {
			rule, ok := all[c.alert]
			if !ok {
				t.Fatal("there is no such alert")
			}
			for _, at := range []struct {
				minute int
				fires  bool
			}{{c.silent, false}, {c.fires, true}, {c.clears, false}} {
				got := firing(t, rule, c.series, at.minute)
				if at.fires != (len(got) > 0) {
					t.Errorf("after %d minutes %d fire, and %t is expected", at.minute, len(got), at.fires)
				}
				if at.fires {
					want := append([]string{c.labels}, c.also...)
					slices.Sort(want)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("after %d minutes (-want +got)\n%s", at.minute, diff)
					}
				}
			}
		})
	}
	slices.Sort(tried)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(all)), slices.Compact(tried)); diff != "" {
		t.Errorf("what is tried is not what there is (-rules +tried)\n%s", diff)
	}
}

// firing evaluates a rule each minute until one, and returns what fires then: labels that are not
// the rule's own.
func firing(t *testing.T, rule rulefmt.Rule, series string, minute int) []string {
	t.Helper()
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery)
	storage := promqltest.LoadedStorage(t, "load 1m\n\t"+strings.TrimSpace(series))
	defer storage.Close()
	query := rules.EngineQueryFunc(engine, storage)
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
	if err != nil {
		t.Fatal(err)
	}
	alerting := rules.NewAlertingRule(rule.Alert, expr, time.Duration(rule.For), time.Duration(rule.KeepFiringFor),
		labels.FromMap(rule.Labels), labels.FromMap(rule.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	for m := range minute + 1 {
		if _, err := alerting.Eval(context.Background(), 0, time.Unix(int64(m)*60, 0).UTC(), query, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	var found []string
	for _, a := range alerting.ActiveAlerts() {
		if a.State != rules.StateFiring || !a.ResolvedAt.IsZero() {
			continue
		}
		text := a.Annotations.Get("summary")
		if text == "" || strings.Contains(text, "error expanding") || strings.Contains(text, "<no value>") {
			t.Errorf("the summary is %q", text)
		}
		found = append(found, a.Labels.MatchLabels(false, "alertname", "severity").String())
	}
	slices.Sort(found)
	return found
}

// metric is a row of the reference, which a test of sb-server compares with what it exports.
var metric = regexp.MustCompile("(?m)^\\| `(sb_[a-z_]+)` \\| (gauge|counter|histogram) \\|([^|]*)\\|")

// TestQueriesReadWhatIsExported reads every expression of the rules and of the dashboard as
// Prometheus does: each metric is exported, with each label that is asked for.
func TestQueriesReadWhatIsExported(t *testing.T) {
	there := map[string][]string{
		"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate"},
		"process_open_fds": nil, "process_max_fds": nil, "process_cpu_seconds_total": nil, "process_resident_memory_bytes": nil, "go_goroutines": nil,
	}
	name := regexp.MustCompile("`([a-z]+)`")
	for _, row := range metric.FindAllStringSubmatch(string(read(t, "docs", "reference", "metrics.md")), -1) {
		var has []string
		for _, label := range name.FindAllStringSubmatch(row[3], -1) { // a few are values of labels, which harms nothing
			has = append(has, label[1])
		}
		if row[2] == "histogram" {
			there[row[1]+"_bucket"], there[row[1]+"_sum"], there[row[1]+"_count"] = append([]string{"le"}, has...), has, has
			continue
		}
		there[row[1]] = has
	}
	if len(there) < 60 {
		t.Fatalf("the reference has %d metrics", len(there))
	}
	asked := 0
	for where, expr := range expressions(t) {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
			if v, ok := node.(*parser.VectorSelector); ok {
				asked++
				has, exported := there[v.Name]
				if !exported {
					t.Errorf("%s reads %s, which nobody exports", where, v.Name)
				}
				for _, m := range v.LabelMatchers {
					if !slices.Contains(append([]string{labels.MetricName, "job", "instance"}, has...), m.Name) {
						t.Errorf("%s asks for the label %s of %s", where, m.Name, v.Name)
					}
				}
			}
			return nil
		})
	}
	if asked < 80 {
		t.Errorf("only %d metrics are read", asked)
	}
}

// expressions are those of the rules and of the dashboard, by where they are.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for name, rule := range ours(t) {
		found[name] = rule.Expr
	}
	var board struct {
		Panels []struct {
			Title, Type, Description string
			Targets                  []struct{ Expr, LegendFormat string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
	}
	if err := json.Unmarshal(read(t, "deploy", "observe", "secrets-bridge.json"), &board); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$job", "secrets-bridge", "$instance", ".*")
	panels := 0
	for _, p := range board.Panels {
		if p.Type == "row" {
			continue
		}
		panels++
		if len(p.Targets) == 0 || p.Description == "" {
			t.Errorf("panel %q shows nothing, or does not say what", p.Title)
		}
		for _, alert := range regexp.MustCompile(`SecretsBridge\w+`).FindAllString(p.Description, -1) {
			if found[alert] == "" {
				t.Errorf("panel %q names the alert %s, which is none", p.Title, alert)
			}
		}
		for i, target := range p.Targets {
			found[fmt.Sprintf("panel %q, query %d", p.Title, i+1)] = variables.Replace(target.Expr)
		}
	}
	for _, a := range board.Annotations.List {
		found["annotation "+a.Name] = a.Expr
	}
	if panels < 25 {
		t.Errorf("the dashboard has %d panels", panels)
	}
	return found
}

var _ promql.Vector // names the package that the rules are evaluated with
