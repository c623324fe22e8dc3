package signed

import (
	"net/http"
	"strconv"
	"time"

	"secretsbridge/seal"
)

// answerFields are covered where they are sent: all that a client heeds.
var answerFields = []string{"content-digest", "content-type", "sb-sequence", "idempotency-replayed", "etag", "retry-after"}

// Answer is an answer as it is sent, or as it came, and the request it belongs to.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	To     Request
}

// Said is what a good signature of an answer says.
type Said struct {
	Created time.Time // by the server's clock, in whole seconds

	// Checked reports that the server found the request's own signature good. Without
	// it, somebody may have changed the request, and the one that was meant may still
	// arrive.
	Checked bool
}

// SignAnswer sets the digest and the signature. checked says that the request's own
// signature is good.
func SignAnswer(a Answer, key seal.SigningKey, at time.Time, checked bool) error {
	said, err := digest(a.Body)
	if err != nil {
		return err
	}
	a.Header.Set(HeaderDigest, said)
	tag := tagRefusal
	if checked {
		tag = tagAnswer
	}
	return sign(a.Header, a.components(), params{created: at.Unix(), keyID: key.Public().ID(), tag: tag}, key)
}

// CheckAnswer returns [ErrInvalid] or [ErrKey] unless the answer is as the key signed it,
// and for this request.
func CheckAnswer(a Answer, key seal.VerifyKey) (Said, error) {
	if err := single(a.Header, answerFields...); err != nil {
		return Said{}, err
	}
	if !digested(a.Header, a.Body) {
		return Said{}, ErrInvalid
	}
	p, err := check(a.Header, a.components(), []string{tagAnswer, tagRefusal}, key)
	if err != nil {
		return Said{}, err
	}
	if p.nonce != "" {
		return Said{}, ErrInvalid
	}
	return Said{Created: seconds(p.created), Checked: p.tag == tagAnswer}, nil
}

func (a Answer) components() []component {
	covered := append([]component{derived("@status", strconv.Itoa(a.Status))}, fields(a.Header, answerFields...)...)
	return append(covered, a.To.asComponents()...)
}
