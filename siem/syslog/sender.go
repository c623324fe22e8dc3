package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"secretsbridge/siem"
)

const (
	dialTimeout = 10 * time.Second

	// writeTimeout bounds how long a receiver may take for a part, and confirmTimeout how long for
	// all that it was sent before it hangs up.
	writeTimeout   = 30 * time.Second
	confirmTimeout = 30 * time.Second

	// part is about how much is written at once, in bytes.
	part = 64 << 10
)

var (
	// ErrClosed says that the receiver hung up before it was asked to.
	ErrClosed = errors.New("the syslog receiver hung up")

	// ErrUnconfirmed says that nobody knows whether a receiver read what it was sent.
	ErrUnconfirmed = errors.New("the syslog receiver did not confirm what it was sent")
)

// Config is what a sender works with.
type Config struct {
	Addr   string // host:port
	Format siem.Format
	Most   int    // bytes of a message; [MinMessage] at least
	Host   string // of this server, as [Host] made it

	// Trust is how the receiver is known: its name is that of Addr, unless Trust names one. It
	// also has our certificate, if the receiver wants one.
	Trust *tls.Config
}

// Sender sends records to one receiver. Syslog has no acknowledgement, so it makes one of how a
// connection ends: see [Sender.Settle]. One goroutine at a time uses it.
type Sender struct {
	Config
	conn   *tls.Conn  // nil: there is none
	closed chan error // gets one error when nothing more can be read of conn
	unread bool       // something was sent that no Settle was for
	frames []byte
}

// New makes a sender. It calls nobody before it has something to send.
func New(cfg Config) *Sender { return &Sender{Config: cfg} }

// Write sends records in order, over a connection that is made if there is none. After an error
// nobody knows which of them, and of those before, arrived; the connection is gone.
func (s *Sender) Write(ctx context.Context, records []siem.Record) error {
	s.frames = s.frames[:0]
	for i, r := range records {
		message, err := Append(nil, s.Host, r, s.Format, s.Most)
		if err != nil {
			return fmt.Errorf("write a syslog message: %w", err)
		}
		if s.frames = frame(s.frames, message); len(s.frames) < part && i < len(records)-1 {
			continue
		}
		if err := s.send(ctx); err != nil {
			s.hangUp()
			return fmt.Errorf("send to the syslog receiver %s: %w", s.Addr, err)
		}
		s.frames = s.frames[:0]
	}
	return nil
}

func (s *Sender) send(ctx context.Context) error {
	if s.conn == nil {
		if err := s.dial(ctx); err != nil {
			return err
		}
	}
	select {
	case err := <-s.closed:
		return fmt.Errorf("%w: %w", ErrClosed, err)
	default:
	}
	conn := s.conn
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Unix(1, 0)) })()
	s.unread = true
	_, err := conn.Write(s.frames)
	return err
}

// dial connects, and checks the receiver's name (RFC 5425, section 5.2; RFC 9525).
func (s *Sender) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: s.Trust}).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	s.conn, s.closed = conn.(*tls.Conn), make(chan error, 1)
	go func(from io.Reader, closed chan<- error) { // ends with the connection
		_, err := io.Copy(io.Discard, from)
		if err == nil {
			err = io.EOF
		}
		closed <- err
	}(s.conn, s.closed)
	return nil
}

// Settle returns nil when the receiver has read everything that was written since it last did. It
// ends the connection in order: it says that nothing follows (close_notify, and the end of the
// stream), and waits until the receiver hangs up as well, which one does when it has read to the
// end (RFC 5425, section 4.4). If the receiver ended before, or the system knows of a byte that was
// not taken, it is [ErrUnconfirmed]. Whoever crashes behind that call had it all.
func (s *Sender) Settle(ctx context.Context) error {
	if !s.unread {
		return nil
	}
	err := ErrClosed
	if s.conn != nil {
		err = s.confirm(ctx)
		s.hangUp()
	}
	if err != nil {
		return fmt.Errorf("%w (%s): %w", ErrUnconfirmed, s.Addr, err)
	}
	s.unread = false
	return nil
}

func (s *Sender) confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	select {
	case err := <-s.closed:
		return fmt.Errorf("%w: %w", ErrClosed, err)
	default:
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(confirmTimeout)); err != nil {
		return err
	}
	if err := s.conn.CloseWrite(); err != nil {
		return err
	}
	below, ok := s.conn.NetConn().(*net.TCPConn)
	if !ok {
		return errors.New("no TCP connection")
	}
	if err := below.CloseWrite(); err != nil {
		return err
	}
	select {
	case err := <-s.closed:
		if !errors.Is(err, io.EOF) {
			return err
		}
	case <-ctx.Done():
		return fmt.Errorf("it did not hang up: %w", context.Cause(ctx))
	}
	return taken(ctx, below)
}

// Close ends the connection and forgets what was sent, whatever became of it.
func (s *Sender) Close() {
	s.hangUp()
	s.unread = false
}

func (s *Sender) hangUp() {
	if s.conn != nil {
		_ = s.conn.NetConn().Close()
		s.conn = nil
	}
}
