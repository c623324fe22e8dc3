package web_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// live is an open stream.
type live struct {
	t     *testing.T
	resp  *http.Response
	lines chan string // closed at the end of the stream
}

func (r *rig) watch(t *testing.T, who person, id events.RequestID, options ...option) *live {
	t.Helper()
	return r.listen(t, who, at(id, "/stream"), options...)
}

func (r *rig) listen(t *testing.T, who person, path string, options ...option) *live {
	t.Helper()
	req := r.request(who, "GET", path, nil, append(options, r.newest())...)
	begun := make(chan *live, 1)
	go func() {
		resp, err := r.client.Do(req)
		if err != nil {
			t.Error(err)
			close(begun)
			return
		}
		begun <- &live{t, resp, make(chan string, 100)}
	}()
	select {
	case l, ok := <-begun:
		if !ok {
			t.FailNow()
		}
		t.Cleanup(func() { l.resp.Body.Close() })
		go l.read()
		return l
	case <-time.After(patience):
		t.Fatal("the stream does not begin")
	}
	return nil
}

func (l *live) read() {
	defer close(l.lines)
	scanner := bufio.NewScanner(l.resp.Body)
	for scanner.Scan() {
		l.lines <- scanner.Text()
	}
}

// next returns the next event, without comments; false at the end of the stream.
func (l *live) next() (id string, shown api.Request, ok bool) {
	l.t.Helper()
	return nextOf[api.Request](l, "request")
}

func nextOf[T any](l *live, event string) (id string, shown T, ok bool) {
	l.t.Helper()
	fields, late := map[string]string{}, time.After(patience)
	for {
		select {
		case line, open := <-l.lines:
			if !open {
				return "", shown, false
			}
			name, value, _ := strings.Cut(line, ": ")
			if name != "" {
				fields[name] = value
				continue
			}
			if line != "" || len(fields) == 0 || fields["data"] == "" {
				continue
			}
			if err := json.Unmarshal([]byte(fields["data"]), &shown); err != nil || fields["event"] != event {
				l.t.Fatalf("%v: %v", fields, err)
			}
			return fields["id"], shown, true
		case <-late:
			l.t.Fatal("nothing comes")
		}
	}
}

func (l *live) wants(state string) string {
	l.t.Helper()
	id, shown, ok := l.next()
	if !ok || shown.State != state || id != itoa(shown.Seq) {
		l.t.Fatalf("%v %s %+v, want state %s", ok, id, shown, state)
	}
	return id
}

func (l *live) wantsEnd() {
	l.t.Helper()
	if id, shown, ok := l.next(); ok {
		l.t.Fatalf("the stream goes on with %s %+v", id, shown)
	}
}

// wantsComment waits for a sign of life.
func (l *live) wantsComment() {
	l.t.Helper()
	for {
		select {
		case line, open := <-l.lines:
			if !open {
				l.t.Fatal("the stream ended")
			}
			if strings.HasPrefix(line, ":") {
				return
			}
		case <-time.After(patience):
			l.t.Fatal("no heartbeat")
		}
	}
}

// protocols are the two that a server of ours speaks.
var protocols = map[string]func(*httptest.Server){
	"HTTP/1.1": func(s *httptest.Server) {},
	"HTTP/2":   func(s *httptest.Server) { s.EnableHTTP2 = true },
}

func TestAStreamTellsWhatBecomesOfARequest(t *testing.T) {
	t.Parallel()
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.serve(protocol)
			a := r.enrol()
			id := r.submit(r.developer)
			first := r.watch(t, r.developer, id)
			if got := first.resp; got.Header.Get("Content-Type") != "text/event-stream" || got.Header.Get("Cache-Control") != "no-store" || got.Proto[:6] != name[:6] {
				t.Errorf("%s %v", got.Proto, got.Header)
			}
			first.wants("pending")
			r.call(r.approver, "POST", at(id, "/approve"), nil).wants(t, 200, "")
			seen := first.wants("approved")
			resumed := r.watch(t, r.developer, id, with("Last-Event-ID", seen))
			a.execute(r.show(r.developer, id), map[string]string{"password": "x"})
			for _, l := range []*live{first, resumed} {
				for {
					at, shown, ok := l.next()
					if !ok || l == resumed && at == seen {
						t.Fatalf("%v: saw %s again", ok, at)
					}
					if shown.State == "executed" {
						break
					}
				}
			}
			r.api.Drain()
			first.wantsEnd()
			resumed.wantsEnd()
		})
	}
	r := newRig(t)
	id := r.submit(r.developer)
	for _, text := range []string{"x", "-1", "1e3", "99999999999999999999"} {
		r.call(r.developer, "GET", at(id, "/stream"), nil, with("Last-Event-ID", text)).wants(t, 400, "parameter_invalid")
	}
}

// TestAStreamOutlivesTheTimeoutsOfCalls lets the limits pass that hold for all others.
func TestAStreamOutlivesTheTimeoutsOfCalls(t *testing.T) {
	t.Parallel()
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.api.SetHeartbeat(300 * time.Millisecond)
			r.api.SetWritePatience(500 * time.Millisecond)
			r.serve(protocol, func(s *httptest.Server) {
				s.Config.ReadTimeout, s.Config.WriteTimeout = time.Second, time.Second
			})
			id := r.submit(r.developer)
			l := r.watch(t, r.developer, id)
			l.wants("pending")
			for range 5 {
				l.wantsComment()
			}
			r.call(r.approver, "POST", at(id, "/approve"), nil).wants(t, 200, "")
			l.wants("approved")
		})
	}
}

func TestAStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*rig) error{
		"signed out": func(r *rig) error {
			r.call(r.developer, "DELETE", "/sessions/current", nil).wants(r.t, 204, "")
			return nil
		},
		"disabled":     func(r *rig) error { return r.people.SetDisabled(r.t.Context(), r.developer.ID, true) },
		"without role": func(r *rig) error { r.setRoles(r.developer.ID); return nil },
		"8 hours":      func(r *rig) error { r.clock.Add(8 * time.Hour); return nil },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.api.SetHeartbeat(50 * time.Millisecond)
			l := r.watch(t, r.developer, r.submit(r.developer))
			l.wants("pending")
			l.wantsComment()
			if err := end(r); err != nil {
				t.Fatal(err)
			}
			l.wantsEnd()
		})
	}
}
