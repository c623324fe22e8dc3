package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"

	"secretsbridge/events"
	"secretsbridge/kms"
	"secretsbridge/nats"
	"secretsbridge/seal"
)

// keys are all that an installation must not lose: what it stored cannot be used without them.
// They lie in a [keyring].
type keys struct {
	wrapping kms.KeyManager
	ring     keyring
	signing  *signingKeys
	links    *linkKeys

	writerFrom  events.Seq // the first commit that needs a MAC of its writer; 0 where nothing says so
	checkpoints *checkpointKeys
}

// authorityFolder is where the seeds and signing keys of the NATS authority are among the keys.
const authorityFolder = "nats/"

// errNoAuthority says what an operator's own NATS needs first.
var errNoAuthority = errors.New("SB_NATS_URL is set and the keyring has no NATS authority: run sb-server keys import DIR, with what sb-server nats init wrote")

// openKeys opens the keys of the ring. New ones are made only where nothing was ever stored,
// because new keys under old data would close all of it. unsigned says that no checkpoint was
// ever signed: installations may be older than checkpoints. external says that servers elsewhere
// trust an authority already, so that none is made.
func openKeys(ctx context.Context, wrapping kms.KeyManager, ring keyring, fresh, unsigned, external bool) (keys, error) {
	k := keys{wrapping: wrapping, ring: ring}
	var err error
	k.signing, err = openOrCreate(fresh,
		func() (*signingKeys, error) { return openSigning(ctx, ring) },
		func() (*signingKeys, error) { return createSigning(ctx, ring) })
	if err != nil {
		return keys{}, err
	}
	k.links, err = openOrCreate(fresh,
		func() (*linkKeys, error) { return openLinkKeys(ctx, ring) },
		func() (*linkKeys, error) {
			if external {
				return nil, errNoAuthority
			}
			return createAuthority(ctx, ring)
		})
	if err != nil {
		return keys{}, err
	}
	if k.writerFrom, err = readWriter(ctx, ring); err != nil {
		return keys{}, err
	}
	if k.checkpoints, err = openOrCreateCheckpointKeys(ctx, ring, fresh || unsigned); err != nil {
		return keys{}, err
	}
	return k, nil
}

// openOrCreate opens keys, or makes them where nothing was ever stored. Of several servers that
// start at the same time one makes them, and the others open what it made.
func openOrCreate[T any](fresh bool, open, create func() (T, error)) (T, error) {
	found, err := open()
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return found, err
	case !fresh:
		return found, fmt.Errorf("%w; there is data that needs it: bring it back from a backup", err)
	}
	if found, err = create(); errors.Is(err, fs.ErrExist) {
		return open()
	}
	return found, err
}

// createAuthority makes the seeds that are missing: whoever makes them at the same time made some
// of them.
func createAuthority(ctx context.Context, ring keyring) (*linkKeys, error) {
	for _, name := range nats.SeedNames() {
		seed, err := nats.NewSeed(name)
		if err != nil {
			return nil, fmt.Errorf("create the NATS authority: %w", err)
		}
		_, err = ring.Create(ctx, authorityFolder+name, seed)
		clear(seed)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("create the NATS authority: %w", err)
		}
	}
	return openLinkKeys(ctx, ring)
}

// parseSigningSeed reads a signing key in the format of [oldSigningFile].
func parseSigningSeed(text []byte, where string) (seal.SigningKey, error) {
	seed, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return seal.SigningKey{}, fmt.Errorf("%s is damaged", where)
	}
	return seal.ParseSigningKey(seed)
}
