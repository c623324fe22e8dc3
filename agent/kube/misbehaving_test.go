package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"secretsbridge/agent"
	"secretsbridge/agent/kube"
	"secretsbridge/events"
	"secretsbridge/internal/endpoint"
	"secretsbridge/test/kubefake"
)

func TestAServerThatMisbehaves(t *testing.T) {
	const podList = "/api/v1/namespaces/shop/pods"
	onPods := func(f http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == podList {
				f(w, r)
				return true
			}
			return false
		}
	}
	says := func(code int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	const js = "application/json"
	for name, c := range map[string]struct {
		fault http.HandlerFunc
		want  events.RolloutProblem
	}{
		"401":                        {says(401, js, `{"kind":"Status","code":401}`), events.RolloutUnauthorized},
		"403":                        {says(403, js, `{"kind":"Status","code":403,"message":"`+kubefake.Canary+`"}`), events.RolloutForbidden},
		"404":                        {says(404, js, `{"kind":"Status","code":404}`), events.RolloutNotFound},
		"429":                        {says(429, js, `{}`), events.RolloutUnreachable},
		"500":                        {says(500, js, `{}`), events.RolloutUnreachable},
		"503 of a proxy":             {says(503, "text/html", `<html>`+kubefake.Canary), events.RolloutUnreachable},
		"a page of HTML":             {says(200, "text/html", `<html>`+kubefake.Canary), events.RolloutMalformed},
		"HTML that is called JSON":   {says(200, js, `<html>`+kubefake.Canary), events.RolloutMalformed},
		"an empty answer":            {says(200, js, ``), events.RolloutUnreachable},
		"half an answer":             {says(200, js, `{"kind":"PodList","items":[{"metadata":{"name":"a"`), events.RolloutUnreachable},
		"another object":             {says(200, js, `{"kind":"Pod","metadata":{"name":"a"}}`), events.RolloutMalformed},
		"a list that is none":        {says(200, js, `{"items":"`+kubefake.Canary+`"}`), events.RolloutMalformed},
		"a pod that is none":         {says(200, js, `{"items":[{"metadata":{"name":["`+kubefake.Canary+`"]}}]}`), events.RolloutMalformed},
		"a time that is none":        {says(200, js, `{"items":[{"metadata":{"creationTimestamp":"`+kubefake.Canary+`"}}]}`), events.RolloutMalformed},
		"a continue that never ends": {says(200, js, `{"metadata":{"continue":"x"},"items":[`+strings.Repeat(`{},`, 999)+`{}]}`), events.RolloutTooLarge},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/api/v1/namespaces/bank/secrets", 302)
		}, events.RolloutMalformed},
		"an answer that is too long": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", js)
			_, _ = io.WriteString(w, `{"items":[{"spec":"`)
			for range 17 << 4 {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		}, events.RolloutTooLarge},
		"no Date": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = nil
			says(200, js, `{"items":[]}`)(w, nil)
		}, events.RolloutMalformed},
		"a snapshot that is always gone": {func(w http.ResponseWriter, r *http.Request) {
			says(410, js, `{"kind":"Status","reason":"Expired","code":410}`)(w, r)
		}, events.RolloutUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "shop")
			r.shop()
			r.Fault(onPods(c.fault))
			if seen := r.see(t, plain("shop")); seen.Problem != c.want {
				t.Errorf("problem %q, want %q: %s", seen.Problem, c.want, r.State().Cause)
			}
			r.Fault(nil)
			if seen := r.see(t, plain("shop")); seen.Problem != "" || r.State().Cause != "" {
				t.Errorf("afterwards: %q", seen.Problem)
			}
		})
	}
}

func TestAListThatExpiresIsBegunAnew(t *testing.T) {
	r := newRig(t, "shop")
	r.Put(kubefake.ExternalSecret("v1", "shop", "db", "db", "secret/shop/db", true, noon))
	for i := range 300 {
		r.Put(kubefake.Pod("shop", fmt.Sprintf("p-%03d", i), "ReplicaSet", "api-1", kubefake.PodSpec("db"), noon))
	}
	expired := false
	r.Fault(func(w http.ResponseWriter, q *http.Request) bool {
		if expired || !q.URL.Query().Has("continue") {
			return false
		}
		expired = true
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusGone)
		_, _ = io.WriteString(w, `{"kind":"Status","reason":"Expired","code":410}`)
		return true
	})
	seen := r.see(t, plain("shop"))
	if !expired || len(seen.Workloads) != 1 || len(seen.Workloads[0].Pods) != 300 {
		t.Errorf("problem %q, %d workloads", seen.Problem, len(seen.Workloads))
	}
}

func TestAServerThatNeverAnswers(t *testing.T) {
	r := newRig(t, "shop")
	held := make(chan struct{})
	var once atomic.Bool
	r.Fault(func(_ http.ResponseWriter, q *http.Request) bool {
		if once.CompareAndSwap(false, true) {
			close(held)
		}
		<-q.Context().Done()
		return true
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-held; cancel() }() // as the end of the ticket does
	if seen := r.Observe(ctx, plain("shop")); seen.Problem != events.RolloutUnreachable || seen.At.IsZero() {
		t.Errorf("seen %+v", seen)
	}
}

func TestNobodyElseIsTakenForTheServer(t *testing.T) {
	r := newRig(t, "shop")
	r.shop()
	other := kubefake.New(t) // same names, another key: what is in between
	server, _ := url.Parse(other.URL)
	trust, err := endpoint.Trust("")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := kube.New(kube.Config{Server: server, Trust: trust, Token: func() (string, error) { return r.Token, nil }, Namespaces: []string{"shop"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if seen := stranger.Observe(t.Context(), plain("shop")); seen.Problem != events.RolloutUntrusted {
		t.Errorf("problem %q", seen.Problem)
	}
	if len(other.Requests()) != 0 {
		t.Error("it got a request")
	}
}

func TestNothingIsAskedOutsideTheAllowedNamespaces(t *testing.T) {
	for name, c := range map[string]struct {
		allowed []string
		look    agent.Look
		want    events.RolloutProblem
	}{
		"nothing is allowed":           {nil, plain("shop"), events.RolloutForbidden},
		"another namespace":            {[]string{"shop"}, plain("bank"), events.RolloutForbidden},
		"a namespace that climbs":      {[]string{"shop"}, plain("../bank"), events.RolloutForbidden},
		"a namespace that holds one":   {[]string{"shop"}, plain("shop/../bank"), events.RolloutForbidden},
		"no namespace":                 {[]string{"shop"}, plain(""), events.RolloutForbidden},
		"a Secret that climbs":         {[]string{"shop"}, plain("shop", secretNamed("shop/../../bank/secrets/db")), events.RolloutNotFound},
		"a Secret of another one":      {[]string{"shop"}, plain("shop", secretNamed("bank/db")), events.RolloutNotMapped},
		"a Kustomization that climbs":  {[]string{"flux-system"}, flux("Kustomization", "../../bank"), events.RolloutNotFound},
		"a HelmRelease with a query":   {[]string{"flux-system"}, flux("HelmRelease", "x?watch=true"), events.RolloutNotFound},
		"a namespace in capitals":      {[]string{"shop"}, plain("SHOP"), events.RolloutForbidden},
		"a Secret that is all of them": {[]string{"shop"}, plain("shop", secretNamed("shop/")), events.RolloutNotMapped},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.allowed...)
			r.Put(kubefake.Secret("bank", "db"))
			if seen := r.see(t, c.look); seen.Problem != c.want {
				t.Errorf("problem %q, want %q", seen.Problem, c.want)
			}
			for _, q := range r.Requests() {
				if strings.Contains(q.Path, "bank") || strings.Contains(q.Path, "..") {
					t.Errorf("%s was asked for", q.Path)
				}
			}
		})
	}
}

func TestARoleThatIsMissingIsSaid(t *testing.T) {
	for _, path := range []string{"/api/v1/namespaces/shop/pods", "/apis/apps/v1/namespaces/shop/deployments", "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts", "/apis/external-secrets.io/v1/namespaces/shop/externalsecrets"} {
		r := newRig(t, "shop")
		r.shop()
		r.Deny(path)
		if seen := r.see(t, plain("shop")); seen.Problem != events.RolloutForbidden || !strings.Contains(r.State().Cause, path) {
			t.Errorf("%s: %q, %s", path, seen.Problem, r.State().Cause)
		}
	}
	r := newRig(t, "shop")
	r.shop()
	r.Deny("/api/v1/namespaces/shop/secrets")
	if seen := r.see(t, plain("shop")); seen.Problem != "" {
		t.Errorf("with ExternalSecrets no role for Secrets is needed: %q", seen.Problem)
	}
	if seen := r.see(t, plain("shop", secretNamed("other"))); seen.Problem != events.RolloutForbidden {
		t.Errorf("without one it is: %q", seen.Problem)
	}
}

func TestATokenThatIsReplacedOnDiskIsRead(t *testing.T) {
	r := newRig(t, "shop")
	r.shop()
	if seen := r.see(t, plain("shop")); seen.Problem != "" {
		t.Fatal(seen.Problem)
	}
	r.Token = "token-of-the-next-hour"
	if seen := r.see(t, plain("shop")); seen.Problem != "" {
		t.Errorf("problem %q", seen.Problem)
	}
	server, _ := url.Parse(r.URL)
	trust, _ := endpoint.Trust("")
	broken, err := kube.New(kube.Config{Server: server, Trust: trust, Token: func() (string, error) { return "", errors.New("no such file") }, Namespaces: []string{"shop"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if seen := broken.Observe(t.Context(), plain("shop")); seen.Problem != events.RolloutUnauthorized {
		t.Errorf("problem %q", seen.Problem)
	}
}

// TestAProblemIsLoggedOnce: a look comes each 15 seconds.
func TestAProblemIsLoggedOnce(t *testing.T) {
	r := newRig(t, "shop")
	r.shop()
	r.Deny("/api/v1/namespaces/shop/pods")
	for range 5 {
		r.see(t, plain("shop"))
	}
	if n := strings.Count(r.log.String(), "cannot be looked at"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
}

// TestMemoryIsThatOfPodsNotOfPages: 5,000 pods of some 12 KB each are 60 MB on the wire.
func TestMemoryIsThatOfPodsNotOfPages(t *testing.T) {
	r := newRig(t, "shop")
	r.Put(kubefake.ExternalSecret("v1", "shop", "db", "db", "secret/shop/db", true, noon))
	padding := strings.Repeat(`{"name":"PADDING","value":"`+kubefake.Canary+strings.Repeat("x", 1000)+`"},`, 11)
	var peak, served uint64
	r.Fault(func(w http.ResponseWriter, q *http.Request) bool {
		if q.URL.Path != "/api/v1/namespaces/shop/pods" {
			return false
		}
		from := 0
		_, _ = fmt.Sscan(q.URL.Query().Get("continue"), &from)
		next := ""
		if from+250 < events.MaxObservedPods {
			next = fmt.Sprint(from + 250)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"kind":"PodList","metadata":{"continue":%q},"items":[`, next)
		for i := range 250 {
			if i > 0 {
				_, _ = io.WriteString(w, ",")
			}
			pod := kubefake.Pod("shop", fmt.Sprintf("api-7d9f8b6c5d-%05d", from+i), "ReplicaSet", "api-7d9f8b6c5d", strings.Replace(kubefake.PodSpec("db"), `"env":[`, `"env":[`+padding, 1), noon)
			n, _ := io.WriteString(w, pod)
			served += uint64(n)
		}
		_, _ = io.WriteString(w, `]}`)
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
		return true
	})
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	seen := r.see(t, plain("shop"))
	if len(seen.Workloads) != 1 || len(seen.Workloads[0].Pods) != events.MaxObservedPods {
		t.Fatalf("problem %q, %d workloads: %s", seen.Problem, len(seen.Workloads), r.State().Cause)
	}
	if grown := int64(peak) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d KiB more are in use, of %d MiB that were read", grown>>10, served>>20)
	}
	encoded, err := json.Marshal(seen)
	if err != nil || len(encoded) > 900<<10 {
		t.Errorf("it takes %d bytes, %v", len(encoded), err)
	}
}
