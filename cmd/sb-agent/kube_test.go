package main

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/kube"
	"secretsbridge/events"
	"secretsbridge/test/kubefake"
)

func getenv(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func putFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// looks reports whether a reader sees what the cluster shows.
func looks(t *testing.T, r *kube.Reader) events.RolloutProblem {
	t.Helper()
	return r.Observe(t.Context(), agent.Look{
		Kind: events.IntegrationKubernetes, Target: events.RolloutTarget{Kind: "Namespace", Name: "shop"}, Provider: events.ProviderVault, Ref: "secret/shop/db",
	}).Problem
}

func fakeCluster(t *testing.T) *kubefake.Cluster {
	c := kubefake.New(t)
	c.Put(kubefake.ExternalSecret("v1", "shop", "db", "db", "shop/db", true, time.Now()))
	return c
}

func TestAPodReadsItsClusterAndATokenThatChanges(t *testing.T) {
	c := fakeCluster(t)
	mount := t.TempDir()
	putFile(t, mount, "ca.crt", string(c.CA))
	putFile(t, mount, "token", c.Token+"\n")
	at, _ := url.Parse(c.URL)
	var log bytes.Buffer
	r, err := kubeReader(getenv("SB_AGENT_KUBE", "in-cluster", "SB_AGENT_KUBE_NAMESPACES", "shop, bank",
		"KUBERNETES_SERVICE_HOST", at.Hostname(), "KUBERNETES_SERVICE_PORT", at.Port()), mount, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if got := looks(t, r); got != "" {
		t.Fatalf("problem %q: %s", got, r.State().Cause)
	}
	c.Token = "the-next-token"
	if got := looks(t, r); got != events.RolloutUnauthorized {
		t.Errorf("a token that ended: %q", got)
	}
	putFile(t, mount, "token", c.Token)
	if got := looks(t, r); got != "" {
		t.Errorf("the next one: %q", got)
	}
	if line := kubeLine(r.State()); !strings.Contains(line, "namespaces bank, shop; looked at ") || strings.Contains(line, c.Token) {
		t.Errorf("status says %q", line)
	}
	if strings.Contains(log.String(), c.Token) || strings.Contains(log.String(), "token-of-the-agent") {
		t.Errorf("the log says %s", log.String())
	}
}

func kubeconfigText(c *kubefake.Cluster, cluster, user string) string {
	return `apiVersion: v1
kind: Config
current-context: here
contexts:
- name: here
  context: {cluster: c, user: u}
- name: elsewhere
  context: {cluster: d, user: v}
clusters:
- name: c
  cluster:
    server: ` + c.URL + `
    certificate-authority-data: ` + base64.StdEncoding.EncodeToString(c.CA) + cluster + `
users:
- name: u
  user: ` + user + `
`
}

func TestAKubeconfigIsRead(t *testing.T) {
	c := fakeCluster(t)
	dir := t.TempDir()
	putFile(t, dir, "token", c.Token)
	for name, user := range map[string]string{"a token": "{token: " + c.Token + "}", "the file of one": "{tokenFile: token}"} {
		path := putFile(t, dir, "config", kubeconfigText(c, "", user))
		r, err := kubeReader(getenv("SB_AGENT_KUBE", "kubeconfig", "SB_AGENT_KUBECONFIG", path, "SB_AGENT_KUBE_NAMESPACES", "shop"), "", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := looks(t, r); got != "" {
			t.Errorf("%s: %q, %s", name, got, r.State().Cause)
		}
	}
}

func TestSettingsOfTheClusterThatAreRefused(t *testing.T) {
	c := kubefake.New(t)
	dir := t.TempDir()
	const secret = "hush-5b1e"
	file := func(cluster, user string) []string {
		path := putFile(t, t.TempDir(), "config", kubeconfigText(c, cluster, user))
		return []string{"SB_AGENT_KUBE", "kubeconfig", "SB_AGENT_KUBECONFIG", path, "SB_AGENT_KUBE_NAMESPACES", "shop"}
	}
	open := putFile(t, dir, "open", kubeconfigText(c, "", "{token: "+secret+"}"))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	broken := putFile(t, dir, "broken", "users: ["+secret)
	for name, c := range map[string]struct {
		env  []string
		says string
	}{
		"another mode":             {[]string{"SB_AGENT_KUBE", "yes"}, "none of off, in-cluster, kubeconfig"},
		"namespaces without it":    {[]string{"SB_AGENT_KUBE_NAMESPACES", "shop"}, "SB_AGENT_KUBE is off"},
		"a file without it":        {[]string{"SB_AGENT_KUBECONFIG", "x"}, "is not kubeconfig"},
		"no file":                  {[]string{"SB_AGENT_KUBE", "kubeconfig", "SB_AGENT_KUBE_NAMESPACES", "shop"}, "SB_AGENT_KUBECONFIG is missing"},
		"no pod":                   {[]string{"SB_AGENT_KUBE", "in-cluster", "SB_AGENT_KUBE_NAMESPACES", "shop"}, "this is no pod"},
		"a pod without an account": {[]string{"SB_AGENT_KUBE", "in-cluster", "KUBERNETES_SERVICE_HOST", "h", "KUBERNETES_SERVICE_PORT", "1"}, "automountServiceAccountToken"},
		"no namespaces":            {file("", "{token: t}")[:4], "list the namespaces"},
		"all namespaces":           {append(file("", "{token: t}")[:4], "SB_AGENT_KUBE_NAMESPACES", "*"), "no name of a namespace"},
		"a program":                {file("", "{exec: {command: aws, args: ["+secret+"]}}"), "an agent starts no programs"},
		"a plugin":                 {file("", "{auth-provider: {name: "+secret+"}}"), "an agent starts no programs"},
		"a password":               {file("", "{username: a, password: "+secret+"}"), "username and as are not taken"},
		"nobody":                   {file("", "{}"), "no token, tokenFile or client-certificate"},
		"a token of two lines":     {file("", `{token: "`+secret+`\nX: y"}`), "no token"},
		"a certificate that is none": {file("", "{client-certificate-data: "+base64.StdEncoding.EncodeToString([]byte(secret))+", client-key-data: "+base64.StdEncoding.EncodeToString([]byte(secret))+"}"),
			"are no pair"},
		"a certificate without a key": {file("", "{client-certificate-data: aGk=}"), "client-key: it is missing"},
		"no check of the server":      {file("\n    insecure-skip-tls-verify: true", "{token: t}"), "insecure-skip-tls-verify is not taken"},
		"a proxy":                     {file("\n    proxy-url: http://"+secret+"@p", "{token: t}"), "proxy-url is not taken"},
		"a file that others may read": {[]string{"SB_AGENT_KUBE", "kubeconfig", "SB_AGENT_KUBECONFIG", open, "SB_AGENT_KUBE_NAMESPACES", "shop"}, "chmod 600"},
		"a file that is none":         {[]string{"SB_AGENT_KUBE", "kubeconfig", "SB_AGENT_KUBECONFIG", broken, "SB_AGENT_KUBE_NAMESPACES", "shop"}, "not a kubeconfig"},
	} {
		_, err := kubeReader(getenv(c.env...), dir, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, err := kubeReader(getenv("SB_AGENT_KUBE", "off"), dir, slog.New(slog.DiscardHandler)); r != nil || err != nil {
		t.Errorf("off: %v, %v", r, err)
	}
}
