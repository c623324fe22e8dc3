package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// ErrServerChanged says that the server signs with another key than the one that is
// known: it was rotated, or this is another server.
var ErrServerChanged = errors.New("the server's signing key is not the one that was seen before")

// errUnsealed says that what the server sealed does not open: somebody on the way
// changed it.
var errUnsealed = fmt.Errorf("%w: a sealed part of it does not open; somebody on the way may have changed it", ErrAnswer)

// errStale refuses keys whose end has passed: somebody on the way may have recorded them,
// and come by their private halves since.
var errStale = fmt.Errorf("%w: the keys that it seals by have ended; if this machine's clock is right, somebody on the way sent old ones", ErrAnswer)

// ServerKey is the server's signing key, once it is known; else empty.
func (c *Client) ServerKey() string {
	if key := c.pinned.Load(); key != nil {
		return key.String()
	}
	return ""
}

// intake asks for the keys to seal values to, checks who signed them, and returns the
// one that the server prefers of those that this client knows.
func (c *Client) intake(ctx context.Context) (seal.RecipientPublic, error) {
	got, err := Get[api.Intake](ctx, c.anonymous(), Path("intake"), nil)
	if err != nil {
		return seal.RecipientPublic{}, c.unsigned(err)
	}
	altered := &Altered{false, errUnsealed}
	signer, err := seal.ParseVerifyKey(got.Value.SigningKey)
	if err != nil {
		return seal.RecipientPublic{}, altered
	}
	if known := c.pinned.Load(); known != nil && *known != signer {
		return seal.RecipientPublic{}, ErrServerChanged
	}
	if err := signer.Verify(events.IntakeDomain, got.Value.IntakeKeys, got.Value.Signature); err != nil {
		return seal.RecipientPublic{}, altered
	}
	var said events.IntakeKeys
	if err := json.Unmarshal(got.Value.IntakeKeys, &said); err != nil {
		return seal.RecipientPublic{}, altered
	}
	if !c.now().Before(said.NotAfter) {
		return seal.RecipientPublic{}, errStale
	}
	for _, text := range said.Keys {
		if key, err := seal.ParseRecipientPublic(text); err == nil {
			c.pinned.CompareAndSwap(nil, &signer)
			c.proven.Store(true)
			return key, nil
		}
	}
	return seal.RecipientPublic{}, fmt.Errorf("%w: it takes no key that this version knows; update it", ErrAnswer)
}

// Change is one key of a patch.
type Change struct {
	Key   string
	Unset bool
	Asked bool           // another team sets it
	Kind  seal.EntryKind // of a set
	Value secret.Value   // likewise; the caller zeroes it
}

// Patch asks to change a secret, as a submit says but for its changes. Each value is sealed
// before it leaves this process.
func Patch(ctx context.Context, c *Client, ask api.Submit, changes []Change) (Item[api.Submitted], error) {
	ask.Operation = string(events.OperationPatch)
	return sealed[api.Submitted](ctx, c, Path("requests"), ask.Secret, changes, func(proposed []api.ProposedChange) any {
		ask.Changes = proposed
		return ask
	})
}

// Provide fills in the values that somebody of another team asks for, sealed likewise.
func Provide(ctx context.Context, c *Client, r api.Request, comment string, changes []Change) (Item[api.Done], error) {
	return sealed[api.Done](ctx, c, Path("requests", r.ID, "values"), r.Secret, changes, func(proposed []api.ProposedChange) any {
		return api.Values{Changes: proposed, Comment: comment}
	})
}

// sealed posts a body with values that are sealed for this one call.
func sealed[T any](ctx context.Context, c *Client, path, secret string, changes []Change, body func([]api.ProposedChange) any) (Item[T], error) {
	me, err := Get[api.Me](ctx, c, Path("me"), nil)
	if err != nil {
		return Item[T]{}, err
	}
	for attempt := 1; ; attempt++ {
		to, err := c.intake(ctx)
		if err != nil {
			return Item[T]{}, err
		}
		key := rand.Text()
		proposed, err := propose(to, me.Value.ID, key, secret, changes)
		if err != nil {
			return Item[T]{}, err
		}
		done, err := call[T](ctx, c, "POST", path, nil, body(proposed), key)
		var refusal *Refused
		if attempt == 1 && errors.As(err, &refusal) && refusal.Problem.Code == "intake_key_unknown" {
			continue // its keys changed in this moment, so nothing was done
		}
		return done, err
	}
}

func propose(to seal.RecipientPublic, me, key, secret string, changes []Change) ([]api.ProposedChange, error) {
	connection, ref, _ := strings.Cut(secret, "/") // as the server does
	out := make([]api.ProposedChange, len(changes))
	for i, change := range changes {
		if change.Unset {
			out[i] = api.ProposedChange{Key: change.Key, Action: string(events.ChangeUnset)}
			continue
		}
		if change.Asked {
			out[i] = api.ProposedChange{Key: change.Key, Action: string(events.ChangeSet)}
			continue
		}
		entry, err := seal.EncodeEntry(change.Kind, change.Value.Expose())
		if err != nil {
			return nil, fmt.Errorf("value of key %q: %w", change.Key, err)
		}
		sealed, err := seal.SealProposal(to, seal.Binding{
			Direction: seal.Propose, Request: key, Key: change.Key, Connection: connection, Ref: ref, Agent: me, AgentKey: to.ID(),
		}, entry)
		clear(entry)
		if err != nil {
			return nil, fmt.Errorf("value of key %q: %w", change.Key, err)
		}
		out[i] = api.ProposedChange{Key: change.Key, Action: string(events.ChangeSet), Sealed: sealed}
	}
	return out, nil
}

// Opened is a value that was revealed. The caller zeroes it.
type Opened struct {
	Key   string
	Value secret.Value
	Seq   uint64
}

// Reveal opens an envelope, once. The value comes sealed to a key that lives for this
// call alone.
func Reveal(ctx context.Context, c *Client, r api.Request, envelope string) (Opened, error) {
	if !c.signs() { // else every answer has said who the server is
		if _, err := c.intake(ctx); err != nil { // who the server is, before a value is used up
			return Opened{}, err
		}
	}
	own, err := seal.GenerateRecipientKey(seal.XWing)
	if err != nil {
		return Opened{}, err
	}
	got, err := Post[api.Revealed](ctx, c, Path("requests", r.ID, "envelopes", envelope, "reveal"), api.Reveal{Recipient: own.Public().String()})
	if err != nil {
		return Opened{}, err
	}
	value, err := seal.OpenValueMessage(own, seal.VerifyKeys{*c.pinned.Load()}, seal.Binding{
		Direction: seal.Reveal, Request: r.ID, Envelope: envelope, Key: got.Value.Key, Connection: r.Connection, Ref: r.Ref,
		Agent: r.Requester.ID, AgentKey: own.Public().ID(), NotAfter: got.Value.NotAfter,
	}, got.Value.NotAfter.Add(-time.Second), got.Value.Sealed)
	if err != nil {
		return Opened{}, errUnsealed
	}
	return Opened{Key: got.Value.Key, Value: secret.New(value), Seq: got.Value.Seq}, nil
}
