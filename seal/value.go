package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// MaxValue is the largest value that seals, in bytes. Values up to 64 KiB are what
// the product promises; the rest is headroom that still fits a NATS payload of 1 MiB.
const MaxValue = 512 << 10

// The parts of a value box, in their order: kind, version, salt, commitment, nonce,
// then ciphertext and tag. All but the ciphertext is the header.
const (
	valueKind       = 'V'
	valueVersion    = 1
	valueSaltSize   = 32
	commitmentSize  = 32
	valueNonceSize  = 12
	valueHeaderSize = 2 + valueSaltSize + commitmentSize + valueNonceSize
	tagSize         = 16
)

// Padding: the value's length in four bytes, the value, zeros up to the step. A
// reader of ciphertexts learns the length in steps only.
const (
	padStep   = 256
	padPrefix = 4
)

const (
	valueLabel    = "secretsbridge value v1"
	valueAADLabel = "secretsbridge value aad v1"
)

// BoxSize returns the length of the box of a value of n bytes.
func BoxSize(n int) int { return valueHeaderSize + paddedSize(n) + tagSize }

// SealValue encrypts one value under its own data key and returns the box. The caller
// keeps value and key and zeroes both; a key must not be used for a second value. It
// returns [ErrTooLarge] above [MaxValue], [ErrBinding] for an incomplete binding and
// [ErrKey] for a zero or zeroed key.
func SealValue(key DataKey, b Binding, value []byte) ([]byte, error) {
	if len(value) > MaxValue {
		return nil, fmt.Errorf("seal value of %d bytes, at most %d: %w", len(value), MaxValue, ErrTooLarge)
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("seal value: %w", err)
	}
	if !usable(key.Expose()) {
		return nil, fmt.Errorf("seal value: %w", ErrKey)
	}
	box := make([]byte, valueHeaderSize, BoxSize(len(value)))
	box[0], box[1] = valueKind, valueVersion
	salt, commitment, nonce := valueParts(box)
	_, _ = rand.Read(salt)
	_, _ = rand.Read(nonce)
	binding := b.Bytes()
	aead, commit, err := valueKeys(key, salt, binding)
	if err != nil {
		return nil, fmt.Errorf("seal value: %w", err)
	}
	copy(commitment, commit)
	padded := pad(value)
	defer clear(padded)
	return aead.Seal(box, nonce, padded, valueAAD(box, binding)), nil
}

// OpenValue decrypts a box. The result is the caller's, to be zeroed by the caller.
// It does not look at the end in the binding: whether a value may still be opened is
// decided, and written down, before the key is fetched (custody). It returns
// [ErrMalformed], [ErrSuite] or [ErrOpen].
func OpenValue(key DataKey, b Binding, box []byte) ([]byte, error) {
	if len(box) < 2 || box[0] != valueKind {
		return nil, fmt.Errorf("open value: %w", ErrMalformed)
	}
	if box[1] != valueVersion {
		return nil, fmt.Errorf("open value: %w", ErrSuite)
	}
	padded := len(box) - valueHeaderSize - tagSize
	if padded < padStep || padded%padStep != 0 || padded > paddedSize(MaxValue) {
		return nil, fmt.Errorf("open value: %w", ErrMalformed)
	}
	if !usable(key.Expose()) {
		return nil, fmt.Errorf("open value: %w", ErrOpen)
	}
	header := box[:valueHeaderSize]
	salt, commitment, nonce := valueParts(header)
	binding := b.Bytes()
	aead, commit, err := valueKeys(key, salt, binding)
	if err != nil {
		return nil, fmt.Errorf("open value: %w", err)
	}
	// AES-GCM alone would open one ciphertext under two keys that its maker knew.
	if subtle.ConstantTimeCompare(commit, commitment) != 1 {
		return nil, fmt.Errorf("open value: %w", ErrOpen)
	}
	plain, err := aead.Open(nil, nonce, box[valueHeaderSize:], valueAAD(header, binding))
	if err != nil {
		return nil, fmt.Errorf("open value: %w", ErrOpen)
	}
	value, ok := unpad(plain)
	if !ok {
		clear(plain)
		return nil, fmt.Errorf("open value: %w", ErrOpen)
	}
	return value, nil
}

// valueParts returns the three fields of a header, as windows into it.
func valueParts(header []byte) (salt, commitment, nonce []byte) {
	salt, rest := header[2:2+valueSaltSize], header[2+valueSaltSize:]
	return salt, rest[:commitmentSize], rest[commitmentSize : commitmentSize+valueNonceSize]
}

// valueKeys derives the encryption key and the commitment from data key, salt and
// binding. The binding is in the derivation and not only in the associated data, so
// the commitment commits to the key and to the meaning at once (decision 0011).
func valueKeys(key DataKey, salt, binding []byte) (cipher.AEAD, []byte, error) {
	info := appendField(appendField(nil, valueLabel), binding)
	keys, err := derive(sha512.New, key.Expose(), salt, info, KeySize+commitmentSize)
	if err != nil {
		return nil, nil, err
	}
	defer clear(keys[:KeySize])
	aead, err := newGCM(keys[:KeySize])
	return aead, keys[KeySize:], err
}

func valueAAD(header, binding []byte) []byte {
	return appendField(appendField(appendField(nil, valueAADLabel), header), binding)
}

// paddedSize rounds up to the step, the prefix included: never zero.
func paddedSize(n int) int { return (padPrefix + n + padStep - 1) / padStep * padStep }

func pad(value []byte) []byte {
	out := make([]byte, paddedSize(len(value)))
	binary.BigEndian.PutUint32(out, uint32(len(value)))
	copy(out[padPrefix:], value)
	return out
}

// unpad returns the value inside the padded bytes. There is one padding for each
// value; any other is refused.
func unpad(padded []byte) ([]byte, bool) {
	n := uint64(binary.BigEndian.Uint32(padded))
	if n > MaxValue || paddedSize(int(n)) != len(padded) {
		return nil, false
	}
	rest := byte(0)
	for _, c := range padded[padPrefix+n:] {
		rest |= c
	}
	return padded[padPrefix : padPrefix+n : padPrefix+n], rest == 0
}
