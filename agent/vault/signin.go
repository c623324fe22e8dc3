package vault

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/vault/api"

	"secretsbridge/agent"
)

// Method is a way to sign in.
type Method string

// The methods that are supported.
const (
	MethodToken      Method = "token"
	MethodAppRole    Method = "approle"
	MethodKubernetes Method = "kubernetes"
	MethodJWT        Method = "jwt"
)

// serviceAccountToken is where Kubernetes puts the token of a pod's service account, and
// replaces it before it ends: Kubernetes' documentation, "Configure Service Accounts for
// Pods".
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// Auth says how to sign in. Its fields are those of one method; others must be empty.
type Auth struct {
	Method Method

	// Token, or TokenFile, which is read again when the token is refused, so that
	// another program may put a fresh one there. The token's policies must let it look
	// itself up, as Vault's policy "default" does: that is how a token that has ended
	// is told from one that lacks a right.
	Token     string
	TokenFile string

	// RoleID and SecretIDFile of an AppRole, and where the method is mounted; "" means
	// "approle". The file is read at each sign-in.
	RoleID       string
	SecretIDFile string
	AppRoleMount string

	// KubernetesRole, where the method is mounted ("" means "kubernetes"), and the file
	// with the service account's token ("" means where Kubernetes puts it), which is read
	// at each sign-in.
	KubernetesRole          string
	KubernetesMount         string
	ServiceAccountTokenFile string

	// JWTRole and JWTFile, and where the method is mounted; "" means "jwt". The file is
	// read at each sign-in.
	JWTRole  string
	JWTFile  string
	JWTMount string
}

func (a Auth) validate() error {
	used := map[Method]bool{
		MethodToken:      a.Token+a.TokenFile != "",
		MethodAppRole:    a.RoleID+a.SecretIDFile+a.AppRoleMount != "",
		MethodKubernetes: a.KubernetesRole+a.KubernetesMount+a.ServiceAccountTokenFile != "",
		MethodJWT:        a.JWTRole+a.JWTFile+a.JWTMount != "",
	}
	if _, known := used[a.Method]; !known {
		return fmt.Errorf("the method %q is none of token, approle, kubernetes and jwt", a.Method)
	}
	delete(used, a.Method)
	for other, any := range used {
		if any {
			return fmt.Errorf("the method %s takes no setting of the method %s", a.Method, other)
		}
	}
	switch {
	case a.Method == MethodToken && (a.Token != "") == (a.TokenFile != ""):
		return errors.New("the method token takes either a token or a token file")
	case a.Method == MethodAppRole && (a.RoleID == "" || a.SecretIDFile == ""):
		return errors.New("the method approle needs a role id and a secret id file")
	case a.Method == MethodKubernetes && a.KubernetesRole == "":
		return errors.New("the method kubernetes needs a role")
	case a.Method == MethodJWT && (a.JWTRole == "" || a.JWTFile == ""):
		return errors.New("the method jwt needs a role and a file with the token")
	}
	for _, mount := range []string{a.AppRoleMount, a.KubernetesMount, a.JWTMount} {
		if _, err := agent.ParseRef(mount); mount != "" && err != nil {
			return fmt.Errorf("where the method %s is mounted: %w", a.Method, err)
		}
	}
	return nil
}

// signsIn reports whether a token is got by signing in, and so can be got anew.
func (a Auth) signsIn() bool { return a.Method != MethodToken }

// login is a sign-in: where to, and the body without the secret, which is in a file.
type login struct {
	mount, file string
	public      [2]string // name and value
	secret      string    // the name of what is in the file
}

func (a Auth) login() login {
	switch a.Method {
	case MethodAppRole:
		return login{cmp.Or(a.AppRoleMount, "approle"), a.SecretIDFile, [2]string{"role_id", a.RoleID}, "secret_id"}
	case MethodKubernetes:
		file := cmp.Or(a.ServiceAccountTokenFile, serviceAccountToken)
		return login{cmp.Or(a.KubernetesMount, "kubernetes"), file, [2]string{"role", a.KubernetesRole}, "jwt"}
	}
	return login{cmp.Or(a.JWTMount, "jwt"), a.JWTFile, [2]string{"role", a.JWTRole}, "jwt"}
}

// signIn trades what is in the file for a token of Vault's.
func (s *session) signIn(ctx context.Context) (lease, error) {
	l := s.auth.login()
	text, err := os.ReadFile(l.file)
	defer clear(text)
	if err != nil {
		return lease{}, fmt.Errorf("%w: %w", agent.ErrSignIn, err)
	}
	body, err := json.Marshal(map[string]string{l.public[0]: l.public[1], l.secret: string(bytes.TrimSpace(text))})
	defer clear(body)
	if err != nil {
		return lease{}, fmt.Errorf("%w: encode the sign-in", agent.ErrSignIn)
	}
	res, err := s.door.Logical().WriteRawWithContext(ctx, "auth/"+l.mount+"/login", body)
	answer, err := finish(ctx, res, err)
	defer clear(answer)
	var refused *statusError
	switch {
	case errors.As(err, &refused) && refused.status >= 400 && refused.status < http.StatusTooManyRequests:
		return lease{}, fmt.Errorf("%w: vault answered %d: check the method %s, the role and what is in %s", agent.ErrSignIn, refused.status, s.auth.Method, l.file)
	case err != nil:
		return lease{}, err
	}
	var signed api.Secret
	if err := json.Unmarshal(answer, &signed); err != nil || signed.Auth == nil || signed.Auth.ClientToken == "" {
		return lease{}, fmt.Errorf("%w: the answer holds no token", agent.ErrUnavailable)
	}
	s.setToken(signed.Auth.ClientToken)
	return newLease(time.Duration(signed.Auth.LeaseDuration)*time.Second, signed.Auth.Renewable), nil
}
