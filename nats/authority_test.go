package nats

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
)

func TestAuthorityIsMadeOnceAndKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "authority")
	made, err := CreateAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateAuthority(dir); !errors.Is(err, ErrAuthorityExists) {
		t.Errorf("second CreateAuthority: %v", err)
	}
	opened, err := OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	if opened.corePub != made.corePub || opened.agentsPub != made.agentsPub || opened.systemPub != made.systemPub {
		t.Error("the opened authority has other keys")
	}
	one, err := made.consumer("one")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := opened.consumer("one"); err != nil || again != one {
		t.Errorf("consumer is %s and %s, %v", one, again, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestAuthorityRefusesWhatOthersMayRead(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"open directory": func(dir string) error { return os.Chmod(dir, 0o750) },
		"open file":      func(dir string) error { return os.Chmod(filepath.Join(dir, operatorFile), 0o640) },
		"missing file":   func(dir string) error { return os.Remove(filepath.Join(dir, agentsFile)) },
		"other seed": func(dir string) error {
			seed, err := os.ReadFile(filepath.Join(dir, coreFile))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, operatorFile), seed, 0o600)
		},
		"link": func(dir string) error {
			moved := filepath.Join(dir, "moved")
			if err := os.Rename(filepath.Join(dir, coreFile), moved); err != nil {
				return err
			}
			return os.Symlink(moved, filepath.Join(dir, coreFile))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "authority")
			if _, err := CreateAuthority(dir); err != nil {
				t.Fatal(err)
			}
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenAuthority(dir); err == nil {
				t.Error("it was opened")
			}
		})
	}
}

// What an agent's user and account may do is written down here a second time.
func TestAgentIsGivenNoMoreThanItNeeds(t *testing.T) {
	authority := newAuthority(t)
	account, err := NewAgentAccount()
	if err != nil {
		t.Fatal(err)
	}
	agent := Agent{Account: account, Cluster: "prod", UserKey: "UAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
	if _, err := authority.Credentials(agent, time.Hour); err == nil {
		t.Error("credentials were signed for a malformed key")
	}
	signed, err := authority.agentAccount(agent)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := jwt.DecodeAccountClaims(signed)
	if err != nil {
		t.Fatal(err)
	}
	if claims.Limits.IsJSEnabled() || claims.Limits.Conn != agentLinks || claims.Limits.LeafNodeConn != agentLinks || len(claims.Exports) != 0 || len(claims.Imports) != 3 {
		t.Errorf("account: %+v", claims.Limits)
	}
	scope, ok := claims.SigningKeys.GetScope(authority.agentsPub)
	if !ok || scope == nil || len(claims.SigningKeys) != 1 {
		t.Fatal("the agents' key is not the one scoped signer")
	}
	user := scope.(*jwt.UserScope).Template
	if len(user.Pub.Allow) != 3 || len(user.Sub.Allow) != 1 || user.Sub.Allow[0] != "_INBOX.>" || user.Resp != nil {
		t.Errorf("user: %+v", user.Permissions)
	}
	for _, kind := range user.AllowedConnectionTypes {
		if kind != jwt.ConnectionTypeLeafnode && kind != jwt.ConnectionTypeLeafnodeWS {
			t.Errorf("a user may connect as %s", kind)
		}
	}
	agent.Cluster = "no.name"
	if _, err := authority.agentAccount(agent); err == nil {
		t.Error("an account was signed for a malformed cluster")
	}
}
