package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/store"
	"secretsbridge/transparency"
)

// checkpointKeys are the keys that sign checkpoints of the log: checkpoints.json of the keyring.
// They sign nothing else. The document names the log, too: its origin is made once and is the
// name of all its keys.
//
// A rotation has the three steps of that of the signing key ([signingKeys]), each of which a crash
// may follow: the next key is written down; the fact is appended; the next becomes the current
// one. The key before is kept and signs as well until its end, so that who knows it alone can
// verify what comes and has time to learn of the next.
type checkpointKeys struct {
	ring keyring

	mu       sync.Mutex
	revision uint64 // of doc in the ring; 0 where it is not there yet
	doc      checkpointDocument

	finished bool // a rotation that a crash had interrupted, by settle
}

// checkpointDocument is checkpoints.json.
type checkpointDocument struct {
	Format   int                     `json:"format"` // 1
	Origin   string                  `json:"origin"` // of checkpoints: the log's name
	Serial   int                     `json:"serial"`
	Key      string                  `json:"key"`                // secret; c2sp.org/signed-note
	Public   []string                `json:"public"`             // of verifiers; one a serial, the current one last
	Previous []previousCheckpointKey `json:"previous,omitempty"` // that sign as well
	Next     *nextCheckpointKey      `json:"next,omitempty"`     // a rotation that was begun
}

type previousCheckpointKey struct {
	Key   string    `json:"key"`
	Until time.Time `json:"until"` // exclusive
}

type nextCheckpointKey struct {
	Key           string    `json:"key"`
	Public        string    `json:"public"`
	PreviousUntil time.Time `json:"previous_until"`
}

const checkpointFile = "checkpoints.json"

// keepTimeout bounds the removal of a key that has ended.
const keepTimeout = 10 * time.Second

// originBytes are random bytes of an origin: 16 characters of base32.
const originBytes = 10

// openCheckpointKeys reads the keys of a ring.
func openCheckpointKeys(ctx context.Context, ring keyring) (*checkpointKeys, error) {
	c := &checkpointKeys{ring: ring}
	if err := c.read(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *checkpointKeys) where() string { return c.ring.Where(checkpointFile) }

// read takes what the ring has.
func (c *checkpointKeys) read(ctx context.Context) error {
	raw, revision, err := c.ring.Read(ctx, checkpointFile)
	if err != nil {
		return err
	}
	defer clear(raw)
	fresh := checkpointKeys{revision: revision}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&fresh.doc); err != nil || fresh.doc.Format != 1 || fresh.doc.Serial < 1 || fresh.doc.Serial != len(fresh.doc.Public) {
		return fmt.Errorf("%s is damaged or of a newer version: bring it back from a backup", c.where())
	}
	if err := fresh.check(); err != nil {
		return fmt.Errorf("%s: %w: bring it back from a backup", c.where(), err)
	}
	c.revision, c.doc = fresh.revision, fresh.doc
	return nil
}

// check proves that the secret keys are those of public ones, of this origin.
func (c *checkpointKeys) check() error {
	if err := belong(c.doc.Origin, c.doc.Key, c.doc.Public[c.doc.Serial-1]); err != nil {
		return err
	}
	for _, p := range c.doc.Previous {
		if err := belong(c.doc.Origin, p.Key, c.doc.Public...); err != nil {
			return err
		}
	}
	if next := c.doc.Next; next != nil {
		return belong(c.doc.Origin, next.Key, next.Public)
	}
	return nil
}

// belong proves that a secret key has one of the public ones, and its origin.
func belong(origin, key string, public ...string) error {
	signer, err := transparency.NewSigner(key)
	if err != nil {
		return err
	}
	signed, err := signer.Sign((&transparency.Frontier{}).Tree())
	if err != nil {
		return err
	}
	verifiers, err := transparency.NewVerifiers(public...)
	if err != nil {
		return err
	}
	if _, of, err := verifiers.Open(signed); err != nil || of != origin {
		return errors.New("the keys of checkpoints do not belong together")
	}
	return nil
}

// createCheckpointKeys makes a log's name and its first key.
func createCheckpointKeys(ctx context.Context, ring keyring) (*checkpointKeys, error) {
	random := make([]byte, originBytes)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	origin := "secrets-bridge/" + strings.ToLower(base32.StdEncoding.EncodeToString(random))
	key, public, err := transparency.GenerateKey(origin)
	if err != nil {
		return nil, err
	}
	c := &checkpointKeys{ring: ring}
	return c, c.keep(ctx, checkpointDocument{Format: 1, Origin: origin, Serial: 1, Key: key, Public: []string{public}})
}

// keep replaces what was read in one step. [store.ErrConflict] if somebody else did meanwhile.
func (c *checkpointKeys) keep(ctx context.Context, doc checkpointDocument) error {
	revision, err := putKey(ctx, c.ring, checkpointFile, c.revision, doc)
	if err != nil {
		return err
	}
	c.doc, c.revision = doc, revision
	return nil
}

// origin is the name of the log.
func (c *checkpointKeys) origin() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doc.Origin
}

// public are the keys of verifiers, one a serial.
func (c *checkpointKeys) public() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.doc.Public...)
}

// signer signs at a time: with the current key, and with those before until their ends. When an
// end has come that secret half is removed, by whichever server comes first.
func (c *checkpointKeys) signer(now time.Time) (*transparency.Signer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	doc := c.doc
	doc.Previous = nil
	signing := []string{doc.Key}
	for _, p := range c.doc.Previous {
		if now.Before(p.Until) {
			doc.Previous, signing = append(doc.Previous, p), append(signing, p.Key)
		}
	}
	if len(doc.Previous) < len(c.doc.Previous) {
		ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
		defer cancel()
		if err := c.keep(ctx, doc); err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, fmt.Errorf("remove a key of checkpoints that has ended: %w", err)
		}
	}
	return transparency.NewSigner(signing...)
}

// prepare is step 1: it makes the next key, unless one is there.
func (c *checkpointKeys) prepare(ctx context.Context, previousUntil time.Time) error {
	if c.doc.Next != nil {
		return nil
	}
	key, public, err := transparency.GenerateKey(c.doc.Origin)
	if err != nil {
		return err
	}
	doc := c.doc
	doc.Next = &nextCheckpointKey{Key: key, Public: public, PreviousUntil: previousUntil.UTC()}
	return c.keep(ctx, doc)
}

// record is step 2.
func (c *checkpointKeys) record(ctx context.Context, log command.Log, actor events.Actor, now time.Time) error {
	next := c.doc.Next
	meta := command.Meta{Command: events.DeriveCommandID("rotate key of checkpoints", next.Public), Actor: actor, Time: now}
	_, err := command.Execute(ctx, log, events.CheckpointStream(), meta, func(k command.CheckpointKeys) ([]events.Fact, error) {
		return k.Rotate(c.doc.Serial+1, next.Public, next.PreviousUntil)
	})
	return err
}

// finish is step 3.
func (c *checkpointKeys) finish(ctx context.Context) error {
	doc := c.doc
	next := doc.Next
	doc.Previous = append([]previousCheckpointKey{{Key: doc.Key, Until: next.PreviousUntil}}, doc.Previous...)
	doc.Serial, doc.Key, doc.Next = doc.Serial+1, next.Key, nil
	doc.Public = append(append([]string{}, c.doc.Public...), next.Public)
	err := c.keep(ctx, doc)
	if errors.Is(err, store.ErrConflict) { // another server finished it first
		if err := c.read(ctx); err != nil {
			return err
		}
		if c.doc.Serial < doc.Serial || c.doc.Public[doc.Serial-1] != next.Public {
			return fmt.Errorf("%s was changed meanwhile: run it again", c.where())
		}
		return nil
	}
	return err
}

// settle compares the keys with the log: it finishes a rotation that counts, and refuses keys that
// are not the log's.
func (c *checkpointKeys) settle(ctx context.Context, log command.Log) (begun bool, err error) {
	told, _, err := command.Load[command.CheckpointKeys](ctx, log, events.CheckpointStream())
	if err != nil {
		return false, err
	}
	next := c.doc.Next
	if next != nil && told.Serial == c.doc.Serial+1 && told.Key == next.Public {
		c.finished = true
		return false, c.finish(ctx)
	}
	if serial := max(told.Serial, 1); serial != c.doc.Serial || told.Key != "" && told.Key != c.doc.Public[c.doc.Serial-1] {
		return false, fmt.Errorf("the log says that the key of checkpoints has serial %d, and %s holds serial %d or another key: bring back the keys from a backup", serial, c.where(), c.doc.Serial)
	}
	return next != nil, nil
}

// openOrCreateCheckpointKeys opens the keys. They are made where nothing was ever stored, and
// once where nothing was ever signed: installations are older than checkpoints.
func openOrCreateCheckpointKeys(ctx context.Context, ring keyring, unsigned bool) (*checkpointKeys, error) {
	return openOrCreate(unsigned,
		func() (*checkpointKeys, error) { return openCheckpointKeys(ctx, ring) },
		func() (*checkpointKeys, error) { return createCheckpointKeys(ctx, ring) })
}
