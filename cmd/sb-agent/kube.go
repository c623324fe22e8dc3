package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"secretsbridge/agent/kube"
	"secretsbridge/internal/endpoint"
)

// serviceAccount is where Kubernetes puts the token and the authority of a pod's service account.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// maxTokenFile bounds the file of a token: they are JWTs of some 1.5 KiB.
const maxTokenFile = 64 << 10

// kubeReader makes what looks at rollouts in the agent's cluster, as SB_AGENT_KUBE says: off (the
// default, and then it is nil), in-cluster or kubeconfig.
func kubeReader(getenv func(string) string, mount string, log *slog.Logger) (*kube.Reader, error) {
	mode := getenv("SB_AGENT_KUBE")
	file, namespaces := getenv("SB_AGENT_KUBECONFIG"), splitNames(getenv("SB_AGENT_KUBE_NAMESPACES"))
	if file != "" && mode != "kubeconfig" {
		return nil, errors.New("SB_AGENT_KUBECONFIG is set, and SB_AGENT_KUBE is not kubeconfig")
	}
	var cfg kube.Config
	var err error
	switch mode {
	case "", "off":
		if len(namespaces) > 0 {
			return nil, errors.New("SB_AGENT_KUBE_NAMESPACES is set, and SB_AGENT_KUBE is off")
		}
		return nil, nil
	case "in-cluster":
		cfg, err = inCluster(getenv, mount)
	case "kubeconfig":
		if file == "" {
			return nil, errors.New("SB_AGENT_KUBECONFIG is missing: it is the path of the file")
		}
		cfg, err = fromKubeconfig(file)
	default:
		return nil, errors.New("SB_AGENT_KUBE is none of off, in-cluster, kubeconfig")
	}
	if err != nil {
		return nil, err
	}
	if len(namespaces) == 0 {
		return nil, errors.New("SB_AGENT_KUBE_NAMESPACES is missing: list the namespaces that may be read, with commas")
	}
	cfg.Namespaces, cfg.Logger = namespaces, log
	return kube.New(cfg)
}

func splitNames(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// inCluster is how a pod reaches the API of its cluster.
func inCluster(getenv func(string) string, mount string) (kube.Config, error) {
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return kube.Config{}, errors.New("SB_AGENT_KUBE is in-cluster, and this is no pod of a cluster (KUBERNETES_SERVICE_HOST is missing)")
	}
	trust, err := endpoint.Trust(filepath.Join(mount, "ca.crt"))
	if err != nil {
		return kube.Config{}, fmt.Errorf("the service account of this pod (is automountServiceAccountToken off?): %w", err)
	}
	token := tokenFile(filepath.Join(mount, "token"))
	if _, err := token(); err != nil {
		return kube.Config{}, fmt.Errorf("the service account of this pod: %w", err)
	}
	return kube.Config{Server: &url.URL{Scheme: "https", Host: net.JoinHostPort(host, port)}, Trust: trust, Token: token}, nil
}

// tokenFile reads a token each time: the kubelet replaces it before it ends.
func tokenFile(path string) func() (string, error) {
	return func() (string, error) {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		if info.Size() > maxTokenFile {
			return "", fmt.Errorf("%s is no token: it has %d bytes", path, info.Size())
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		return plainToken(string(raw))
	}
}

// plainToken refuses what no header can carry. The error does not quote it.
func plainToken(text string) (string, error) {
	token := strings.TrimSpace(text)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("the token is empty, or no token")
	}
	return token, nil
}
