package nats

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// rawLeaf speaks the leaf protocol by hand. No server of its own checks what it does,
// so only the hub stands between it and everybody else.
type rawLeaf struct {
	conn net.Conn

	mu     sync.Mutex
	got    []rawMsg
	errs   []string
	closed bool
	pongs  int
}

// rawMsg is what the hub delivered.
type rawMsg struct{ subject, reply, header, data string }

// dialRaw links with an agent's keys. hub declares itself the hub of the two, which
// makes the other side believe that it is the one that was configured to connect.
func dialRaw(t testing.TB, n *network, a *testAgent, hub bool) *rawLeaf {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(n.ca)
	conn, err := tls.Dial("tcp", strings.TrimPrefix(n.leafURL, "tls://"), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var info struct{ Nonce string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	signature, err := a.key.Sign([]byte(info.Nonce))
	if err != nil {
		t.Fatal(err)
	}
	connect, err := json.Marshal(map[string]any{
		"version": "2.15.2", "jwt": a.credentials(), "sig": base64.RawURLEncoding.EncodeToString(signature),
		"server_id": "N" + a.UserKey[1:], "name": "raw-" + a.UserKey, "headers": true, "protocol": 1, "is_hub": hub,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &rawLeaf{conn: conn}
	l.send("CONNECT %s\r\nPING\r\n", connect)
	go l.read(r)
	l.settle(t)
	return l
}

func (l *rawLeaf) send(format string, v ...any) { _, _ = fmt.Fprintf(l.conn, format, v...) }

// publish sends a message as LMSG, or HMSG with headers.
func (l *rawLeaf) publish(subject, reply, header, data string) {
	if reply != "" {
		reply = " " + reply
	}
	if header == "" {
		l.send("LMSG %s%s %d\r\n%s\r\n", subject, reply, len(data), data)
		return
	}
	header = "NATS/1.0\r\n" + header + "\r\n\r\n"
	l.send("HMSG %s%s %d %d\r\n%s%s\r\n", subject, reply, len(header), len(header)+len(data), header, data)
}

// settle waits until the hub has worked off what was sent, or closed the link.
func (l *rawLeaf) settle(t testing.TB) {
	t.Helper()
	l.mu.Lock()
	want := l.pongs + 1
	l.mu.Unlock()
	l.send("PING\r\n")
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		l.mu.Lock()
		done := l.closed || l.pongs >= want
		l.mu.Unlock()
		if done {
			time.Sleep(20 * time.Millisecond) // what it set off in other places
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the hub answers no ping")
}

func (l *rawLeaf) received() []rawMsg {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]rawMsg(nil), l.got...)
}

func (l *rawLeaf) read(r *bufio.Reader) {
	defer func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
	}()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		args := strings.Fields(line)
		if len(args) == 0 {
			continue
		}
		switch args[0] {
		case "PING":
			l.send("PONG\r\n")
		case "PONG":
			l.mu.Lock()
			l.pongs++
			l.mu.Unlock()
		case "-ERR":
			l.mu.Lock()
			l.errs = append(l.errs, strings.TrimSpace(line))
			l.mu.Unlock()
		case "LMSG", "HMSG":
			msg, err := readMsg(r, args)
			if err != nil {
				return
			}
			l.mu.Lock()
			l.got = append(l.got, msg)
			l.mu.Unlock()
		}
	}
}

// readMsg reads "LMSG subject [reply | + reply queue… | | queue…] size" or "HMSG
// subject [reply] header-size size" and the bytes that follow.
func readMsg(r *bufio.Reader, args []string) (rawMsg, error) {
	size, err := strconv.Atoi(args[len(args)-1])
	if err != nil {
		return rawMsg{}, err
	}
	msg, middle, headerSize := rawMsg{subject: args[1]}, args[2:len(args)-1], 0
	if args[0] == "HMSG" {
		if headerSize, err = strconv.Atoi(middle[len(middle)-1]); err != nil {
			return rawMsg{}, err
		}
		middle = middle[:len(middle)-1]
	}
	switch {
	case len(middle) == 1:
		msg.reply = middle[0]
	case len(middle) > 1 && middle[0] == "+":
		msg.reply = middle[1]
	}
	body := make([]byte, size+2)
	if _, err := io.ReadFull(r, body); err != nil {
		return rawMsg{}, err
	}
	msg.header, msg.data = string(body[:headerSize]), string(body[headerSize:size])
	return msg, nil
}
