package charts_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"secretsbridge/deploy/container"
)

// TestTheServersChartInstalls runs what the chart renders, in a network of its own, because the chart's
// ports are fixed: the Job that migrates, then the server until its probes succeed, with a real Postgres
// and a real Vault; then both again, as an upgrade would.
func TestTheServersChartInstalls(t *testing.T) {
	const inside = "SB_TEST_VAULT"
	if os.Getenv(inside) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("unshare", "--net", "sh", "-c", `ip link set lo up && exec "$0" "$@"`, self, "-test.run", "^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"="+vaultBinary(t))
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("in a network of its own: %v\n%s", err, out)
		}
		return
	}
	vault, token := startVault(t, os.Getenv(inside))
	database := startPostgres(t)
	ca, cert, key := certificate(t)
	files, err := render(server, map[string]any{
		"database": map[string]any{"secret": "database", "ownerSecret": "owner"},
		"tls":      map[string]any{"secret": "tls"},
		"leaf":     map[string]any{"urls": []any{"tls://127.0.0.1:7422"}, "caFrom": map[string]any{"configMap": "ca", "key": "ca.pem"}},
		"settings": map[string]any{
			"SB_KMS": "vault-transit", "SB_KMS_TRANSIT_ADDR": vault, "SB_KMS_TRANSIT_KEY": "bridge",
			"SB_KMS_TRANSIT_TOKEN_FILE": "/etc/secrets-bridge/files/kms/token", "SB_PUBLIC_URL": "https://127.0.0.1:8443", "SB_WEBAUTHN_RP_ID": "localhost",
		},
		"files":         map[string]any{"kms": map[string]any{"secret": "kms"}},
		"networkPolicy": map[string]any{"enabled": false},
		"drainSeconds":  0,
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := manifests(files)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{
		dir: folder(t), objects: all, volumes: map[string]string{},
		configs: map[string]map[string]string{"ca": {"ca.pem": ca}},
		secrets: map[string]map[string]string{
			"database": {"url": "postgres://sb_app@" + database + "/bridge?sslmode=disable"},
			"owner":    {"url": "postgres://postgres@" + database + "/bridge?sslmode=disable"},
			"tls":      {"tls.crt": cert, "tls.key": key},
			"kms":      {"token": token},
		},
	}
	root := unpack(t, "sb-server")
	set := of[*appsv1.StatefulSet](all)[0]
	pod := set.Spec.Template.Spec
	for _, claim := range set.Spec.VolumeClaimTemplates {
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: claim.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name},
		}})
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}

	// Before the Job, the server says which command is missing.
	n.prepare(t, pod)
	if _, stderr, code := run(t, n.container(t, pod, pod.Containers[0], root)); code != 1 || !strings.Contains(stderr, "migrate") {
		t.Errorf("without schemas: %d, %s", code, stderr)
	}
	for range 2 {
		migrateBefore(t, all, n, root)
		n.prepare(t, pod)
		c := n.container(t, pod, pod.Containers[0], root)
		cmd, err := c.Command()
		if err != nil {
			t.Fatal(err)
		}
		var log lockedBuffer
		cmd.Stderr = &log
		stop := startProcess(t, cmd)
		for _, probe := range []*corev1.Probe{pod.Containers[0].StartupProbe, pod.Containers[0].ReadinessProbe} {
			eventually(t, "a probe of "+probe.HTTPGet.Path, &log, func() bool {
				resp, err := http.Get("http://127.0.0.1:9090" + probe.HTTPGet.Path)
				if err != nil {
					return false
				}
				defer resp.Body.Close()
				return resp.StatusCode == http.StatusOK
			})
		}
		resp, err := client.Get("https://127.0.0.1:8443/")
		if err != nil {
			t.Fatalf("the application: %v\n%s", err, &log)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("the application: %s, %v", resp.Status, err)
		}
		invite := c
		invite.Args = []string{"person", "invite", "first@example.com", "--name", "First", "--role", "admin"}
		if out, stderr, code := run(t, invite); code != 0 || !strings.Contains(out, "https://127.0.0.1:8443/") {
			t.Errorf("the first person: %d, %s%s", code, out, stderr)
		}
		stop()
		for what, secret := range map[string]string{"token": token, "key": key} {
			if strings.Contains(log.String(), secret) {
				t.Errorf("the log has the %s", what)
			}
		}
	}
}

// migrateBefore runs the Job to its end.
func migrateBefore(t *testing.T, all []metav1.Object, n *node, root container.Container) {
	t.Helper()
	pod := of[*batchv1.Job](all)[0].Spec.Template.Spec
	job := &node{dir: folder(t), objects: all, volumes: map[string]string{}, configs: n.configs, secrets: n.secrets}
	job.prepare(t, pod)
	stdout, stderr, code := run(t, job.container(t, pod, pod.Containers[0], root))
	if code != 0 || !strings.Contains(stdout, "schema") {
		t.Fatalf("migrate: %d\n%s%s", code, stdout, stderr)
	}
}
