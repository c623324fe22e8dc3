package integrations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
)

// attempts bounds how often somebody loses against others who set the same secret.
const attempts = 5

// Done is what became of a command.
type Done struct {
	Seq     events.Seq
	Version int       // of the secret that was set
	Overlap time.Time // until when the one before counts, too; zero: not at all

	// SigningKey was made, and is shown this once. It is empty where there is none to show: the
	// command was taken before.
	SigningKey secret.Value
}

// Create names an integration with its secrets: url of what is told, token of Argo CD. A webhook
// gets a signing key. Settings.Address of what is told is taken from the url.
func (i *Integrations) Create(ctx context.Context, meta command.Meta, cmd events.IntegrationCreated, url, token secret.Value) (Done, error) {
	if err := checkAuthorities(cmd.Settings.CA); err != nil {
		return Done{}, err
	}
	values := map[events.IntegrationSecret]secret.Value{}
	has := command.SecretsOf(cmd.Kind)
	for what, value := range map[events.IntegrationSecret]secret.Value{events.IntegrationURL: url, events.IntegrationToken: token} {
		switch {
		case slices.Contains(has, what):
			host, err := given(what, value)
			if err != nil {
				return Done{}, err
			}
			if values[what] = value; what == events.IntegrationURL {
				cmd.Settings.Address = host
			}
		case len(value.Expose()) > 0 && cmd.Kind.Valid():
			return Done{}, invalid(fmt.Sprintf("an integration of kind %s has no %s", cmd.Kind, what))
		}
	}
	if slices.Contains(has, events.IntegrationSigningKey) {
		values[events.IntegrationSigningKey] = newSigningKey()
	}
	done, err := i.set(ctx, meta, cmd.Integration, values, func(s command.Integration, kmsKey string) ([]events.Fact, error) {
		return s.Create(meta, cmd, kmsKey)
	})
	done.Version = 0
	return done, err
}

// Change replaces the settings, and the token if there is one.
func (i *Integrations) Change(ctx context.Context, meta command.Meta, id events.IntegrationID, settings events.IntegrationSettings, token secret.Value) (Done, error) {
	if err := checkAuthorities(settings.CA); err != nil {
		return Done{}, err
	}
	values := map[events.IntegrationSecret]secret.Value{}
	if len(token.Expose()) > 0 {
		if err := checkToken(token); err != nil {
			return Done{}, err
		}
		values[events.IntegrationToken] = token
	}
	return i.set(ctx, meta, id, values, func(s command.Integration, kmsKey string) ([]events.Fact, error) {
		return s.Change(meta, command.ChangeIntegration{Settings: settings, Token: len(values) > 0, KMSKey: kmsKey})
	})
}

// Rotate puts another secret in the place of one. Of a signing key, which is made here, the one
// before signs beside it for the overlap.
func (i *Integrations) Rotate(ctx context.Context, meta command.Meta, id events.IntegrationID, what events.IntegrationSecret, value secret.Value, overlap time.Duration) (Done, error) {
	if what != events.IntegrationURL && what != events.IntegrationToken && what != events.IntegrationSigningKey {
		return Done{}, invalid("secret is url, token or signing_key")
	}
	host, err := given(what, value)
	if err != nil {
		return Done{}, err
	}
	if what == events.IntegrationSigningKey {
		value = newSigningKey()
	}
	values := map[events.IntegrationSecret]secret.Value{what: value}
	return i.set(ctx, meta, id, values, func(s command.Integration, kmsKey string) ([]events.Fact, error) {
		return s.Rotate(meta, command.RotateSecret{Secret: what, KMSKey: kmsKey, Overlap: overlap, Host: host})
	})
}

// Execute takes a command that sets no secret.
func (i *Integrations) Execute(ctx context.Context, meta command.Meta, id events.IntegrationID, decide func(command.Integration) ([]events.Fact, error)) (events.Seq, error) {
	done, err := command.Execute(ctx, i.Log, events.IntegrationStream(id), meta, decide)
	return done.Seq, err
}

// Remove ends an integration and destroys its secrets. Where they cannot be destroyed now,
// [Integrations.Sweep] does it.
func (i *Integrations) Remove(ctx context.Context, meta command.Meta, id events.IntegrationID, reason string) (events.Seq, error) {
	seq, err := i.Execute(ctx, meta, id, func(s command.Integration) ([]events.Fact, error) { return s.Remove(meta, reason) })
	if err != nil {
		return 0, err
	}
	// It is removed from here on, and nothing opens its secrets for anybody.
	return seq, i.Store.Destroy(context.WithoutCancel(ctx), Owner{Integration: id})
}

// set stores secrets and records that they are set, both or neither; only a crash between the two
// leaves the record alone. The same command again then stores what is missing.
func (i *Integrations) set(ctx context.Context, meta command.Meta, id events.IntegrationID, values map[events.IntegrationSecret]secret.Value,
	decide func(command.Integration, string) ([]events.Fact, error)) (Done, error) {
	for range attempts {
		done, err := i.trySet(ctx, meta, id, values, decide)
		if !errors.Is(err, ErrMoved) {
			return done, err
		}
	}
	return Done{}, fmt.Errorf("set a secret of %s: %w", id, command.ErrConflict)
}

func (i *Integrations) trySet(ctx context.Context, meta command.Meta, id events.IntegrationID, values map[events.IntegrationSecret]secret.Value,
	decide func(command.Integration, string) ([]events.Fact, error)) (Done, error) {
	stream, owner := events.IntegrationStream(id), Owner{Integration: id}
	state, seq, err := command.Load[command.Integration](ctx, i.Log, stream)
	if err != nil {
		return Done{}, err
	}
	if state.Took(meta.Command) {
		return i.again(ctx, meta, id, seq, values)
	}
	// What is refused by the rules costs no call of the key manager.
	if _, err := decide(state, ""); err != nil {
		return Done{}, err
	}
	fresh, kmsKey, err := i.closeAll(ctx, owner, values, state.Version)
	if err != nil {
		return Done{}, err
	}
	var decided command.Decision[command.Integration]
	record := func() error {
		decided, err = command.Execute(ctx, i.Log, stream, meta, func(s command.Integration) ([]events.Fact, error) {
			for what := range values {
				if s.Version(what) != state.Version(what) {
					return nil, ErrMoved
				}
			}
			return decide(s, kmsKey)
		})
		if err == nil && decided.Repeated && len(fresh) > 0 {
			return ErrMoved // the same command, by another server: its secrets are stored, not these
		}
		return err
	}
	if len(fresh) == 0 {
		err := record()
		return Done{Seq: decided.Seq}, err
	}
	overlaps, done := map[events.IntegrationSecret]time.Time{}, Done{SigningKey: values[events.IntegrationSigningKey]}
	facts, err := decide(state, kmsKey)
	if err != nil {
		return Done{}, err
	}
	for _, f := range facts {
		if set, ok := f.(events.IntegrationSecretSet); ok {
			overlaps[set.Secret], done.Version, done.Overlap = set.Overlap, set.Version, set.Overlap
		}
	}
	if err := i.Store.Put(ctx, owner, fresh, overlaps, record); err != nil {
		return Done{}, err
	}
	done.Seq = decided.Seq
	return done, nil
}

func (i *Integrations) closeAll(ctx context.Context, owner Owner, values map[events.IntegrationSecret]secret.Value, version func(events.IntegrationSecret) int) ([]Sealed, string, error) {
	var fresh []Sealed
	kmsKey := ""
	for what, value := range values {
		sealed, err := i.close(ctx, owner, what, version(what)+1, value)
		if err != nil {
			return nil, "", err
		}
		fresh, kmsKey = append(fresh, sealed), sealed.KMSKey
	}
	return fresh, kmsKey, nil
}

// again answers a command that was taken before, and stores what a crash left out: secrets that
// the command set, that still are the newest by the facts, and that are not stored.
func (i *Integrations) again(ctx context.Context, meta command.Meta, id events.IntegrationID, seq events.Seq, values map[events.IntegrationSecret]secret.Value) (Done, error) {
	history, err := i.Log.Load(ctx, events.IntegrationStream(id))
	if err != nil {
		return Done{}, err
	}
	owner, newest := Owner{Integration: id}, map[events.IntegrationSecret]events.IntegrationSecretSet{}
	set, removed := map[events.IntegrationSecret]events.IntegrationSecretSet{}, false
	done := Done{Seq: seq}
	for _, commit := range history {
		for _, e := range commit.Events {
			switch f := e.Fact.(type) {
			case events.IntegrationSecretSet:
				newest[f.Secret] = f
				if e.Command == meta.Command {
					set[f.Secret], done.Version, done.Overlap = f, f.Version, f.Overlap
				}
			case events.IntegrationRemoved:
				removed = true
			}
			if e.Command == meta.Command {
				done.Seq = commit.Seq
			}
		}
	}
	for what, f := range set {
		stored, err := i.Store.Newest(ctx, owner, what)
		if err != nil {
			return Done{}, err
		}
		if removed || stored >= f.Version || newest[what].Version != f.Version {
			continue
		}
		sealed, err := i.close(ctx, owner, what, f.Version, values[what])
		if err != nil {
			return Done{}, err
		}
		if err := i.Store.Put(ctx, owner, []Sealed{sealed}, map[events.IntegrationSecret]time.Time{what: f.Overlap}, func() error { return nil }); err != nil {
			return Done{}, err
		}
		if what == events.IntegrationSigningKey {
			done.SigningKey = values[what]
		}
	}
	return done, nil
}

// Sweep destroys secrets whose overlap has ended, and those of integrations that were removed
// while the database was away. It returns how many rows or integrations that were.
func (i *Integrations) Sweep(ctx context.Context) (int, error) {
	n, err := i.Store.DestroyOverlapped(ctx, i.Now())
	if err != nil {
		return 0, err
	}
	ids, err := i.Store.Integrations(ctx)
	if err != nil {
		return n, err
	}
	for _, id := range ids {
		state, _, err := command.Load[command.Integration](ctx, i.Log, events.IntegrationStream(id))
		if err != nil {
			return n, err
		}
		if state.State == command.IntegrationGone {
			if err := i.Store.Destroy(ctx, Owner{Integration: id}); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
