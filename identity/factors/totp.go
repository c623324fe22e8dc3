package factors

import (
	"crypto/rand"
	"encoding/base32"
	"net/url"
	"strconv"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// What every authenticator app understands (RFC 6238, section 4; the defaults of the Key URI
// format): SHA-1, six digits, thirty seconds. SHA-1 is sound here, because HMAC does not lean on
// its resistance to collisions.
const (
	issuer      = "Secrets Bridge"
	secretBytes = 20 // the length of the hash (RFC 4226, section 4, R6)
	period      = 30 // seconds
	skew        = 1  // steps either way that still count (RFC 6238, section 5.2)
)

var (
	secretText = base32.StdEncoding.WithPadding(base32.NoPadding)
	codeForm   = hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
)

// newSecret makes the secret of an app, as text in base32.
func newSecret() []byte {
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand, Go 1.24
	defer clear(raw)
	return secretText.AppendEncode(nil, raw)
}

// keyURI is what an app reads, mostly from a QR code (Key URI format). A label has no colon
// but the one after the issuer.
func keyURI(secret []byte, account string) string {
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + account}
	query := "secret=" + string(secret) + "&issuer=" + url.PathEscape(issuer) +
		"&algorithm=SHA1&digits=6&period=" + strconv.Itoa(period)
	u.RawQuery = query
	return u.String()
}

// stepOf is the time step that a code belongs to: this one, or one of those beside it. All are
// looked at, so that the time it takes says nothing.
func stepOf(secret []byte, code string, now time.Time) (step int64, ok bool) {
	if len(code) != 6 {
		return 0, false
	}
	here := now.Unix() / period
	for s := here - skew; s <= here+skew; s++ {
		match, err := hotp.ValidateCustom(code, uint64(s), string(secret), codeForm)
		if err == nil && match {
			step, ok = s, true
		}
	}
	return step, ok
}
