package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"secretsbridge/nats"
	"secretsbridge/store"
)

// linkKeysFile is where the signing keys of NATS are among the keys.
const linkKeysFile = authorityFolder + nats.SignersName

// linkKeys keep the signing keys of the NATS authority, which servers take up while they run. Each
// step of a rotation is one compare-and-set of the keyring: it is kept first and then used, so a
// crash leaves a step that is whole.
type linkKeys struct {
	ring      keyring
	authority *nats.Authority
	revision  uint64 // of the document that is used; 0 where there is none
}

// openLinkKeys opens the authority of a ring with its signing keys.
func openLinkKeys(ctx context.Context, ring keyring) (*linkKeys, error) {
	k := &linkKeys{ring: ring}
	var err error
	k.authority, err = nats.ReadAuthority(func(name string) ([]byte, error) {
		key, revision, err := ring.Read(ctx, authorityFolder+name)
		if err == nil && name == nats.SignersName {
			k.revision = revision
		}
		return key, err
	})
	return k, err
}

// openAuthority opens the authority of a ring as it signs now.
func openAuthority(ctx context.Context, ring keyring) (*nats.Authority, error) {
	k, err := openLinkKeys(ctx, ring)
	return k.authority, err
}

// advance keeps the document of a next step and uses it; nil is no step. [store.ErrConflict] or
// [fs.ErrExist] if somebody else was faster.
func (k *linkKeys) advance(ctx context.Context, doc []byte, err error) error {
	if err != nil || doc == nil {
		return err
	}
	var revision uint64
	if k.revision == 0 {
		revision, err = k.ring.Create(ctx, linkKeysFile, doc)
	} else {
		revision, err = k.ring.Replace(ctx, linkKeysFile, k.revision, doc)
	}
	if err != nil {
		clear(doc)
		return err
	}
	k.revision = revision
	return k.authority.Use(doc)
}

// takeUp uses what the keyring has by now. It reports whether that is something else.
func (k *linkKeys) takeUp(ctx context.Context) (bool, error) {
	revision, err := k.ring.Revision(ctx, linkKeysFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && revision == k.revision {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	doc, revision, err := k.ring.Read(ctx, linkKeysFile)
	if err == nil {
		err = k.authority.Use(doc)
	}
	if err != nil {
		return false, err
	}
	k.revision = revision
	return true, nil
}

// followLinkKeys takes up what was rotated elsewhere, and ends former keys when their time is over.
// It asks the keyring and not NATS, where a server whose keys count no more is let in nowhere.
func (st *stack) followLinkKeys(ctx context.Context) error {
	for {
		if err := st.lookAtLinkKeys(ctx, time.Now()); err != nil && ctx.Err() == nil {
			st.log.Warn("this server cannot look for rotated keys, and tries again", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookForKeys):
		}
	}
}

func (st *stack) lookAtLinkKeys(ctx context.Context, now time.Time) error {
	k := st.keys.links
	changed, err := k.takeUp(ctx)
	if err != nil {
		return err
	}
	doc, err := k.authority.Dropped(nats.AccountKeys, now)
	if err == nil && doc != nil {
		switch err = k.advance(ctx, doc, nil); {
		case errors.Is(err, store.ErrConflict): // another server was faster; the next look takes it up
			return nil
		case err == nil:
			changed = true
		}
	}
	if err != nil || !changed {
		return err
	}
	state := k.authority.State(nats.AccountKeys)
	st.log.Info("the signing keys of NATS were rotated", "serial", state.Serial)
	if hub, ok := st.broker.(*nats.Hub); ok { // a cluster is told by [nats.Cluster.Run]
		if err := hub.Rekey(); err != nil {
			return fmt.Errorf("have the embedded nats server take rotated keys: %w", err)
		}
	}
	return nil
}
