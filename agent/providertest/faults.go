package providertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"secretsbridge/agent"
)

// ServerFault is what a server may do instead of answering.
type ServerFault string

// The faults that every provider must tell apart.
const (
	NoFault   ServerFault = ""
	Throttled ServerFault = "throttled"    // busy, and asks to come again in a second or sooner
	Forbidden ServerFault = "forbidden"    // the agent is known and may not
	Failing   ServerFault = "failing"      // an error of the server's own
	Reset     ServerFault = "reset"        // the connection breaks before the answer
	Garbage   ServerFault = "garbage"      // an answer that is none of this protocol
	Lost      ServerFault = "lost"         // the call takes effect and the answer is lost
	Unsigned  ServerFault = "unauthorised" // the credentials are refused
)

// throttled has the server be busy for two calls, which nobody should notice, and then
// for as long as the caller waits.
func (s suite) throttled(t *testing.T) {
	t.Cleanup(func() { s.Break(t, NoFault, 0) })
	ref := s.ref(t, "busy")
	version := s.write(t, ref, texts("k", "one"), "")
	s.breaks(t, Throttled, 2)
	wantEntries(t, s.read(t, ref), texts("k", "one"))
	s.breaks(t, Throttled, 2)
	version = s.write(t, ref, texts("k", "two"), version)
	s.breaks(t, Throttled, 2)
	if got := s.list(t, "", nil); len(got) != 1 {
		t.Errorf("a busy server lists %v", got)
	}
	s.breaks(t, Throttled, -1)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := s.p.Read(ctx, ref)
	WantError(t, err, agent.ErrUnavailable)
	s.breaks(t, NoFault, 0)
	if got := s.read(t, ref); got.Version != version {
		t.Errorf("version %q after a busy server, want %q", got.Version, version)
	}
}

func (s suite) broken(t *testing.T) {
	t.Cleanup(func() { s.Break(t, NoFault, 0) })
	ref := s.ref(t, "broken")
	version := s.write(t, ref, texts("k", "one"), "")
	for fault, want := range map[ServerFault]error{
		Forbidden: agent.ErrForbidden, Failing: agent.ErrUnavailable, Reset: agent.ErrUnavailable, Garbage: agent.ErrUnavailable, Unsigned: agent.ErrSignIn,
	} {
		t.Run(string(fault), func(t *testing.T) {
			if !s.Break(t, fault, -1) {
				return
			}
			defer s.breaks(t, NoFault, 0)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := s.p.Read(ctx, ref)
			WantError(t, err, want)
			_, err = s.p.Write(ctx, ref, texts("k", Canary), version)
			WantError(t, err, want)
			ended := false
			for page, err := range s.p.List(ctx, "") {
				// Where a part may not be listed, the list may go on without it.
				if ended = errors.Is(err, want) || fault == Forbidden && err == nil && page.Unlisted > 0; !ended {
					t.Errorf("list: %v, want %v", err, want)
				}
			}
			if !ended {
				t.Error("the list ended as if nothing was wrong")
			}
		})
	}
	wantEntries(t, s.read(t, ref), texts("k", "one"))
	if s.Break(t, Lost, 1) {
		// Whoever cannot know says so, or finds out.
		if _, err := s.p.Write(t.Context(), ref, texts("k", "two"), version); err != nil {
			WantError(t, err, agent.ErrUnavailable)
		}
		s.breaks(t, NoFault, 0)
		got := string(s.read(t, ref).Entries["k"].Value.Expose())
		if got != "one" && got != "two" {
			t.Errorf("after a lost answer the value is %q", got)
		}
	}
}

func (s suite) breaks(t *testing.T, fault ServerFault, times int) {
	t.Helper()
	if !s.Break(t, fault, times) {
		t.Errorf("the server cannot be %s", fault)
	}
}
