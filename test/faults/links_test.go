package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// toxins are what is done to a link, in the words of toxiproxy.
var toxins = []toxin{
	{"slow", "latency", map[string]any{"latency": 800, "jitter": 400}},
	{"narrow", "bandwidth", map[string]any{"rate": 24}}, // KB/s
	{"torn", "slicer", map[string]any{"average_size": 64, "size_variation": 32, "delay": 200}},
	{"reset", "reset_peer", map[string]any{"timeout": 300}},
	{"silent", "timeout", map[string]any{"timeout": 0}},
}

type toxin struct {
	name, kind string
	attributes map[string]any
}

// badLinks makes the links of people and of the agent slow, narrow, torn, reset and silent, one
// after the other and both at once, while requests go through.
func badLinks(t *testing.T, w world) (string, error) {
	p := start(t)
	proxies := startProxies(t)
	server := strings.TrimPrefix(p.url, "https://")
	people := proxies.add(t, "people", server)
	identity := filepath.Join(p.dir, "agent", "identity.json")
	raw, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	var who struct {
		URLs []string `json:"leaf_urls"`
	}
	if err := json.Unmarshal(raw, &who); err != nil || len(who.URLs) != 1 {
		t.Fatalf("the agent's links: %v, %v", who.URLs, err)
	}
	agent := proxies.add(t, "agent", strings.TrimPrefix(who.URLs[0], "tls://"))
	if err := os.WriteFile(identity, bytes.Replace(raw, []byte(who.URLs[0]), []byte("tls://"+agent), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	killNine(p.agentPID()) // it comes back by the proxy
	if err := p.reach("https://" + people); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w.trials)*30*time.Second+3*time.Minute)
	defer cancel()
	var c caller = p
	if w.control {
		c = impatient{p}
	}
	var all []life
	for n := range w.trials {
		bad := toxins[n%len(toxins)]
		done := make(chan []life, 1)
		go func() { done <- lives(ctx, c, p.reveal, 8, 4) }()
		time.Sleep(100 * time.Millisecond)
		remove := proxies.poison(t, bad)
		time.Sleep(4 * time.Second)
		remove()
		all = append(all, <-done...)
		if w.control {
			if _, broken := judge(p, all); broken != nil {
				return "", broken
			}
		}
	}
	return judge(p, all)
}

// proxies is a toxiproxy.
type proxies struct {
	api   string
	names []string
}

func startProxies(t *testing.T) *proxies {
	t.Helper()
	tool(t, "links", "-o", filepath.Join(tools.dir, "toxiproxy"), "github.com/Shopify/toxiproxy/v2/cmd/server")
	addr := freeAddress(t)
	host, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(filepath.Join(tools.dir, "toxiproxy"), "-host", host, "-port", port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p := &proxies{api: "http://" + addr}
	if !within(t.Context(), 10*time.Second, func() bool { _, err := p.ask("GET", "/version", nil); return err == nil }) {
		t.Fatal("toxiproxy does not come up")
	}
	return p
}

// add makes a proxy and returns where it listens.
func (p *proxies) add(t *testing.T, name, upstream string) string {
	t.Helper()
	raw, err := p.ask("POST", "/proxies", map[string]any{"name": name, "listen": "127.0.0.1:0", "upstream": upstream, "enabled": true})
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Listen string }
	if err := json.Unmarshal(raw, &made); err != nil {
		t.Fatal(err)
	}
	p.names = append(p.names, name)
	return made.Listen
}

// poison does the same to both directions of all links, until it is removed.
func (p *proxies) poison(t *testing.T, bad toxin) (remove func()) {
	t.Helper()
	var added []string
	for _, name := range p.names {
		for _, stream := range []string{"upstream", "downstream"} {
			path := "/proxies/" + name + "/toxics"
			if _, err := p.ask("POST", path, map[string]any{"name": bad.name + stream, "type": bad.kind, "stream": stream, "attributes": bad.attributes}); err != nil {
				t.Fatal(err)
			}
			added = append(added, path+"/"+bad.name+stream)
		}
	}
	return func() {
		for _, path := range added {
			if _, err := p.ask("DELETE", path, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (p *proxies) ask(method, path string, body any) ([]byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(method, p.api+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, said)
	}
	return said, err
}
