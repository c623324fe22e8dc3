package seal

import "crypto/hpke"

// Seams for the tests of this package: the official vectors run through the context
// that OpenMessage uses, and a forger's signature is made where no signer would.

// OpenVector starts the context of OpenMessage for a key, over a vector's own info.
func OpenVector(key RecipientKey, enc, info []byte) (*hpke.Recipient, error) {
	return newRecipient(enc, key.private(), info)
}

// EncSize is the length of the encapsulated key that the parser expects.
func (s Suite) EncSize() int { return s.encSize() }

// Resign replaces the signature of a message by by's over the message as it now is, so
// that a test reaches what lies behind the signature. It reports whether the bytes
// still have the form of a message.
func Resign(by SigningKey, message []byte) bool {
	m, err := parseMessage(message)
	if err != nil {
		return false
	}
	copy(m.sig, by.sign(messageDigest(m.header, m.ciphertext)))
	return true
}

// MessageParts returns what the parser sees in a message, in order and without gaps.
func MessageParts(b []byte) ([][]byte, error) {
	m, err := parseMessage(b)
	if err != nil {
		return nil, err
	}
	fixed := append([]byte{messageKind, messageVersion}, appendSuite(nil, m.suite)...)
	return [][]byte{fixed, m.recipient[:], m.signer[:], m.enc, m.commitment, m.ciphertext, m.sig}, nil
}

// Pad and Unpad are the padding of values. Unpad takes what [OpenValue] lets through:
// whole steps, at least one.
func Pad(value []byte) []byte { return pad(value) }

func Unpad(padded []byte) ([]byte, bool) { return unpad(padded) }

// SignedOfMessage returns what the signature of a message is over.
func SignedOfMessage(message []byte) []byte {
	m, _ := parseMessage(message)
	return messageDigest(m.header, m.ciphertext)
}
