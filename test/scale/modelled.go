package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/nats/leaf"
	"secretsbridge/nats/subject"
)

// modelled is a link without the NATS server that an agent has inside it: it speaks the protocol of leaf nodes
// itself, over TLS, with the account and the credentials of its agent. For the server there is
// no difference; the machine of the fleet holds ten times as many. Its agent is a real one, with all duties but
// jobs: whoever gives it one has asked the wrong agent. A link that is lost comes back, as real ones do.
type modelled struct {
	config leaf.Config
	done   chan struct{} // closed by Close
	close  sync.Once

	mu  sync.Mutex
	now *linked
}

// linked is a link from its greeting to its loss.
type linked struct {
	conn  net.Conn
	inbox string
	next  atomic.Int64
	ended chan struct{} // closed when it is lost

	write sync.Mutex // lines of conn

	mu      sync.Mutex
	waiting map[string]chan answer // by inbox
}

type answer struct {
	status string // of a pull that ended, "" otherwise
	data   []byte
}

// Times are those of the real link.
const (
	modelledCall = 20 * time.Second
	modelledPull = 10 * time.Second
	modelledBack = time.Second // until a lost link is tried again, and up to as much more by chance
)

// dialModelled links, and keeps the link until Close.
func dialModelled(c leaf.Config) (*modelled, error) {
	first, err := dial(c)
	if err != nil {
		return nil, err
	}
	m := &modelled{config: c, done: make(chan struct{}), now: first}
	go m.keep()
	return m, nil
}

// keep brings a link back that is lost.
func (m *modelled) keep() {
	for {
		select {
		case <-m.done:
			return
		case <-m.session().ended:
		}
		select {
		case <-m.done:
			return
		case <-time.After(modelledBack + mathrand.N(modelledBack)):
		}
		again, err := dial(m.config)
		if err != nil {
			continue // the session of now has ended, so it is tried again
		}
		m.mu.Lock()
		m.now = again
		m.mu.Unlock()
	}
}

func (m *modelled) session() *linked {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Connected reports whether the link stands.
func (m *modelled) Connected() bool { return m.session().stands() }

// Close ends the link.
func (m *modelled) Close() {
	m.close.Do(func() { close(m.done) })
	_ = m.session().conn.Close()
}

// dial links with the first of the URLs.
func dial(c leaf.Config) (*linked, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.CA) {
		return nil, errors.New("the CA holds no certificate")
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(c.URLs[0], "tls://"), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})
	if err != nil {
		return nil, err
	}
	m := &linked{conn: conn, inbox: "_INBOX." + rand.Text() + ".", ended: make(chan struct{}), waiting: map[string]chan answer{}}
	r := bufio.NewReaderSize(conn, 1<<10)
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	var info struct{ Nonce string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info); err != nil {
		return nil, fmt.Errorf("greeting of the leaf port: %w", err)
	}
	signature, err := c.Sign([]byte(info.Nonce))
	if err != nil {
		return nil, err
	}
	hello, err := json.Marshal(map[string]any{
		"version": "2.15.2", "jwt": c.Credentials(), "sig": base64.RawURLEncoding.EncodeToString(signature),
		"server_id": "N" + c.Account[1:], "name": c.ServerName, "headers": true, "protocol": 1,
	})
	if err != nil {
		return nil, err
	}
	if err := m.say("CONNECT %s\r\nLS+ %s>\r\nPING\r\n", hello, m.inbox); err != nil {
		return nil, err
	}
	go m.listen(r)
	return m, nil
}

func (m *linked) say(format string, v ...any) error {
	m.write.Lock()
	defer m.write.Unlock()
	_, err := fmt.Fprintf(m.conn, format, v...)
	return err
}

func (m *linked) stands() bool {
	select {
	case <-m.ended:
		return false
	default:
		return true
	}
}

// listen takes what comes to whoever waits for it, until the link ends.
func (m *linked) listen(r *bufio.Reader) {
	defer close(m.ended)
	defer m.conn.Close()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch args := strings.Fields(line); {
		case len(args) == 0:
		case args[0] == "PING":
			if m.say("PONG\r\n") != nil {
				return
			}
		case args[0] == "LMSG", args[0] == "HMSG":
			got, err := readAnswer(r, args)
			if err != nil {
				return
			}
			m.mu.Lock()
			wait := m.waiting[args[1]]
			m.mu.Unlock()
			if wait != nil {
				select {
				case wait <- got:
				default: // one answer is enough
				}
			}
		}
	}
}

// readAnswer reads what follows "LMSG subject … size" or "HMSG subject … header-size size".
func readAnswer(r io.Reader, args []string) (got answer, err error) {
	size, err := strconv.Atoi(args[len(args)-1])
	if err != nil {
		return got, err
	}
	header := 0
	if args[0] == "HMSG" {
		if header, err = strconv.Atoi(args[len(args)-2]); err != nil {
			return got, err
		}
	}
	body := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(r, body); err != nil {
		return got, err
	}
	first, _, _ := strings.Cut(string(body[:header]), "\r\n")
	_, got.status, _ = strings.Cut(first, " ")
	got.data = body[header:size]
	return got, nil
}

// ask sends a message and waits for one answer.
func (m *linked) ask(ctx context.Context, to string, data []byte, limit time.Duration) (answer, error) {
	inbox, wait := m.inbox+strconv.FormatInt(m.next.Add(1), 36), make(chan answer, 1)
	m.mu.Lock()
	m.waiting[inbox] = wait
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.waiting, inbox)
		m.mu.Unlock()
	}()
	if err := m.say("LMSG %s %s %d\r\n%s\r\n", to, inbox, len(data), data); err != nil {
		return answer{}, agent.ErrLinkDown
	}
	end := time.NewTimer(limit)
	defer end.Stop()
	select {
	case got := <-wait:
		return got, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case <-m.ended:
		return answer{}, agent.ErrLinkDown
	case <-end.C:
		return answer{}, fmt.Errorf("%w: no answer", agent.ErrLinkDown)
	}
}

// Call implements [agent.Link].
func (m *modelled) Call(ctx context.Context, service events.Service, request []byte) ([]byte, error) {
	got, err := m.session().ask(ctx, subject.Service(m.config.Account, service), request, modelledCall)
	switch {
	case err != nil:
		return nil, err
	case got.status != "":
		return nil, fmt.Errorf("%w: %s", agent.ErrLinkDown, got.status) // nobody serves it now
	}
	return got.data, nil
}

// Next implements [agent.Link]: it pulls for ever, as a real one does, and fails if there is a job.
func (m *modelled) Next(ctx context.Context) (agent.Delivery, error) {
	request := fmt.Appendf(nil, `{"batch":1,"expires":%d}`, modelledPull)
	for {
		got, err := m.session().ask(ctx, subject.LocalPull, request, modelledPull+3*time.Second)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && got.status == "":
			return nil, errors.New("a modelled agent was given a job")
		case err != nil, !strings.HasPrefix(got.status, "40"): // the link is lost, or nobody is there yet
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Second):
			}
		}
	}
}
