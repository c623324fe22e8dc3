package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Where everything listens; the program runs in a network of its own (unshare -n), so nothing else
// has these ports.
const (
	etcdPort   = "2379"
	kubePort   = "6443"
	farPort    = "6444" // the same cluster, as another that can be cut off
	redisPort  = "6379"
	repoPort   = "8081"
	argoPort   = "8080"
	kubeToken  = "recording-only"
	adminWords = "recording-only"
)

// stack is all that runs.
type stack struct {
	dir, bin, module string
	processes        []*exec.Cmd
	waits            sync.WaitGroup
	ended            context.CancelCauseFunc // by the first that ends of itself
	kube, argo       *api
	far              *forwarder
	token            string // of account bridge, which may get applications
}

// api is one HTTP API with a token.
type api struct {
	base, token string
	client      *http.Client
}

// call makes a call and returns the answer's body. YAML is taken as it is.
func (a *api) call(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
	return text, err
}

func (a *api) post(ctx context.Context, path, yaml string) error {
	_, err := a.call(ctx, http.MethodPost, path, "application/yaml", []byte(yaml))
	return err
}

func (a *api) merge(ctx context.Context, path, patch string) error {
	_, err := a.call(ctx, http.MethodPatch, path, "application/merge-patch+json", []byte(patch))
	return err
}

func (a *api) get(ctx context.Context, path string, into any) error {
	text, err := a.call(ctx, http.MethodGet, path, "application/json", nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// start brings everything up. Ended is called with the reason if a program ends of itself.
func start(ctx context.Context, bin string, ended context.CancelCauseFunc) (*stack, error) {
	dir, err := os.MkdirTemp("", "argocd-")
	if err != nil {
		return nil, err
	}
	s := &stack{dir: dir, bin: bin, ended: ended}
	insecure := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // this host's own
	s.kube = &api{"https://127.0.0.1:" + kubePort, kubeToken, insecure}
	s.argo = &api{"http://127.0.0.1:" + argoPort, "", insecure}
	if s.module, err = moduleDir("github.com/argoproj/argo-cd/v3"); err != nil {
		return s, err
	}
	for _, step := range []func(context.Context) error{s.cluster, s.configure, s.argoCD, s.signIn} {
		if err := step(ctx); err != nil {
			return s, err
		}
	}
	return s, nil
}

// cluster starts etcd, the API and the controllers.
func (s *stack) cluster(ctx context.Context) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"sa.key":     string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"tokens.csv": kubeToken + `,admin,admin,"system:masters"` + "\n",
		"kubeconfig": kubeconfig(kubePort),
	} {
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(s.path(".kube"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(s.path(".kube/config"), []byte(kubeconfig(kubePort)), 0o600); err != nil {
		return err
	}
	err = s.run("etcd", nil, "etcd", "--data-dir", s.path("etcd"), "--listen-client-urls", "http://127.0.0.1:"+etcdPort,
		"--advertise-client-urls", "http://127.0.0.1:"+etcdPort, "--listen-peer-urls", "http://127.0.0.1:0", "--log-level", "error")
	if err != nil {
		return err
	}
	err = s.run("kube-apiserver", nil, filepath.Join(s.bin, "kube-apiserver"), "--etcd-servers=http://127.0.0.1:"+etcdPort,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+kubePort, "--cert-dir="+s.path("certs"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+s.path("sa.key"),
		"--service-account-signing-key-file="+s.path("sa.key"), "--authorization-mode=RBAC", "--token-auth-file="+s.path("tokens.csv"),
		"--service-cluster-ip-range=10.96.0.0/24",
		// Nobody makes accounts, and nobody says of the node that it is ready.
		"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition")
	if err != nil {
		return err
	}
	if err := until(ctx, "the cluster's API", func() error { return ok(s.kube.call(ctx, http.MethodGet, "/readyz", "", nil)) }); err != nil {
		return err
	}
	return s.run("kube-controller-manager", nil, filepath.Join(s.bin, "kube-controller-manager"), "--kubeconfig="+s.path("kubeconfig"),
		"--bind-address=127.0.0.1", "--leader-elect=false",
		"--controllers=deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,job-controller,cronjob-controller,namespace-controller,garbage-collector-controller")
}

// operators are the files that teach the cluster the kinds of operators, by the module that has them.
var operators = map[string]string{
	"github.com/argoproj/argo-rollouts@v1.8.3":             "manifests/crds/rollout-crd.yaml",
	"github.com/external-secrets/external-secrets@v0.16.2": "config/crds/bases/external-secrets.io_externalsecrets.yaml",
}

// configure writes what Argo CD reads from the cluster.
func (s *stack) configure(ctx context.Context) error {
	for _, crd := range []string{"application-crd.yaml", "applicationset-crd.yaml", "appproject-crd.yaml"} {
		if err := s.crd(ctx, filepath.Join(s.module, "manifests/crds", crd)); err != nil {
			return err
		}
	}
	for module, file := range operators {
		dir, err := downloaded(module)
		if err != nil {
			return err
		}
		if err := s.crd(ctx, filepath.Join(dir, file)); err != nil {
			return err
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(adminWords), bcrypt.MinCost)
	if err != nil {
		return err
	}
	for _, namespace := range []string{"argocd", "shop", "far"} {
		if err := s.kube.post(ctx, "/api/v1/namespaces", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+namespace+"}\n"); err != nil {
			return err
		}
	}
	// The settings that Argo CD is installed with, and an account that reads.
	for _, name := range []string{"argocd-cm", "argocd-rbac-cm", "argocd-cmd-params-cm", "argocd-gpg-keys-cm", "argocd-ssh-known-hosts-cm", "argocd-tls-certs-cm"} {
		text, err := os.ReadFile(filepath.Join(s.module, "manifests/base/config", name+".yaml"))
		if err != nil {
			return err
		}
		if err := s.kube.post(ctx, "/api/v1/namespaces/argocd/configmaps", string(text)); err != nil {
			return err
		}
	}
	for name, data := range map[string]string{
		"argocd-cm":      `{"accounts.bridge":"apiKey"}`,
		"argocd-rbac-cm": `{"policy.csv":"p, role:bridge, applications, get, */*, allow\np, role:bridge, applications, get, default/hidden, deny\ng, bridge, role:bridge\n"}`,
	} {
		if err := s.kube.merge(ctx, "/api/v1/namespaces/argocd/configmaps/"+name, `{"data":`+data+`}`); err != nil {
			return err
		}
	}
	yaml := "apiVersion: v1\nkind: Secret\nmetadata:\n  name: argocd-secret\n  " + "labels: {app.kubernetes.io/part-of: argocd, app.kubernetes.io/name: argocd-secret}" +
		"\nstringData:\n  server.secretkey: " + rand.Text() + "\n  admin.password: '" + string(hash) + "'\n  admin.passwordMtime: '" + time.Now().UTC().Format(time.RFC3339) + "'\n"
	if err := s.kube.post(ctx, "/api/v1/namespaces/argocd/secrets", yaml); err != nil {
		return err
	}
	return s.kube.post(ctx, "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects",
		"apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: default, namespace: argocd}\nspec: {sourceRepos: ['*'], destinations: [{namespace: '*', server: '*'}], clusterResourceWhitelist: [{group: '*', kind: '*'}]}\n")
}

// crd teaches the cluster a kind, and waits until it knows it.
func (s *stack) crd(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	made, err := s.kube.call(ctx, http.MethodPost, path, "application/yaml", text)
	if err != nil {
		return err
	}
	var crd struct {
		Metadata struct{ Name string }
		Status   struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if err := json.Unmarshal(made, &crd); err != nil {
		return err
	}
	return until(ctx, crd.Metadata.Name, func() error {
		if err := s.kube.get(ctx, path+"/"+crd.Metadata.Name, &crd); err != nil {
			return err
		}
		for _, c := range crd.Status.Conditions {
			if c.Type == "Established" && c.Status == "True" {
				return nil
			}
		}
		return errors.New("not established")
	})
}

// argoCD starts Redis and the three programs of Argo CD, which are one binary.
func (s *stack) argoCD(ctx context.Context) error {
	tools := s.path("tools")
	for _, dir := range []string{tools, s.path("tls"), s.path("ssh"), s.path("gpg"), s.path("tmp")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	wrapper, err := os.ReadFile(filepath.Join(s.module, "hack/git-verify-wrapper.sh"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tools, "git-verify-wrapper.sh"), wrapper, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("ssh/ssh_known_hosts"), nil, 0o600); err != nil {
		return err
	}
	if err := s.run("redis", nil, "redis-server", "--bind", "127.0.0.1", "--port", redisPort, "--save", "", "--dir", s.dir); err != nil {
		return err
	}
	binary := filepath.Join(s.bin, "argocd")
	env := []string{
		"PATH=" + tools + ":" + os.Getenv("PATH"), "TMPDIR=" + s.path("tmp"), "ARGOCD_FAKE_IN_CLUSTER=true", "ARGOCD_GPG_ENABLED=false",
		"ARGOCD_TLS_DATA_PATH=" + s.path("tls"), "ARGOCD_SSH_DATA_PATH=" + s.path("ssh"), "ARGOCD_GNUPGHOME=" + s.path("gpg"),
	}
	as := func(name string) []string { return append([]string{"ARGOCD_BINARY_NAME=" + name}, env...) }
	redis, repo, kube := "--redis=127.0.0.1:"+redisPort, "--repo-server=127.0.0.1:"+repoPort, "--kubeconfig="+s.path("kubeconfig")
	if err := s.run("argocd-repo-server", as("argocd-repo-server"), binary, "--disable-tls", "--client-ca-path=", "--port="+repoPort, "--metrics-port=8084", redis); err != nil {
		return err
	}
	if err := s.run("argocd-application-controller", as("argocd-application-controller"), binary, "--namespace=argocd", "--repo-server-plaintext", redis, repo, kube); err != nil {
		return err
	}
	if err := s.run("argocd-server", as("argocd-server"), binary, "--insecure", "--namespace=argocd", "--port="+argoPort, "--repo-server-plaintext", redis, repo, kube); err != nil {
		return err
	}
	return until(ctx, "argo cd", func() error { return ok(s.argo.call(ctx, http.MethodGet, "/api/version", "", nil)) })
}

// signIn has a token made for the account that reads.
func (s *stack) signIn(ctx context.Context) error {
	var answer struct{ Token string }
	text, err := s.argo.call(ctx, http.MethodPost, "/api/v1/session", "application/json", []byte(`{"username":"admin","password":"`+adminWords+`"}`))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	s.argo.token = answer.Token
	text, err = s.argo.call(ctx, http.MethodPost, "/api/v1/account/bridge/token", "application/json", []byte(`{}`))
	if err != nil {
		return err
	}
	err = json.Unmarshal(text, &answer)
	s.token = answer.Token
	return err
}

// run starts a program, with its output in a file of its name.
func (s *stack) run(name string, env []string, binary string, args ...string) error {
	log, err := os.Create(s.path(name + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, s.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.processes = append(s.processes, cmd)
	s.waits.Go(func() { s.ended(fmt.Errorf("%s ended: %w", name, cmp.Or(cmd.Wait(), errors.New("without an error")))) })
	return nil
}

// stop ends everything, in the opposite order. Folder and logs stay behind only if they are to be kept.
func (s *stack) stop(keep bool) {
	if s.far != nil {
		s.far.close()
	}
	for i := len(s.processes) - 1; i >= 0; i-- {
		_ = s.processes[i].Process.Kill()
	}
	s.waits.Wait()
	if keep {
		fmt.Fprintln(os.Stderr, "logs are kept in", s.dir)
		return
	}
	_ = os.RemoveAll(s.dir)
}

func (s *stack) path(name string) string { return filepath.Join(s.dir, name) }

// forwarder passes connections on to the cluster until it is closed.
type forwarder struct {
	listener net.Listener
	open     chan net.Conn
}

func forward(from, to string) (*forwarder, error) {
	l, err := net.Listen("tcp", "127.0.0.1:"+from)
	if err != nil {
		return nil, err
	}
	f := &forwarder{l, make(chan net.Conn, 1000)}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", "127.0.0.1:"+to)
			if err != nil {
				in.Close()
				continue
			}
			f.open <- in
			go func() { _, _ = io.Copy(out, in); out.Close() }()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	}()
	return f, nil
}

func (f *forwarder) close() {
	f.listener.Close()
	for {
		select {
		case c := <-f.open:
			c.Close()
		default:
			return
		}
	}
}

func kubeconfig(port string) string {
	return `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u","namespace":"argocd"}}],
"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:` + port + `","insecure-skip-tls-verify":true}}],"users":[{"name":"u","user":{"token":"` + kubeToken + `"}}]}`
}

// moduleDir is where a module of go.mod lies.
func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	return strings.TrimSpace(string(out)), err
}

// downloaded is where a module lies that is needed for one file.
func downloaded(module string) (string, error) {
	out, err := exec.Command("go", "mod", "download", "-json", module).Output()
	if err != nil {
		return "", fmt.Errorf("download %s: %w", module, err)
	}
	var m struct{ Dir string }
	err = json.Unmarshal(out, &m)
	return m.Dir, err
}

func ok(_ []byte, err error) error { return err }

// until asks again until there is no error.
func until(ctx context.Context, what string, ask func() error) error {
	fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), "wait for", what)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (%w)", what, err, context.Cause(ctx))
		}
	}
}
