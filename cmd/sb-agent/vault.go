package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"secretsbridge/agent"
	"secretsbridge/agent/vault"
	"secretsbridge/events"
)

// vaultSettings are the fields of provider "vault".
type vaultSettings struct {
	Provider          events.ProviderKind `yaml:"provider"`
	Allow             []string            `yaml:"allow"` // MOUNT, MOUNT/PREFIX, MOUNT/TEXT* or *
	Address           string              `yaml:"address"`
	CACertFile        string              `yaml:"ca_cert_file"`
	Namespace         string              `yaml:"namespace"`
	Mounts            []string            `yaml:"mounts"`
	RequestsPerSecond int                 `yaml:"requests_per_second"`
	Auth              vaultAuth           `yaml:"auth"`
}

// vaultAuth are the fields of one of the methods.
type vaultAuth struct {
	Method                  vault.Method `yaml:"method"`
	TokenFile               string       `yaml:"token_file"`
	RoleID                  string       `yaml:"role_id"`
	SecretIDFile            string       `yaml:"secret_id_file"`
	AppRoleMount            string       `yaml:"approle_mount"`
	KubernetesRole          string       `yaml:"kubernetes_role"`
	KubernetesMount         string       `yaml:"kubernetes_mount"`
	ServiceAccountTokenFile string       `yaml:"service_account_token_file"`
	JWTRole                 string       `yaml:"jwt_role"`
	JWTFile                 string       `yaml:"jwt_file"`
	JWTMount                string       `yaml:"jwt_mount"`
}

// from takes relative paths from base.
func (a vaultAuth) from(base string) vault.Auth {
	return vault.Auth{
		Method: a.Method, TokenFile: within(base, a.TokenFile),
		RoleID: a.RoleID, SecretIDFile: within(base, a.SecretIDFile), AppRoleMount: a.AppRoleMount,
		KubernetesRole: a.KubernetesRole, KubernetesMount: a.KubernetesMount, ServiceAccountTokenFile: within(base, a.ServiceAccountTokenFile),
		JWTRole: a.JWTRole, JWTFile: within(base, a.JWTFile), JWTMount: a.JWTMount,
	}
}

func parseVault(base string, node ast.Node, log *slog.Logger) (agent.Connection, error) {
	s, err := decode[vaultSettings](node)
	if err != nil {
		return agent.Connection{}, err
	}
	mounts, err := parseMounts(s.Mounts, s.Allow)
	if err != nil {
		return agent.Connection{}, err
	}
	return connection(s.Provider, vault.Open, vault.Config{
		Address: s.Address, CACertFile: within(base, s.CACertFile), Namespace: s.Namespace, Auth: s.Auth.from(base), Mounts: mounts,
		RequestsPerSecond: s.RequestsPerSecond, Log: log,
	}), nil
}

// parseMounts turns an allow-list over MOUNT/PATH into one for each mount. Without
// mounts, the first segment of each entry is one.
func parseMounts(mounts, allow []string) ([]vault.Mount, error) {
	if _, err := parseAllow(allow); err != nil {
		return nil, err
	}
	named := len(mounts) > 0
	below := make(map[string][]string, len(mounts))
	for _, m := range mounts {
		below[m] = nil
	}
	for i, entry := range allow {
		if entry == "*" {
			if !named {
				return nil, errors.New(`allow: "*" needs the mounts that it is to open`)
			}
			for _, m := range mounts {
				below[m] = append(below[m], "*")
			}
			continue
		}
		first, _, deeper := strings.Cut(entry, "/")
		if !deeper && strings.HasSuffix(entry, "*") {
			return nil, fmt.Errorf("allow-list entry %d: a mount is named in full; MOUNT/TEXT* opens what begins with TEXT below it", i+1)
		}
		if !named && below[first] == nil {
			mounts = append(mounts, first)
			below[first] = []string{}
		}
		m, rest, found := mountOf(mounts, entry)
		if !found {
			return nil, fmt.Errorf("allow-list entry %d lies in none of the mounts", i+1)
		}
		below[m] = append(below[m], rest)
	}
	out := make([]vault.Mount, 0, len(mounts))
	for _, m := range mounts {
		list, err := agent.ParseAllowList(below[m]...)
		if err != nil {
			return nil, fmt.Errorf("mount %q: %w", m, err)
		}
		out = append(out, vault.Mount{Path: m, Allow: list})
	}
	return out, nil
}

// mountOf finds the mount that an entry lies in and what is left below it.
func mountOf(mounts []string, entry string) (mount, rest string, found bool) {
	for _, m := range mounts {
		if entry == m {
			return m, "*", true
		}
		if rest, ok := strings.CutPrefix(entry, m+"/"); ok {
			return m, rest, true
		}
	}
	return "", "", false
}
