package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/store"
)

// migration is the actor of what an older installation kept in rows, and facts tell now.
var migration = events.SystemActor("migration")

// followInMemory keeps up to date what a register folds from the log: what people may do, and what
// rules look at besides. What is wrong with the log ends the server; what is wrong with Postgres,
// which rights start from, is waited out.
func (st *stack) followInMemory(ctx context.Context, what string, run func(context.Context) error) error {
	for {
		err := run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, command.ErrLogUnsafe) {
			return err
		}
		if newer := newerLog(err); newer != nil {
			return newer
		}
		st.log.Warn("a register stands still and is tried again", "part", what, "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// settleRights takes over what an older installation kept in rows, and waits until everybody's
// rights are known.
func (st *stack) settleRights(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	return st.adoptRows(ctx)
}

// moveRoles makes facts of the roles that rows of people had before rights were facts. Who has
// facts already keeps those: a start that stopped half way is finished by the next.
func moveRoles(ctx context.Context, log command.Log, rows store.FormerRoles, now func() time.Time) error {
	all, err := rows.All(ctx)
	if err != nil {
		return err
	}
	for _, former := range all {
		id := former.Person
		meta := command.Meta{Command: events.DeriveCommandID("former roles", string(id)), Actor: migration, Time: now()}
		_, err := command.Execute(ctx, log, events.UserStream(id), meta, func(u command.User) ([]events.Fact, error) {
			facts, err := u.Add(meta, events.UserAdded{User: id, Kind: events.UserPerson})
			if err != nil || len(facts) == 0 {
				return nil, err
			}
			for _, role := range former.Roles {
				grant := events.GrantOf(events.DeriveCommandID("former role", string(id), role))
				facts = append(facts, events.GrantGiven{Grant: grant, Role: role, Reason: "as it was before"})
			}
			if former.Disabled {
				facts = append(facts, events.UserDisabled{Reason: "as it was before"})
			}
			return facts, nil
		})
		if err != nil {
			return fmt.Errorf("move the roles of %s: %w", id, err)
		}
		if err := rows.Forget(ctx, id); err != nil { // from here on they are facts
			return err
		}
	}
	return nil
}
