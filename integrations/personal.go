package integrations

import (
	"context"
	"errors"
	"fmt"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
)

// SetPersonal takes the address of an incoming webhook by which somebody has themselves told, in
// place of another one. Its row goes with the person's. Errors: [command.ErrIntegrationSecret]
// where it is no address.
func (i *Integrations) SetPersonal(ctx context.Context, user events.UserID, address secret.Value, record func() error) error {
	if _, err := HostOf(address); err != nil {
		return err
	}
	owner := Owner{Person: user}
	for range attempts {
		newest, err := i.Store.Newest(ctx, owner, events.IntegrationURL)
		if err != nil {
			return err
		}
		sealed, err := i.close(ctx, owner, events.IntegrationURL, newest+1, address)
		if err != nil {
			return err
		}
		err = i.Store.Put(ctx, owner, []Sealed{sealed}, nil, record)
		if !errors.Is(err, ErrMoved) {
			return err
		}
	}
	return fmt.Errorf("set the address of %s: %w", user, ErrMoved)
}

// OpenPersonal implements [Secrets].
func (i *Integrations) OpenPersonal(ctx context.Context, user events.UserID) (secret.Value, error) {
	values, err := i.openAll(ctx, Owner{Person: user}, events.IntegrationURL)
	if err != nil {
		return secret.Value{}, err
	}
	return values[0], nil
}

// HasPersonal reports whether there is one.
func (i *Integrations) HasPersonal(ctx context.Context, user events.UserID) (bool, error) {
	newest, err := i.Store.Newest(ctx, Owner{Person: user}, events.IntegrationURL)
	return newest > 0, err
}
