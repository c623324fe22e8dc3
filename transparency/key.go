package transparency

import (
	"crypto/rand"
	"errors"
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrCheckpoint says that a text is no checkpoint that the known keys signed.
var ErrCheckpoint = errors.New("not a checkpoint of this log")

// GenerateKey makes an Ed25519 key of a log. Its name is the log's origin. Both are texts of
// c2sp.org/signed-note: the first is secret, the other is what verifiers know the log by.
func GenerateKey(origin string) (signing, verifying string, err error) {
	return note.GenerateKey(rand.Reader, origin)
}

// Signer signs checkpoints of one log. While a key is rotated it has two, so that who knows
// either one can verify.
type Signer struct {
	origin  string
	signers []note.Signer
}

// NewSigner takes the signing keys of a log, the current one first. They are of one origin.
func NewSigner(keys ...string) (*Signer, error) {
	s := &Signer{}
	for _, key := range keys {
		signer, err := note.NewSigner(key)
		if err != nil {
			return nil, errors.New("a key of checkpoints is damaged") // the library's error may hold of the key
		}
		if s.origin == "" {
			s.origin = signer.Name()
		}
		if signer.Name() != s.origin {
			return nil, fmt.Errorf("keys of checkpoints are of %q and %q", s.origin, signer.Name())
		}
		s.signers = append(s.signers, signer)
	}
	if len(s.signers) == 0 {
		return nil, errors.New("no key of checkpoints")
	}
	return s, nil
}

// Origin is the log's name.
func (s *Signer) Origin() string { return s.origin }

// Sign makes the signed checkpoint of a tree.
func (s *Signer) Sign(tree tlog.Tree) ([]byte, error) {
	c := torchwood.Checkpoint{Origin: s.origin, Tree: tree}
	return note.Sign(&note.Note{Text: c.String()}, s.signers...)
}

// Verifiers are keys of logs and witnesses, as their texts say them.
type Verifiers struct{ keys note.Verifiers }

// NewVerifiers takes keys of logs, as [GenerateKey] makes them.
func NewVerifiers(keys ...string) (Verifiers, error) {
	list := make([]note.Verifier, len(keys))
	for i, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return Verifiers{}, fmt.Errorf("key %q of a log: %w", key, err)
		}
		list[i] = v
	}
	return Verifiers{note.VerifierList(list...)}, nil
}

// Signing are those of the keys of logs that signed a checkpoint, each once.
func Signing(checkpoint []byte, keys []string) (signed []string) {
	known := map[string]bool{}
	for _, key := range keys {
		if known[key] {
			continue
		}
		known[key] = true
		v, err := NewVerifiers(key)
		if err != nil {
			continue
		}
		if _, _, err := v.Open(checkpoint); err == nil {
			signed = append(signed, key)
		}
	}
	return signed
}

// Open reads a checkpoint that at least one of the keys signed, whose origin is that key's name.
// Other signatures are left unread. Errors wrap [ErrCheckpoint].
func (v Verifiers) Open(signed []byte) (tlog.Tree, string, error) {
	n, err := note.Open(signed, v.keys)
	if err != nil {
		return tlog.Tree{}, "", fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	c, err := torchwood.ParseCheckpoint(n.Text)
	if err != nil {
		return tlog.Tree{}, "", fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	for _, sig := range n.Sigs {
		if sig.Name == c.Origin {
			return c.Tree, c.Origin, nil
		}
	}
	return tlog.Tree{}, "", fmt.Errorf("%w: it is of %q, and that one did not sign it", ErrCheckpoint, c.Origin)
}
