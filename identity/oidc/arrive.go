package oidc

import (
	"context"
	"errors"
	"slices"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/store"
)

// arrive finds whoever a provider speaks of, or makes them, and records what it says of their
// groups.
func (p *Provider) arrive(ctx context.Context, who told) (store.Person, error) {
	person, err := p.person(ctx, who)
	if err != nil {
		return store.Person{}, err
	}
	if person.Disabled {
		return person, &Refused{CodeDisabled, "disabled", person.ID}
	}
	by, err := p.Groups(ctx)
	if err != nil {
		return person, err
	}
	groups := slices.Compact(slices.Sorted(slices.Values(by.GroupsByClaim(who.groups))))
	meta := command.Meta{Command: events.NewCommandID(), Actor: identityProvider, Time: p.Now()}
	_, err = command.Execute(ctx, p.Log, events.UserStream(person.ID), meta, func(u command.User) ([]events.Fact, error) {
		return welcome(u, person.ID, p.Issuer, groups)
	})
	if errors.Is(err, errKeptOut) {
		return person, &Refused{CodeDisabled, "disabled", person.ID}
	}
	if err != nil {
		return person, err
	}
	if person.Email != who.email || person.Name != who.name {
		person.Email, person.Name = who.email, who.name
		err = p.Identities.Refresh(ctx, person)
	}
	return person, err
}

// errKeptOut says that somebody's history keeps them out.
var errKeptOut = errors.New("disabled or erased")

// welcome decides what a sign-in adds to somebody's history: that they are there, with their
// first one, and the groups whenever they differ. Whoever is kept out stays out.
func welcome(u command.User, id events.UserID, issuer string, groups []string) ([]events.Fact, error) {
	var facts []events.Fact
	switch u.State {
	case "":
		facts = append(facts, events.UserAdded{User: id, Kind: events.UserPerson}, events.IdentityLinked{Issuer: issuer})
	case command.UserActive:
	default:
		return nil, errKeptOut
	}
	if !slices.Equal(groups, u.Groups) {
		facts = append(facts, events.GroupsTold{Groups: groups})
	}
	return facts, nil
}

// person finds the person of an identity, or makes one. Whoever has the e-mail already is
// somebody else: they would have to be told apart by more than what the provider says.
func (p *Provider) person(ctx context.Context, who told) (store.Person, error) {
	person, err := p.Identities.Find(ctx, p.Issuer, who.subject)
	if !errors.Is(err, store.ErrNotFound) {
		return person, err
	}
	person, err = p.Identities.Create(ctx, p.Issuer, who.subject, store.Person{Email: who.email, Name: who.name})
	switch {
	case errors.Is(err, store.ErrLinked): // by another sign-in of theirs, in this moment
		return p.Identities.Find(ctx, p.Issuer, who.subject)
	case errors.Is(err, store.ErrConflict):
		return store.Person{}, refuse(CodeTaken, "email_taken")
	}
	return person, err
}
