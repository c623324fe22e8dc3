package seal

import (
	"fmt"
	"time"
)

// SealValueMessage is [SealMessage] for a value: padded, so that its length shows in
// steps of 256 bytes only. Above [MaxValue] it is [ErrTooLarge].
func SealValueMessage(to RecipientPublic, by SigningKey, b Binding, value []byte) ([]byte, error) {
	if len(value) > MaxValue {
		return nil, fmt.Errorf("seal value of %d bytes, at most %d: %w", len(value), MaxValue, ErrTooLarge)
	}
	padded := pad(value)
	defer clear(padded)
	return SealMessage(to, by, b, padded)
}

// OpenValueMessage is [OpenMessage] for what [SealValueMessage] made. Another padding is
// [ErrOpen]. The value is the caller's to clear.
func OpenValueMessage(key RecipientKey, trusted VerifyKeys, b Binding, now time.Time, message []byte) ([]byte, error) {
	padded, err := OpenMessage(key, trusted, b, now, message)
	if err != nil {
		return nil, err
	}
	value, err := unpadded(padded)
	if err != nil {
		return nil, fmt.Errorf("open message: %w", err)
	}
	return value, nil
}

// unpadded returns the value inside an opened plaintext, or clears it and returns
// [ErrOpen].
func unpadded(plain []byte) ([]byte, error) {
	if len(plain) < padStep || len(plain)%padStep != 0 {
		clear(plain)
		return nil, ErrOpen
	}
	value, ok := unpad(plain)
	if !ok {
		clear(plain)
		return nil, ErrOpen
	}
	return value, nil
}
