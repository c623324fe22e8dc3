package seal

import (
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"
)

// MaxMessage is the largest plaintext of a message, in bytes: a value of [MaxValue],
// padded.
const MaxMessage = padPrefix + MaxValue + padStep - (padPrefix+MaxValue)%padStep

// The parts of a message, in their order: kind, version, the three numbers of the
// HPKE suite, recipient key id, signer key id, encapsulated key (its length follows
// from the suite), commitment; then ciphertext with tag, and the signature. All before
// the ciphertext is the header.
const (
	messageKind    = 'M'
	messageVersion = 1
	messageFixed   = 2 + 6 + 2*sha256.Size // up to the encapsulated key
)

const (
	infoLabel = "secretsbridge message info v1"

	// commitExport is the exporter context of the commitment, RFC 9180 section 5.3.
	commitExport = "commit"
)

// SealMessage encrypts plaintext to one key, an agent's or a requester's, and signs the
// result. The binding
// must be complete and name that key, else [ErrBinding]; above [MaxMessage] it is
// [ErrTooLarge]; a key that is none is [ErrKey] or [ErrSuite]. The length of the
// plaintext shows. The caller keeps plaintext and clears it.
func SealMessage(to RecipientPublic, by SigningKey, b Binding, plaintext []byte) ([]byte, error) {
	if len(plaintext) > MaxMessage {
		return nil, fmt.Errorf("seal message of %d bytes, at most %d: %w", len(plaintext), MaxMessage, ErrTooLarge)
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("seal message: %w", err)
	}
	if b.AgentKey != to.ID() {
		return nil, fmt.Errorf("seal message: %w: agent key is not the recipient's", ErrBinding)
	}
	if by.private == nil {
		return nil, fmt.Errorf("seal message: signer: %w", ErrKey)
	}
	recipient, signer := to.id(), by.Public().id()
	prefix := appendSuite([]byte{messageKind, messageVersion}, to.suite)
	prefix = append(append(prefix, recipient[:]...), signer[:]...)
	header, ciphertext, err := sealTo(to, messageInfo(to.suite, b), prefix, plaintext)
	if err != nil {
		return nil, fmt.Errorf("seal message: %w", err)
	}
	message := append(header, ciphertext...)
	return append(message, by.sign(messageDigest(header, ciphertext))...), nil
}

// sealTo encrypts plaintext to a key in an HPKE context of its own, so that no counter
// can ever repeat. The header is prefix, encapsulated key and commitment.
func sealTo(to RecipientPublic, info, prefix, plaintext []byte) (header, ciphertext []byte, err error) {
	public, err := to.hpke()
	if err != nil {
		return nil, nil, err
	}
	enc, sender, err := fixed.sender(public, info)
	if err != nil {
		return nil, nil, err
	}
	commitment, err := sender.Export(commitExport, commitmentSize)
	if err != nil {
		return nil, nil, err
	}
	header = append(append(prefix[:len(prefix):len(prefix)], enc...), commitment...)
	ciphertext, err = sender.Seal(header, plaintext)
	return header, ciphertext, err
}

// openFrom decrypts what [sealTo] made. Every fault is [ErrOpen].
func openFrom(key RecipientKey, info, header, enc, commitment, ciphertext []byte) ([]byte, error) {
	recipient, err := newRecipient(enc, key.private(), info)
	if err != nil {
		return nil, ErrOpen
	}
	export, err := recipient.Export(commitExport, commitmentSize)
	if err != nil || subtle.ConstantTimeCompare(export, commitment) != 1 {
		return nil, ErrOpen
	}
	plaintext, err := recipient.Open(header, ciphertext)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// OpenMessage checks and decrypts a message to this agent's key. In this order:
// format ([ErrMalformed]), version and suite ([ErrSuite]), the signature of a trusted
// key ([ErrSignature]), the end in the binding ([ErrExpired]), and only then, with the
// private key, everything else ([ErrOpen]). The plaintext is the caller's to clear.
//
// A message opens as often as it is delivered: HPKE has no memory. That an envelope
// counts once is the control plane's affair.
func OpenMessage(key RecipientKey, trusted VerifyKeys, b Binding, now time.Time, message []byte) ([]byte, error) {
	m, err := parseMessage(message)
	if err != nil {
		return nil, fmt.Errorf("open message: %w", err)
	}
	if err := m.verify(trusted); err != nil {
		return nil, fmt.Errorf("open message: %w", err)
	}
	if b.Expired(now) {
		return nil, fmt.Errorf("open message: %w", ErrExpired)
	}
	if key.private == nil || key.Public().id() != m.recipient {
		return nil, fmt.Errorf("open message: %w", ErrOpen)
	}
	plaintext, err := openFrom(key, messageInfo(m.suite, b), m.header, m.enc, m.commitment, m.ciphertext)
	if err != nil {
		return nil, fmt.Errorf("open message: %w", err)
	}
	return plaintext, nil
}

// newRecipient starts an HPKE context of the product's suites.
func newRecipient(enc []byte, key hpke.PrivateKey, info []byte) (*hpke.Recipient, error) {
	return fixed.recipient(enc, key, info)
}

// message is a parsed message; every field is a window into the bytes received.
type message struct {
	suite             Suite
	recipient, signer [sha256.Size]byte
	header            []byte
	enc, commitment   []byte
	ciphertext, sig   []byte
}

func parseMessage(b []byte) (message, error) {
	if len(b) < 2 || b[0] != messageKind {
		return message{}, ErrMalformed
	}
	if b[1] != messageVersion {
		return message{}, ErrSuite
	}
	if len(b) < messageFixed {
		return message{}, ErrMalformed
	}
	m := message{suite: Suite(binary.BigEndian.Uint16(b[2:]))}
	if m.suite.encSize() == 0 || string(b[2:8]) != string(appendSuite(nil, m.suite)) {
		return message{}, ErrSuite
	}
	copy(m.recipient[:], b[8:])
	copy(m.signer[:], b[8+sha256.Size:])
	encEnd := messageFixed + m.suite.encSize()
	headerEnd := encEnd + commitmentSize
	plain := len(b) - headerEnd - tagSize - SignatureSize
	if plain < 0 || plain > MaxMessage {
		return message{}, ErrMalformed
	}
	sigStart := len(b) - SignatureSize
	m.header, m.enc, m.commitment = b[:headerEnd], b[messageFixed:encEnd], b[encEnd:headerEnd]
	m.ciphertext, m.sig = b[headerEnd:sigStart], b[sigStart:]
	return m, nil
}

// verify finds the trusted key that the header names and checks the signature.
func (m message) verify(trusted VerifyKeys) error {
	return trusted.verifyOf(m.signer, messageDigest(m.header, m.ciphertext), m.sig)
}

// messageDigest is what the control plane signs of a message: a label, so that it is
// no statement, and SHA-256 over header and ciphertext, each behind its length.
func messageDigest(header, ciphertext []byte) []byte {
	h := sha256.New()
	h.Write(appendField(nil, header))
	h.Write(appendField(nil, ciphertext))
	return appendField(appendField(nil, messageLabel), h.Sum(nil))
}

// messageInfo is HPKE's info: label, suite, binding.
func messageInfo(s Suite, b Binding) []byte {
	return appendField(appendField(appendField(nil, infoLabel), appendSuite(nil, s)), b.Bytes())
}

// appendSuite appends the three numbers of the suite: KEM, KDF, AEAD.
func appendSuite(out []byte, s Suite) []byte {
	out = binary.BigEndian.AppendUint16(out, uint16(s))
	out = binary.BigEndian.AppendUint16(out, fixed.kdf.ID())
	return binary.BigEndian.AppendUint16(out, fixed.aead.ID())
}
