package nats

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/nats-io/nkeys"

	"secretsbridge/nats/subject"
)

// ErrAuthorityExists says that a directory already holds an authority, which nothing
// overwrites: with its seeds all agents' credentials would be lost.
var ErrAuthorityExists = errors.New("the directory already holds a NATS authority")

// The files of an authority: one nkey seed each.
const (
	operatorFile = "operator.nk" // signs accounts
	coreFile     = "core.nk"     // account of the control plane; signs its users and activations, and names consumers
	systemFile   = "system.nk"   // account of the servers themselves
	agentsFile   = "agents.nk"   // signs users of all agents' accounts, and nothing else
)

// Authority is the root of trust of the NATS side: operator, the accounts CORE and
// SYS, and the key that signs agents' users (decision 0030). It is safe for
// concurrent use.
type Authority struct {
	// What operator and accounts are called, for good. They sign until the first rotation.
	operator, core, system, agents            nkeys.KeyPair
	operatorID, corePub, systemPub, agentsPub string

	now atomic.Pointer[signing] // what signs
}

// SeedNames are the names of an authority's seeds, which are also those of its files. Each is
// one nkey seed as text.
func SeedNames() []string { return []string{operatorFile, coreFile, systemFile, agentsFile} }

// NewSeed makes a fresh seed for one of [SeedNames].
func NewSeed(name string) ([]byte, error) {
	create := nkeys.CreateAccount
	if name == operatorFile {
		create = nkeys.CreateOperator
	}
	pair, err := create()
	if err != nil {
		return nil, err
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	return bytes.Clone(seed), err // the pair's own is wiped with it
}

// CreateAuthority makes fresh keys and writes them into dir, which becomes 0700, as
// files of 0600. It returns [ErrAuthorityExists] where there is one.
func CreateAuthority(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create authority: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create authority: %w", err)
	}
	for _, name := range SeedNames() {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("create authority: %w: %s", ErrAuthorityExists, filepath.Join(dir, name))
		}
	}
	for _, name := range SeedNames() {
		seed, err := NewSeed(name)
		if err == nil {
			err = writeNew(filepath.Join(dir, name), seed)
		}
		clear(seed)
		if err != nil {
			return nil, fmt.Errorf("create authority: %w", err)
		}
	}
	return OpenAuthority(dir)
}

// OpenAuthority reads what [CreateAuthority] wrote. It refuses a directory or a file
// that anybody but its owner may read.
func OpenAuthority(dir string) (*Authority, error) {
	if err := guarded(dir); err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	return ReadAuthority(func(name string) ([]byte, error) { return readPrivate(filepath.Join(dir, name)) })
}

// ReadAuthority opens an authority whose seeds lie elsewhere than in a folder, by their names
// ([SeedNames], and [SignersName] where it was rotated; an error is [fs.ErrNotExist] where there
// is none). It clears what read returns.
func ReadAuthority(read func(name string) (seed []byte, err error)) (*Authority, error) {
	a := &Authority{}
	for _, key := range []struct {
		file   string
		prefix nkeys.PrefixByte
		into   *nkeys.KeyPair
	}{
		{operatorFile, nkeys.PrefixByteOperator, &a.operator},
		{coreFile, nkeys.PrefixByteAccount, &a.core},
		{systemFile, nkeys.PrefixByteAccount, &a.system},
		{agentsFile, nkeys.PrefixByteAccount, &a.agents},
	} {
		seed, err := read(key.file)
		if err != nil {
			return nil, fmt.Errorf("open authority: %w", err)
		}
		pair, err := parseSeed(seed, key.prefix)
		if err != nil {
			return nil, fmt.Errorf("open authority: %s: %w", key.file, err)
		}
		*key.into = pair
	}
	for pair, into := range map[nkeys.KeyPair]*string{
		a.operator: &a.operatorID, a.core: &a.corePub, a.system: &a.systemPub, a.agents: &a.agentsPub,
	} {
		pub, err := pair.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("open authority: %w", err)
		}
		*into = pub
	}
	doc, err := readSigners(read)
	if err == nil {
		err = a.Use(doc)
	}
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	return a, nil
}

// consumer names the durable consumer for a cluster or another purpose. The secret in
// it is a hash of a signature by the seed of account CORE (Ed25519 is deterministic): the
// same on every server, and for nobody else to guess. Signing keys have no part in it: names
// stay when they are rotated.
func (a *Authority) consumer(what string) (string, error) {
	signature, err := a.core.Sign([]byte("secrets-bridge consumer name v1\n" + what))
	if err != nil {
		return "", fmt.Errorf("name consumer %s: %w", what, err)
	}
	sum := sha256.Sum256(signature)
	return subject.Consumer(what, hex.EncodeToString(sum[:16])), nil
}

func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func readPrivate(path string) ([]byte, error) {
	if err := guarded(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// parseSeed erases the seed, of which the pair holds a copy.
func parseSeed(seed []byte, prefix nkeys.PrefixByte) (nkeys.KeyPair, error) {
	defer clear(seed)
	got, _, err := nkeys.DecodeSeed(seed)
	if err != nil || got != prefix {
		return nil, fmt.Errorf("it holds no %s seed", prefix)
	}
	return nkeys.FromSeed(bytes.Clone(seed))
}

// guarded refuses what others may read, and links that lead elsewhere.
func guarded(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		return fmt.Errorf("%s is a symbolic link; give the path it points to", path)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return fmt.Errorf("%s is open to others (mode %04o): chmod go-rwx it", path, info.Mode().Perm())
	}
	return nil
}
