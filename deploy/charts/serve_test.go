package charts_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"secretsbridge/deploy/container"
	"secretsbridge/deploy/ground"
)

// around is what an operator brings.
type around struct {
	vault         ground.KeyManager
	database      string // its address
	ca, cert, key string
	root          container.Container // the server's image
}

// TestTheChartsInstall runs what the charts render, in a network of its own, because the charts' ports are
// fixed, with a real Postgres, a real Vault and a real cluster of NATS.
func TestTheChartsInstall(t *testing.T) {
	if ground.Alone(t, nil) {
		return
	}
	var w around
	w.vault = ground.Vault(t)
	w.database = ground.Postgres(t, "bridge", "several")
	w.ca, w.cert, w.key = ground.Certificate(t)
	w.root = ground.Unpack(t, "sb-server")
	t.Run("one server with NATS inside", w.oneServer)
	t.Run("servers of a cluster of NATS, and an agent", w.cluster)
}

// render renders the server's chart for a database, with values beside those that each form has.
func (w *around) render(t *testing.T, database string, more map[string]any) *node {
	t.Helper()
	values := map[string]any{
		"database": map[string]any{"secret": "database", "ownerSecret": "owner"},
		"tls":      map[string]any{"secret": "tls"},
		"settings": map[string]any{
			"SB_KMS": "vault-transit", "SB_KMS_TRANSIT_ADDR": w.vault.Address, "SB_KMS_TRANSIT_KEY": "bridge",
			"SB_KMS_TRANSIT_TOKEN_FILE": "/etc/secrets-bridge/files/kms/token", "SB_PUBLIC_URL": "https://127.0.0.1:8443", "SB_WEBAUTHN_RP_ID": "localhost",
		},
		"files":         map[string]any{"kms": map[string]any{"secret": "kms"}},
		"networkPolicy": map[string]any{"enabled": false},
		"drainSeconds":  0,
	}
	for name, value := range more {
		values[name] = value
	}
	files, err := render(server, values)
	if err != nil {
		t.Fatal(err)
	}
	all, err := manifests(files)
	if err != nil {
		t.Fatal(err)
	}
	return &node{
		dir: ground.Folder(t), objects: all, volumes: map[string]string{},
		configs: map[string]map[string]string{"ca": {"ca.pem": w.ca}},
		secrets: map[string]map[string]string{
			"database": {"url": "postgres://sb_app@" + w.database + "/" + database + "?sslmode=disable"},
			"owner":    {"url": "postgres://postgres@" + w.database + "/" + database + "?sslmode=disable"},
			"tls":      {"tls.crt": w.cert, "tls.key": w.key},
			"kms":      {"token": w.vault.Token},
		},
	}
}

// serve runs a pod of the server until its probes succeed.
func (w *around) serve(t *testing.T, n *node, pod corev1.PodSpec) running {
	t.Helper()
	n.prepare(t, pod)
	p := running{log: &ground.Log{}}
	for _, c := range pod.InitContainers {
		stdout, stderr, code := ground.Run(t, n.container(t, pod, c, w.root))
		if code != 0 {
			t.Fatalf("container %s: exit %d: %s", c.Name, code, stderr)
		}
		p.before += stdout
	}
	p.main = n.container(t, pod, pod.Containers[0], w.root)
	cmd, err := p.main.Command()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = p.log
	p.stop = ground.Start(t, cmd)
	for _, probe := range []*corev1.Probe{pod.Containers[0].StartupProbe, pod.Containers[0].ReadinessProbe} {
		ground.Eventually(t, "a probe of "+probe.HTTPGet.Path, p.log, ground.Answers("http://127.0.0.1:9090"+probe.HTTPGet.Path))
	}
	return p
}

// command runs a command of sb-server where the server runs, as kubectl exec does.
func (p running) command(t *testing.T, args ...string) string {
	t.Helper()
	c := p.main
	c.Args = args
	stdout, stderr, code := ground.Run(t, c)
	if code != 0 {
		t.Fatalf("sb-server %s: exit %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// oneServer is the Job that migrates, then the server; then both again, as an upgrade would.
func (w *around) oneServer(t *testing.T) {
	n := w.render(t, "bridge", map[string]any{
		"leaf": map[string]any{"urls": []any{"tls://127.0.0.1:7422"}, "caFrom": map[string]any{"configMap": "ca", "key": "ca.pem"}},
	})
	set := of[*appsv1.StatefulSet](n.objects)[0]
	pod := set.Spec.Template.Spec
	for _, claim := range set.Spec.VolumeClaimTemplates {
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: claim.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name},
		}})
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(w.ca))
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}

	// Before the Job, the server says which command is missing.
	n.prepare(t, pod)
	if _, stderr, code := ground.Run(t, n.container(t, pod, pod.Containers[0], w.root)); code != 1 || !strings.Contains(stderr, "migrate") {
		t.Errorf("without schemas: %d, %s", code, stderr)
	}
	for range 2 {
		migrateBefore(t, n, w.root)
		p := w.serve(t, n, pod)
		resp, err := client.Get("https://127.0.0.1:8443/")
		if err != nil {
			t.Fatalf("the application: %v\n%s", err, p.log)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("the application: %s, %v", resp.Status, err)
		}
		if out := p.command(t, "person", "invite", "first@example.com", "--name", "First", "--role", "admin"); !strings.Contains(out, "https://127.0.0.1:8443/") {
			t.Errorf("the first person: %s", out)
		}
		p.stop()
		for what, secret := range map[string]string{"token": w.vault.Token, "key": w.key} {
			if strings.Contains(p.log.String(), secret) {
				t.Errorf("the log has the %s", what)
			}
		}
	}
}

// cluster is the documented form of production: the keys come from the Secret of `nats init` once, and
// then from the keyring; the agent's chart enrols against it.
func (w *around) cluster(t *testing.T) {
	nats := ground.NATS(t, w.ca, w.cert, w.key)
	from := map[string]any{"configMap": "ca", "key": "ca.pem"}
	values := func(keys string) map[string]any {
		return map[string]any{
			"nats": map[string]any{"urls": list(nats.URLs), "caFrom": from, "keysSecret": keys},
			"leaf": map[string]any{"urls": list(nats.LeafURLs), "caFrom": from},
		}
	}
	n := w.render(t, "several", values("nats-keys"))
	n.secrets["nats-keys"] = map[string]string{}
	seeds, err := os.ReadDir(nats.Keys) // as kubectl create secret --from-file does
	if err != nil || len(seeds) == 0 {
		t.Fatalf("%d seeds, %v", len(seeds), err)
	}
	for _, seed := range seeds {
		text, err := os.ReadFile(filepath.Join(nats.Keys, seed.Name()))
		if err != nil {
			t.Fatal(err)
		}
		n.secrets["nats-keys"][seed.Name()] = string(text)
	}
	migrateBefore(t, n, w.root)
	pod := of[*appsv1.Deployment](n.objects)[0].Spec.Template.Spec
	p := w.serve(t, n, pod)
	people := ground.Invite(t, "https://127.0.0.1:8443", w.ca, func(args ...string) string { return p.command(t, args...) })
	agent := w.installAgent(t, people)
	if got := people.Read(t, "store/prod/app", agent.log); !strings.Contains(got, canary) {
		t.Errorf("revealed %q", got)
	}
	p.stop()
	for _, seed := range n.secrets["nats-keys"] {
		if strings.Contains(p.log.String()+agent.log.String(), strings.TrimSpace(seed)) {
			t.Error("a log has a seed of NATS")
		}
	}

	// An upgrade without the Secret; the folder of the pod is new, and the agent comes back by itself.
	secrets := n.secrets
	n = w.render(t, "several", values(""))
	delete(secrets, "nats-keys")
	n.secrets = secrets
	migrateBefore(t, n, w.root)
	p = w.serve(t, n, of[*appsv1.Deployment](n.objects)[0].Spec.Template.Spec)
	if got := people.Read(t, "store/prod/app", agent.log); !strings.Contains(got, canary) {
		t.Errorf("revealed %q after the upgrade", got)
	}
	agent.again(t)
	p.stop()
}

func list(texts []string) (all []any) {
	for _, text := range texts {
		all = append(all, text)
	}
	return all
}

// migrateBefore runs the Job to its end.
func migrateBefore(t *testing.T, n *node, root container.Container) {
	t.Helper()
	pod := of[*batchv1.Job](n.objects)[0].Spec.Template.Spec
	job := &node{dir: ground.Folder(t), objects: n.objects, volumes: map[string]string{}, configs: n.configs, secrets: n.secrets}
	job.prepare(t, pod)
	stdout, stderr, code := ground.Run(t, job.container(t, pod, pod.Containers[0], root))
	if code != 0 || !strings.Contains(stdout, "schema") {
		t.Fatalf("migrate: %d\n%s%s", code, stdout, stderr)
	}
}
