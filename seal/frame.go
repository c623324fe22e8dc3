package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Frames carry the calls of agent services and their answers: signed by whoever says
// it, so that nobody between the two can change a byte. They are not secret.
//
// A request frame is kind, version, nonce, signature, body; a reply frame is kind,
// version, signer key id, signature, body. All before the signature is the header.
const (
	requestKind  = 'Q'
	replyKind    = 'A'
	frameVersion = 1

	requestHeader = 2 + NonceSize
	replyHeader   = 2 + sha256.Size
)

// NonceSize is the length of a request's nonce, in bytes: no two requests share one.
const NonceSize = 32

// RequestOverhead and ReplyOverhead are how much longer a frame is than its body.
const (
	RequestOverhead = requestHeader + SignatureSize
	ReplyOverhead   = replyHeader + SignatureSize
)

// What a signature under a frame is for, and that under nothing else.
const (
	requestLabel = "secretsbridge request frame v1"
	replyLabel   = "secretsbridge reply frame v1"
)

// Call is what a frame is about. It is not transmitted in it: both sides know it by
// themselves, and a frame opens under no other.
type Call struct {
	Service string // the verb
	Account string // whose call it is
}

// Request is a request frame that was opened.
type Request struct {
	Nonce [NonceSize]byte
	Body  []byte // a window into the frame
}

// ID names the request: its nonce as 64 hexadecimal digits.
func (r Request) ID() string { return hex.EncodeToString(r.Nonce[:]) }

// SignRequest makes the frame of one try at a call; the next try is another frame. It
// panics on the zero SigningKey.
func (c Call) SignRequest(by SigningKey, body []byte) []byte {
	frame := make([]byte, RequestOverhead, RequestOverhead+len(body))
	frame[0], frame[1] = requestKind, frameVersion
	_, _ = rand.Read(frame[2:requestHeader])
	copy(frame[requestHeader:], by.sign(c.signed(requestLabel, nil, frame[:requestHeader], body)))
	return append(frame, body...)
}

// OpenRequest checks a request frame against the key of the one agent that it can be
// from. Errors: [ErrMalformed], [ErrSuite] for another version, [ErrSignature] for
// every change to frame, service or account. That the frame is no repetition is the
// caller's affair.
func (c Call) OpenRequest(by VerifyKey, frame []byte) (Request, error) {
	if err := checkFrame(frame, requestKind, RequestOverhead); err != nil {
		return Request{}, fmt.Errorf("open request: %w", err)
	}
	body := frame[RequestOverhead:]
	if err := by.verify(c.signed(requestLabel, nil, frame[:requestHeader], body), frame[requestHeader:RequestOverhead]); err != nil {
		return Request{}, fmt.Errorf("open request: %w", err)
	}
	return Request{Nonce: [NonceSize]byte(frame[2:requestHeader]), Body: body}, nil
}

// SignReply makes the answer to one request frame, whatever that frame holds. It panics
// on the zero SigningKey.
func (c Call) SignReply(by SigningKey, request, body []byte) []byte {
	signer := by.Public().id()
	frame := make([]byte, ReplyOverhead, ReplyOverhead+len(body))
	frame[0], frame[1] = replyKind, frameVersion
	copy(frame[2:], signer[:])
	copy(frame[replyHeader:], by.sign(c.signed(replyLabel, request, frame[:replyHeader], body)))
	return append(frame, body...)
}

// OpenReply checks a reply frame and returns its body, a window into the frame. request
// is the frame that was sent: an answer to another one, also to the same question asked
// earlier, is refused. Errors: [ErrMalformed], [ErrSuite], [*UnknownSignerError], and
// [ErrSignature] for everything else.
func (c Call) OpenReply(trusted VerifyKeys, request, frame []byte) ([]byte, error) {
	if err := checkFrame(frame, replyKind, ReplyOverhead); err != nil {
		return nil, fmt.Errorf("open reply: %w", err)
	}
	body := frame[ReplyOverhead:]
	if err := trusted.verifyOf([sha256.Size]byte(frame[2:replyHeader]),
		c.signed(replyLabel, request, frame[:replyHeader], body), frame[replyHeader:ReplyOverhead]); err != nil {
		return nil, fmt.Errorf("open reply: %w", err)
	}
	return body, nil
}

// PeekReply returns the body of a reply frame of which nothing was checked but the
// form. It is for one use: a body that holds signatures of its own, by which the key
// that signed the frame is learnt.
func PeekReply(frame []byte) ([]byte, error) {
	if err := checkFrame(frame, replyKind, ReplyOverhead); err != nil {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	return frame[ReplyOverhead:], nil
}

func checkFrame(frame []byte, kind byte, overhead int) error {
	switch {
	case len(frame) < 2 || frame[0] != kind:
		return ErrMalformed
	case frame[1] != frameVersion:
		return ErrSuite
	case len(frame) < overhead:
		return ErrMalformed
	}
	return nil
}

// signed is what a frame's signature is over: label, service, account, for a reply the
// digest of the request that it answers, and the digest of header and body.
func (c Call) signed(label string, request, header, body []byte) []byte {
	out := appendField(nil, label)
	out = appendField(out, c.Service)
	out = appendField(out, c.Account)
	if label == replyLabel {
		sum := sha256.Sum256(request)
		out = appendField(out, sum[:])
	}
	h := sha256.New()
	h.Write(appendField(nil, header))
	h.Write(appendLength(nil, len(body)))
	h.Write(body)
	return appendField(out, h.Sum(nil))
}
