package store

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"math/big"
	"strings"

	"secretsbridge/internal/secret"
)

// A token that somebody is given is a prefix, 256 random bits and a checksum, in the digits
// of base 62: scanners for secrets find it by
//
//	sb[lt]_[0-9A-Za-z]{49}
//
// and tell one from a text that only looks alike by the last six digits, the CRC-32 (IEEE)
// of what is before them. Only its SHA-256 is stored, which is enough for 256 random bits.
const (
	linkPrefix   = "sbl_"
	tokenPrefix  = "sbt_"
	randomDigits = 43 // 62^43 > 2^256
	checkDigits  = 6  // 62^6 > 2^32
)

func mint(prefix string) secret.Value {
	raw := make([]byte, tokenBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand, Go 1.24
	text := prefix + digits(new(big.Int).SetBytes(raw), randomDigits)
	clear(raw)
	return secret.New([]byte(text + checksum(text)))
}

func digits(n *big.Int, width int) string {
	text := n.Text(62)
	return strings.Repeat("0", max(width-len(text), 0)) + text
}

func checksum(text string) string {
	return digits(big.NewInt(int64(crc32.ChecksumIEEE([]byte(text)))), checkDigits)
}

// minted reports whether a text can be a token of that prefix. It saves a look into the
// database for what was typed wrong.
func minted(text []byte, prefix string) bool {
	body := len(text) - checkDigits
	return len(text) == len(prefix)+randomDigits+checkDigits && strings.HasPrefix(string(text), prefix) &&
		checksum(string(text[:body])) == string(text[body:])
}

// IsToken reports whether a text has the form of a machine's token.
func IsToken(text string) bool { return minted([]byte(text), tokenPrefix) }

func hashOf(token secret.Value) []byte {
	hash := sha256.Sum256(token.Expose())
	return hash[:]
}
