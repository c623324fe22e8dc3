// Package faults puts a door before a server of a test that can be told to misbehave as
// networks and busy services do.
package faults

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// Fault is one way to misbehave.
type Fault string

// The faults.
const (
	None      Fault = ""
	Silent    Fault = "silent"     // takes the request and never answers
	Throttled Fault = "throttled"  // asks to slow down, in the server's own words
	Broken    Fault = "broken"     // 500 without words
	Cut       Fault = "cut"        // closes the connection without an answer
	CutAnswer Fault = "cut answer" // lets the server do it and closes in the middle of the answer

	// instead has somebody else answer, see [Door.Instead].
	instead Fault = "instead"
)

// Door is a handler before another one.
type Door struct {
	next     http.Handler
	throttle http.HandlerFunc
	asked    atomic.Int64

	mu    sync.Mutex
	fault Fault
	left  int           // how many requests meet it; negative: all
	other Impostor      // who answers instead
	ended chan struct{} // closed when the fault ends
}

// Impostor answers in the place of a server, or passes the request on to it.
type Impostor func(w http.ResponseWriter, r *http.Request, server http.Handler)

// New makes a door; throttle says "slow down" as the server would.
func New(next http.Handler, throttle http.HandlerFunc) *Door {
	return &Door{next: next, throttle: throttle, ended: make(chan struct{})}
}

// Before serves a door before the server at an address until t ends, and returns the
// door and its address.
func Before(t testing.TB, address string, throttle http.HandlerFunc) (*Door, string) {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	door := New(proxy, throttle)
	server := httptest.NewServer(door)
	t.Cleanup(func() {
		door.Set(None)
		server.CloseClientConnections()
		server.Close()
	})
	return door, server.URL
}

// Set begins a fault, or ends it with [None].
func (d *Door) Set(f Fault) { d.set(f, -1, nil) }

// SetOnce has the next request alone meet a fault.
func (d *Door) SetOnce(f Fault) { d.set(f, 1, nil) }

// SetTimes has the next requests meet a fault, or all of them if times is negative.
func (d *Door) SetTimes(f Fault, times int) { d.set(f, times, nil) }

// Instead has somebody else answer the next requests, or all of them if times is negative.
func (d *Door) Instead(other Impostor, times int) { d.set(instead, times, other) }

func (d *Door) set(f Fault, times int, other Impostor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.ended)
	d.fault, d.left, d.other, d.ended = f, times, other, make(chan struct{})
}

// Asked is how many requests came so far.
func (d *Door) Asked() int { return int(d.asked.Load()) }

func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.asked.Add(1)
	d.mu.Lock()
	fault, other, ended := d.fault, d.other, d.ended
	switch {
	case d.left == 0:
		fault = None
	case d.left > 0:
		d.left--
	}
	d.mu.Unlock()
	switch fault {
	case None:
		d.next.ServeHTTP(w, r)
	case Silent:
		// The server notices that the caller left only after the body was read.
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-ended:
		}
		panic(http.ErrAbortHandler)
	case Throttled:
		d.throttle(w, r)
	case Broken:
		w.WriteHeader(http.StatusInternalServerError)
	case Cut:
		panic(http.ErrAbortHandler)
	case instead:
		other(w, r, d.next)
	case CutAnswer:
		whole := httptest.NewRecorder()
		d.next.ServeHTTP(whole, r)
		for name, values := range whole.Header() {
			w.Header()[name] = values
		}
		w.Header().Del("Content-Length")
		w.WriteHeader(whole.Code)
		_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()*2/3])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}
