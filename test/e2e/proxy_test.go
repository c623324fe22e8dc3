package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxy stands in the leaf link with a certificate that agents trust, as a proxy of a
// company does that opens TLS. It keeps all that passes, alters payloads when told to,
// and says what was said before once more.
type proxy struct {
	t        *testing.T
	listener net.Listener
	upstream string
	dial     *tls.Config

	mu       sync.Mutex // guards what follows
	traffic  bytes.Buffer
	messages []passed
	answers  map[string]string // reply subject → kind of what it answers
	alter    func(m passed) []byte
	toHub    io.Writer // of the newest link; whole messages only
	toAgent  io.Writer
	pull     string // reply subject of the newest question for a job
	injected int    // answers to what the proxy itself asked
}

// passed is one message. Its kind is the service's verb with "?" or "!" behind it for
// question and answer, "ticket", or "" for what is NATS's own: pulls and acks.
type passed struct {
	kind           string
	toHub          bool
	subject, reply string
	header         int // bytes of payload that are NATS headers
	payload        []byte
}

// inbox is where answers to the proxy's own messages go.
const inbox = "_INBOX.proxy"

// startProxy listens with a certificate of the installation's own CA.
func startProxy(t *testing.T, c *control) *proxy {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, "leaf-addr"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{issue(t, c)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(c.ca())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("the CA is no PEM")
	}
	p := &proxy{
		t: t, listener: listener, upstream: strings.TrimSpace(string(raw)), dial: &tls.Config{RootCAs: roots},
		answers: map[string]string{},
	}
	var links sync.WaitGroup
	links.Go(func() {
		for {
			agent, err := listener.Accept()
			if err != nil {
				return
			}
			links.Go(func() { p.link(agent) })
		}
	})
	t.Cleanup(func() { _ = listener.Close() })
	return p
}

// divert makes the demo agent link through the proxy from its next start on, and kills
// the one that runs.
func (p *proxy) divert(t *testing.T, c *control) {
	t.Helper()
	reborn(t, c, func(identity map[string]any) {
		identity["leaf_urls"] = []string{"tls://" + p.listener.Addr().String()}
	})
	eventually(t, startTime, "linked through the proxy", func() bool { return p.count("heartbeat!") > 1 })
}

// ageKey makes the demo agent's key older than half of a day, so that it rotates.
func (p *proxy) ageKey(t *testing.T, c *control) {
	t.Helper()
	reborn(t, c, func(identity map[string]any) {
		keys := identity["box_keys"].([]any)
		keys[len(keys)-1].(map[string]any)["since"] = time.Now().Add(-13 * time.Hour).UTC()
	})
}

// reborn kills the demo agent and changes what the next one finds on its disk.
func reborn(t *testing.T, c *control, change func(identity map[string]any)) {
	t.Helper()
	if process, err := os.FindProcess(c.agentPID()); err == nil {
		_ = process.Kill()
	}
	_, _, identity := identityOf(t, c)
	change(identity)
	raw, err := json.Marshal(identity)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "agent", "identity.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *proxy) link(agent net.Conn) {
	defer agent.Close()
	hub, err := tls.Dial("tcp", p.upstream, p.dial)
	if err != nil {
		return // the server is down; the agent comes again
	}
	defer hub.Close()
	toHub, toAgent := &guarded{w: hub}, &guarded{w: agent}
	p.mu.Lock()
	p.toHub, p.toAgent = toHub, toAgent
	p.mu.Unlock()
	done := make(chan struct{}, 2)
	go func() { p.forward(bufio.NewReader(agent), toHub, true); done <- struct{}{} }()
	go func() { p.forward(bufio.NewReader(hub), toAgent, false); done <- struct{}{} }()
	<-done
}

// guarded writes whole messages, whoever writes.
type guarded struct {
	mu sync.Mutex
	w  io.Writer
}

func (g *guarded) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.w.Write(b)
}

// forward passes on one direction of the leaf protocol, message by message.
func (p *proxy) forward(r *bufio.Reader, w io.Writer, toHub bool) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		m, isMessage, err := readPassed(r, line, toHub)
		if err != nil {
			return
		}
		out := []byte(line)
		if isMessage {
			out = append(out, p.note(m)...)
			out = append(out, "\r\n"...)
			if !toHub && m.subject == inbox {
				p.mu.Lock()
				p.injected++
				p.mu.Unlock()
				continue // nobody else asked
			}
		}
		p.mu.Lock()
		p.traffic.WriteString(line)
		p.traffic.Write(m.payload)
		p.mu.Unlock()
		if _, err := w.Write(out); err != nil {
			return
		}
	}
}

// readPassed reads "LMSG subject [reply | + reply queue… | | queue…] size" or "HMSG
// subject [reply] header-size size", and what follows.
func readPassed(r *bufio.Reader, line string, toHub bool) (m passed, isMessage bool, err error) {
	args := strings.Fields(line)
	if len(args) < 3 || args[0] != "LMSG" && args[0] != "HMSG" {
		return passed{}, false, nil
	}
	m = passed{toHub: toHub, subject: args[1]}
	middle := args[2 : len(args)-1]
	if args[0] == "HMSG" {
		if m.header, err = strconv.Atoi(middle[len(middle)-1]); err != nil {
			return m, false, err
		}
		middle = middle[:len(middle)-1]
	}
	switch {
	case len(middle) == 1:
		m.reply = middle[0]
	case len(middle) > 1 && middle[0] == "+":
		m.reply = middle[1]
	}
	size, err := strconv.Atoi(args[len(args)-1])
	if err != nil {
		return m, false, err
	}
	m.payload = make([]byte, size)
	if _, err := io.ReadFull(r, m.payload); err != nil {
		return m, false, err
	}
	_, err = io.CopyN(io.Discard, r, 2)
	return m, true, err
}

// note keeps a message and returns its payload as it is passed on.
func (p *proxy) note(m passed) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.kind = p.kindOf(m)
	if m.toHub && strings.HasSuffix(m.kind, "?") {
		p.answers[m.reply] = strings.TrimSuffix(m.kind, "?")
	}
	if m.toHub && m.subject == "jobs.next" {
		p.pull = m.reply
	}
	p.messages = append(p.messages, m)
	if p.alter == nil || m.kind == "" {
		return m.payload
	}
	altered := p.alter(m)
	if len(altered) != len(m.payload) {
		p.t.Errorf("an altered %s has another length", m.kind)
		return m.payload
	}
	return altered
}

func (p *proxy) kindOf(m passed) string {
	parts := strings.Split(m.subject, ".")
	switch {
	case m.toHub && len(parts) == 3 && parts[0] == "agent":
		return parts[2] + "?"
	case m.toHub:
		return ""
	case p.answers[m.subject] != "":
		return p.answers[m.subject] + "!"
	case bytes.Contains(m.payload[m.header:], []byte(`"ticket":`)):
		return "ticket"
	}
	return ""
}

// count is how many messages of a kind have passed.
func (p *proxy) count(kind string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, m := range p.messages {
		if m.kind == kind {
			n++
		}
	}
	return n
}

// altering changes what passes from now on; nil changes nothing.
func (p *proxy) altering(alter func(passed) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alter = alter
}

// alteringFirst flips a bit in the first n messages of a kind, and tells how many there
// were by now.
func (p *proxy) alteringFirst(kind string, n int) (altered func() int) {
	done := 0 // under the proxy's lock
	p.altering(func(m passed) []byte {
		if m.kind != kind || done == n {
			return m.payload
		}
		done++
		return flipped(m)
	})
	return func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return done
	}
}

// recorded returns all messages so far.
func (p *proxy) recorded() []passed {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]passed(nil), p.messages...)
}

// ask sends an agent's question once more, in its name, and waits for the answer.
func (p *proxy) ask(t *testing.T, m passed) {
	t.Helper()
	p.mu.Lock()
	before, hub := p.injected, p.toHub
	p.mu.Unlock()
	if _, err := fmt.Fprintf(hub, "LS+ %s\r\nLMSG %s %s %d\r\n%s\r\n", inbox, m.subject, inbox, len(m.payload), m.payload); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "answered a repeated "+m.kind, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.injected > before
	})
}

// tell says something to the agent once more: an answer where the old one came, a job
// in answer to the newest question for one.
func (p *proxy) tell(t *testing.T, m passed) {
	t.Helper()
	p.mu.Lock()
	to, subject := p.toAgent, m.subject
	if m.kind == "ticket" {
		subject = p.pull
	}
	p.mu.Unlock()
	reply := m.reply
	if reply != "" {
		reply += " "
	}
	body := m.payload[m.header:]
	if _, err := fmt.Fprintf(to, "LMSG %s %s%d\r\n%s\r\n", subject, reply, len(body), body); err != nil {
		t.Fatal(err)
	}
}
