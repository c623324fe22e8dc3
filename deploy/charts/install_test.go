package charts_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"secretsbridge/deploy/container"
	"secretsbridge/deploy/ground"
)

const canary = "canary-of-the-chart"

func chmod(path string, mode uint32) error { return unix.Chmod(path, mode) }

// running is a pod that runs.
type running struct {
	before string // what its init containers said
	main   container.Container
	log    *ground.Log
	stop   func()
}

// installed is a release of the agent's chart.
type installed struct {
	running
	n    *node
	pod  corev1.PodSpec
	root container.Container
}

// installAgent runs what the agent's chart renders: the pod's volumes as a kubelet makes them, its
// containers in their order, from the image, with their arguments, environment and security context.
// It serves connection "store" of cluster "kube", with one secret.
func (w *around) installAgent(t *testing.T, people *ground.People) *installed {
	t.Helper()
	people.SB(t, "admin", "", "connection", "create", "store", "--provider", "file", "--cluster", "kube")
	root := ground.Unpack(t, "sb-agent")
	key := root
	key.Args = []string{"fingerprint-key"}
	fingerprints, stderr, code := ground.Run(t, key)
	if code != 0 {
		t.Fatalf("fingerprint-key: %s", stderr)
	}
	files, err := render(agent, map[string]any{
		"server":    map[string]any{"url": "https://127.0.0.1:8443", "ca": w.ca},
		"enrolment": map[string]any{"tokenSecret": "token"},
		"config": map[string]any{
			"fingerprint_key_file": "/etc/sb-agent/files/fingerprints/key",
			"connections": map[string]any{"store": map[string]any{
				"provider": "file", "dir": "/var/lib/sb-agent/store", "identity_file": "/var/lib/sb-agent/age.key", "allow": []any{"prod"},
			}},
		},
		"files":         map[string]any{"fingerprints": map[string]any{"secret": "fingerprints"}},
		"networkPolicy": map[string]any{"hub": map[string]any{"to": []any{map[string]any{"ipBlock": map[string]any{"cidr": "127.0.0.1/32"}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := manifests(files)
	if err != nil {
		t.Fatal(err)
	}
	a := &installed{pod: of[*appsv1.Deployment](all)[0].Spec.Template.Spec, root: root}
	a.n = &node{dir: ground.Folder(t), objects: all, volumes: map[string]string{}, secrets: map[string]map[string]string{
		"token":        {"token": people.SB(t, "admin", "", "agent", "invite", "kube-1", "--cluster", "kube") + "\n"},
		"fingerprints": {"key": fingerprints},
	}}
	a.n.prepare(t, a.pod)
	put := a.n.container(t, a.pod, a.pod.Containers[0], root)
	put.Args = []string{"put", "store/prod/app"}
	if _, stderr, code := ground.RunWith(t, put, `{"password":"`+canary+`"}`); code != 0 {
		t.Fatalf("put: %s", stderr)
	}
	a.start(t)
	return a
}

// start does what a kubelet does to start a pod, and waits until its startup probe succeeds, and it works.
func (a *installed) start(t *testing.T) {
	t.Helper()
	a.n.prepare(t, a.pod)
	a.running = running{log: &ground.Log{}}
	for _, c := range a.pod.InitContainers {
		stdout, stderr, code := ground.Run(t, a.n.container(t, a.pod, c, a.root))
		if code != 0 {
			t.Fatalf("container %s: exit %d: %s", c.Name, code, stderr)
		}
		a.before += stdout
	}
	a.main = a.n.container(t, a.pod, a.pod.Containers[0], a.root)
	cmd, err := a.main.Command()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = a.log
	a.stop = ground.Start(t, cmd)
	probe := a.main
	command := a.pod.Containers[0].StartupProbe.Exec.Command
	probe.Path, probe.Args = command[0], command[1:]
	ground.Eventually(t, "the startup probe", a.log, func() bool { _, _, code := ground.Run(t, probe); return code == 0 })
	probe.Args = append(probe.Args, "--output", "json")
	ground.Eventually(t, "the link and the store", a.log, func() bool {
		text, _, _ := ground.Run(t, probe)
		return strings.Contains(text, `"link": "up"`) && strings.Contains(text, `"works"`)
	})
}

// again makes the pod once more, without the token; and a pod whose identity got lost says so.
func (a *installed) again(t *testing.T) {
	t.Helper()
	status := a.main
	status.Args = []string{"status"}
	if text, _, _ := ground.Run(t, status); !strings.Contains(text, "cluster kube") || !strings.Contains(text, "fingerprints") {
		t.Errorf("status:\n%s", text)
	}
	a.stop()
	if strings.Contains(a.log.String(), canary) {
		t.Error("the agent's log has the value")
	}
	delete(a.n.secrets, "token")
	a.start(t)
	if !strings.Contains(a.before, "holds an identity already") {
		t.Errorf("the second start says %q", a.before)
	}
	a.stop()

	if err := os.RemoveAll(filepath.Join(a.n.volumes["state"], "identity")); err != nil {
		t.Fatal(err)
	}
	a.n.prepare(t, a.pod)
	if _, stderr, code := ground.Run(t, a.n.container(t, a.pod, a.pod.InitContainers[0], a.root)); code != 1 || !strings.Contains(stderr, "read the token") {
		t.Errorf("without identity and token: %d, %s", code, stderr)
	}

	// The policy of volumes matters: with the default one, the next start would open the keys to the group.
	pod := a.pod
	context := *pod.SecurityContext
	context.FSGroupChangePolicy, pod.SecurityContext = nil, &context
	if err := os.WriteFile(filepath.Join(a.n.volumes["state"], "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a.n.prepare(t, pod)
	if info, err := os.Stat(filepath.Join(a.n.volumes["state"], "x")); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the test's own kubelet does not do what kubelets do: %v, %v", info, err)
	}
}
