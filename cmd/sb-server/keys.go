package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"secretsbridge/events"
	"secretsbridge/kms"
	"secretsbridge/nats"
	"secretsbridge/seal"
)

// keys are all that this server must not lose: a data directory without them cannot be
// used again. Files of mode 0600 under keys/.
type keys struct {
	wrapping kms.KeyManager
	signing  *signingKeys
	links    *nats.Authority

	writerFrom  events.Seq      // the first commit that needs a MAC of its writer; 0 where nothing says so
	checkpoints *checkpointKeys // opened after the database
}

// openKeys opens the keys of a data directory. New ones are made only where nothing
// was ever stored, because new keys under old data would close all of it.
func openKeys(ctx context.Context, s settings, fresh bool) (keys, error) {
	dir := s.path("keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return keys{}, err
	}
	wrapping, err := openKMS(ctx, s, fresh)
	if err != nil {
		return keys{}, err
	}
	signing, err := openOrCreate(fresh,
		func() (*signingKeys, error) { return openSigning(dir) },
		func() (*signingKeys, error) { return createSigning(dir) })
	if err != nil {
		return keys{}, err
	}
	links, err := openOrCreate(fresh,
		func() (*nats.Authority, error) { return nats.OpenAuthority(filepath.Join(dir, "nats")) },
		func() (*nats.Authority, error) { return nats.CreateAuthority(filepath.Join(dir, "nats")) })
	if err != nil {
		return keys{}, err
	}
	from, err := readWriter(dir)
	if err != nil {
		return keys{}, err
	}
	return keys{wrapping: wrapping, signing: signing, links: links, writerFrom: from}, nil
}

func openOrCreate[T any](fresh bool, open, create func() (T, error)) (T, error) {
	found, err := open()
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return found, err
	case !fresh:
		return found, fmt.Errorf("%w; the data directory holds data that needs it: bring it back from a backup", err)
	}
	return create()
}

func readSigningKey(path string) (seal.SigningKey, error) {
	text, err := readPrivate(path)
	if err != nil {
		return seal.SigningKey{}, err
	}
	seed, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return seal.SigningKey{}, fmt.Errorf("%s is damaged", path)
	}
	return seal.ParseSigningKey(seed)
}
