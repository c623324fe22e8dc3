package charts_test

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"secretsbridge/deploy/container"
	"secretsbridge/deploy/image"
)

// patience bounds each wait of these tests; each ends as soon as it may.
const patience = 90 * time.Second

const password = "demo-password-of-the-tests"

func chmod(path string, mode uint32) error { return unix.Chmod(path, mode) }

// folder is a short folder that other accounts may pass through.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unpack builds the image of a program and unpacks it.
func unpack(t *testing.T, name string) container.Container {
	t.Helper()
	binary, err := container.Binary(name)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(image.Programs, func(p image.Program) bool { return p.Name == name })
	built, err := image.Build(image.Programs[i], runtime.GOARCH, binary, image.Options{Version: "0", Created: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := container.Unpack(built, folder(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lockedBuffer is written by processes and read meanwhile.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func eventually(t *testing.T, what string, log *lockedBuffer, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s\n%s", what, log)
		}
	}
}

// startProcess starts a process and ends it with the test: by SIGTERM, and if that does not help, by SIGKILL.
func startProcess(t *testing.T, cmd *exec.Cmd) (stop func()) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(45 * time.Second):
			t.Errorf("%s does not stop", cmd.Path)
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	t.Cleanup(stop)
	return stop
}

// bridge is a control plane on this machine's loopback, with demo people.
type bridge struct{ dir, url, bin string }

func startBridge(t *testing.T) *bridge {
	t.Helper()
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	b := &bridge{dir: filepath.Join(folder(t), "data"), bin: bin}
	cmd := exec.Command(filepath.Join(bin, "sb-server"), "dev")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "SB_DATA_DIR=" + b.dir, "SB_HTTP_ADDR=127.0.0.1:0", "SB_DEMO_PASSWORD=" + password}
	var log lockedBuffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	startProcess(t, cmd)
	url := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), "Secrets Bridge runs at "); ok {
				at, _, _ := strings.Cut(rest, " ")
				url <- at
			}
		}
	}()
	select {
	case b.url = <-url:
	case <-time.After(patience):
		t.Fatalf("the server does not start:\n%s", &log)
	}
	return b
}

// sb runs the command line as one of the demo people.
func (b *bridge) sb(t *testing.T, who, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(b.bin, "sb"), append([]string{"--server", b.url, "--ca", filepath.Join(b.dir, "ca.pem")}, args...)...)
	cmd.Env = []string{"HOME=/nonexistent", "SB_TOKEN_FILE=" + filepath.Join(b.dir, "token-"+who)}
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sb %s: %v: %s", strings.Join(args, " "), err, &errs)
	}
	return strings.TrimSpace(string(out))
}

// TestTheAgentsChartInstalls runs what the chart renders: the pod's volumes as a kubelet makes them,
// its containers in their order, from the image, with their arguments, environment and security
// context, against a real control plane. The agent enrols and does a read; the pod is made again
// without the token; and a pod whose identity got lost says so.
func TestTheAgentsChartInstalls(t *testing.T) {
	b := startBridge(t)
	for _, who := range []string{"developer", "approver", "admin"} {
		b.sb(t, who, password+"\n", "login", "--email", who+"@demo.local", "--password-stdin")
	}
	b.sb(t, "admin", "", "connection", "create", "store", "--provider", "file", "--cluster", "kube")
	ca, err := os.ReadFile(filepath.Join(b.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	root := unpack(t, "sb-agent")
	key := root
	key.Args = []string{"fingerprint-key"}
	fingerprints, stderr, code := run(t, key)
	if code != 0 {
		t.Fatalf("fingerprint-key: %s", stderr)
	}

	set := map[string]any{
		"server":    map[string]any{"url": b.url, "ca": string(ca)},
		"enrolment": map[string]any{"tokenSecret": "token"},
		"config": map[string]any{
			"fingerprint_key_file": "/etc/sb-agent/files/fingerprints/key",
			"connections": map[string]any{"store": map[string]any{
				"provider": "file", "dir": "/var/lib/sb-agent/store", "identity_file": "/var/lib/sb-agent/age.key", "allow": []any{"prod"},
			}},
		},
		"files":         map[string]any{"fingerprints": map[string]any{"secret": "fingerprints"}},
		"networkPolicy": map[string]any{"hub": map[string]any{"to": []any{map[string]any{"ipBlock": map[string]any{"cidr": "127.0.0.1/32"}}}}},
	}
	files, err := render(agent, set)
	if err != nil {
		t.Fatal(err)
	}
	all, err := manifests(files)
	if err != nil {
		t.Fatal(err)
	}
	pod := of[*appsv1.Deployment](all)[0].Spec.Template.Spec
	n := &node{dir: folder(t), objects: all, volumes: map[string]string{}, secrets: map[string]map[string]string{
		"token":        {"token": b.sb(t, "admin", "", "agent", "invite", "kube-1", "--cluster", "kube") + "\n"},
		"fingerprints": {"key": fingerprints},
	}}

	n.prepare(t, pod)
	put := n.container(t, pod, pod.Containers[0], root)
	put.Args = []string{"put", "store/prod/app"}
	if _, stderr, code := runWith(t, put, `{"password":"canary-of-the-chart"}`); code != 0 {
		t.Fatalf("put: %s", stderr)
	}
	p := startPod(t, n, pod, root)
	id := strings.Fields(b.sb(t, "developer", "", "request", "read", "store/prod/app", "--reason", "the chart"))[0]
	b.sb(t, "approver", "", "approve", id)
	eventually(t, "the value is ready", p.log, func() bool {
		return strings.Contains(b.sb(t, "developer", "", "request", "show", id, "--output", "json"), `"executed"`)
	})
	if got := b.sb(t, "developer", "", "reveal", id); !strings.Contains(got, "canary-of-the-chart") {
		t.Errorf("revealed %q", got)
	}
	if strings.Contains(p.log.String(), "canary-of-the-chart") {
		t.Error("the agent's log has the value")
	}
	state := n.container(t, pod, pod.Containers[0], root)
	state.Args = []string{"status"}
	if text, _, _ := run(t, state); !strings.Contains(text, "cluster kube") || !strings.Contains(text, "fingerprints") {
		t.Errorf("status:\n%s", text)
	}
	p.stop()

	delete(n.secrets, "token")
	p = startPod(t, n, pod, root)
	if !strings.Contains(p.enrolled, "holds an identity already") {
		t.Errorf("the second start says %q", p.enrolled)
	}
	p.stop()

	if err := os.RemoveAll(filepath.Join(n.volumes["state"], "identity")); err != nil {
		t.Fatal(err)
	}
	n.prepare(t, pod)
	if _, stderr, code := run(t, n.container(t, pod, pod.InitContainers[0], root)); code != 1 || !strings.Contains(stderr, "read the token") {
		t.Errorf("without identity and token: %d, %s", code, stderr)
	}

	// The policy of volumes matters: with the default one, the next start would open the keys to the group.
	pod.SecurityContext.FSGroupChangePolicy = nil
	if err := errors.Join(os.WriteFile(filepath.Join(n.volumes["state"], "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	n.prepare(t, pod)
	if info, err := os.Stat(filepath.Join(n.volumes["state"], "x")); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the test's own kubelet does not do what kubelets do: %v, %v", info, err)
	}
}

// running is a pod that runs.
type running struct {
	enrolled string // what the first init container said
	log      *lockedBuffer
	stop     func()
}

// startPod does what a kubelet does to start a pod, and waits until its startup probe succeeds.
func startPod(t *testing.T, n *node, pod corev1.PodSpec, root container.Container) running {
	t.Helper()
	n.prepare(t, pod)
	p := running{log: &lockedBuffer{}}
	for _, c := range pod.InitContainers {
		stdout, stderr, code := run(t, n.container(t, pod, c, root))
		if code != 0 {
			t.Fatalf("container %s: exit %d: %s", c.Name, code, stderr)
		}
		p.enrolled += stdout
	}
	main := n.container(t, pod, pod.Containers[0], root)
	cmd, err := main.Command()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = p.log
	p.stop = startProcess(t, cmd)
	probe := main
	command := pod.Containers[0].StartupProbe.Exec.Command
	probe.Path, probe.Args = command[0], command[1:]
	eventually(t, "the startup probe", p.log, func() bool { _, _, code := run(t, probe); return code == 0 })
	probe.Args = append(probe.Args, "--output", "json")
	eventually(t, "the link and the store", p.log, func() bool {
		text, _, _ := run(t, probe)
		return strings.Contains(text, `"link": "up"`) && strings.Contains(text, `"works"`)
	})
	return p
}

func run(t *testing.T, c container.Container) (stdout, stderr string, code int) {
	t.Helper()
	return runWith(t, c, "")
}

func runWith(t *testing.T, c container.Container, stdin string) (stdout, stderr string, code int) {
	t.Helper()
	cmd, err := c.Command()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && (cmd.ProcessState == nil || errors.Is(err, fs.ErrNotExist)) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
