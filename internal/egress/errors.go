package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// Why a call came to nothing.
var (
	ErrForbidden   = errors.New("the address must not be called")
	ErrUntrusted   = errors.New("its certificate is not trusted")
	ErrTimeout     = errors.New("no answer in time") // what was sent may have arrived
	ErrUnreachable = errors.New("not reached")       // or the connection was lost: what was sent may have arrived
	ErrTooLarge    = errors.New("the answer is too large")
	ErrMethod      = errors.New("only GET is allowed here")
)

// Error is what a call of [Do] came to: one of the errors above, or what ended its context. It
// names the host, and is fit for logs.
type Error struct {
	Host   string
	Err    error
	Detail string // in our words, of what the network or the certificate said; may be empty
}

// Error implements error.
func (e *Error) Error() string {
	text := "call " + e.Host + ": " + e.Err.Error()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Unwrap returns which of the errors above it is.
func (e *Error) Unwrap() error { return e.Err }

// Do makes a call. An error is an [*Error]. Reading the body of the answer may fail with others,
// for which there is [Explain].
func Do(c *http.Client, req *http.Request) (*http.Response, error) {
	res, err := c.Do(req)
	if err != nil {
		return nil, Explain(req.URL.Hostname(), err)
	}
	return res, nil
}

// Explain turns an error of a call of that host into an [*Error].
func Explain(host string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	kind, detail := classify(err)
	return &Error{Host: host, Err: kind, Detail: detail}
}

// classify says what an error is in our words: its own may hold the URL, or bytes that the other
// side sent.
func classify(err error) (error, string) {
	for _, kind := range []error{ErrForbidden, ErrTooLarge, ErrMethod} {
		if errors.Is(err, kind) {
			return kind, refusal(err, kind)
		}
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return ErrUntrusted, untrusted(certificate.Err)
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) {
		return ErrUntrusted, "it does not speak TLS"
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled, ""
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return ErrTimeout, ""
	}
	var lookup *net.DNSError
	if errors.As(err, &lookup) {
		return ErrUnreachable, "its name was not found"
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return ErrUnreachable, number.Error()
	}
	return ErrUnreachable, ""
}

// refusal is what our own check added, such as the address.
func refusal(err, kind error) string {
	var call *url.Error
	for errors.As(err, &call) {
		err = call.Err
	}
	var dial *net.OpError
	if errors.As(err, &dial) {
		err = dial.Err
	}
	text, before := err.Error(), kind.Error()+": "
	if len(text) > len(before) && text[:len(before)] == before {
		return text[len(before):]
	}
	return ""
}

// untrusted says what is wrong with a certificate, without its words.
func untrusted(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		return "an authority signed it that is not trusted"
	case errors.As(err, &name):
		return "it is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired, or is not valid yet"
	}
	return ""
}
