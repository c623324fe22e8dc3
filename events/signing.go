package events

import "time"

// SigningKeyRotated says that the control plane signs with another key from now on. The
// first key has serial 1 and no fact.
type SigningKeyRotated struct {
	Serial int    `json:"serial"`
	Key    string `json:"key"` // public Ed25519 key, as package seal prints it
}

func (SigningKeyRotated) fact() {}

// SigningStream is the history of the control plane's signing key.
func SigningStream() Stream { return Stream{AggregateSetting, "signing"} }

// KeyStatement names the key that follows the one that signs it.
type KeyStatement struct {
	Serial        int       `json:"serial"`         // one more than the signer's
	Key           string    `json:"key"`            // public Ed25519 key, as package seal prints it
	PreviousUntil time.Time `json:"previous_until"` // exclusive; no earlier key counts for longer
}

// SignedKeyStatement is a statement with the signature of the key before over exactly
// the bytes of Statement.
type SignedKeyStatement struct {
	Statement []byte `json:"statement"` // JSON of a KeyStatement
	Signature []byte `json:"signature"`
}

// KeyStatementDomain separates these signatures from all others of the same key.
const KeyStatementDomain = "secrets-bridge signing key v1"

// AskTrust asks for the statements behind a serial.
type AskTrust struct {
	After int `json:"after"` // serial of the newest key that the agent trusts
}

// Trust is the chain from there to the key of the moment, in order.
type Trust struct {
	Statements []SignedKeyStatement `json:"statements"`
}
