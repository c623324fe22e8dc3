package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/store"
)

// signingKeys are the control plane's signing key and how it came to be: signing.json of the
// keyring. An installation that never rotated may still have signing.key, the seed alone, which is
// then the key of serial 1.
//
// A rotation has three steps, each of which a crash may follow:
//
//  1. The next key and the statement about it are written down beside the current one,
//     which goes on signing. Nobody has heard of the next: dropping it costs nothing.
//  2. The fact is appended. Its command follows from the key, so saying it again after a
//     lost answer changes nothing. From here on the rotation counts, and the private
//     half is kept already: a fact never names a key that is nowhere.
//  3. The next key becomes the current one, by one change of the keyring. The private half of the old
//     one is gone with it: what it signed stays good, and nobody can sign more.
//
// Whoever opens the keys looks at the log and finishes step 3 where step 2 was done;
// `sb-server signing rotate` takes up step 2 with the key that is there.
//
// Several servers may do so at once: each step is a compare-and-set, and who comes second opens
// what the first one wrote.
type signingKeys struct {
	ring     keyring
	revision uint64 // of doc in the ring; 0 where it is not there yet
	doc      signingDocument
	key      seal.SigningKey

	finished bool // a rotation that a crash had interrupted, by settle
}

// signingDocument is signing.json.
type signingDocument struct {
	Format int                         `json:"format"` // 1
	Serial int                         `json:"serial"`
	Seed   []byte                      `json:"seed"`
	Chain  []events.SignedKeyStatement `json:"chain"` // public: how serial 1 led to this one
	Next   *nextSigningKey             `json:"next,omitempty"`
}

// nextSigningKey is a rotation that was begun.
type nextSigningKey struct {
	Seed      []byte                    `json:"seed"`
	Statement events.SignedKeyStatement `json:"statement"`
}

const (
	signingFile    = "signing.json"
	oldSigningFile = "signing.key"
)

// openSigning reads the signing keys of a ring, in either format.
func openSigning(ctx context.Context, ring keyring) (*signingKeys, error) {
	s := &signingKeys{ring: ring}
	raw, revision, err := ring.Read(ctx, signingFile)
	if errors.Is(err, fs.ErrNotExist) {
		text, _, err := ring.Read(ctx, oldSigningFile)
		if err != nil {
			return nil, err
		}
		defer clear(text)
		old, err := parseSigningSeed(text, ring.Where(oldSigningFile))
		if err != nil {
			return nil, err
		}
		s.key, s.doc = old, signingDocument{Format: 1, Serial: 1, Seed: old.Expose()}
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	s.revision = revision
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s.doc); err != nil || s.doc.Format != 1 || s.doc.Serial != len(s.doc.Chain)+1 {
		return nil, fmt.Errorf("%s is damaged or of a newer version: bring it back from a backup", s.where())
	}
	if s.key, err = seal.ParseSigningKey(s.doc.Seed); err != nil {
		return nil, fmt.Errorf("%s: %w", s.where(), err)
	}
	return s, nil
}

func (s *signingKeys) where() string { return s.ring.Where(signingFile) }

func createSigning(ctx context.Context, ring keyring) (*signingKeys, error) {
	key, err := seal.GenerateSigningKey()
	if err != nil {
		return nil, err
	}
	s := &signingKeys{ring: ring, key: key}
	return s, s.keep(ctx, signingDocument{Format: 1, Serial: 1, Seed: key.Expose(), Chain: []events.SignedKeyStatement{}})
}

// keep replaces what was read in one step. [store.ErrConflict] if somebody else did meanwhile.
func (s *signingKeys) keep(ctx context.Context, doc signingDocument) error {
	revision, err := putKey(ctx, s.ring, signingFile, s.revision, doc)
	if err != nil {
		return err
	}
	s.doc, s.revision = doc, revision
	return nil
}

// prepare is step 1: it makes the next key, unless one is there. A key that is there
// keeps its statement: the log may have it.
func (s *signingKeys) prepare(ctx context.Context, previousUntil time.Time) error {
	if s.doc.Next != nil {
		return nil
	}
	next, err := seal.GenerateSigningKey()
	if err != nil {
		return err
	}
	statement, err := json.Marshal(events.KeyStatement{
		Serial: s.doc.Serial + 1, Key: next.Public().String(), PreviousUntil: previousUntil.UTC(),
	})
	if err != nil {
		return err
	}
	doc := s.doc
	doc.Next = &nextSigningKey{Seed: next.Expose(), Statement: events.SignedKeyStatement{
		Statement: statement, Signature: s.key.Sign(events.KeyStatementDomain, statement),
	}}
	return s.keep(ctx, doc)
}

// next is the statement of the rotation that was begun, and false if none was.
func (s *signingKeys) next() (events.KeyStatement, bool, error) {
	if s.doc.Next == nil {
		return events.KeyStatement{}, false, nil
	}
	var statement events.KeyStatement
	if err := json.Unmarshal(s.doc.Next.Statement.Statement, &statement); err != nil {
		return statement, false, fmt.Errorf("%s is damaged: bring it back from a backup", s.where())
	}
	return statement, true, nil
}

// record is step 2.
func (s *signingKeys) record(ctx context.Context, log command.Log, actor events.Actor, now time.Time) error {
	statement, _, err := s.next()
	if err != nil {
		return err
	}
	meta := command.Meta{Command: events.DeriveCommandID("rotate signing key", statement.Key), Actor: actor, Time: now}
	_, err = command.Execute(ctx, log, events.SigningStream(), meta, func(c command.Signing) ([]events.Fact, error) {
		return c.Rotate(meta, statement.Serial, statement.Key)
	})
	return err
}

// finish is step 3.
func (s *signingKeys) finish(ctx context.Context) error {
	key, err := seal.ParseSigningKey(s.doc.Next.Seed)
	if err != nil {
		return fmt.Errorf("%s: %w", s.where(), err)
	}
	chain := append(append([]events.SignedKeyStatement{}, s.doc.Chain...), s.doc.Next.Statement)
	err = s.keep(ctx, signingDocument{Format: 1, Serial: s.doc.Serial + 1, Seed: s.doc.Next.Seed, Chain: chain})
	if errors.Is(err, store.ErrConflict) { // another server finished it first
		fresh, err := openSigning(ctx, s.ring)
		if err == nil && (fresh.doc.Serial <= s.doc.Serial || fresh.key.Public() != key.Public()) {
			err = fmt.Errorf("%s was changed meanwhile: run it again", s.where())
		}
		if err != nil {
			return err
		}
		s.revision, s.doc, s.key = fresh.revision, fresh.doc, fresh.key
		return nil
	}
	if err != nil {
		return err
	}
	s.key = key
	// The seed of the first key in the old format is useless from here on.
	return s.ring.Remove(ctx, oldSigningFile)
}

// settle compares the keys with the log: it finishes a rotation that counts, and refuses
// keys that are not the log's, which agents would not believe.
func (s *signingKeys) settle(ctx context.Context, log command.Log) (begun bool, err error) {
	told, _, err := command.Load[command.Signing](ctx, log, events.SigningStream())
	if err != nil {
		return false, err
	}
	next, begun, err := s.next()
	if err != nil {
		return false, err
	}
	if begun && told.Serial == next.Serial && told.Key == next.Key {
		s.finished = true
		return false, s.finish(ctx)
	}
	if serial := max(told.Serial, 1); serial != s.doc.Serial || told.Key != "" && told.Key != s.key.Public().String() {
		return false, fmt.Errorf("the log says that the signing key has serial %d, and %s holds serial %d or another key: bring back the keys from a backup", serial, s.where(), s.doc.Serial)
	}
	return begun, nil
}
