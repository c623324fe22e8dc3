package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/store"
)

// demoCluster is the workload network of the demo agent.
const demoCluster events.ClusterID = "demo"

// bootstrap is the actor of what `sb-server dev` sets up.
var bootstrap = events.SystemActor("dev")

// demoPerson is somebody who can try the product.
type demoPerson struct {
	email, name, does string
	role              string
}

var demoPeople = []demoPerson{
	{"developer@demo.local", "Dana Developer", "asks for secrets", policy.RoleDeveloper},
	{"approver@demo.local", "Ada Approver", "decides", policy.RoleApprover},
	{"admin@demo.local", "Olu Operator", "runs agents and connections, reads the audit", policy.RoleAdmin},
}

// demoSecrets are what the demo connections hold. A value "" is made up at the first
// start, so that no two installations share one.
var demoSecrets = []struct {
	ref    string
	keys   map[string]any
	labels map[string]string
}{
	{"prod/db/password", map[string]any{"password": ""}, map[string]string{"Team": "billing", "Environment": "prod"}},
	{"prod/payments/stripe", map[string]any{"api_key": "", "webhook_secret": "", "live": true}, map[string]string{"Team": "billing", "Environment": "prod"}},
	{"staging/mail/smtp", map[string]any{"host": "smtp.demo.local", "port": 587, "user": "mailer", "password": ""}, map[string]string{"Environment": "staging"}},
}

// demoConnection is a secret store of the demo agent.
type demoConnection struct {
	name        events.ConnectionID
	kind        events.ProviderKind
	description string
	mount       string // in front of each demo ref
	fill        bool   // with the demo secrets
}

// demoPassword is SB_DEMO_PASSWORD, or one that is made up once and kept.
func demoPassword(s settings) (string, error) {
	if s.DemoPassword != "" {
		return s.DemoPassword, nil
	}
	kept := s.path("demo-password")
	text, err := os.ReadFile(kept)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	password := rand.Text()
	return password, writeFile(kept, []byte(password+"\n"), 0o600)
}

// invitePeople creates the demo people. Those that exist keep what they have, but for
// the password, which is the one of this start.
func (st *stack) invitePeople(ctx context.Context, password string) error {
	for _, p := range demoPeople {
		value := secret.New([]byte(password))
		there, err := st.people.ByEmail(ctx, p.email)
		switch {
		case err == nil:
			err = st.people.SetPassword(ctx, there.ID, value)
		case errors.Is(err, store.ErrNotFound):
			there, err = st.people.Create(ctx, store.Person{Email: p.email, Name: p.name}, value)
		}
		if err == nil {
			err = st.addDemoPerson(ctx, there.ID, p.role)
		}
		if err != nil {
			return fmt.Errorf("demo person %s: %w", p.email, err)
		}
	}
	return nil
}

// addDemoPerson records who they are and what they may do, once: what was taken from them since
// stays taken.
func (st *stack) addDemoPerson(ctx context.Context, id events.UserID, role string) error {
	meta := command.Meta{Command: events.DeriveCommandID("demo person", string(id)), Actor: bootstrap, Time: time.Now()}
	_, err := command.Execute(ctx, st.store, events.UserStream(id), meta, func(u command.User) ([]events.Fact, error) {
		added, err := u.Add(meta, events.UserAdded{User: id, Kind: events.UserPerson})
		if err != nil || len(added) == 0 {
			return nil, err // of an installation from before, with the roles it had
		}
		return append(added, events.GrantGiven{Grant: events.GrantOf(meta.Command), Role: role, Reason: "a demo person"}), nil
	})
	return err
}

// nameConnection creates a demo connection if there is none of that name.
func (st *stack) nameConnection(ctx context.Context, name events.ConnectionID, kind events.ProviderKind, description string) error {
	meta := command.Meta{Command: events.DeriveCommandID("demo connection", string(name)), Actor: bootstrap, Time: time.Now()}
	done, err := command.Execute(ctx, st.store, events.ConnectionStream(name), meta, func(c command.Connection) ([]events.Fact, error) {
		return c.Create(meta, events.ConnectionCreated{Connection: name, Provider: kind, Cluster: demoCluster, Description: description})
	})
	if errors.Is(err, command.ErrConnectionExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("demo connection %s: %w", name, err)
	}
	return st.progress.WaitFor(ctx, done.Seq)
}

// inviteAgent issues the demo agent's token, as an operator would, and revokes what an
// earlier start left unused or lost.
func (st *stack) inviteAgent(ctx context.Context) (secret.Value, error) {
	var stale []events.AgentID
	err := views{pool: st.pool, progress: st.progress}.agents(ctx, projections.AgentFilter{Cluster: demoCluster}, func(a projections.Agent) {
		if a.Name == demoAgent && a.State != events.AgentGone && a.State != events.AgentExpired {
			stale = append(stale, a.ID)
		}
	})
	if err != nil {
		return secret.Value{}, err
	}
	for _, id := range stale {
		meta := command.Meta{Command: events.NewCommandID(), Actor: bootstrap, Time: time.Now()}
		if _, err := st.gateway.Revoke(ctx, meta, id, "the demo agent enrols again"); err != nil {
			return secret.Value{}, err
		}
	}
	meta := command.Meta{Command: events.NewCommandID(), Actor: bootstrap, Time: time.Now()}
	invited, err := st.gateway.Invite(ctx, meta, demoAgent, demoCluster, time.Minute)
	return invited.Token, err
}

// demoBundle is the JSON of a demo secret, with values of its own.
func demoBundle(keys map[string]any) ([]byte, error) {
	filled := make(map[string]any, len(keys))
	for k, v := range keys {
		if v == "" {
			v = "demo-" + rand.Text()
		}
		filled[k] = v
	}
	return json.Marshal(filled)
}
