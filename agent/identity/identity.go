// Package identity keeps who an agent is, in a directory of its own host: its private
// keys, which are made there and never leave, and what it got for its one-time token.
//
// Layout of the directory, mode 0700, files 0600:
//
//	identity.json      what the control plane said, and which key files belong to it
//	user-<hex>.seed    the nkey seed that signs the link
//	sign-<hex>.key     the Ed25519 seed that signs each call
//	box-<hex>.key      an HPKE private key that values' data keys are sealed to
//	lock               held by the process that runs the agent
//
// The rename of identity.json is the moment at which an enrolment, its replacement, a
// renewal or a rotation happened. A crash before it leaves key files that nothing
// names; the next start or enrolment removes them.
package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/internal/private"
	"secretsbridge/seal"
)

const (
	identityFile = "identity.json"
	lockFile     = "lock"
	userPrefix   = "user-"
	signPrefix   = "sign-"
	boxPrefix    = "box-"
)

// Errors that callers branch on.
var (
	ErrMissing = errors.New("the agent is not enrolled")
	ErrExists  = errors.New("the agent is enrolled already")
	ErrInUse   = errors.New("another process runs this agent")
	ErrOld     = errors.New("it was written by a version that did not sign its calls; get a new token and enrol the agent again with --replace")
)

// Identity is who an agent is. It is safe for concurrent use.
type Identity struct {
	dir      string
	userSeed []byte
	signKey  seal.SigningKey

	mu    sync.Mutex // guards what follows
	state document
	boxes map[string]seal.RecipientKey // by id: those of state.BoxKeys and state.NextKey
	trust agent.TrustedKeys
}

// format is of identity.json. Format 1 knew one box key and no signing key.
const format = 2

// document is identity.json.
type document struct {
	Format   int              `json:"format"`
	Agent    events.AgentID   `json:"agent"`
	Name     string           `json:"name"`
	Cluster  events.ClusterID `json:"cluster"`
	Account  string           `json:"account"`
	LeafURLs []string         `json:"leaf_urls"`
	CA       string           `json:"ca"`
	Trusted  []trustedKey     `json:"trusted_keys"` // the newest last
	UserFile string           `json:"user_key_file"`
	SignFile string           `json:"sign_key_file"`
	BoxKeys  []boxKey         `json:"box_keys"`           // the key of the moment last
	NextKey  *boxKey          `json:"next_key,omitempty"` // not known to be taken
	UserJWT  string           `json:"user_jwt"`
	Issued   time.Time        `json:"issued"`
	Expires  time.Time        `json:"expires"`
}

// Keys are fresh private keys on disk that no identity names yet.
type Keys struct {
	dir                string
	userFile, signFile string
	box                boxKey
}

// Free returns nil where an enrolment may begin: there is no identity, or it is to be
// replaced. Otherwise [ErrExists].
func Free(dir string, replace bool) error {
	_, err := os.Lstat(filepath.Join(dir, identityFile))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && replace:
		return nil
	case err == nil:
		return fmt.Errorf("%s: %w", dir, ErrExists)
	}
	return fmt.Errorf("look for an identity: %w", err)
}

// Prepare writes fresh keys into dir, which it makes if need be. All stay the
// caller's. An identity that is there is not touched until [Keys.Accept].
func Prepare(dir string, userSeed []byte, sign seal.SigningKey, box seal.RecipientKey) (Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Keys{}, fmt.Errorf("prepare identity: %w", err)
	}
	if err := private.Dir(dir); err != nil {
		return Keys{}, fmt.Errorf("prepare identity: %w", err)
	}
	signing := sign.Expose()
	defer clear(signing)
	name := randomName()
	k := Keys{dir: dir, userFile: userPrefix + name + ".seed", signFile: signPrefix + name + ".key"}
	var err error
	if k.box, err = writeBox(dir, box); err != nil {
		return Keys{}, fmt.Errorf("prepare identity: %w", err)
	}
	if err := private.Replace(dir, k.userFile, userSeed); err != nil {
		return Keys{}, fmt.Errorf("prepare identity: %w", err)
	}
	if err := private.Replace(dir, k.signFile, signing); err != nil {
		return Keys{}, fmt.Errorf("prepare identity: %w", err)
	}
	return k, nil
}

// Accept makes the keys an identity with what the control plane answered. Key files of
// other identities are removed.
func (k Keys) Accept(e events.Enrolment, now time.Time) error {
	k.box.Since = now.UTC()
	d := document{
		Format: format, Agent: e.Agent, Name: e.Name, Cluster: e.Cluster, Account: e.Account, LeafURLs: e.LeafURLs,
		CA: e.CA, Trusted: []trustedKey{{Serial: e.Serial, Key: e.SigningKey}},
		UserFile: k.userFile, SignFile: k.signFile, BoxKeys: []boxKey{k.box},
		UserJWT: e.Credential.UserJWT, Issued: now.UTC(), Expires: e.Credential.Expires.UTC(),
	}
	if err := d.check(); err != nil {
		return fmt.Errorf("accept identity: %w", err)
	}
	if err := d.write(k.dir); err != nil {
		return fmt.Errorf("accept identity: %w", err)
	}
	// From here on the agent is enrolled; what is left over harms nobody.
	removeOthers(k.dir, d, now)
	return nil
}

// Discard removes keys that no identity will name.
func (k Keys) Discard() {
	for _, name := range []string{k.userFile, k.signFile, k.box.File} {
		_ = os.Remove(filepath.Join(k.dir, name))
	}
}

// removeOthers removes key files that a document does not name and that were written
// before a time.
func removeOthers(dir string, d document, before time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	named := d.files()
	for _, entry := range entries {
		name := entry.Name()
		info, err := entry.Info()
		ours := slices.ContainsFunc([]string{userPrefix, signPrefix, boxPrefix, private.TempPrefix}, func(p string) bool { return strings.HasPrefix(name, p) })
		if ours && !slices.Contains(named, name) && err == nil && !info.ModTime().After(before) {
			_ = os.Remove(filepath.Join(dir, name))
		}
	}
}

// files are the key files that the document names.
func (d document) files() []string {
	names := []string{d.UserFile, d.SignFile}
	for _, b := range d.boxes() {
		names = append(names, b.File)
	}
	return names
}

// Load reads an identity. It fails with [ErrMissing] where there is none, and refuses
// files that others may read.
func Load(dir string) (*Identity, error) {
	id, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("load identity from %s: %w", dir, err)
	}
	return id, nil
}

func load(dir string) (*Identity, error) {
	raw, err := private.Read(filepath.Join(dir, identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, err
	}
	if err := private.Dir(dir); err != nil {
		return nil, err
	}
	var version struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(raw, &version) == nil && version.Format == 1 {
		return nil, fmt.Errorf("%s: %w", identityFile, ErrOld)
	}
	var d document
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("%s is damaged or of a newer version; enrol the agent again", identityFile)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", identityFile, err)
	}
	seed, err := private.Read(filepath.Join(dir, d.UserFile))
	if err != nil {
		return nil, err
	}
	signing, err := private.Read(filepath.Join(dir, d.SignFile))
	if err != nil {
		return nil, err
	}
	defer clear(signing)
	id := &Identity{dir: dir, userSeed: seed, state: d, boxes: map[string]seal.RecipientKey{}}
	if id.signKey, err = seal.ParseSigningKey(signing); err != nil {
		return nil, fmt.Errorf("%s: %w", d.SignFile, err)
	}
	if id.trust, err = d.trust(); err != nil {
		return nil, fmt.Errorf("%s: %w", identityFile, err)
	}
	for _, b := range d.boxes() {
		if id.boxes[b.ID], err = readBox(dir, b); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// check refuses what no agent can work with, from the control plane or from disk.
func (d document) check() error {
	_, trustErr := d.trust()
	switch {
	case d.Format != format:
		return fmt.Errorf("format %d is unknown to this version", d.Format)
	case !events.ValidID(string(d.Agent), "a_"):
		return errors.New("the agent's id is none")
	case !events.ValidName(string(d.Cluster)):
		return errors.New("the cluster's name is none")
	case d.Account == "" || len(d.LeafURLs) == 0 || d.UserJWT == "" || d.Expires.IsZero():
		return errors.New("account, link or credentials are missing")
	case !x509.NewCertPool().AppendCertsFromPEM([]byte(d.CA)):
		return errors.New("the CA holds no certificate")
	case trustErr != nil:
		return trustErr
	case len(d.BoxKeys) == 0:
		return errors.New("no box key is named")
	case !plainName(d.UserFile, userPrefix) || !plainName(d.SignFile, signPrefix):
		return errors.New("the key files are not named as this agent names them")
	}
	for _, b := range d.boxes() {
		if !plainName(b.File, boxPrefix) || b.ID == "" {
			return errors.New("the key files are not named as this agent names them")
		}
	}
	return nil
}

func plainName(name, prefix string) bool {
	return strings.HasPrefix(name, prefix) && filepath.Base(name) == name
}

// Lock makes the caller the only process that runs this agent, until unlock or its
// death. Otherwise [ErrInUse].
func (id *Identity) Lock() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(id.dir, lockFile), os.O_CREATE|os.O_RDWR, private.Mode)
	if err != nil {
		return nil, fmt.Errorf("lock identity: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", id.dir, ErrInUse)
		}
		return nil, fmt.Errorf("lock identity: %w", err)
	}
	// What a crash left is nobody's by now. An enrolment that is under way has its keys
	// for minutes.
	id.mu.Lock()
	defer id.mu.Unlock()
	removeOthers(id.dir, id.state, time.Now().Add(-time.Hour))
	return func() { _ = file.Close() }, nil
}

// Renew keeps a new credential for the same keys.
func (id *Identity) Renew(c agent.Credential) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	next := id.state
	next.UserJWT, next.Issued, next.Expires = c.UserJWT, c.Issued.UTC(), c.Expires.UTC()
	if err := next.write(id.dir); err != nil {
		return fmt.Errorf("keep renewed credentials: %w", err)
	}
	id.state = next
	return nil
}

// Credential returns the credential of the moment.
func (id *Identity) Credential() agent.Credential {
	id.mu.Lock()
	defer id.mu.Unlock()
	return agent.Credential{
		Credentials: events.Credentials{UserJWT: id.state.UserJWT, Expires: id.state.Expires},
		Issued:      id.state.Issued,
	}
}

// The parts of an identity that never change while it lasts.
func (id *Identity) Agent() events.AgentID     { return id.state.Agent }
func (id *Identity) Name() string              { return id.state.Name }
func (id *Identity) Cluster() events.ClusterID { return id.state.Cluster }
func (id *Identity) Account() string           { return id.state.Account }
func (id *Identity) LeafURLs() []string        { return id.state.LeafURLs }
func (id *Identity) CA() []byte                { return []byte(id.state.CA) }
func (id *Identity) UserSeed() []byte          { return id.userSeed } // not a copy
func (id *Identity) SignKey() seal.SigningKey  { return id.signKey }

// Format keeps the seed and the keys out of every print.
func (id *Identity) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "[identity of %s]", id.state.Agent) }
