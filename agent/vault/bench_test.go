package vault_test

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// BenchmarkList lists 10,000 secrets of a real Vault, and in the same run reads the
// metadata of as many with Vault's client library alone, eight at a time. It reports both
// a second, and how much of the library's speed the list has.
func BenchmarkList(b *testing.B) {
	const secrets = 10_000
	l := newLab(b)
	for _, folders := range []int{1, 100} {
		b.Run(fmt.Sprintf("folders=%d", folders), func(b *testing.B) {
			mount := fmt.Sprintf("bench%d", folders)
			l.mount(b, mount)
			var paths []string
			for i := range secrets {
				paths = append(paths, fmt.Sprintf("team-%02d/service-%05d", i%folders, i))
			}
			l.each(b, paths, func(path string) error {
				_, err := l.root.Logical().WriteWithContext(b.Context(), mount+"/data/"+path, map[string]any{"data": map[string]any{"k": "v"}})
				return err
			})
			cfg := l.config(b, l.server.RootToken)
			cfg.Mounts[0].Path, cfg.RequestsPerSecond = mount, 1e6
			p := open(b, cfg)
			raw := l.pooled(b)
			var alone time.Duration
			for b.Loop() {
				n := 0
				for page, err := range p.List(b.Context(), "") {
					if err != nil {
						b.Fatal(err)
					}
					n += len(page.Secrets)
				}
				if n != secrets {
					b.Fatalf("%d secrets are listed", n)
				}
				b.StopTimer()
				began := time.Now()
				l.each(b, paths, func(path string) error {
					res, err := raw.Logical().ReadRawWithContext(b.Context(), mount+"/metadata/"+path)
					if err != nil {
						return err
					}
					defer res.Body.Close()
					_, err = io.Copy(io.Discard, res.Body)
					return err
				})
				alone += time.Since(began)
				b.StartTimer()
			}
			list := secrets * float64(b.N) / b.Elapsed().Seconds()
			reads := secrets * float64(b.N) / alone.Seconds()
			b.ReportMetric(list, "secrets/s")
			b.ReportMetric(reads, "reads/s")
			b.ReportMetric(list/reads, "ratio")
		})
	}
}

// pooled is a client of the library that keeps eight connections.
func (l lab) pooled(t testing.TB) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{
		Address: l.server.Address, HttpClient: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, MaxConnsPerHost: 8, DisableCompression: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	client.SetToken(l.server.RootToken)
	return client
}

// each does something with all paths, eight at a time.
func (l lab) each(t testing.TB, paths []string, do func(path string) error) {
	next := make(chan string)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for path := range next {
				if err := do(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, path := range paths {
		next <- path
	}
	close(next)
	wg.Wait()
}
