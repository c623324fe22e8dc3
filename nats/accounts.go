package nats

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// DefaultCredentialTTL is how long an agent's user JWT lives. Long enough to sleep
// through a bad night, short enough that a stolen one is useless soon.
const DefaultCredentialTTL = 12 * time.Hour

// How long the server remembers whom a request is answered to: a little longer than an
// agent waits. The first answer ends it. An entry costs 1 KiB or more, see flood.go.
const (
	pullThreshold    = 15 * time.Second // a pull is 10 s long
	ackThreshold     = 10 * time.Second
	serviceThreshold = 25 * time.Second
	longestThreshold = serviceThreshold
)

// agentLinks is how many links one agent may hold: its own, and the one that comes
// while the server has not noticed yet that the old one is dead.
const agentLinks = 2

// ErrUnknownAccount is what a [Registry] returns for an account it does not know.
var ErrUnknownAccount = errors.New("no agent has this account")

// Agent is what the NATS side must know of an agent.
type Agent struct {
	Account string // public nkey of its own account, "A…"
	Cluster events.ClusterID
	UserKey string // public nkey that it signs its link with, "U…"
	Revoked bool
}

// Registry answers which agent an account belongs to, or [ErrUnknownAccount]. It is
// asked when an agent links and its answer is kept while the server runs.
type Registry func(ctx context.Context, account string) (Agent, error)

// NewAgentAccount makes the account of a new agent. Its identity seed is thrown away:
// nothing is ever signed with it.
func NewAgentAccount() (account string, err error) {
	pair, err := nkeys.CreateAccount()
	if err != nil {
		return "", fmt.Errorf("create account: %w", err)
	}
	defer pair.Wipe()
	return pair.PublicKey()
}

// Credentials signs a user JWT for the agent's own key, valid for ttl. It carries no
// permissions: those are the account's, see [Authority.agentAccount].
func (a *Authority) Credentials(agent Agent, ttl time.Duration) (events.Credentials, error) {
	if !nkeys.IsValidPublicUserKey(agent.UserKey) || !nkeys.IsValidPublicAccountKey(agent.Account) {
		return events.Credentials{}, fmt.Errorf("sign credentials: malformed key of account %q", agent.Account)
	}
	if agent.Revoked {
		return events.Credentials{}, fmt.Errorf("sign credentials: agent of account %s is revoked", agent.Account)
	}
	claims := jwt.NewUserClaims(agent.UserKey)
	claims.Name = "agent"
	claims.IssuerAccount = agent.Account
	claims.SetScoped(true)
	expires := time.Now().Add(ttl).Truncate(time.Second).UTC()
	claims.Expires = expires.Unix()
	signed, err := claims.Encode(a.now.Load().agents)
	if err != nil {
		return events.Credentials{}, fmt.Errorf("sign credentials: %w", err)
	}
	return events.Credentials{UserJWT: signed, Expires: expires}, nil
}

// agentAccount signs the account of one agent: what it may import, and what each user
// inside it may do. The agents' keys can sign users of this template and nothing more.
func (a *Authority) agentAccount(agent Agent) (string, error) {
	if agent.Revoked {
		return "", fmt.Errorf("agent of account %s is revoked", agent.Account)
	}
	if !events.ValidName(string(agent.Cluster)) {
		return "", fmt.Errorf("agent of account %s has no valid cluster", agent.Account)
	}
	claims := jwt.NewAccountClaims(agent.Account)
	claims.Name = "agent-" + string(agent.Cluster)
	claims.Limits = jwt.OperatorLimits{
		NatsLimits: jwt.NatsLimits{Subs: 256, Data: -1, Payload: maxPayload},
		AccountLimits: jwt.AccountLimits{
			// Links count as connections where a server takes a new form of the account: with 0 it would
			// cut them all. Nobody is let in as a client: users' connection types are the template's.
			Imports: 3, Exports: 0, WildcardExports: false, DisallowBearer: true, Conn: agentLinks, LeafNodeConn: agentLinks,
		},
	}
	consumer, err := a.consumer(string(agent.Cluster))
	if err != nil {
		return "", err
	}
	pull, err := a.activation(agent.Account, subject.Pull(consumer))
	if err != nil {
		return "", err
	}
	acks, err := a.activation(agent.Account, subject.Acks(consumer))
	if err != nil {
		return "", err
	}
	claims.Imports.Add(
		&jwt.Import{Name: "services", Type: jwt.Service, Account: a.corePub, Subject: jwt.Subject(subject.ServicesOf(agent.Account))},
		&jwt.Import{Name: "pull", Type: jwt.Service, Account: a.corePub, Token: pull, Subject: jwt.Subject(subject.Pull(consumer)), LocalSubject: subject.LocalPull},
		&jwt.Import{Name: "acks", Type: jwt.Service, Account: a.corePub, Token: acks, Subject: jwt.Subject(subject.Acks(consumer))},
	)
	for _, key := range a.now.Load().agentKeys {
		scope := jwt.NewUserScope()
		scope.Key, scope.Role = key, "agent"
		scope.Template.AllowedConnectionTypes.Add(jwt.ConnectionTypeLeafnode, jwt.ConnectionTypeLeafnodeWS)
		scope.Template.Permissions = jwt.Permissions{
			Pub: jwt.Permission{Allow: jwt.StringList{subject.LocalPull, subject.Acks(consumer), subject.ServicesOf(agent.Account)}},
			Sub: jwt.Permission{Allow: jwt.StringList{subject.Inbox + ".>"}},
		}
		claims.SigningKeys.AddScopedSigner(scope)
	}
	claims.Tags.Add(a.form(string(agent.Cluster)))
	return a.signAccount(claims)
}

// deadAccount signs an account in which nobody can do anything, for an agent that was
// revoked.
func (a *Authority) deadAccount(account string) *jwt.AccountClaims {
	claims := jwt.NewAccountClaims(account)
	claims.Tags.Add(a.form(""))
	claims.Limits = jwt.OperatorLimits{AccountLimits: jwt.AccountLimits{DisallowBearer: true}}
	claims.RevokeAt(jwt.All, time.Now().AddDate(100, 0, 0)) // whatever was or will be signed
	return claims
}

// activation is CORE's signature under one import of one account. The server itself
// refuses an import without it.
func (a *Authority) activation(account, service string) (string, error) {
	claims := jwt.NewActivationClaims(account)
	claims.ImportType = jwt.Service
	claims.ImportSubject = jwt.Subject(service)
	signer, of := a.insiders(false)
	claims.IssuerAccount = of
	token, err := claims.Encode(signer)
	if err != nil {
		return "", fmt.Errorf("sign activation of %s: %w", service, err)
	}
	return token, nil
}

// coreAccount signs the control plane's account: JetStream without limits, and the
// three services that agents may import.
func (a *Authority) coreAccount() (string, error) {
	claims := jwt.NewAccountClaims(a.corePub)
	claims.Name = "CORE"
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
		MaxAckPending: jwt.NoLimit, MemoryMaxStreamBytes: jwt.NoLimit, DiskMaxStreamBytes: jwt.NoLimit,
	}
	claims.Limits.LeafNodeConn = 0
	claims.SigningKeys.Add(a.now.Load().coreKeys...)
	claims.Tags.Add(a.form("CORE"))
	claims.Exports.Add(
		&jwt.Export{Name: "services", Type: jwt.Service, Subject: subject.ExportServices, AccountTokenPosition: subject.ServicesAccountToken, ResponseType: jwt.ResponseTypeSingleton, ResponseThreshold: serviceThreshold},
		&jwt.Export{Name: "pull", Type: jwt.Service, Subject: subject.ExportPull, TokenReq: true, ResponseType: jwt.ResponseTypeSingleton, ResponseThreshold: pullThreshold},
		&jwt.Export{Name: "acks", Type: jwt.Service, Subject: subject.ExportAck, TokenReq: true, ResponseType: jwt.ResponseTypeSingleton, ResponseThreshold: ackThreshold},
	)
	return a.signAccount(claims)
}

func (a *Authority) systemAccount() (string, error) {
	claims := jwt.NewAccountClaims(a.systemPub)
	claims.Name = "SYS"
	claims.Limits.LeafNodeConn = 0
	claims.SigningKeys.Add(a.now.Load().systemKeys...)
	claims.Tags.Add(a.form("SYS"))
	return a.signAccount(claims)
}

// ownAccounts are CORE and SYS, by their keys.
func (a *Authority) ownAccounts() (map[string]string, error) {
	core, err := a.coreAccount()
	if err != nil {
		return nil, err
	}
	system, err := a.systemAccount()
	if err != nil {
		return nil, err
	}
	return map[string]string{a.corePub: core, a.systemPub: system}, nil
}

func (a *Authority) signAccount(claims *jwt.AccountClaims) (string, error) {
	vr := jwt.CreateValidationResults()
	claims.Validate(vr)
	if errs := vr.Errors(); len(errs) > 0 {
		return "", fmt.Errorf("sign account %s: %w", claims.Name, errors.Join(errs...))
	}
	signed, err := claims.Encode(a.now.Load().operator)
	if err != nil {
		return "", fmt.Errorf("sign account %s: %w", claims.Name, err)
	}
	return signed, nil
}

// insiders is who signs users of CORE, or of SYS, and activations of CORE: the account's own seed,
// or a signing key, which says for which account.
func (a *Authority) insiders(system bool) (signer nkeys.KeyPair, account string) {
	now := a.now.Load()
	switch {
	case system && now.doc.System.Seed == "":
		return now.system, ""
	case system:
		return now.system, a.systemPub
	case now.doc.Core.Seed == "":
		return now.core, ""
	}
	return now.core, a.corePub
}

// insider is a user of CORE or SYS for one connection: a key that lives as long as the connection,
// barred from the given subjects.
type insider struct {
	authority *Authority
	system    bool   // of SYS, not CORE
	name, how string // how is the kind of connection it may have
	denied    []string
	key       nkeys.KeyPair
}

func (a *Authority) insider(system bool, name, how string, denied []string) (*insider, error) {
	key, err := nkeys.CreateUser()
	return &insider{authority: a, system: system, name: name, how: how, denied: denied, key: key}, err
}

// userJWT signs the user, with the signing key of the moment: a connection that is made again
// after a rotation is made by the new one.
func (i *insider) userJWT() (string, error) {
	pub, err := i.key.PublicKey()
	if err != nil {
		return "", err
	}
	claims := jwt.NewUserClaims(pub)
	claims.Name = i.name
	claims.AllowedConnectionTypes.Add(i.how)
	claims.Pub.Deny.Add(i.denied...)
	claims.Limits.Payload = math.MaxInt32
	signer, account := i.authority.insiders(i.system)
	claims.IssuerAccount = account
	return claims.Encode(signer)
}
