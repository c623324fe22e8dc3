package transparency

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"secretsbridge/events"
)

// cosignatureEd25519 is the type of an agent's key (c2sp.org/tlog-cosignature).
const cosignatureEd25519 = 0x04

// agentPrefix begins the name of every agent as a witness.
const agentPrefix = "agent/"

// ErrCosignature says that a line is not what a witness says to a checkpoint.
var ErrCosignature = errors.New("not a cosignature of this witness for this checkpoint")

// AgentWitness is the name of an agent as a witness.
func AgentWitness(id events.AgentID) string { return agentPrefix + string(id) }

// WitnessAgent is the agent of that name, and false if it is the name of another witness.
func WitnessAgent(name string) (events.AgentID, bool) {
	id, ok := strings.CutPrefix(name, agentPrefix)
	return events.AgentID(id), ok && events.ValidID(id, "a_")
}

// AgentKey is what an agent is known by as a witness (c2sp.org/signed-note): key is the 32 bytes
// of the Ed25519 key that it was enrolled with.
func AgentKey(id events.AgentID, key []byte) (string, error) {
	if len(key) != ed25519.PublicKeySize {
		return "", fmt.Errorf("key of agent %s: %d bytes, want %d", id, len(key), ed25519.PublicKeySize)
	}
	name, typed := AgentWitness(id), append([]byte{cosignatureEd25519}, key...)
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...)) // c2sp.org/signed-note, key ids
	return fmt.Sprintf("%s+%08x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(typed)), nil
}

// OpenCosignature checks a line of a witness, with its newline, for a signed checkpoint, and says
// when the witness signed it. Errors wrap [ErrCosignature].
func OpenCosignature(checkpoint, line, key string) (time.Time, error) {
	v, err := torchwood.NewCosignatureVerifier(key)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: its key: %w", ErrCosignature, err)
	}
	text, _, found := strings.Cut(checkpoint, "\n\n")
	if !found || strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		return time.Time{}, ErrCosignature
	}
	if _, err := note.Open([]byte(text+"\n\n"+line), note.VerifierList(v)); err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrCosignature, err)
	}
	return CosignedAt(line)
}

// CosignedAt is when a witness says that it signed a line that was verified before. Errors wrap
// [ErrCosignature].
func CosignedAt(line string) (time.Time, error) {
	words := strings.Fields(line) // a dash, the name, and the signature
	if len(words) != 3 {
		return time.Time{}, ErrCosignature
	}
	at, err := torchwood.CosignatureTimestamp(note.Signature{Name: words[1], Base64: words[2]})
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrCosignature, err)
	}
	return time.Unix(at, 0).UTC(), nil
}
