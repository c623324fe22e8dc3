package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"secretsbridge/accounts"
	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/policy"
	"secretsbridge/rights"
	"secretsbridge/store"
)

// nobodyYet is the views of an installation that has just been made.
type nobodyYet struct{}

func (nobodyYet) Users(context.Context) ([]command.User, events.Seq, error) { return nil, 0, nil }

// newHost is a control socket of a server with nobody in it, whose log is in memory.
func newHost(t *testing.T) (settings, *stack, *commandtest.Memory, *bytes.Buffer) {
	t.Helper()
	log, said, pool := &commandtest.Memory{}, &bytes.Buffer{}, cluster.New(t).App
	st := &stack{log: slog.New(slog.NewTextHandler(said, nil)), people: store.People{Pool: pool, Rows: vouching}, rights: rights.New(log, log, nobodyYet{})}
	st.accounts = accounts.New(accounts.Config{
		Log: log, People: st.people, Links: store.Links{Pool: pool, Rows: vouching}, Tokens: store.Tokens{Pool: pool, Rows: vouching}, Sessions: store.Sessions{Pool: pool, Rows: vouching},
		Rights: st.rights, URL: "https://secrets.example.org", Denounce: vouching.Denounce, Logger: st.log, Now: time.Now,
	})
	s := settings{DataDir: t.TempDir()}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- st.rights.Run(ctx) }()
	c := &control{log: log, logger: st.log, invite: st.invite}
	listener, err := listenControl(controlPath(s))
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- c.serveOn(ctx, listener) }()
	t.Cleanup(func() { stop(); <-ended; <-ended })
	return s, st, log, said
}

func (s settings) inviteByControl(ctx context.Context, g guest) (got guestLink, err error) {
	err = askControlWith(ctx, s, "POST", "/people/invite", g, func(a controlAnswer) error {
		got = *a.Link
		return nil
	})
	return got, err
}

// TestTheFirstAdministratorIsInvitedFromTheHost, and is helped back in from there.
func TestTheFirstAdministratorIsInvitedFromTheHost(t *testing.T) {
	t.Parallel()
	s, st, log, said := newHost(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first, err := s.inviteByControl(ctx, guest{Email: "ada@example.org", Name: "Ada Example", Role: policy.RoleAdmin, BreakGlass: true})
	if err != nil {
		t.Fatal(err)
	}
	token, ok := strings.CutPrefix(first.Link, "https://secrets.example.org/#link=")
	if !ok {
		t.Fatalf("the link has %d bytes", len(first.Link))
	}
	user := st.rights.User(first.Person)
	if !user.BreakGlass || len(user.Grants) != 1 || user.Grants[0].Role != policy.RoleAdmin {
		t.Errorf("%+v", user)
	}
	again, err := s.inviteByControl(ctx, guest{Email: "ADA@example.org", Name: "Ada Example", Role: policy.RoleAdmin})
	if err != nil || again.Person != first.Person || again.Link == first.Link {
		t.Fatalf("asked again: %v", err)
	}
	meta := command.Meta{Command: events.NewCommandID(), Time: time.Now()}
	if _, _, err := st.accounts.Redeem(ctx, meta, secret.New([]byte(token)), secret.New([]byte("staple of nine batteries"))); !errors.Is(err, accounts.ErrLink) {
		t.Errorf("the older link: %v", err)
	}
	if user = st.rights.User(first.Person); len(user.Grants) != 1 {
		t.Errorf("asked twice, %d grants", len(user.Grants))
	}
	if _, err := s.inviteByControl(ctx, guest{Email: "eve@example.org", Name: "Eve", Role: "ghost"}); err == nil || !strings.Contains(err.Error(), "role_unknown") {
		t.Errorf("a role that there is not: %v", err)
	}
	if _, err := st.people.ByEmail(ctx, "eve@example.org"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("and somebody is left: %v", err)
	}
	last, err := log.Last(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for seq := range last {
		c, err := log.At(ctx, seq+1)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			if e.Actor != operator || strings.Contains(string(c.Raw), "example") || strings.Contains(string(c.Raw), "sbl_") {
				t.Errorf("%s by %s", c.Raw, e.Actor)
			}
		}
	}
	if strings.Contains(said.String(), "example") || strings.Contains(said.String(), "sbl_") {
		t.Errorf("the server's log says %s", said.String())
	}
}

func TestThePublicURLIsABeginningOfLinks(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"": true, "https://sb.example.org": true, "https://sb.example.org:8443": true,
		"http://sb.example.org": false, "https://sb.example.org/": false, "https://sb.example.org/x": false, "https://a@sb.example.org": false,
		"https://sb.example.org?x": false, "https://sb.example.org#x": false, "sb.example.org": false, "https://": false,
	} {
		if err := checkPublicURL(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
	for addr, want := range map[string]string{"127.0.0.1:8443": "https://localhost:8443", ":8443": "https://localhost:8443", "0.0.0.0:1": "https://localhost:1", "192.0.2.7:443": "https://192.0.2.7:443", "sb.example.org:443": "https://sb.example.org:443"} {
		if got := (settings{HTTPAddr: addr}).publicURL(); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
}
