package factors

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"secretsbridge/events"
)

// RecoveryCodes is how many codes are made at a time.
const RecoveryCodes = 10

// codeBytes is how many random bytes a code has: 80 bits, which nobody guesses and which a
// plain hash keeps. It is 16 characters.
const codeBytes = 10

// codeText has no letters that look like others.
var codeText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newCode makes one code, such as "k3vq-09pa-tz4c-w8xd".
func newCode() string {
	var raw [codeBytes]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand, Go 1.24
	text := codeText.EncodeToString(raw[:])
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
}

// hashCode is how a code is stored: SHA-256 over what it is for, whose it is, and the code
// without blanks and hyphens, in lower case. What is no code has no hash.
func hashCode(user events.UserID, code string) (hash []byte, ok bool) {
	code = strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))
	if raw, err := codeText.DecodeString(code); err != nil || len(raw) != codeBytes {
		return nil, false
	}
	sum := sha256.Sum256([]byte("secretsbridge recovery code v1\x00" + string(user) + "\x00" + code))
	return sum[:], true
}
