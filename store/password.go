package store

import (
	"fmt"
	"sync"

	"github.com/alexedwards/argon2id"

	"secretsbridge/internal/secret"
)

// hashing is OWASP's second recommendation for argon2id (Password Storage Cheat
// Sheet): 19 MiB, two passes, one lane. Sixteen sign-ins at once take 304 MiB.
var hashing = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashingAtOnce bounds the memory that sign-ins can take from the process.
const hashingAtOnce = 16

var hashingSlots = make(chan struct{}, hashingAtOnce)

// dummyHash is what a password is compared with when nobody has that e-mail, so that
// the answer takes as long as for a person.
var dummyHash = sync.OnceValues(func() (string, error) { return argon2id.CreateHash("nobody", hashing) })

func hashPassword(password secret.Value) (string, error) {
	hashingSlots <- struct{}{}
	defer func() { <-hashingSlots }()
	hash, err := argon2id.CreateHash(string(password.Expose()), hashing)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

func comparePassword(password secret.Value, hash string) (bool, error) {
	hashingSlots <- struct{}{}
	defer func() { <-hashingSlots }()
	match, err := argon2id.ComparePasswordAndHash(string(password.Expose()), hash)
	if err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	return match, nil
}
