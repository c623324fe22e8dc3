package signed

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"secretsbridge/seal"
)

// requestFields are covered where they are sent. All that the server heeds is here, but
// for what can only make it refuse (Origin and its like).
var requestFields = []string{
	"content-digest", "content-type", "authorization", "idempotency-key", "sb-not-older-than", "accept", "last-event-id",
}

// nonceSize is the length of a nonce that [Sign] makes: 26 characters of base32, 130 bits.
const (
	nonceSize = 26
	maxNonce  = 64
)

// Request is a request as it is sent, or as it came.
type Request struct {
	Method string
	Target string // path and query from the API's prefix on; a proxy may strip what is before
	Header http.Header
	Body   []byte
}

// Proof is what a good signature says of itself.
type Proof struct {
	Created time.Time // by the signer's clock, in whole seconds
	Nonce   string
}

// Signed reports whether a request says that it is signed.
func Signed(header http.Header) bool {
	return len(header.Values(HeaderInput)) > 0 || len(header.Values(HeaderSignature)) > 0
}

// Sign sets the digest and a signature with a fresh nonce. Nothing that is covered may
// change afterwards.
func Sign(r Request, key seal.SigningKey, at time.Time) error {
	said, err := digest(r.Body)
	if err != nil {
		return err
	}
	r.Header.Set(HeaderDigest, said)
	covered, err := r.components()
	if err != nil {
		return err
	}
	return sign(r.Header, covered, params{created: at.Unix(), nonce: rand.Text(), keyID: key.Public().ID(), tag: tagRequest}, key)
}

// Check returns [ErrInvalid] or [ErrKey] unless the request is as the key signed it. When
// it was signed, and whether before, is for the caller to judge.
func Check(r Request, key seal.VerifyKey) (Proof, error) {
	covered, err := r.components()
	if err != nil {
		return Proof{}, err
	}
	if !digested(r.Header, r.Body) {
		return Proof{}, ErrInvalid
	}
	p, err := check(r.Header, covered, []string{tagRequest}, key)
	if err != nil {
		return Proof{}, err
	}
	if len(p.nonce) < nonceSize || len(p.nonce) > maxNonce {
		return Proof{}, ErrInvalid
	}
	return Proof{Created: seconds(p.created), Nonce: p.nonce}, nil
}

// components are what a request's signature covers.
func (r Request) components() ([]component, error) {
	path, query, asked := strings.Cut(r.Target, "?")
	if !strings.HasPrefix(path, "/") || asked && query == "" || strings.Contains(r.Target, "#") {
		return nil, ErrInvalid // no path, or a question mark too many: it has no component of its own
	}
	if err := single(r.Header, requestFields...); err != nil {
		return nil, err
	}
	return append([]component{derived("@method", r.Method), derived("@path", path), derived("@query", "?"+query)},
		fields(r.Header, requestFields...)...), nil
}

// asComponents are what an answer's signature covers of its request, as it came: it may
// be none that anybody signed.
func (r Request) asComponents() []component {
	path, query, _ := strings.Cut(r.Target, "?")
	all := append([]component{derived("@method", r.Method), derived("@path", path), derived("@query", "?"+query)},
		fields(r.Header, append(slices.Clone(requestFields), "signature-input", "signature")...)...)
	for _, c := range all {
		c.id.Params.Add("req", true)
	}
	return all
}
