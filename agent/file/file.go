// Package file is a provider that keeps secrets in a directory of age-encrypted files,
// with versions, labels and compare-and-set. It is what the agent offers where there
// is no secret store, and needs none to be tried out.
//
// Layout of the directory (decision 0021):
//
//	store.age                     says which format this is, and proves the identity
//	lock                          held by whoever writes
//	secrets/<name>/current        the description of the current version
//	secrets/<name>/<number>.age   one version: its description and its values
//
// <name> is a keyed hash of the ref, so neither odd names nor long ones nor a file
// system that ignores case can make two refs meet, and names do not show. Version
// files never change. The rename of "current" is the moment at which a write happened.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"filippo.io/age"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/internal/private"
)

// defaultKeep is how many versions of a secret stay by default.
const defaultKeep = 10

// ErrExists says that [Create] found a store or an identity in its place.
var ErrExists = errors.New("there is one already")

// errLabels says that labels are more than any list could show.
var errLabels = fmt.Errorf("its labels are beyond the limits: at most %d, in UTF-8, names of 1 to %d bytes, values of up to %d",
	events.MaxLabels, events.MaxLabelName, events.MaxLabelValue)

// Config says where a store is and what of it requests may ask for.
type Config struct {
	// Dir is the store's directory. Nobody but its owner may write to it.
	Dir string

	// IdentityFile holds the age identity, X25519 or hybrid, that opens the store; its
	// mode gives nothing to group and others. Keep it out of backups of Dir.
	IdentityFile string

	// Allow is what requests may ask for.
	Allow agent.AllowList

	// Keep is how many versions of a secret stay, the current one included; 0 means 10.
	Keep int
}

// Provider is an open store. Several processes may have the same one open.
type Provider struct {
	dir      string
	allow    agent.AllowList
	keep     int
	identity identity
	window   int           // names that one pass of List over the directory keeps
	writer   chan struct{} // holds one token: one writer of this process at a time
	closed   atomic.Bool

	// fault, if set, is asked before each step of a write; tests stop a write with it
	// as a crash would.
	fault func(step string) error
}

var _ agent.Provider = (*Provider)(nil)

// Create makes a new identity (hybrid, ML-KEM-768 with X25519) and an empty store that
// it opens. It fails with [ErrExists] rather than touch what is there.
func Create(cfg Config) error {
	if err := create(cfg); err != nil {
		return fmt.Errorf("create the file store in %s: %w", cfg.Dir, err)
	}
	return nil
}

func create(cfg Config) error {
	if cfg.Dir == "" || cfg.IdentityFile == "" {
		return errors.New("the directory and the identity file must be named")
	}
	for _, path := range []string{filepath.Join(cfg.Dir, storeFile), cfg.IdentityFile} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s: %w", path, ErrExists)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, secretsDir), 0o700); err != nil {
		return err
	}
	if err := os.Chmod(cfg.Dir, 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(cfg.IdentityFile), 0o700); err != nil {
		return err
	}
	key, err := age.GenerateHybridIdentity()
	if err != nil {
		return err
	}
	id, err := newIdentity(key)
	if err != nil {
		return err
	}
	sealed, err := id.seal([]byte(storeFormat))
	if err != nil {
		return err
	}
	// The identity first: a store without one would be lost, the other way round it is
	// only in the way of the next Create.
	text := []byte("# opens the secrets in " + cfg.Dir + "\n" + key.String() + "\n")
	defer clear(text)
	if err := writeNew(cfg.IdentityFile, text); err != nil {
		return err
	}
	if err := writeNew(filepath.Join(cfg.Dir, storeFile), sealed); err != nil {
		return err
	}
	return syncDir(filepath.Dir(cfg.Dir))
}

// Open opens a store that [Create] made. It fails with [agent.ErrSignIn] where others
// may read the identity file, or where it does not open this store.
func Open(cfg Config) (*Provider, error) {
	p, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("open the file store in %s: %w", cfg.Dir, err)
	}
	return p, nil
}

func open(cfg Config) (*Provider, error) {
	switch {
	case cfg.Dir == "" || cfg.IdentityFile == "":
		return nil, errors.New("the directory and the identity file must be named")
	case cfg.Keep < 0:
		return nil, errors.New("the number of versions to keep is negative")
	case cfg.Keep == 0:
		cfg.Keep = defaultKeep
	}
	info, err := os.Stat(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("others may write to the directory (mode %v): run chmod go-w on it", info.Mode().Perm())
	}
	id, err := readIdentity(cfg.IdentityFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", agent.ErrSignIn, err)
	}
	p := &Provider{
		dir:      cfg.Dir,
		allow:    cfg.Allow,
		keep:     cfg.Keep,
		identity: id,
		window:   defaultWindow,
		writer:   make(chan struct{}, 1),
	}
	return p, p.proveIdentity()
}

// readIdentity reads the one identity in a file that only its owner may read.
func readIdentity(path string) (identity, error) {
	file, err := os.Open(path)
	if err != nil {
		return identity{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return identity{}, err
	case !info.Mode().IsRegular():
		return identity{}, fmt.Errorf("%s is no regular file", path)
	case private.Exposed(info):
		return identity{}, fmt.Errorf("others may read %s (mode %v): run chmod 600 on it", path, info.Mode().Perm())
	}
	found, err := age.ParseIdentities(io.LimitReader(file, 64<<10))
	if err != nil || len(found) != 1 {
		// The library's error may quote the line.
		return identity{}, fmt.Errorf("%s does not hold exactly one age identity", path)
	}
	return newIdentity(found[0])
}

// Read implements [agent.Provider].
func (p *Provider) Read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	b, err := p.admit(ctx, ref, func() (agent.Bundle, error) { return p.readCurrent(ref) })
	if err != nil {
		return agent.Bundle{}, fmt.Errorf("read %s: %w", ref, err)
	}
	return b, nil
}

// Write implements [agent.Provider]. A crash at any moment leaves the old version or
// the new one, whole.
func (p *Provider) Write(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	written, err := p.admit(ctx, ref, func() (agent.Bundle, error) {
		if !events.ValidLabels(b.Labels) {
			return agent.Bundle{}, fmt.Errorf("%w: %w", agent.ErrNotBundle, errLabels)
		}
		values, err := b.JSON()
		if err != nil {
			return agent.Bundle{}, err
		}
		defer clear(values)
		unlock, err := p.lock(ctx)
		if err != nil {
			return agent.Bundle{}, err
		}
		defer unlock()
		version, err := p.writeNext(ref, b, values, expect)
		return agent.Bundle{Version: version}, err
	})
	if err != nil {
		return "", fmt.Errorf("write %s: %w", ref, err)
	}
	return written.Version, nil
}

// admit refuses what no disk need be asked for.
func (p *Provider) admit(ctx context.Context, ref agent.Ref, do func() (agent.Bundle, error)) (agent.Bundle, error) {
	if err := p.allow.Check(ref); err != nil {
		return agent.Bundle{}, err
	}
	if err := p.usable(ctx); err != nil {
		return agent.Bundle{}, err
	}
	return do()
}

func (p *Provider) usable(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", agent.ErrUnavailable, ctx.Err())
	case p.closed.Load():
		return fmt.Errorf("%w: the store is closed", agent.ErrUnavailable)
	}
	return nil
}

// Check implements [agent.Provider]: the directory is there and the identity opens it.
func (p *Provider) Check(ctx context.Context) error {
	err := p.usable(ctx)
	if err == nil {
		err = p.proveIdentity()
	}
	if err != nil {
		return fmt.Errorf("check the file store in %s: %w", p.dir, err)
	}
	return nil
}

// Close implements [agent.Provider].
func (p *Provider) Close() error {
	p.closed.Store(true)
	return nil
}
