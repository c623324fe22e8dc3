package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/vault"
	"secretsbridge/events"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadConfig(t *testing.T) {
	path := write(t, `
slots: 2
lease: 12s
socket: run/agent.sock
connections:
  file:
    provider: file
    dir: secrets
    identity_file: /etc/sb/age.key
    allow: [prod, stage/db]
  vault-1:
    provider: vault
    address: https://vault.internal:8200
    ca_cert_file: ca.pem
    allow: [secret/prod, team]
    auth:
      method: approle
      role_id: r
      secret_id_file: secret-id
`)
	s, err := loadConfig(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if s.slots != 2 || s.lease.Seconds() != 12 || s.socket != filepath.Join(filepath.Dir(path), "run/agent.sock") {
		t.Errorf("settings %+v", s)
	}
	kinds := map[events.ConnectionID]events.ProviderKind{}
	for name, c := range s.connections {
		kinds[name] = c.Kind
	}
	want := map[events.ConnectionID]events.ProviderKind{"file": events.ProviderFile, "vault-1": events.ProviderVault}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
}

func TestLoadConfigRefuses(t *testing.T) {
	const good = "connections:\n  file:\n    provider: file\n    dir: d\n    identity_file: i\n    allow: [a]\n"
	for name, c := range map[string]struct{ text, want string }{
		"no connections":         {"slots: 1\n", "names no connection"},
		"an unknown field":       {good + "slotz: 3\n", `[7:1] unknown field "slotz"`},
		"an unknown field below": {strings.Replace(good, "dir: d", "dirr: d", 1), `[4:5] unknown field "dirr"`},
		"a field of another":     {good + "    address: https://v\n", `[7:5] unknown field "address"`},
		"a key twice":            {good + "slots: 1\nslots: 2\n", "[8:1]"},
		"no YAML":                {"connections: [", "[1:14]"},
		"too many slots":         {good + "slots: 99\n", "slots must be 1 to 12"},
		"a short lease":          {good + "lease: 3ms\n", "at least one second"},
		"a bad name":             {strings.Replace(good, "  file:", "  File:", 1), `connection "File"`},
		"no provider":            {"connections:\n  a:\n    allow: [x]\n", "the provider is missing"},
		"an unknown provider":    {"connections:\n  a:\n    provider: aws\n", `"aws" is none of`},
		"no allow-list":          {strings.Replace(good, "    allow: [a]\n", "", 1), "allow is missing"},
		"a bad allow-list":       {strings.Replace(good, "[a]", "[a, ../b]", 1), "allow-list entry 2"},
		"no directory":           {strings.Replace(good, "    dir: d\n", "", 1), "dir and identity_file are needed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(write(t, c.text), slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want it to contain %q, on one line", err, c.want)
			}
		})
	}
	path := write(t, good)
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("a file that others may write: %v", err)
	}
}

// TestHowToSignInToVault opens each connection, which checks it and asks nobody.
func TestHowToSignInToVault(t *testing.T) {
	load := func(lines string) error {
		path := write(t, "connections:\n  v:\n    provider: vault\n    address: https://vault.internal\n    allow: [secret/prod]\n"+lines)
		s, err := loadConfig(path, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		p, err := s.connections["v"].Open()
		if err == nil {
			err = p.Close()
		}
		return err
	}
	for lines, want := range map[string]string{
		"    auth: {method: kubernetes, kubernetes_role: agent}\n":                                                              "",
		"    auth: {method: kubernetes, kubernetes_role: agent, kubernetes_mount: k8s/eu, service_account_token_file: token}\n": "",
		"    auth: {method: jwt, jwt_role: agent, jwt_file: token, jwt_mount: ci}\n    requests_per_second: 20\n":               "",
		"    auth: {method: kubernetes}\n":                                                            "needs a role",
		"    auth: {method: jwt, jwt_role: agent}\n":                                                  "needs a role and a file",
		"    auth: {method: kubernetes, kubernetes_role: agent, token_file: t}\n":                     "no setting of the method token",
		"    auth: {method: approle, role_id: r, secret_id_file: s, service_account_token_file: t}\n": "no setting of the method kubernetes",
		"    auth: {method: token, token_file: t, jwt_mount: m}\n":                                    "no setting of the method jwt",
		"    auth: {method: kubernetes, kubernetes_role: agent}\n    requests_per_second: -1\n":       "negative",
		"    auth: {method: kubernetes, kubernetes_role: agent, jwt: x}\n":                            "unknown field",
	} {
		err := load(lines)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s%v, want %q", lines, err, want)
		}
	}
	file := vaultAuth{Method: vault.MethodKubernetes, KubernetesRole: "r", KubernetesMount: "m", ServiceAccountTokenFile: "t"}.from("/etc/sb")
	if want := (vault.Auth{Method: vault.MethodKubernetes, KubernetesRole: "r", KubernetesMount: "m", ServiceAccountTokenFile: "/etc/sb/t"}); file != want {
		t.Errorf("from the file: %+v, want %+v", file, want)
	}
	file = vaultAuth{Method: vault.MethodJWT, JWTRole: "r", JWTMount: "m", JWTFile: "t"}.from("/etc/sb")
	if want := (vault.Auth{Method: vault.MethodJWT, JWTRole: "r", JWTMount: "m", JWTFile: "/etc/sb/t"}); file != want {
		t.Errorf("from the file: %+v, want %+v", file, want)
	}
}

func TestMountsFollowFromTheAllowList(t *testing.T) {
	allows := func(entries ...string) agent.AllowList {
		list, err := agent.ParseAllowList(entries...)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	for _, c := range []struct {
		name          string
		mounts, allow []string
		want          []vault.Mount
		err           string
	}{
		{"named by the entries", nil, []string{"secret/prod", "secret/stage", "team"},
			[]vault.Mount{{Path: "secret", Allow: allows("prod", "stage")}, {Path: "team", Allow: allows("*")}}, ""},
		{"a mount with slashes", []string{"team/kv"}, []string{"team/kv/prod"}, []vault.Mount{{Path: "team/kv", Allow: allows("prod")}}, ""},
		{"everything of the mounts", []string{"a", "b"}, []string{"*"}, []vault.Mount{{Path: "a", Allow: allows("*")}, {Path: "b", Allow: allows("*")}}, ""},
		{"everything of nothing", nil, []string{"*"}, nil, "needs the mounts"},
		{"the beginnings of names", nil, []string{"secret/prod-*", "team/*"},
			[]vault.Mount{{Path: "secret", Allow: allows("prod-*")}, {Path: "team", Allow: allows("*")}}, ""},
		{"the beginning of a mount", nil, []string{"secret/a", "sec*"}, nil, "entry 2: a mount is named in full"},
		{"the beginning of a named mount", []string{"secret"}, []string{"sec*"}, nil, "entry 1: a mount is named in full"},
		{"outside the mounts", []string{"a"}, []string{"a/x", "b/x"}, nil, "entry 2 lies in none"},
		{"a mount that begins alike", []string{"a"}, []string{"ab/x"}, nil, "entry 1 lies in none"},
		{"nothing", []string{"a"}, nil, nil, "allow is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseMounts(c.mounts, c.allow)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			same := cmp.Comparer(func(a, b agent.AllowList) bool {
				return cmp.Equal(a, b, cmp.AllowUnexported(agent.AllowList{}, agent.Ref{}))
			})
			if diff := cmp.Diff(c.want, got, same); diff != "" {
				t.Errorf("mounts (-want +got):\n%s", diff)
			}
		})
	}
}
