package kube_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
)

// recorded is one answer of a real kube-apiserver 1.36.1.
type recorded struct {
	Path        string `json:"path"`
	Status      int    `json:"status"`
	Date        string `json:"date"`
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
}

func record(t *testing.T, name string) recorded {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "kubernetes-1.36.1", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// play answers with recordings, by path, and what has none with an empty list.
func (r *rig) play(all map[string]recorded) {
	r.Fault(func(w http.ResponseWriter, q *http.Request) bool {
		answer, ok := all[q.URL.Path]
		if !ok {
			answer = all["else"]
		}
		body := answer.Body
		if strings.HasSuffix(q.URL.Path, "/pods") && q.URL.Query().Has("continue") {
			body = `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"539"},"items":[]}`
		}
		w.Header().Set("Date", answer.Date)
		w.Header().Set("Content-Type", answer.ContentType)
		w.WriteHeader(answer.Status)
		_, _ = io.WriteString(w, body)
		return true
	})
}

// TestAnswersOfARealServer: a Deployment whose controller does not run, two pods that nobody runs, a
// Secret that kubectl applied, and an ExternalSecret that writes it.
func TestAnswersOfARealServer(t *testing.T) {
	const shop = "/namespaces/shop/"
	answers := map[string]recorded{
		"else":                                                         record(t, "statefulsets"), // an empty list
		"/apis/apps/v1" + shop + "deployments":                         record(t, "deployments"),
		"/apis/apps/v1" + shop + "replicasets":                         record(t, "replicasets"),
		"/apis/batch/v1" + shop + "jobs":                               record(t, "jobs"),
		"/api/v1" + shop + "pods":                                      record(t, "pods"),
		"/api/v1" + shop + "secrets/db":                                record(t, "secret-table"),
		"/apis/external-secrets.io/v1" + shop + "externalsecrets":      record(t, "externalsecrets"),
		"/apis/external-secrets.io/v1beta1" + shop + "externalsecrets": record(t, "absent-api"),
	}
	r := newRig(t, "shop")
	r.play(answers)
	seen := r.Observe(t.Context(), plain("shop", secretNamed("db")))
	if seen.Problem != "" || seen.Sync != "OutOfSync" || seen.Health != "Progressing" || seen.At.Format(http.TimeFormat) != answers["/apis/external-secrets.io/v1"+shop+"externalsecrets"].Date {
		t.Fatalf("seen %+v: %s", seen, r.State().Cause)
	}
	if len(seen.Secrets) != 1 || seen.Secrets[0].External != "ext" || !seen.Secrets[0].Ready || seen.Secrets[0].ResourceVersion != "210" ||
		!seen.Secrets[0].Refreshed.Equal(time.Date(2026, 11, 28, 0, 20, 0, 0, time.UTC)) {
		t.Errorf("secrets %+v", seen.Secrets)
	}
	if len(seen.Workloads) != 1 || seen.Workloads[0].Kind != "Deployment" || seen.Workloads[0].Name != "api" || seen.Workloads[0].Use != events.UseEnvironment ||
		len(seen.Workloads[0].Pods) != 2 || seen.Workloads[0].Pods[0].Name != "api-1-000" || seen.Workloads[0].Pods[0].Ready {
		t.Errorf("workloads %+v", seen.Workloads)
	}
	encoded, err := json.Marshal(seen)
	if err != nil || strings.Contains(string(encoded), "CANARY") || strings.Contains(r.log.String(), "CANARY") {
		t.Errorf("a value is in %s, %v", encoded, err)
	}

	answers["/apis/external-secrets.io/v1"+shop+"externalsecrets"] = record(t, "absent-api")
	if seen := r.Observe(t.Context(), plain("shop", secretNamed("db"))); seen.Problem != "" || seen.Secrets[0].External != "" || seen.Secrets[0].ResourceVersion != "210" {
		t.Errorf("without the operator: %+v", seen)
	}
	answers["/api/v1"+shop+"secrets/db"] = record(t, "absent-secret")
	if seen := r.Observe(t.Context(), plain("shop", secretNamed("db"))); seen.Problem != "" || seen.Secrets[0].ResourceVersion != "" {
		t.Errorf("without the Secret: %+v", seen)
	}
	for name, want := range map[string]events.RolloutProblem{"forbidden": events.RolloutForbidden, "unauthorized": events.RolloutUnauthorized} {
		answers["/api/v1"+shop+"pods"] = record(t, name)
		if seen := r.Observe(t.Context(), plain("shop", secretNamed("db"))); seen.Problem != want {
			t.Errorf("%s: %q", name, seen.Problem)
		}
	}
}
