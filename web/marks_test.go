package web_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"secretsbridge/events"
	"secretsbridge/web"
)

// takeover is when a call that never finished counts as dead, as in package nats.
const takeover = 30 * time.Second

var errMarkLost = errors.New("the mark was taken over")

// marks is a [web.Marks] in memory that behaves like the one of package nats.
type marks struct {
	now func() time.Time

	mu       sync.Mutex
	all      map[string]*kept
	revision int
	fault    error // of Finish: the server died before it
	down     error // of Begin
}

type kept struct {
	call     [32]byte
	since    time.Time
	done     bool
	answer   web.Answer
	revision int
}

type mark struct {
	marks    *marks
	key      string
	revision int
}

func (m *marks) Begin(_ context.Context, actor events.Actor, key string, call [32]byte) (web.Mark, *web.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return nil, nil, m.down
	}
	name := string(actor) + " " + key
	if found, ok := m.all[name]; ok {
		switch {
		case found.call != call:
			return nil, nil, web.ErrKeyReused
		case found.done:
			return nil, &web.Answer{Status: found.answer.Status, Body: bytes.Clone(found.answer.Body)}, nil
		case m.now().Sub(found.since) < takeover:
			return nil, nil, web.ErrInFlight
		}
	}
	m.revision++
	m.all[name] = &kept{call: call, since: m.now(), revision: m.revision}
	return mark{m, name, m.revision}, nil, nil
}

func (m mark) Finish(_ context.Context, a web.Answer) error {
	return m.end(func(k *kept) { k.done, k.answer = true, web.Answer{Status: a.Status, Body: bytes.Clone(a.Body)} })
}

func (m mark) Abandon(context.Context) error {
	return m.end(func(*kept) { delete(m.marks.all, m.key) })
}

func (m mark) end(how func(*kept)) error {
	m.marks.mu.Lock()
	defer m.marks.mu.Unlock()
	found, ok := m.marks.all[m.key]
	switch {
	case m.marks.fault != nil:
		return m.marks.fault
	case !ok || found.revision != m.revision || found.done:
		return errMarkLost
	}
	how(found)
	return nil
}

// breaks makes the end of every call fail, as when the server dies before it.
func (m *marks) breaks(fault error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
}

// forget is what time does to all marks.
func (m *marks) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.all)
}

// dump is everything that is kept.
func (m *marks) dump() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []byte
	for name, k := range m.all {
		all = append(append(append(all, name...), k.answer.Body...), '\n')
	}
	return string(all)
}
