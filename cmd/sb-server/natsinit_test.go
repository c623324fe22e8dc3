package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// natsRun is what an operator types after `sb-server nats`.
func natsRun(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	cmd := natsCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var said bytes.Buffer
	cmd.SetOut(&said)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return said.String(), err
}

func TestNATSInitFillsInTheNodes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nats")
	out, err := natsRun(t, "init", dir, "--nodes", "a,b,c", "--client", "{node}.example.org:4222", "--leaf", "10.0.0.1:7422,10.0.0.2:7422,10.0.0.3:7422",
		"--web", "{node}.example.org:443", "--leaf-cert", "/tls/public.pem", "--leaf-key", "/tls/public.key", "--monitor", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"SB_NATS_URL=tls://a.example.org:4222,tls://b.example.org:4222,tls://c.example.org:4222\n", "SB_NATS_REPLICAS=3\n",
		"SB_LEAF_URLS=tls://10.0.0.1:7422,tls://10.0.0.2:7422,tls://10.0.0.3:7422\n", "sb-server keys import " + filepath.Join(dir, "keys") + "\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "b.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for want, there := range map[string]bool{
		`cert_file: "/etc/nats/tls/b.pem"`: true, `cert_file: "/tls/public.pem"`: true, "websocket {": true, `listen: "0.0.0.0:443"`: true, "@c:6222": true, "http:": false,
	} {
		if strings.Contains(string(text), want) != there {
			t.Errorf("b.conf has %q: %v, want %v\n%s", want, !there, there, text)
		}
	}
	if out, err = natsRun(t, "init", dir); err == nil || !strings.Contains(err.Error(), "give another folder") || out != "" {
		t.Errorf("once more: %q, %v", out, err)
	}
	if out, err = natsRun(t, "creds", dir, "core", "--ttl", "1h"); err != nil || !strings.HasPrefix(out, "-----BEGIN NATS USER JWT-----") {
		t.Errorf("new credentials: %q, %v", out, err)
	}
}

func TestNATSInitRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"one each":             {"--client", "a:1,b:1"},
		"belong together":      {"--leaf-cert", "/tls/public.pem"},
		"a minute at least":    {"--creds-ttl", "1s"},
		"there are 2 nodes":    {"--nodes", "a,b"},
		"two nodes are called": {"--nodes", "a,b,a"},
		"write host:port":      {"--leaf", "a"},
		"which is client of":   {"--client", "same:4222"},
	} {
		dir := filepath.Join(t.TempDir(), "nats")
		if _, err := natsRun(t, append([]string{"init", dir}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%v: something is written", args)
		}
	}
	for want, args := range map[string][]string{
		"there is no tool":     {"creds", t.TempDir(), "root"},
		"the folder that nats": {"creds", filepath.Join(t.TempDir(), "none"), "core"},
		"--ttl is 1s: choose":  {"creds", t.TempDir(), "core", "--ttl", "1s"},
	} {
		if want == "there is no tool" || strings.HasPrefix(want, "--ttl") {
			if _, err := natsRun(t, "init", args[1]+"/made"); err != nil {
				t.Fatal(err)
			}
			args[1] += "/made"
		}
		if _, err := natsRun(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
