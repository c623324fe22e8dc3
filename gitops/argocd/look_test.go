package argocd_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/gitops"
)

// made is an application that a test puts together, object by object.
type made struct {
	t     testing.TB
	app   string
	nodes []string
	all   []exchange
}

func newMade(t testing.TB) *made { return &made{t: t, app: application} }

// node adds an object to the tree; extra are more fields of it, as JSON.
func (m *made) node(group, kind, name, parent, extra string) *made {
	parents := ""
	if parent != "" {
		parents = fmt.Sprintf(`"parentRefs":[{"group":"x","kind":"X","namespace":"shop","name":"x","uid":"u-%s"}],`, parent)
	}
	if extra != "" {
		extra = "," + extra
	}
	m.nodes = append(m.nodes, fmt.Sprintf(`{"group":%q,"version":"v1","kind":%q,"namespace":"shop","name":%q,"uid":"u-%s",%s"resourceVersion":"1","createdAt":"2026-11-27T20:00:00Z"%s}`,
		group, kind, name, name, parents, extra))
	return m
}

// manifest adds what is told of an object.
func (m *made) manifest(group, kind, name, text string) *made {
	query := url.Values{"namespace": {"shop"}, "resourceName": {name}, "group": {group}, "version": {"v1"}, "kind": {kind}}
	body, err := json.Marshal(map[string]string{"manifest": text})
	if err != nil {
		m.t.Fatal(err)
	}
	m.all = append(m.all, exchange{"/api/v1/applications/shop/resource?" + query.Encode(), 200, date, "application/json", body})
	return m
}

// workload adds one with a pod template.
func (m *made) workload(group, kind, name, spec string) *made {
	return m.node(group, kind, name, "", "").manifest(group, kind, name, fmt.Sprintf(`{"kind":%q,"metadata":{"name":%q},"spec":%s}`, kind, name, spec))
}

const (
	podRuns = `"health":{"status":"Healthy"},"info":[{"name":"Status Reason","value":"Running"},{"name":"Node","value":"n"}]`
	envFrom = `{"template":{"spec":{"containers":[{"envFrom":[{"secretRef":{"name":"db"}}]}]}}}`
)

// external adds an ExternalSecret of the secret, and the Secret that it fills.
func (m *made) external(key string) *made {
	return m.node("external-secrets.io", "ExternalSecret", "db", "", "").node("", "Secret", "db", "db", "").
		manifest("external-secrets.io", "ExternalSecret", "db", fmt.Sprintf(
			`{"metadata":{"name":"db","namespace":"shop"},"spec":{"data":[{"remoteRef":{"key":%q}}]},"status":{"refreshTime":"2026-11-27T19:59:00Z","conditions":[{"type":"Ready","status":"True"}]}}`, key))
}

func (m *made) exchanges() []exchange {
	tree := `{"nodes":[` + strings.Join(m.nodes, ",") + `],"orphanedNodes":[{"kind":"Pod","name":"x"}],"hosts":[{"name":"n"}]}`
	return append([]exchange{
		{"/api/v1/applications/shop", 200, date, "application/json", []byte(m.app)},
		{"/api/v1/applications/shop/resource-tree", 200, "Fri, 27 Nov 2026 20:00:09 GMT", "application/json", []byte(tree)},
	}, m.all...)
}

// observed looks at what was made, once.
func (m *made) observed(look gitops.Look) events.Observation {
	argo := newArgo(m.t, m.exchanges()...)
	return newRig(m.t, argo.settings()).observe(m.t, look)
}

// pods are the names of the pods of workloads, as KIND/NAME.
func pods(o events.Observation) map[string][]string {
	found := map[string][]string{}
	for _, w := range o.Workloads {
		found[w.Kind+"/"+w.Name] = []string{}
		for _, p := range w.Pods {
			found[w.Kind+"/"+w.Name] = append(found[w.Kind+"/"+w.Name], p.Name)
		}
	}
	return found
}

func TestPodsAreThoseOfWhatMadeThem(t *testing.T) {
	m := newMade(t).external("secret/data/prod/db")
	m.workload("apps", "Deployment", "web", envFrom).node("apps", "ReplicaSet", "web-1", "web", "").node("", "Pod", "web-1-a", "web-1", podRuns)
	m.workload("argoproj.io", "Rollout", "api", envFrom).node("apps", "ReplicaSet", "api-1", "api", "").node("", "Pod", "api-1-a", "api-1", podRuns)
	m.workload("batch", "CronJob", "night", `{"jobTemplate":{"spec":`+envFrom+`}}`).node("batch", "Job", "night-1", "night", "").node("", "Pod", "night-1-a", "night-1", podRuns)
	m.workload("apps", "StatefulSet", "queue", envFrom).node("", "Pod", "queue-0", "queue", podRuns)
	m.workload("apps", "ReplicaSet", "alone", envFrom).node("", "Pod", "alone-a", "alone", podRuns)
	// What an operator made has a parent that makes no pods that we know of.
	m.node("", "Pod", "broker-0", "kafka", podRuns).manifest("", "Pod", "broker-0",
		`{"kind":"Pod","metadata":{"name":"broker-0"},"spec":{"containers":[{"envFrom":[{"secretRef":{"name":"db"}}]}]}}`)
	// Of another group it is another thing.
	m.node("example.com", "Deployment", "other", "", "").node("", "Secret", "else", "", "")
	want := map[string][]string{
		"Deployment/web": {"web-1-a"}, "Rollout/api": {"api-1-a"}, "CronJob/night": {"night-1-a"}, "StatefulSet/queue": {"queue-0"},
		"ReplicaSet/alone": {"alone-a"}, "Pod/broker-0": {"broker-0"},
	}
	if diff := cmp.Diff(want, pods(m.observed(vault("shop", "")))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParentsThatRunInACircleEnd(t *testing.T) {
	m := newMade(t).external("secret/prod/db")
	m.node("apps", "ReplicaSet", "a", "b", "").node("apps", "ReplicaSet", "b", "a", "")
	m.manifest("apps", "ReplicaSet", "a", `{"kind":"ReplicaSet","metadata":{"name":"a"}}`).manifest("apps", "ReplicaSet", "b", `{"kind":"ReplicaSet","metadata":{"name":"b"}}`)
	m.node("", "Pod", "p", "a", podRuns)
	if got := m.observed(vault("shop", "")); got.Problem != "" || len(got.Workloads) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestPodsThatAreOverAreNotCounted(t *testing.T) {
	m := newMade(t).external("secret/prod/db").workload("batch", "Job", "seed", envFrom)
	pod := func(name, reason, phase string) {
		m.node("", "Pod", name, "seed", `"info":[{"name":"Status Reason","value":"`+reason+`"}]`)
		if phase != "" {
			m.manifest("", "Pod", name, `{"kind":"Pod","metadata":{"name":"`+name+`"},"status":{"phase":"`+phase+`"}}`)
		}
	}
	pod("runs", "Running", "")
	pod("begins", "Init:0/1", "")
	pod("waits", "CrashLoopBackOff", "")
	pod("ends", "Terminating", "")
	pod("done", "Completed", "Succeeded")
	pod("failed", "Error", "Failed")
	pod("evicted", "Evicted", "Failed")
	pod("again", "Error", "Running") // its container is about to start again
	m.node("", "Pod", "silent", "seed", "").manifest("", "Pod", "silent", `{"kind":"Pod","metadata":{"name":"silent"},"status":{"phase":"Pending"}}`)
	want := map[string][]string{"Job/seed": {"again", "begins", "ends", "runs", "silent", "waits"}}
	if diff := cmp.Diff(want, pods(m.observed(vault("shop", "")))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsTurnedOffOrGoneOrElsewhereIsLeftOut(t *testing.T) {
	m := newMade(t).external("prod/db")
	m.workload("apps", "Deployment", "off", `{"replicas":0,`+envFrom[1:])
	m.workload("apps", "Deployment", "without", `{"template":{"spec":{"containers":[{"envFrom":[{"secretRef":{"name":"mail"}}]}]}}}`)
	m.node("apps", "Deployment", "gone", "", "")
	m.all = append(m.all, exchange{"/api/v1/applications/shop/resource?group=apps&kind=Deployment&namespace=shop&resourceName=gone&version=v1", 400, date, "application/json",
		[]byte(`{"error":"Deployment apps gone not found as part of application shop","code":3}`)})
	m.nodes = append(m.nodes, `{"group":"apps","version":"v1","kind":"Deployment","namespace":"shop","name":"missing"}`) // in the source only
	m.nodes = append(m.nodes, `{"group":"apps","version":"v1","kind":"Deployment","namespace":"elsewhere","name":"web","uid":"u","resourceVersion":"1"}`)
	got := m.observed(vault("shop", ""))
	want := events.Observation{At: dated, Sync: "Synced", Health: "Healthy", Revision: "9f2c", Secrets: []events.ObservedSecret{{
		Namespace: "shop", Name: "db", ResourceVersion: "1", External: "db", Ready: true, Refreshed: time.Date(2026, 11, 27, 19, 59, 0, 0, time.UTC),
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARolloutWithTheTemplateOfADeployment(t *testing.T) {
	m := newMade(t).external("secret/prod/db")
	m.workload("argoproj.io", "Rollout", "api", `{"replicas":1,"workloadRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"api"}}`)
	m.node("apps", "ReplicaSet", "api-old", "api", "").node("", "Pod", "api-old-a", "api-old", podRuns)
	m.nodes[len(m.nodes)-2] = strings.Replace(m.nodes[len(m.nodes)-2], "20:00:00Z", "19:00:00Z", 1)
	m.node("apps", "ReplicaSet", "api-new", "api", "").node("", "Pod", "api-new-a", "api-new", podRuns)
	m.manifest("apps", "ReplicaSet", "api-new", `{"kind":"ReplicaSet","metadata":{"name":"api-new"},"spec":`+envFrom+`}`)
	m.workload("argoproj.io", "Rollout", "fresh", `{"workloadRef":{"name":"fresh"}}`) // has made nothing yet
	want := map[string][]string{"Rollout/api": {"api-new-a", "api-old-a"}}
	if diff := cmp.Diff(want, pods(m.observed(vault("shop", "")))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASecretThatIsNamedByHand(t *testing.T) {
	build := func() *made {
		return newMade(t).external("secret/prod/else").node("", "Secret", "by-hand", "", "").
			workload("apps", "Deployment", "web", envFrom)
	}
	for target, want := range map[string][]events.ObservedSecret{
		"db":      {{Namespace: "shop", Name: "db", ResourceVersion: "1"}}, // its ExternalSecret brings something else, and proves nothing
		"shop/db": {{Namespace: "shop", Name: "db", ResourceVersion: "1"}},
		"other":   {{Namespace: "shop", Name: "other"}}, // not there
	} {
		got := build().observed(vault("shop", target))
		if diff := cmp.Diff(want, got.Secrets); diff != "" || got.Problem != "" {
			t.Errorf("%s: problem %q (-want +got):\n%s", target, got.Problem, diff)
		}
		if uses := len(got.Workloads) == 1; uses != (target != "other") {
			t.Errorf("%s is used by %v", target, got.Workloads)
		}
	}
	got := newMade(t).external("secret/prod/db").observed(vault("shop", "db"))
	if len(got.Secrets) != 1 || got.Secrets[0].External != "db" {
		t.Errorf("the ExternalSecret of a Secret that is named: %+v", got.Secrets)
	}
	anywhere := build()
	anywhere.app = strings.Replace(anywhere.app, `"destination":{"namespace":"shop"}`, `"destination":{}`, 1)
	if got := anywhere.observed(vault("shop", "db")); len(got.Secrets) != 1 || got.Secrets[0].Namespace != "shop" {
		t.Errorf("a Secret of an application that is for no namespace: %+v", got.Secrets)
	}
}

func TestAPinnedExternalSecretIsLeftOut(t *testing.T) {
	m := newMade(t).node("external-secrets.io", "ExternalSecret", "db", "", "").manifest("external-secrets.io", "ExternalSecret", "db",
		`{"metadata":{"name":"db"},"spec":{"dataFrom":[{"extract":{"key":"secret/prod/db","version":"1"}}]}}`)
	if got := m.observed(vault("shop", "")); got.Problem != events.RolloutNotMapped {
		t.Errorf("%+v", got)
	}
}

func TestHealthIsNotReadWhereNothingIsCompared(t *testing.T) {
	for status, want := range map[string][2]string{
		`"sync":{"status":"Synced"},"health":{"status":"Healthy"}`:                                                        {"Synced", "Healthy"},
		`"sync":{"status":"Unknown"},"health":{"status":"Healthy"},"conditions":[{"type":"ComparisonError"}]`:             {"Unknown", ""},
		`"sync":{"status":"Synced"},"health":{"status":"Healthy"},"conditions":[{"type":"X"},{"type":"ComparisonError"}]`: {"Synced", ""},
		`"health":{"status":"Healthy"}`:                                {"Unknown", ""},
		`"sync":{"status":"OutOfSync"},"health":{"status":"Splendid"}`: {"OutOfSync", "Unknown"},
		`"sync":{"status":"Sunk"},"health":{"status":"Healthy"}`:       {"Unknown", ""},
	} {
		m := newMade(t).external("secret/prod/db")
		m.app = `{"metadata":{"name":"shop"},"status":{` + status + `}}`
		if got := m.observed(vault("shop", "")); got.Problem != "" || [2]string{got.Sync, got.Health} != want {
			t.Errorf("%s: problem %q, %q, %q", status, got.Problem, got.Sync, got.Health)
		}
	}
}

func TestTheLastOperationAndTheRevisions(t *testing.T) {
	m := newMade(t).external("secret/prod/db")
	m.app = `{"metadata":{"name":"shop"},"status":{"sync":{"status":"Synced","revisions":["a1","b2"]},"health":{"status":"Degraded"},
		"operationState":{"phase":"Failed","message":"hush","startedAt":"2026-11-27T19:58:00Z","finishedAt":"2026-11-27T19:58:30Z"}}}`
	got := m.observed(vault("shop", ""))
	if got.Revision != "a1,b2" || got.OperationPhase != "Failed" || !got.OperationFinished.Equal(time.Date(2026, 11, 27, 19, 58, 30, 0, time.UTC)) {
		t.Errorf("%+v", got)
	}
	m.app = `{"metadata":{"name":"shop"},"status":{"sync":{"status":"Synced","revision":"<b>"},"operationState":{"phase":"Running","finishedAt":null}}}`
	if got := m.observed(vault("shop", "")); got.Revision != "" || got.OperationPhase != "Running" || !got.OperationFinished.IsZero() {
		t.Errorf("%+v", got)
	}
}

func TestALookAtWhatStandsStillIsTwoGETs(t *testing.T) {
	m := newMade(t).external("secret/prod/db").workload("apps", "Deployment", "web", envFrom).node("apps", "ReplicaSet", "web-1", "web", "").node("", "Pod", "web-1-a", "web-1", podRuns)
	argo := newArgo(t, m.exchanges()...)
	r := newRig(t, argo.settings())
	looks := []gitops.Look{vault("shop", ""), vault("shop", "db"), vault("shop", "other")}
	first := r.Observe(t.Context(), "argo", looks)
	if asked := argo.taken(); len(asked) != 4 {
		t.Errorf("the first look asks %q", asked)
	}
	second := r.Observe(t.Context(), "argo", looks)
	if asked := argo.taken(); len(asked) != 3 || !strings.Contains(asked[2], "ExternalSecret") {
		t.Errorf("the second look asks %q", asked)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	for i, node := range m.nodes {
		m.nodes[i] = strings.Replace(node, `"kind":"Deployment","namespace":"shop","name":"web","uid":"u-web","resourceVersion":"1"`, `"kind":"Deployment","namespace":"shop","name":"web","uid":"u-web","resourceVersion":"2"`, 1)
	}
	argo.play(m.exchanges()...)
	r.Observe(t.Context(), "argo", looks)
	if asked := argo.taken(); len(asked) != 4 || !strings.Contains(asked[3], "Deployment") {
		t.Errorf("a look after a change asks %q", asked)
	}
}

func TestTooMuchToLookInto(t *testing.T) {
	m := newMade(t).external("secret/prod/db")
	for i := range 401 {
		m.node("apps", "Deployment", fmt.Sprintf("d-%d", i), "", "")
	}
	if got := m.observed(vault("shop", "")); got.Problem != events.RolloutTooLarge {
		t.Errorf("401 workloads: %q", got.Problem)
	}
	m = newMade(t).external("secret/prod/db").workload("apps", "Deployment", "web", envFrom)
	for i := range events.MaxObservedPods + 1 {
		m.node("", "Pod", fmt.Sprintf("p-%d", i), "web", podRuns)
	}
	if got := m.observed(vault("shop", "")); got.Problem != events.RolloutTooLarge {
		t.Errorf("5,001 pods: %q", got.Problem)
	}
	m = newMade(t).external("secret/prod/db")
	m.workload("apps", "Deployment", "web", `{"template":{"spec":{"containers":[{"args":["`+strings.Repeat("a", 2<<20)+`"]}]}}}`)
	if got := m.observed(vault("shop", "")); got.Problem != events.RolloutTooLarge {
		t.Errorf("a manifest beyond 2 MiB: %q", got.Problem)
	}
	m = newMade(t).node("external-secrets.io", "ExternalSecret", "db", "", "").manifest("external-secrets.io", "ExternalSecret", "db",
		`{"metadata":{"name":"db"},"spec":{"data":[{"remoteRef":{"key":"`+strings.Repeat("a", 17<<10)+`"}}]}}`)
	if got := m.observed(vault("shop", "")); got.Problem != events.RolloutTooLarge {
		t.Errorf("a key beyond 16 KiB: %q", got.Problem)
	}
	m = newMade(t).external("secret/prod/db").node("apps", "Deployment", "web", "", "").manifest("apps", "Deployment", "web", `{"kind":"Deployment","metadata":{"name":"other"}}`)
	if got := m.observed(vault("shop", "")); got.Problem != events.RolloutMalformed {
		t.Errorf("another object's manifest: %q", got.Problem)
	}
}

func TestOneLookMaySeeWhatAnotherDoesNot(t *testing.T) {
	m := newMade(t).external("secret/prod/db").workload("apps", "Deployment", "web", envFrom)
	argo := newArgo(t, m.exchanges()...)
	other := vault("shop", "")
	other.About.Ref = "secret/prod/else"
	seen := newRig(t, argo.settings()).Observe(t.Context(), "argo", []gitops.Look{other, vault("shop", "")})
	if len(seen) != 2 || seen[0].Problem != events.RolloutNotMapped || len(seen[1].Workloads) != 1 {
		t.Errorf("%+v", seen)
	}
}

func TestOfTwoThatWriteTheSameSecretTheFirstRefreshedCounts(t *testing.T) {
	m := newMade(t)
	for name, refreshed := range map[string]string{"a": "19:58", "b": "19:57", "c": "19:59"} {
		m.node("external-secrets.io", "ExternalSecret", name, "", "").manifest("external-secrets.io", "ExternalSecret", name, fmt.Sprintf(
			`{"metadata":{"name":%q},"spec":{"target":{"name":"db"},"data":[{"remoteRef":{"key":"secret/prod/db"}}]},"status":{"refreshTime":"2026-11-27T%s:00Z"}}`, name, refreshed))
	}
	if got := m.observed(vault("shop", "")); len(got.Secrets) != 1 || got.Secrets[0].External != "b" {
		t.Errorf("%+v", got.Secrets)
	}
}
