package faults_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/web/api"
)

// leftOver is how many goroutines more than before a server may have after a flood: connections
// that are kept for the next call.
const leftOver = 200

// soak floods a server for so many seconds with wrong passwords, wrong tokens and people who do not
// read their answers, while requests go through. The control floods with calls that no limit counts.
func soak(t *testing.T, w world) (string, error) {
	ops := freeAddress(t)
	p := start(t, "SB_OPS_ADDR="+ops)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w.trials)*time.Second+4*time.Minute)
	defer cancel()
	calm := lives(ctx, p, p.reveal, 24, 4)
	before, err := gauges(ops)
	if err != nil {
		t.Fatal(err)
	}
	flooding, stop := context.WithTimeout(ctx, time.Duration(w.trials)*time.Second)
	defer stop()
	var limited, refused atomic.Int64
	var flood sync.WaitGroup
	for n := range 8 {
		flood.Go(func() {
			for i := 0; flooding.Err() == nil; i++ {
				var status int
				switch {
				case w.control:
					status, _ = p.call("developer", "GET", "/me", "", nil, nil)
				case n%2 == 0:
					status, _ = p.send("", "POST", "/sessions", "", api.SignIn{Email: fmt.Sprintf("nobody-%d@demo.local", i%50), Password: "wrong-password-of-nobody"}, nil)
				default:
					status, _ = p.send("sbs_"+fresh(), "GET", "/requests", "", nil, nil)
				}
				switch status {
				case http.StatusTooManyRequests:
					limited.Add(1)
				case http.StatusUnauthorized:
					refused.Add(1)
				}
			}
		})
	}
	for range 32 {
		flood.Go(func() { readNothing(flooding, p) })
	}
	var busy []life
	for flooding.Err() == nil {
		busy = append(busy, lives(ctx, p, p.reveal, 16, 4)...)
	}
	flood.Wait()
	seen, broken := judge(p, append(calm, busy...))
	if broken != nil {
		return "", broken
	}
	if limited.Load() == 0 {
		return "", fmt.Errorf("nobody was limited")
	}
	var after map[string]float64
	if !within(ctx, time.Minute, func() bool {
		after, err = gauges(ops)
		return err == nil && after["go_goroutines"] < before["go_goroutines"]+leftOver
	}) {
		return "", fmt.Errorf("%v goroutines before the flood and %v after it, %v", before["go_goroutines"], after["go_goroutines"], err)
	}
	return fmt.Sprintf("%d s: %d refused, %d limited; %s; %.0f MB and %.0f goroutines before, %.0f MB and %.0f after", w.trials, refused.Load(), limited.Load(), seen,
		before["process_resident_memory_bytes"]/1e6, before["go_goroutines"], after["process_resident_memory_bytes"]/1e6, after["go_goroutines"]), nil
}

// readNothing asks for something and leaves the answer where it is.
func readNothing(ctx context.Context, p *plant) {
	for ctx.Err() == nil {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(p.url, "https://"), p.http.Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Unfinished: ")
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
		_ = conn.Close()
	}
}

// gauges reads what a server tells of itself.
func gauges(ops string) (map[string]float64, error) {
	resp, err := http.Get("http://" + ops + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	all := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				all[name] = v
			}
		}
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if _, ok := all[name]; !ok {
			return nil, fmt.Errorf("the server does not tell %s", name)
		}
	}
	return all, nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
