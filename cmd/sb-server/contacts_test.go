package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/nats"
	"secretsbridge/notices"
	"secretsbridge/store"
)

// TestWhoChangesAtOneServerChangesAtAll has two servers with what they keep of people, over one
// NATS: whoever is erased, disabled or called otherwise at one is so at the other. Nothing here
// waits for what is kept to become old: their clocks stand.
func TestWhoChangesAtOneServerChangesAtAll(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	authority, err := nats.CreateAuthority(filepath.Join(t.TempDir(), "authority"))
	if err != nil {
		t.Fatal(err)
	}
	hub, err := nats.StartHub(nats.HubConfig{Authority: authority, Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Shutdown)
	admin, err := hub.ConnectProvisioner("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	streams, err := nats.NewStreams(admin, 1, hub.Durability, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	pool := cluster.New(t).App
	people := store.People{Pool: pool, Rows: vouching}
	noon := func() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }

	var caches []*nats.Caches
	var contacts []*notices.Contacts
	begun := make(chan struct{}, 100)
	for range 2 {
		nc, err := hub.Connect("server")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		c, err := nats.OpenCaches(t.Context(), nc)
		if err != nil {
			t.Fatal(err)
		}
		kept := &notices.Contacts{People: people, Now: noon}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- c.Watch(ctx, nats.Contacts, kept.Forget, func() { kept.ForgetAll(); begun <- struct{}{} })
		}()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("watch: %v", err)
			}
		})
		<-begun
		caches, contacts = append(caches, c), append(contacts, kept)
	}
	changing := forgottenPeople{people, forgetting{caches[0], quiet}}
	email := func(server int, id events.UserID) string {
		at, err := contacts[server].Email(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	name := func(server int, id events.UserID) string {
		names, err := contacts[server].Names(t.Context(), []events.UserID{id})
		if err != nil {
			t.Fatal(err)
		}
		return names[id]
	}
	for what, change := range map[string]struct {
		do          func(store.Person) error
		name, email string
	}{
		"erased":   {func(p store.Person) error { return changing.Erase(t.Context(), p.ID) }, "", ""},
		"disabled": {func(p store.Person) error { return changing.SetDisabled(t.Context(), p.ID, true) }, "Ana", ""},
		"shut out": {func(p store.Person) error {
			return changing.ShutOut(t.Context(), p.ID, func([]events.SessionID) error { return nil })
		}, "Ana", ""},
		"renamed": {func(p store.Person) error {
			p.Name, p.Email = "Anna", "anna@example.org"
			return forgottenIdentities{store.Identities{Pool: pool, Rows: vouching}, changing.forgetting}.Refresh(t.Context(), p)
		}, "Anna", "anna@example.org"},
	} {
		who, err := people.Create(t.Context(), store.Person{Email: string(events.NewUserID()) + "@example.org", Name: "Ana"}, secret.New([]byte("a password of hers")))
		if err != nil {
			t.Fatal(err)
		}
		for server := range 2 {
			if name(server, who.ID) != "Ana" || email(server, who.ID) != who.Email {
				t.Fatalf("%s: before, server %d knows something else", what, server)
			}
		}
		if err := change.do(who); err != nil {
			t.Fatal(err)
		}
		for server := range 2 {
			for end := time.Now().Add(30 * time.Second); name(server, who.ID) != change.name || email(server, who.ID) != change.email; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s: server %d still knows %q, %q", what, server, name(server, who.ID), email(server, who.ID))
				}
			}
		}
	}
}
