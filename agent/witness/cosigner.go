package witness

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/transparency"
)

// cosigner cosigns checkpoints with an agent's key.
type cosigner struct{ note.Signer }

func newCosigner(id events.AgentID, key seal.SigningKey) (cosigner, error) {
	s, err := torchwood.NewCosignatureSigner(transparency.AgentWitness(id), ed25519Key{key})
	return cosigner{s}, err
}

// line is the signature line for a checkpoint, with its newline. The checkpoint was verified before.
func (c cosigner) line(checkpoint string) (string, error) {
	text, _, found := strings.Cut(checkpoint, "\n\n")
	if !found {
		return "", errors.New("cosign: no signed checkpoint")
	}
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, c)
	if err != nil {
		return "", fmt.Errorf("cosign: %w", err)
	}
	return string(signed[len(text)+2:]), nil
}

// ed25519Key is the agent's key as the library wants it. It signs nothing but cosignatures.
type ed25519Key struct{ key seal.SigningKey }

// Public implements [crypto.Signer].
func (k ed25519Key) Public() crypto.PublicKey { return ed25519.PublicKey(k.key.Public().Bytes()) }

// Sign implements [crypto.Signer].
func (k ed25519Key) Sign(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	return k.key.SignCosignature(message), nil
}
