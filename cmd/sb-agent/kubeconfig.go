package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"secretsbridge/agent/kube"
	"secretsbridge/internal/endpoint"
	"secretsbridge/internal/private"
)

// kubeconfig is a file of kubectl's, as far as it is taken. It may hold more: contexts that are not
// chosen, and extensions.
type kubeconfig struct {
	Current  string `yaml:"current-context"`
	Contexts []struct {
		Name    string `yaml:"name"`
		Context struct {
			Cluster string `yaml:"cluster"`
			User    string `yaml:"user"`
		} `yaml:"context"`
	} `yaml:"contexts"`
	Clusters []struct {
		Name    string      `yaml:"name"`
		Cluster kubeCluster `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		Name string   `yaml:"name"`
		User kubeUser `yaml:"user"`
	} `yaml:"users"`
}

type kubeCluster struct {
	Server     string `yaml:"server"`
	CAFile     string `yaml:"certificate-authority"`
	CAData     string `yaml:"certificate-authority-data"` // base64 of PEM
	Insecure   bool   `yaml:"insecure-skip-tls-verify"`
	ServerName string `yaml:"tls-server-name"`
	Proxy      string `yaml:"proxy-url"`
}

type kubeUser struct {
	Token     string `yaml:"token"`
	TokenFile string `yaml:"tokenFile"`
	CertFile  string `yaml:"client-certificate"`
	CertData  string `yaml:"client-certificate-data"`
	KeyFile   string `yaml:"client-key"`
	KeyData   string `yaml:"client-key-data"`
	Exec      any    `yaml:"exec"`
	Provider  any    `yaml:"auth-provider"`
	Name      string `yaml:"username"`
	As        string `yaml:"as"`
}

// fromKubeconfig reads the current context of a file. Errors name the file and what is wrong in
// it, and quote nothing of it.
func fromKubeconfig(path string) (kube.Config, error) {
	cfg, err := readKubeconfig(path)
	if err != nil {
		return kube.Config{}, fmt.Errorf("SB_AGENT_KUBECONFIG %s: %w", path, err)
	}
	return cfg, nil
}

func readKubeconfig(path string) (kube.Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return kube.Config{}, err
	}
	if private.Exposed(info) {
		return kube.Config{}, fmt.Errorf("others may open it (mode %v): run chmod 600 on it", info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return kube.Config{}, err
	}
	var file kubeconfig
	if err := yaml.Unmarshal(raw, &file); err != nil {
		return kube.Config{}, errors.New("it is not a kubeconfig in YAML") // the error of the library would quote it
	}
	cluster, user, err := file.current()
	if err != nil {
		return kube.Config{}, err
	}
	base := filepath.Dir(path)
	cfg, err := cluster.config(base)
	if err != nil {
		return kube.Config{}, err
	}
	if err := user.signIn(base, &cfg); err != nil {
		return kube.Config{}, err
	}
	return cfg, nil
}

// current is the cluster and the user of the current context.
func (k kubeconfig) current() (cluster kubeCluster, user kubeUser, err error) {
	for _, c := range k.Contexts {
		if c.Name != k.Current {
			continue
		}
		hasCluster, hasUser := false, false
		for _, of := range k.Clusters {
			if of.Name == c.Context.Cluster {
				cluster, hasCluster = of.Cluster, true
			}
		}
		for _, of := range k.Users {
			if of.Name == c.Context.User {
				user, hasUser = of.User, true
			}
		}
		if !hasCluster || !hasUser {
			return cluster, user, errors.New("its current context names a cluster or a user that is not in it")
		}
		return cluster, user, nil
	}
	return cluster, user, errors.New("it has no current-context")
}

func (c kubeCluster) config(base string) (kube.Config, error) {
	server, err := endpoint.Parse("the server", c.Server)
	if err != nil {
		return kube.Config{}, err
	}
	switch {
	case c.Insecure:
		return kube.Config{}, errors.New("insecure-skip-tls-verify is not taken: give certificate-authority")
	case c.Proxy != "":
		return kube.Config{}, errors.New("proxy-url is not taken: the agent runs next to its cluster")
	}
	trust, err := endpoint.Trust(within(base, c.CAFile))
	if err != nil {
		return kube.Config{}, err
	}
	if c.CAData != "" {
		pem, err := base64.StdEncoding.DecodeString(c.CAData)
		trust.RootCAs = x509.NewCertPool()
		if err != nil || !trust.RootCAs.AppendCertsFromPEM(pem) {
			return kube.Config{}, errors.New("certificate-authority-data holds no certificate")
		}
	}
	trust.ServerName = c.ServerName
	return kube.Config{Server: server, Trust: trust}, nil
}

// signIn takes a token or a client certificate. Programs that would bring one are not started.
func (u kubeUser) signIn(base string, cfg *kube.Config) error {
	switch {
	case u.Exec != nil || u.Provider != nil:
		return errors.New("exec and auth-provider are not taken: an agent starts no programs. Give a token, tokenFile or client-certificate, such as of a service account")
	case u.Name != "" || u.As != "":
		return errors.New("username and as are not taken: give a token, tokenFile or client-certificate")
	case u.TokenFile != "":
		cfg.Token = tokenFile(within(base, u.TokenFile))
	case u.Token != "":
		token, err := plainToken(u.Token)
		if err != nil {
			return err
		}
		cfg.Token = func() (string, error) { return token, nil }
	}
	if cmp.Or(u.CertFile, u.CertData) == "" {
		if cfg.Token == nil {
			return errors.New("its user has no token, tokenFile or client-certificate")
		}
		return nil
	}
	certificate, err := pemOf(base, u.CertFile, u.CertData)
	if err != nil {
		return fmt.Errorf("client-certificate: %w", err)
	}
	key, err := pemOf(base, u.KeyFile, u.KeyData)
	if err != nil {
		return fmt.Errorf("client-key: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return errors.New("client-certificate and client-key are no pair")
	}
	cfg.Trust.Certificates = []tls.Certificate{pair}
	return nil
}

// pemOf is what a file holds, or what the kubeconfig holds itself, which counts before it.
func pemOf(base, file, data string) ([]byte, error) {
	if data == "" {
		if file == "" {
			return nil, errors.New("it is missing")
		}
		return os.ReadFile(within(base, file))
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	return raw, nil
}
