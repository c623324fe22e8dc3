package production

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ClusterName is the cluster of the rig's agents, and Secret what they serve: one key, "password".
const (
	ClusterName = "one"
	Secret      = "file/prod/db/password"
	SecretValue = "the-value-of-the-rig"
)

// startAgents enrols agents that serve one folder of secrets together.
func (r *Rig) startAgents(t testing.TB) {
	if r.options.Agents < 0 {
		return
	}
	r.SB(t, "admin", "connection", "create", "file", "--cluster", ClusterName, "--provider", "file")
	fingerprints := r.path("fingerprint.key")
	if err := os.WriteFile(fingerprints, []byte(r.run(t, nil, "", "sb-agent", "fingerprint-key")), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("fingerprint_key_file: %q\nconnections:\n  file:\n    provider: file\n    dir: %q\n    identity_file: %q\n    allow: [prod]\n",
		fingerprints, r.path("secrets"), r.path("secrets.key"))
	if err := os.WriteFile(r.path("agent.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(t, nil, fmt.Sprintf(`{"password":%q}`, SecretValue), "sb-agent", "put", "--config", r.path("agent.yaml"), Secret)
	for i := range r.options.Agents {
		r.AddAgent(t, fmt.Sprint("agent-", i))
	}
}

// AddAgent enrols one more agent of the cluster, and starts it.
func (r *Rig) AddAgent(t testing.TB, name string) *Process {
	t.Helper()
	dir := r.path(name)
	token := r.SB(t, "admin", "agent", "invite", name, "--cluster", ClusterName)
	r.run(t, nil, strings.TrimSpace(token), "sb-agent", "enrol", "--server", r.URLs[0], "--ca", r.CA, "--token-file", "-", "--dir", dir)
	p := &Process{
		Name: name, Env: r.options.Own[name], enter: r.enter(t, name), Path: filepath.Join(r.Bin, "sb-agent"), Args: []string{"run", "--dir", dir, "--config", r.path("agent.yaml")},
		Ready: func() bool { return r.LinkOf(name) == "up" },
	}
	// SIGTERM has it finish the job in hand; endWith kills what is left.
	p.endWith(t)
	t.Cleanup(func() { p.Signal(t, syscall.SIGTERM) })
	p.Start(t)
	r.Agents = append(r.Agents, p)
	return p
}

// LinkOf is how an agent's link stands: "up", "down" or "refused"; "" if it does not run.
func (r *Rig) LinkOf(name string) string {
	said, err := r.try(nil, "", "sb-agent", "status", "--dir", r.path(name), "--output", "json")
	var status struct{ Link string }
	if err != nil || json.Unmarshal([]byte(said), &status) != nil {
		return ""
	}
	return status.Link
}

// AgentID is the id that an agent was enrolled under.
func (r *Rig) AgentID(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile(r.path(name, "identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var identity struct{ Agent string }
	if err := json.Unmarshal(raw, &identity); err != nil {
		t.Fatal(err)
	}
	return identity.Agent
}
