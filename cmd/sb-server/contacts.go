package main

import (
	"context"
	"log/slog"
	"time"

	"secretsbridge/events"
	"secretsbridge/nats"
	"secretsbridge/notices"
	"secretsbridge/store"
)

// forgetTimeout bounds how long whoever changed somebody waits until the servers were told. What
// they were not told of counts a minute later.
const forgetTimeout = 2 * time.Second

// forgetting has all servers forget how somebody is called and reached. A change that is stored is
// not undone where they cannot be told.
type forgetting struct {
	caches *nats.Caches
	log    *slog.Logger
}

func (f forgetting) forget(ctx context.Context, id events.UserID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetTimeout)
	defer cancel()
	if err := f.caches.Invalidate(ctx, nats.Contacts, id); err != nil {
		f.log.Warn("servers were not told to forget somebody, and do within a minute", "user", id, "err", err)
	}
}

// forgottenPeople are people whose changes all servers hear of.
type forgottenPeople struct {
	store.People
	forgetting
}

func (p forgottenPeople) ShutOut(ctx context.Context, id events.UserID, record func([]events.SessionID) error) error {
	defer p.forget(ctx, id)
	return p.People.ShutOut(ctx, id, record)
}

func (p forgottenPeople) SetDisabled(ctx context.Context, id events.UserID, disabled bool) error {
	defer p.forget(ctx, id)
	return p.People.SetDisabled(ctx, id, disabled)
}

func (p forgottenPeople) Erase(ctx context.Context, id events.UserID) error {
	defer p.forget(ctx, id)
	return p.People.Erase(ctx, id)
}

// forgottenIdentities are identities that bring other names and addresses, likewise.
type forgottenIdentities struct {
	store.Identities
	forgetting
}

func (i forgottenIdentities) Refresh(ctx context.Context, person store.Person) error {
	defer i.forget(ctx, person.ID)
	return i.Identities.Refresh(ctx, person)
}

// followContacts has this server forget whom any server changed, until ctx ends.
func followContacts(ctx context.Context, caches *nats.Caches, contacts *notices.Contacts) error {
	return caches.Watch(ctx, nats.Contacts, contacts.Forget, contacts.ForgetAll)
}
