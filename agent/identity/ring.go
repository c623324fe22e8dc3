package identity

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"secretsbridge/agent"
	"secretsbridge/internal/private"
	"secretsbridge/seal"
)

// boxKey names a file with an HPKE private key.
type boxKey struct {
	File  string    `json:"file"`
	ID    string    `json:"id"`
	Since time.Time `json:"since,omitzero"` // when it became the key of the moment
}

// boxes are all keys that the document names.
func (d document) boxes() []boxKey {
	if d.NextKey == nil {
		return d.BoxKeys
	}
	return append(slices.Clip(d.BoxKeys), *d.NextKey)
}

func randomName() string {
	var name [8]byte
	_, _ = rand.Read(name[:])
	return hex.EncodeToString(name[:])
}

// writeBox puts a key into a file of its own.
func writeBox(dir string, key seal.RecipientKey) (boxKey, error) {
	encoded, err := key.Expose()
	if err != nil {
		return boxKey{}, err
	}
	defer clear(encoded)
	b := boxKey{File: boxPrefix + randomName() + ".key", ID: key.Public().ID()}
	return b, private.Replace(dir, b.File, encoded)
}

func readBox(dir string, b boxKey) (seal.RecipientKey, error) {
	encoded, err := private.Read(filepath.Join(dir, b.File))
	if err != nil {
		return seal.RecipientKey{}, err
	}
	defer clear(encoded)
	key, err := seal.ParseRecipientKey(encoded)
	if err != nil {
		return seal.RecipientKey{}, fmt.Errorf("%s: %w", b.File, err)
	}
	if key.Public().ID() != b.ID {
		return seal.RecipientKey{}, fmt.Errorf("%s holds another key than %s says", b.File, identityFile)
	}
	return key, nil
}

// Ring is the identity's HPKE keys: [agent.KeyRing]. Each change is one rename of
// identity.json, after the file of a new key and before the removal of an old one.
type Ring struct{ id *Identity }

var _ agent.KeyRing = Ring{}

// Keys returns the identity's HPKE keys.
func (id *Identity) Keys() Ring { return Ring{id} }

// Current implements [agent.KeyRing].
func (r Ring) Current() (seal.RecipientKey, time.Time) {
	r.id.mu.Lock()
	defer r.id.mu.Unlock()
	b := r.id.state.BoxKeys[len(r.id.state.BoxKeys)-1]
	return r.id.boxes[b.ID], b.Since
}

// Find implements [agent.KeyRing].
func (r Ring) Find(id string) (seal.RecipientKey, bool) {
	r.id.mu.Lock()
	defer r.id.mu.Unlock()
	key, ok := r.id.boxes[id]
	return key, ok
}

// Earlier implements [agent.KeyRing].
func (r Ring) Earlier() []string {
	r.id.mu.Lock()
	defer r.id.mu.Unlock()
	var ids []string
	for _, b := range r.id.state.BoxKeys[:len(r.id.state.BoxKeys)-1] {
		ids = append(ids, b.ID)
	}
	return ids
}

// Waiting implements [agent.KeyRing].
func (r Ring) Waiting() bool {
	r.id.mu.Lock()
	defer r.id.mu.Unlock()
	return r.id.state.NextKey != nil
}

// Next implements [agent.KeyRing].
func (r Ring) Next(suite seal.Suite) (seal.RecipientPublic, error) {
	r.id.mu.Lock()
	defer r.id.mu.Unlock()
	next := r.id.state
	if next.NextKey != nil {
		waiting := r.id.boxes[next.NextKey.ID].Public()
		if waiting.Suite() == suite {
			return waiting, nil
		}
		next.abandon()
	}
	key, err := seal.GenerateRecipientKey(suite)
	if err != nil {
		return seal.RecipientPublic{}, err
	}
	b, err := writeBox(r.id.dir, key)
	if err != nil {
		return seal.RecipientPublic{}, err
	}
	next.NextKey = &b
	if err := r.keep(next); err != nil {
		return seal.RecipientPublic{}, err // the file stays: the document may name it all the same
	}
	r.id.boxes[b.ID] = key
	return key.Public(), nil
}

// Taken implements [agent.KeyRing].
func (r Ring) Taken(id string) error {
	r.id.mu.Lock()
	defer r.id.mu.Unlock()
	next := r.id.state
	if next.NextKey == nil || next.NextKey.ID != id {
		return errors.New("this is not the next key")
	}
	b := *next.NextKey
	b.Since = time.Now().UTC()
	next.BoxKeys, next.NextKey = append(slices.Clip(next.BoxKeys), b), nil
	return r.keep(next)
}

// Abandon implements [agent.KeyRing].
func (r Ring) Abandon() error {
	r.id.mu.Lock()
	defer r.id.mu.Unlock()
	next := r.id.state
	if next.NextKey == nil {
		return nil
	}
	next.abandon()
	return r.keep(next)
}

// abandon puts the next key before the key of the moment.
func (d *document) abandon() {
	last := len(d.BoxKeys) - 1
	d.BoxKeys = slices.Insert(slices.Clone(d.BoxKeys), last, *d.NextKey)
	d.NextKey = nil
}

// Drop implements [agent.KeyRing].
func (r Ring) Drop(ids ...string) error {
	r.id.mu.Lock()
	defer r.id.mu.Unlock()
	next := r.id.state
	current := next.BoxKeys[len(next.BoxKeys)-1].ID
	var dropped []boxKey
	next.BoxKeys = nil
	for _, b := range r.id.state.BoxKeys {
		if b.ID != current && slices.Contains(ids, b.ID) {
			dropped = append(dropped, b)
			continue
		}
		next.BoxKeys = append(next.BoxKeys, b)
	}
	if len(dropped) == 0 {
		return nil
	}
	if err := r.keep(next); err != nil {
		return err
	}
	// Nothing names them from here on; what a crash leaves goes at the next start.
	var errs []error
	for _, b := range dropped {
		delete(r.id.boxes, b.ID)
		errs = append(errs, os.Remove(filepath.Join(r.id.dir, b.File)))
	}
	return errors.Join(errs...)
}

// keep writes the document down and works with it from then on.
func (r Ring) keep(next document) error {
	if err := next.write(r.id.dir); err != nil {
		return err
	}
	r.id.state = next
	return nil
}
