package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
)

// demoAgent is the name of the agent that `sb-server dev` runs beside itself.
const demoAgent = "demo"

// demoAgentProcess is sb-agent as its own process, over the real leaf link.
type demoAgentProcess struct {
	settings settings
	binary   string
	dir      string
	vault    *demoVault
}

// demoVault is the Vault at VAULT_ADDR, which the agent serves as well.
type demoVault struct {
	address, token, cacert string
	fill                   bool // SB_DEMO_FILL_VAULT: it is ours to put demo secrets into
}

func vaultFromEnvironment() (*demoVault, error) {
	address, token := os.Getenv("VAULT_ADDR"), os.Getenv("VAULT_TOKEN")
	if address == "" {
		return nil, nil
	}
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("VAULT_ADDR is %q: write a URL such as http://127.0.0.1:8200, or unset it", address)
	}
	if token == "" {
		return nil, errors.New("VAULT_ADDR is set and VAULT_TOKEN is not: set it, or unset VAULT_ADDR")
	}
	return &demoVault{
		address: address, token: token, cacert: os.Getenv("VAULT_CACERT"),
		fill: os.Getenv("SB_DEMO_FILL_VAULT") == "true",
	}, nil
}

// newDemoAgent finds the agent's binary beside this one and writes its configuration.
func newDemoAgent(s settings, vault *demoVault) (*demoAgentProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	a := &demoAgentProcess{settings: s, binary: filepath.Join(filepath.Dir(self), "sb-agent"), dir: s.path("agent"), vault: vault}
	if _, err := os.Stat(a.binary); err != nil {
		return nil, fmt.Errorf("the demo agent needs sb-agent beside sb-server: run make build: %w", err)
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, err
	}
	if err := a.makeFingerprintKey(); err != nil {
		return nil, err
	}
	return a, a.configure()
}

// makeFingerprintKey has the agent make its key, once, and put it into its file: nothing of
// it passes through this process, which must not have it (decision 0089).
func (a *demoAgentProcess) makeFingerprintKey() error {
	path := filepath.Join(a.dir, "fingerprint.key")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fresh, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(a.binary, "fingerprint-key")
	cmd.Env, cmd.Stdout, cmd.Stderr = a.environ(), fresh, os.Stderr
	if err := errors.Join(cmd.Run(), fresh.Sync(), fresh.Close()); err != nil {
		return fmt.Errorf("make a fingerprint key: %w", err)
	}
	return os.Rename(fresh.Name(), path)
}

func (a *demoAgentProcess) config() string { return filepath.Join(a.dir, "agent.yaml") }

// configure writes what an operator would write: which connections the agent serves,
// with whose credentials, and how far.
func (a *demoAgentProcess) configure() error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Written by sb-server dev at each start.\nlease: %s\nfingerprint_key_file: fingerprint.key\nconnections:\n", a.settings.Lease)
	fmt.Fprintf(&b, "  file:\n    provider: file\n    dir: secrets\n    identity_file: secrets.key\n    allow: [prod, staging]\n")
	if v := a.vault; v != nil {
		token := filepath.Join(a.dir, "vault-token")
		if err := writeFile(token, []byte(v.token), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(&b, "  vault:\n    provider: vault\n    address: %q\n", v.address)
		if v.cacert != "" {
			fmt.Fprintf(&b, "    ca_cert_file: %q\n", v.cacert)
		}
		fmt.Fprintf(&b, "    auth: {method: token, token_file: %q}\n    allow: [secret/prod, secret/staging]\n", token)
	}
	return writeFile(a.config(), b.Bytes(), 0o600)
}

// identityFormat is of the identities that this version's agent reads (package
// agent/identity, which the control plane must not link).
const identityFormat = 2

// enrolled is the agent that an earlier start left credentials for, or none. Those of an
// older version do not count: its agent cannot sign its calls.
func (a *demoAgentProcess) enrolled() (events.AgentID, error) {
	raw, err := os.ReadFile(filepath.Join(a.dir, "identity.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var identity struct {
		Format int            `json:"format"`
		Agent  events.AgentID `json:"agent"`
	}
	if err := json.Unmarshal(raw, &identity); err != nil {
		return "", fmt.Errorf("identity of the demo agent: %w", err)
	}
	if identity.Format < identityFormat {
		return "", nil
	}
	return identity.Agent, nil
}

func (a *demoAgentProcess) enrol(ctx context.Context, url, caFile string, token secret.Value) error {
	return a.do(ctx, token.Expose(), "enrol", "--server", url, "--ca", caFile, "--token-file", "-", "--dir", a.dir, "--replace")
}

// put stores a demo secret if there is none of that name.
func (a *demoAgentProcess) put(ctx context.Context, name string, bundle []byte, labels map[string]string) error {
	args := []string{"put", "--config", a.config(), "--if-absent", name}
	for label, value := range labels {
		args = append(args, "--label", label+"="+value)
	}
	return a.do(ctx, bundle, args...)
}

func (a *demoAgentProcess) do(ctx context.Context, stdin []byte, args ...string) error {
	cmd := exec.CommandContext(ctx, a.binary, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = a.environ()
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("sb-agent %s: %w: %s", args[0], err, strings.TrimSpace(string(said)))
	}
	return nil
}

// environ is what the agent gets of this process's environment: nothing of the server's
// own, and no token of a provider, which it reads from its file.
func (a *demoAgentProcess) environ() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SB_") && !strings.HasPrefix(e, "VAULT_") {
			env = append(env, e)
		}
	}
	return append(env, "SB_LOG_LEVEL="+a.settings.LogLevel.String(), "SB_LOG_FORMAT="+a.settings.LogFormat)
}

// run keeps the agent running until ctx ends: it is told to stop, and if this process
// dies the kernel tells it.
func (a *demoAgentProcess) run(ctx context.Context, st *stack) error {
	// Pdeathsig goes by the thread that started the child (prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		cmd := exec.CommandContext(ctx, a.binary, "run", "--dir", a.dir, "--config", a.config())
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		cmd.Env = a.environ()
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 25 * time.Second // longer than the agent's own drain
		err := cmd.Run()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		st.log.Warn("the demo agent ended and is started again", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
