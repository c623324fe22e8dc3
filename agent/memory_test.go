package agent_test

import (
	"errors"
	"slices"
	"sync"
	"time"

	"secretsbridge/agent"
	"secretsbridge/seal"
)

// ring is a key ring in memory that checks its caller.
type ring struct {
	mu    sync.Mutex // guards what follows
	keys  []seal.RecipientKey
	since time.Time
	next  *seal.RecipientKey
	made  int
	fault func(step string) error // of next and taken
}

func (r *ring) Current() (seal.RecipientKey, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[len(r.keys)-1], r.since
}

func (r *ring) Find(id string) (seal.RecipientKey, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range append(slices.Clone(r.keys), r.waiting()...) {
		if k.Public().ID() == id {
			return k, true
		}
	}
	return seal.RecipientKey{}, false
}

func (r *ring) waiting() []seal.RecipientKey {
	if r.next == nil {
		return nil
	}
	return []seal.RecipientKey{*r.next}
}

func (r *ring) Earlier() (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys[:len(r.keys)-1] {
		ids = append(ids, k.Public().ID())
	}
	return ids
}

func (r *ring) Waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next != nil
}

func (r *ring) Next(suite seal.Suite) (seal.RecipientPublic, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil && r.next.Public().Suite() == suite {
		return r.next.Public(), nil
	}
	if r.fault != nil {
		if err := r.fault("next"); err != nil {
			return seal.RecipientPublic{}, err
		}
	}
	r.abandon()
	key, err := seal.GenerateRecipientKey(suite)
	if err != nil {
		return seal.RecipientPublic{}, err
	}
	r.made++
	r.next = &key
	return key.Public(), nil
}

func (r *ring) abandon() {
	if r.next != nil {
		r.keys = slices.Insert(r.keys, len(r.keys)-1, *r.next)
		r.next = nil
	}
}

func (r *ring) Taken(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil || r.next.Public().ID() != id {
		return errors.New("not the next key")
	}
	if r.fault != nil {
		if err := r.fault("taken"); err != nil {
			return err
		}
	}
	r.keys, r.next, r.since = append(r.keys, *r.next), nil, time.Now()
	return nil
}

func (r *ring) Abandon() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.abandon()
	return nil
}

func (r *ring) Drop(ids ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.keys[len(r.keys)-1]
	r.keys = slices.DeleteFunc(r.keys[:len(r.keys)-1:len(r.keys)-1], func(k seal.RecipientKey) bool { return slices.Contains(ids, k.Public().ID()) })
	r.keys = append(r.keys, last)
	return nil
}

// trust is the control plane's keys in memory.
type trust struct {
	mu    sync.Mutex // guards what follows
	keys  agent.TrustedKeys
	kept  int
	fault error
}

func (k *trust) TrustedKeys() agent.TrustedKeys {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys
}

func (k *trust) KeepTrust(keys agent.TrustedKeys) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fault != nil {
		return k.fault
	}
	k.keys, k.kept = keys, k.kept+1
	return nil
}
