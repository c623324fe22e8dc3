package circumstances

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// told is what the log said of a secret last. What exactly is read from the log, if somebody asks:
// of a million secrets this much fits into memory, and their labels do not.
type told struct {
	digest uint64 // of what it said; 0: that it is gone
	page   uint32 // among [Register.pages]
}

// takePage notes what a commit of a scan says of secrets. r.mu is held.
func (r *Register) takePage(c events.Recorded) {
	page := uint32(len(r.pages))
	r.pages = append(r.pages, c.Stream)
	met := func(connection events.ConnectionID, secrets []events.SecretMetadata) {
		for _, s := range secrets {
			r.secrets[r.key(connection, s.Ref)] = told{r.digest(s), page}
		}
	}
	for _, e := range c.Events {
		switch f := e.Fact.(type) {
		case events.SecretsFound:
			met(f.Connection, f.Secrets)
		case events.SecretsChanged:
			met(f.Connection, f.Secrets)
		case events.SecretsGone:
			for _, ref := range f.Refs {
				r.secrets[r.key(f.Connection, ref)] = told{page: page}
			}
		}
	}
}

func (r *Register) key(connection events.ConnectionID, ref string) uint64 {
	return maphash.Comparable(r.seed, [2]string{string(connection), ref})
}

// digest stands for what is said of a secret, as far as scans compare it. It is never 0.
func (r *Register) digest(s events.SecretMetadata) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	text := func(s string) {
		var length [8]byte
		binary.LittleEndian.PutUint64(length[:], uint64(len(s)))
		_, _ = h.Write(length[:]) // a maphash takes everything
		_, _ = h.WriteString(s)
	}
	text(s.Ref)
	text(s.Version)
	for _, at := range []time.Time{s.Created, s.Updated} {
		var micros [8]byte
		binary.LittleEndian.PutUint64(micros[:], uint64(at.UnixMicro())) // finer times are not kept
		_, _ = h.Write(micros[:])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		text(name)
		text(s.Labels[name])
	}
	return max(h.Sum64(), 1)
}

// Known reports whether the inventory has a listed secret now, and whether the same is said of it.
func (r *Register) Known(connection events.ConnectionID, s events.SecretMetadata) (there, same bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	is := r.secrets[r.key(connection, s.Ref)]
	return is.digest != 0, is.digest == r.digest(s)
}

// Secret is what rules look at of one.
type Secret struct {
	Labels map[string]string // the provider's
	Owner  string            // empty: nobody
}

// Secret is what the log says of a secret that is there; the zero Secret of one that no scan has
// met, or the last one not. Errors: what is wrong with the log.
func (r *Register) Secret(ctx context.Context, connection events.ConnectionID, ref string) (Secret, error) {
	r.mu.RLock()
	is, rules := r.secrets[r.key(connection, ref)], r.rules
	var page events.Stream
	if is.digest != 0 {
		page = r.pages[is.page]
	}
	r.mu.RUnlock()
	if is.digest == 0 {
		return Secret{}, nil
	}
	history, err := r.log.Load(ctx, page) // which finds out whether it was published again
	if err != nil {
		return Secret{}, fmt.Errorf("read what %s says of %s/%s: %w", page, connection, ref, err)
	}
	found, ok := saidOf(history, connection, ref)
	if !ok { // the hash of another one is the same: once in many billion years, and nothing is decided
		return Secret{}, fmt.Errorf("%s says nothing of %s/%s", page, connection, ref)
	}
	byHand, _, err := command.Load[command.Secret](ctx, r.log, events.SecretStream(events.SecretOf(connection, ref)))
	if err != nil {
		return Secret{}, err
	}
	owner := byHand.Owner
	if owner == "" {
		owner = rules.OwnerOf(connection, ref, found.Labels)
	}
	return Secret{Labels: found.Labels, Owner: owner}, nil
}

// saidOf finds a secret among what a page of a scan says. Of two sayings the later counts.
func saidOf(page []events.Recorded, connection events.ConnectionID, ref string) (found events.SecretMetadata, ok bool) {
	look := func(of events.ConnectionID, secrets []events.SecretMetadata) {
		if of != connection {
			return
		}
		for _, s := range secrets {
			if s.Ref == ref {
				found, ok = s, true
			}
		}
	}
	for _, c := range page {
		for _, e := range c.Events {
			switch f := e.Fact.(type) {
			case events.SecretsFound:
				look(f.Connection, f.Secrets)
			case events.SecretsChanged:
				look(f.Connection, f.Secrets)
			}
		}
	}
	return found, ok
}
