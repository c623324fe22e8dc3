package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"secretsbridge/agent"
)

const (
	storeFile   = "store.age"
	lockFile    = "lock"
	secretsDir  = "secrets"
	currentFile = "current"
	versionExt  = ".age"

	// storeFormat is the content of store.age.
	storeFormat = "secrets-bridge file store v1\n"
)

// description is what a store says of one version of a secret, without its values.
type description struct {
	Ref       string                `json:"ref"` // so that a file moved elsewhere is found out
	Version   int                   `json:"version"`
	Keys      map[string]agent.Kind `json:"keys"`
	Labels    map[string]string     `json:"labels,omitempty"`
	CreatedAt time.Time             `json:"created_at"`
	UpdatedAt time.Time             `json:"updated_at"`
}

// errPruned says that a version is gone: others have written many since.
var errPruned = errors.New("the version file is missing")

func (p *Provider) proveIdentity() error {
	sealed, err := readBounded(filepath.Join(p.dir, storeFile))
	if err != nil {
		return fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	plain, err := p.identity.open(sealed)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", agent.ErrSignIn, storeFile, err)
	}
	if string(plain) != storeFormat {
		return fmt.Errorf("%w: %s names another format", agent.ErrCorrupt, storeFile)
	}
	return nil
}

func (p *Provider) folder(ref agent.Ref) string {
	return filepath.Join(p.dir, secretsDir, p.identity.name(ref))
}

func versionFile(version int) string { return strconv.Itoa(version) + versionExt }

// readCurrent takes no lock. It may find that the version it was sent to has been
// pruned since, which takes as many writes as versions are kept; then it looks again.
func (p *Provider) readCurrent(ref agent.Ref) (agent.Bundle, error) {
	const tries = 5
	var err error
	for range tries {
		var at description
		at, err = p.current(ref)
		if err != nil {
			return agent.Bundle{}, err
		}
		var b agent.Bundle
		b, err = p.version(ref, at)
		if !errors.Is(err, errPruned) {
			return b, err
		}
	}
	return agent.Bundle{}, err
}

// current reads which version a secret is at.
func (p *Provider) current(ref agent.Ref) (description, error) {
	sealed, err := readBounded(filepath.Join(p.folder(ref), currentFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return description{}, agent.ErrNotFound
	case err != nil:
		return description{}, fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	plain, err := p.identity.open(sealed)
	if err != nil {
		return description{}, fmt.Errorf("%w: %s: %w", agent.ErrCorrupt, currentFile, err)
	}
	return describe(plain, ref)
}

func describe(plain []byte, ref agent.Ref) (description, error) {
	var d description
	if err := json.Unmarshal(plain, &d); err != nil {
		return description{}, fmt.Errorf("%w: its description is no JSON", agent.ErrCorrupt)
	}
	if d.Ref != ref.String() || d.Version < 1 {
		return description{}, fmt.Errorf("%w: its description is that of another secret", agent.ErrCorrupt)
	}
	return d, nil
}

// version reads the values of the version that at describes.
func (p *Provider) version(ref agent.Ref, at description) (agent.Bundle, error) {
	name := versionFile(at.Version)
	sealed, err := readBounded(filepath.Join(p.folder(ref), name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return agent.Bundle{}, fmt.Errorf("%w: %s: %w", agent.ErrCorrupt, name, errPruned)
	case err != nil:
		return agent.Bundle{}, fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	plain, err := p.identity.open(sealed)
	if err != nil {
		return agent.Bundle{}, fmt.Errorf("%w: %s: %w", agent.ErrCorrupt, name, err)
	}
	defer clear(plain)
	first, values, _ := bytes.Cut(plain, []byte("\n"))
	own, err := describe(first, ref)
	if err != nil {
		return agent.Bundle{}, fmt.Errorf("%s: %w", name, err)
	}
	if !reflect.DeepEqual(own, at) {
		return agent.Bundle{}, fmt.Errorf("%w: %s is not the version that was written", agent.ErrCorrupt, name)
	}
	b, err := agent.ParseBundle(values)
	if err != nil {
		return agent.Bundle{}, fmt.Errorf("%w: %s: %w", agent.ErrCorrupt, name, err)
	}
	if !maps.Equal(kinds(b), at.Keys) {
		b.Zero()
		return agent.Bundle{}, fmt.Errorf("%w: %s holds other keys than it says", agent.ErrCorrupt, name)
	}
	b.Version = agent.Version(strconv.Itoa(at.Version))
	b.Labels = at.Labels
	b.CreatedAt, b.UpdatedAt = at.CreatedAt, at.UpdatedAt
	return b, nil
}

// writeNext stores values, the JSON of b, as the version after expect. The caller
// holds the lock.
func (p *Provider) writeNext(ref agent.Ref, b agent.Bundle, values []byte, expect agent.Version) (agent.Version, error) {
	before, err := p.current(ref)
	if err != nil && !errors.Is(err, agent.ErrNotFound) {
		return "", err
	}
	now := time.Now().UTC()
	next := description{
		Ref:       ref.String(),
		Version:   before.Version + 1,
		Keys:      kinds(b),
		Labels:    before.Labels,
		CreatedAt: before.CreatedAt,
		UpdatedAt: now,
	}
	var was agent.Version
	if before.Version > 0 {
		was = agent.Version(strconv.Itoa(before.Version))
	} else {
		next.CreatedAt = now
	}
	if expect != was {
		return "", agent.ErrConflict
	}
	if b.Labels != nil {
		next.Labels = maps.Clone(b.Labels)
	}
	if err := p.commit(ref, next, values); err != nil {
		return "", err
	}
	p.prune(ref, next.Version)
	return agent.Version(strconv.Itoa(next.Version)), nil
}

func kinds(b agent.Bundle) map[string]agent.Kind {
	out := make(map[string]agent.Kind, len(b.Entries))
	for key, entry := range b.Entries {
		out[key] = entry.Kind
	}
	return out
}

// commit writes the version file, then the pointer to it.
func (p *Provider) commit(ref agent.Ref, next description, values []byte) error {
	described, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("%w: encode the description", agent.ErrNotBundle)
	}
	plain := make([]byte, 0, len(described)+1+len(values))
	plain = append(append(append(plain, described...), '\n'), values...)
	defer clear(plain)
	sealedVersion, err := p.identity.seal(plain)
	if err != nil {
		return err
	}
	sealedCurrent, err := p.identity.seal(described)
	if err != nil {
		return err
	}
	folder := p.folder(ref)
	if next.Version == 1 {
		if err := p.makeFolder(folder); err != nil {
			return fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
		}
	}
	if err := p.replace(folder, versionFile(next.Version), sealedVersion); err != nil {
		return fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	// Until the rename in the next line nobody looks at the version file, and the next
	// writer replaces it. After it the write has happened, whoever crashes.
	if err := p.replace(folder, currentFile, sealedCurrent); err != nil {
		return fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	return nil
}

// prune removes the versions that are too old and what crashed writers left. A fault
// here harms nobody and is made good by the next write.
func (p *Provider) prune(ref agent.Ref, version int) {
	if p.step("prune") != nil {
		return
	}
	folder := p.folder(ref)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, entry := range entries {
		number, isVersion := strings.CutSuffix(entry.Name(), versionExt)
		n, err := strconv.Atoi(number)
		old := isVersion && err == nil && n <= version-p.keep
		if old || strings.HasPrefix(entry.Name(), tempPrefix) {
			_ = os.Remove(filepath.Join(folder, entry.Name()))
		}
	}
}

func (p *Provider) step(name string) error {
	if p.fault == nil {
		return nil
	}
	return p.fault(name)
}
