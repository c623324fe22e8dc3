package argocd_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"secretsbridge/gitops"
	"secretsbridge/internal/egress"
)

// How the worker looks: 1,000 applications each 15 s, so many of them at the same time.
const (
	watched   = 1000
	lookers   = 16
	period    = 15 * time.Second
	treeNodes = 36 // of the recorded tree, at least
)

// BenchmarkWatch1000 looks at 1,000 applications once, each as the recorded one and under a name of its
// own, when all manifests are known: 3 GETs each, over TLS on loopback, server included. The ratio
// is to the same GETs without reading what they say.
func BenchmarkWatch1000(b *testing.B) {
	answers := map[string]exchange{}
	for _, e := range recording(b, "recorded/progressing") {
		answers[asked(b, e.Request)] = e
	}
	if nodes := bytes.Count(answers["/api/v1/applications/shop/resource-tree?"].Body, []byte(`"createdAt"`)); nodes < treeNodes {
		b.Fatalf("a tree has %d nodes", nodes)
	}
	var gets, sent atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part := strings.SplitN(r.URL.Path, "/", 6) // /api/v1/applications/NAME[/REST]
		name := part[4]
		part[4] = "shop"
		e, known := answers[strings.Join(part, "/")+"?"+r.URL.Query().Encode()]
		if !known {
			b.Errorf("%s was not recorded", r.URL)
			return
		}
		body := bytes.Replace(e.Body, []byte(`"name":"shop"`), []byte(`"name":"`+name+`"`), 1)
		w.Header().Set("Content-Type", e.ContentType)
		w.Header().Set("Date", e.Date)
		_, _ = w.Write(body)
		gets.Add(1)
		sent.Add(int64(len(body)))
	}))
	defer server.Close()
	argo := &argo{Server: server}
	r := newRig(b, argo.settings())

	everyone := func(do func(name string) error) time.Duration {
		names := make(chan string)
		var wait sync.WaitGroup
		begun := time.Now()
		for range lookers {
			wait.Go(func() {
				for name := range names {
					if err := do(name); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for i := range watched {
			names <- fmt.Sprintf("shop-%03d", i)
		}
		close(names)
		wait.Wait()
		return time.Since(begun)
	}
	look := func(name string) error {
		if o := r.Observe(b.Context(), "argo", []gitops.Look{vault(name, "")})[0]; o.Problem != "" || len(o.Workloads) != 6 {
			return fmt.Errorf("%s: %d workloads, problem %q: %s", name, len(o.Workloads), o.Problem, r.logged)
		}
		return nil
	}
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	raw := egress.Client(egress.Policy{Allow: loopback, CA: pool, MaxBody: 16 << 20, Idle: 64})
	get := func(name string) error {
		for _, rest := range []string{"", "/resource-tree", "/resource?group=external-secrets.io&kind=ExternalSecret&namespace=shop&resourceName=db&version=v1"} {
			res, err := raw.Get(server.URL + "/api/v1/applications/" + name + rest)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if err != nil {
				return err
			}
		}
		return nil
	}
	everyone(look) // learns the manifests
	b.Logf("the first look makes %d GETs", gets.Load())
	everyone(get)

	var looks, baseline time.Duration
	gets.Store(0)
	sent.Store(0)
	before := processorTime(b)
	for b.Loop() {
		runtime.GC()
		looks += everyone(look)
	}
	b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "cpu-s/period") // of the server, too
	b.ReportMetric(float64(gets.Load())/float64(b.N), "GETs")
	b.ReportMetric(float64(sent.Load())/float64(b.N)/1e6, "MB")
	for range b.N {
		runtime.GC()
		baseline += everyone(get)
	}
	b.ReportMetric(looks.Seconds()/float64(b.N), "s/period")
	b.ReportMetric(looks.Seconds()/float64(b.N)/period.Seconds(), "of-15-s")
	b.ReportMetric(looks.Seconds()/baseline.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// processorTime is what this process has used, which other work on the machine changes little.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
