package file

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"secretsbridge/agent"
)

// nameLabel makes the key for names; another format would have another label.
const nameLabel = "secrets-bridge file provider v1: names"

// overhead is more than age adds to a file of [agent.MaxBundleBytes]: a header of about
// 2 KiB (hybrid, in base64) and 16 bytes for each 64 KiB.
const overhead = 16 << 10

// maxFile bounds what is read from disk: a version's values and its description, which
// repeats its keys and may hold labels.
const maxFile = 3*agent.MaxBundleBytes + overhead

// identity seals and opens the files of one store.
type identity struct {
	key     age.Identity
	to      age.Recipient
	nameKey []byte
}

func newIdentity(key age.Identity) (identity, error) {
	id := identity{key: key}
	var text string
	switch key := key.(type) {
	case *age.HybridIdentity:
		id.to, text = key.Recipient(), key.String()
	case *age.X25519Identity:
		id.to, text = key.Recipient(), key.String()
	default:
		return identity{}, fmt.Errorf("an identity of type %T is not supported", key)
	}
	var err error
	id.nameKey, err = hkdf.Key(sha256.New, []byte(text), nil, nameLabel, sha256.Size)
	return id, err
}

// name is the folder of a ref: [nameDigits] hexadecimal digits, the same in every process.
func (id identity) name(ref agent.Ref) string {
	mac := hmac.New(sha256.New, id.nameKey)
	mac.Write([]byte(ref.String()))
	return hex.EncodeToString(mac.Sum(nil)[:nameDigits/2])
}

// seal encrypts plain. Who does not hold the identity cannot do so either: the
// recipient is derived from it and written nowhere.
func (id identity) seal(plain []byte) ([]byte, error) {
	if len(plain) > maxFile-overhead {
		return nil, agent.ErrTooLarge
	}
	var out bytes.Buffer
	out.Grow(len(plain) + overhead)
	w, err := age.Encrypt(&out, id.to)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return out.Bytes(), nil
}

// open decrypts a whole file. The caller clears the result.
func (id identity) open(sealed []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), id.key)
	if err != nil {
		return nil, errors.New("the file cannot be decrypted: its header is damaged or made for another identity")
	}
	// Never longer than the file, so that the buffer does not grow and leave copies.
	plain := bytes.NewBuffer(make([]byte, 0, len(sealed)+bytes.MinRead))
	if _, err := io.Copy(plain, r); err != nil {
		clear(plain.Bytes())
		return nil, errors.New("the file cannot be decrypted: its content is damaged")
	}
	return plain.Bytes(), nil
}
