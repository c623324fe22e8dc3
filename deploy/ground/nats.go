package ground

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Cluster is where a cluster of NATS is.
type Cluster struct {
	URLs, LeafURLs []string
	Keys           string // folder with the seeds of its authority
}

// NATS starts a cluster of three as docs/how-to/production-nats.md says, on this machine's loopback.
func NATS(t *testing.T, ca, cert, key string) Cluster {
	t.Helper()
	dir := Folder(t)
	for name, text := range map[string]string{"ca.pem": ca, "tls.crt": cert, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	operator := filepath.Join(dir, "operator")
	at := map[string][]string{}
	for _, of := range []string{"client", "routes", "leaf", "monitor"} {
		for range 3 {
			at[of] = append(at[of], "127.0.0.1:"+freePort(t))
		}
	}
	out, err := exec.Command(filepath.Join(bin(t), "sb-server"), "nats", "init", operator, "--nodes", "nats-1,nats-2,nats-3", "--bind", "127.0.0.1",
		"--client", strings.Join(at["client"], ","), "--routes", strings.Join(at["routes"], ","), "--leaf", strings.Join(at["leaf"], ","), "--monitor", strings.Join(at["monitor"], ","),
		"--store", filepath.Join(dir, "{node}"),
		"--cert", filepath.Join(dir, "tls.crt"), "--key", filepath.Join(dir, "tls.key"), "--ca", filepath.Join(dir, "ca.pem")).CombinedOutput()
	if err != nil {
		t.Fatalf("nats init: %v\n%s", err, out)
	}
	c := Cluster{Keys: filepath.Join(operator, "keys")}
	logs := make([]Log, 3)
	for i := range logs {
		cmd := exec.Command(os.Getenv(natsIs), "-c", filepath.Join(operator, fmt.Sprintf("nats-%d.conf", i+1)))
		cmd.Stderr = &logs[i]
		Start(t, cmd)
		c.URLs = append(c.URLs, "tls://"+at["client"][i])
		c.LeafURLs = append(c.LeafURLs, "tls://"+at["leaf"][i])
	}
	for i := range logs { // none is ready alone
		Eventually(t, "NATS", &logs[i], Answers("http://"+at["monitor"][i]+"/healthz"))
	}
	return c
}

// Answers reports whether a URL answers 200.
func Answers(url string) func() bool {
	return func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
}
