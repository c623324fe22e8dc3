// Package mail sends notices by e-mail, through the mail server of the operator (RFC 5321).
//
// It speaks SMTP by net/smtp, and the connection is its own: so it can say, of each failure, whether
// the message may have arrived (decision 0113). What the server says in words is told to nobody,
// because servers repeat addresses; their numbers are.
package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/notices"
)

// Security is how the connection to the mail server is encrypted.
type Security string

const (
	StartTLS Security = "starttls" // begun in clear; who does not offer it gets nothing (RFC 3207)
	Implicit Security = "implicit" // from the first byte (RFC 8314)
	InClear  Security = "none"     // for a server on this machine
)

// DefaultTimeout is how long one message may take unless the context ends before. Servers may take
// their time to check one (RFC 5321, section 4.5.3.2), but whoever waits for minutes holds the others up.
const DefaultTimeout = 30 * time.Second

// Config is how mail is sent.
type Config struct {
	Host     string
	Port     int
	Security Security
	Trust    *tls.Config                  // how the server is known; its ServerName is set here
	Username string                       // empty: there is no sign-in
	Password func() (secret.Value, error) // read for each message, so that it can be rotated
	From     mail.Address
	Now      func() time.Time
	Timeout  time.Duration // 0: DefaultTimeout
}

// Sender sends by one mail server.
type Sender struct {
	cfg    Config
	domain string // of From
	trust  *tls.Config
}

// New checks that a message of ours can be written. It calls nobody.
func New(cfg Config) (*Sender, error) {
	_, domain, ok := strings.Cut(cfg.From.Address, "@")
	if _, err := mail.ParseAddress(cfg.From.Address); err != nil || !ok || !ascii(cfg.From.Address) {
		return nil, errors.New("the sender's address is none: write NAME@DOMAIN")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.Trust != nil {
		trust = cfg.Trust.Clone()
	}
	trust.ServerName = cfg.Host
	return &Sender{cfg, domain, trust}, nil
}

// step is how far an attempt came.
type step int

const (
	connecting step = iota // and greeting, encrypting, signing in: whatever is refused here concerns all messages
	addressing             // this message
	delivering             // its text is under way: it may have arrived
)

// Send implements notices.Sender.
func (s *Sender) Send(ctx context.Context, to notices.Address, m notices.Message) error {
	if to.Email == "" {
		return &notices.Failure{Code: events.DeliveryUnset, Err: errors.New("there is no address")}
	}
	recipient, err := mail.ParseAddress(to.Email)
	if err != nil || recipient.Address != to.Email || strings.ContainsAny(to.Email, "\r\n<>") {
		return &notices.Failure{Code: events.DeliveryRefused, Err: errors.New("the address is no plain address of mail")}
	}
	text, err := s.compose(to.Email, m)
	if err != nil {
		return &notices.Failure{Code: events.DeliveryInternal, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	at := connecting
	if err := s.deliver(ctx, to.Email, text, &at); err != nil {
		return explain(ctx, err, at)
	}
	return nil
}

// errNoTLS says that a server does not encrypt. Nothing is sent to it.
var errNoTLS = errors.New("the mail server does not offer STARTTLS: set SB_SMTP_TLS to what it does")

// errNoUTF8 says that a server does not take an address beyond ASCII.
var errNoUTF8 = errors.New("the mail server does not take addresses beyond ASCII (SMTPUTF8)")

// Reach comes as far as a message would before it is handed over: it connects, encrypts and signs in,
// and says goodbye. Errors are [notices.Failure].
func (s *Sender) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	client, hangUp, err := s.open(ctx)
	if err != nil {
		return explain(ctx, err, connecting)
	}
	defer hangUp()
	_ = client.Quit()
	return nil
}

// open connects, encrypts and signs in. The caller hangs up.
func (s *Sender) open(ctx context.Context) (_ *smtp.Client, _ func(), err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port)))
	if err != nil {
		return nil, nil, err
	}
	raw := conn
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) }) // whoever waits on it comes back
	hangUp := func() {
		stop()
		_ = raw.Close()
	}
	defer func() {
		if err != nil {
			hangUp()
		}
	}()
	if s.cfg.Security == Implicit {
		secured := tls.Client(conn, s.trust)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, nil, err
		}
		conn = secured
	}
	client, err := smtp.NewClient(conn, s.cfg.Host)
	if err != nil {
		return nil, nil, err
	}
	if err := client.Hello(s.domain); err != nil {
		return nil, nil, err
	}
	if s.cfg.Security == StartTLS {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return nil, nil, errNoTLS
		}
		if err := client.StartTLS(s.trust); err != nil {
			return nil, nil, err
		}
	}
	if s.cfg.Username != "" {
		if err := s.signIn(client); err != nil {
			return nil, nil, err
		}
	}
	return client, hangUp, nil
}

// deliver hands one message to the server and moves at along.
func (s *Sender) deliver(ctx context.Context, to string, text []byte, at *step) error {
	client, hangUp, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer hangUp()
	*at = addressing
	if offered, _ := client.Extension("SMTPUTF8"); !offered && !ascii(to) {
		return errNoUTF8
	}
	if err := client.Mail(s.cfg.From.Address); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	data, err := client.Data()
	if err != nil {
		return err
	}
	*at = delivering
	if _, err := data.Write(text); err != nil {
		return err
	}
	if err := data.Close(); err != nil {
		return err
	}
	_ = client.Quit() // it is the server's by now, however this ends
	return nil
}

// enhanced is a status of RFC 3463 at the beginning of a reply.
var enhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// explain says what an attempt came to.
func explain(ctx context.Context, err error, at step) *notices.Failure {
	var (
		reply       *textproto.Error
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		slow        net.Error
	)
	switch {
	case errors.As(err, &reply):
		return answered(reply, at)
	case errors.Is(err, errNoUTF8):
		return &notices.Failure{Code: events.DeliveryRefused, Err: err}
	case errors.Is(err, errNoTLS):
		return &notices.Failure{Code: events.DeliveryUntrusted, Retry: true, Err: err}
	case errors.As(err, &certificate):
		return &notices.Failure{Code: events.DeliveryUntrusted, Retry: true, Err: errors.New("the mail server's certificate is not trusted: check SB_SMTP_HOST and SB_SMTP_CA_FILE")}
	case errors.As(err, &record):
		return &notices.Failure{Code: events.DeliveryUntrusted, Retry: true, Err: errors.New("the mail server speaks no TLS there: check SB_SMTP_PORT and SB_SMTP_TLS")}
	case errors.Is(err, errSignIn):
		return &notices.Failure{Code: events.DeliveryRefused, Retry: true, Err: err}
	case at == delivering:
		return &notices.Failure{Code: events.DeliveryTimeout, Retry: true, Err: errors.New("the connection to the mail server ended while the message was under way")}
	case errors.Is(ctx.Err(), context.Canceled): // we are stopping
		return &notices.Failure{Code: events.DeliveryInternal, Retry: true, Err: context.Canceled}
	case errors.As(err, &slow) && slow.Timeout() || ctx.Err() != nil:
		return &notices.Failure{Code: events.DeliveryTimeout, Retry: true, Err: errors.New("the mail server did not answer in time")}
	}
	return &notices.Failure{Code: events.DeliveryUnavailable, Retry: true, Err: errors.New("the mail server was not reached, or ended the connection")}
}

// answered judges a reply. What is refused before a message is addressed has to do with how mail is
// set up: it is tried again, for the operator may mend it meanwhile.
func answered(reply *textproto.Error, at step) *notices.Failure {
	said := fmt.Sprintf("the mail server answered %d", reply.Code)
	if status := enhanced.FindString(reply.Msg); status != "" {
		said += " " + status
	}
	failure := &notices.Failure{Code: events.DeliveryRefused, Retry: at == connecting, Err: errors.New(said)}
	switch {
	case reply.Code >= 450 && reply.Code <= 452:
		failure.Code, failure.Retry = events.DeliveryThrottled, true // greylisting, a full mailbox, too many at once
	case reply.Code < 500:
		failure.Code, failure.Retry = events.DeliveryUnavailable, true
	}
	return failure
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > '~' || r <= ' ' })
}
