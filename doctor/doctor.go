// Package doctor looks at what an installation stands on and says what was seen and what to do next.
// It knows how to look at many things at once, each for a bounded time, and how to tell of them; what
// there is to look at is said by the binaries.
package doctor

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// State is what a look came to.
type State string

// The states, best first. Unknown is what could not be looked at, because something before it failed
// or because nobody answered in time: it may be well.
const (
	OK            State = "ok"
	NotApplicable State = "not_applicable" // there is no such thing here
	Unknown       State = "unknown"
	Warning       State = "warning" // it works, and will not for long, or not well
	Failed        State = "failed"
)

// Format names the JSON document of a [Report].
const Format = "secretsbridge doctor v1"

// maxSentence bounds what is told of one thing, in bytes: what others say in errors can be long.
const maxSentence = 1200

// Seen is what one look saw.
type Seen struct {
	State State
	Text  string // one sentence
	Next  string // a command or a page; "" where there is nothing to do
}

// Fine says that something is as it must be.
func Fine(format string, args ...any) Seen {
	return Seen{State: OK, Text: fmt.Sprintf(format, args...)}
}

// None says that there is no such thing here.
func None(format string, args ...any) Seen {
	return Seen{State: NotApplicable, Text: fmt.Sprintf(format, args...)}
}

// Unsure says that something could not be looked at.
func Unsure(next, format string, args ...any) Seen {
	return Seen{State: Unknown, Text: fmt.Sprintf(format, args...), Next: next}
}

// Warn says that something is not as it should be.
func Warn(next, format string, args ...any) Seen {
	return Seen{State: Warning, Text: fmt.Sprintf(format, args...), Next: next}
}

// Fail says that something does not work.
func Fail(next, format string, args ...any) Seen {
	return Seen{State: Failed, Text: fmt.Sprintf(format, args...), Next: next}
}

// Check is one thing to look at. Look changes nothing, and ends soon after its context.
type Check struct {
	Name string // such as "postgres.schema"
	Look func(context.Context) Seen
}

// Finding is what a check came to.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Seen  string `json:"seen"`
	Next  string `json:"next,omitempty"`
}

// Report is what all checks came to, in their order.
type Report struct {
	Format   string        `json:"format"` // [Format]
	Program  string        `json:"program"`
	Version  string        `json:"version"` // of the program
	At       time.Time     `json:"at"`      // UTC
	Took     time.Duration `json:"took_ns"`
	Worst    State         `json:"worst"`
	Findings []Finding     `json:"checks"`
}

// Exam is how checks are made.
type Exam struct {
	Program, Version string
	Limit            time.Duration       // for each check
	Scrub            func(string) string // takes out of a sentence what nobody is to read; nil: nothing
	Now              func() time.Time
}

// grace is how long a check may go on after its context has ended.
const grace = time.Second

// Look makes all checks at the same time, whatever each of them comes to, and waits for all of them
// for the limit and a second at most.
func (e Exam) Look(ctx context.Context, checks []Check) Report {
	r := Report{
		Format: Format, Program: e.Program, Version: e.Version, At: e.Now().UTC(), Worst: OK,
		Findings: make([]Finding, len(checks)),
	}
	began := time.Now()
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { r.Findings[i] = e.one(ctx, c) })
	}
	all.Wait()
	for _, f := range r.Findings {
		r.Worst = worse(r.Worst, f.State)
	}
	r.Took = time.Since(began)
	return r
}

func (e Exam) one(ctx context.Context, c Check) Finding {
	ctx, cancel := context.WithTimeout(ctx, e.Limit)
	defer cancel()
	saw := make(chan Seen, 1) // one that comes too late is not waited for
	go func() {
		defer func() {
			if p := recover(); p != nil {
				saw <- Unsure("report this as a fault of the program", "the check itself broke: %v at %s", p, where(debug.Stack()))
			}
		}()
		saw <- c.Look(ctx)
	}()
	var s Seen
	late := time.NewTimer(e.Limit + grace)
	defer late.Stop()
	select {
	case s = <-saw:
	case <-late.C:
		s = Unsure("look at what the other checks say, and run it again", "the check did not end within %s", e.Limit)
	}
	return Finding{Check: c.Name, State: s.State, Seen: e.told(s.Text), Next: e.told(s.Next)}
}

// told is a sentence as it is shown: of one line, not too long, and without what nobody is to read.
func (e Exam) told(text string) string {
	if e.Scrub != nil {
		text = e.Scrub(text)
	}
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "\n", "; ")), " ")
	if len(text) > maxSentence {
		text = strings.ToValidUTF8(text[:maxSentence], "") + " …"
	}
	return text
}

// where is the line of a stack at which a check broke.
func where(stack []byte) string {
	_, after, _ := strings.Cut(string(stack), "panic(")
	for line := range strings.Lines(after) {
		if at, ok := strings.CutPrefix(line, "\t"); ok && !strings.Contains(at, "runtime/panic.go") {
			at, _, _ = strings.Cut(strings.TrimSpace(at), " +0x")
			return at
		}
	}
	return "an unknown line"
}

// order is that of states, best first.
var order = map[State]int{OK: 0, NotApplicable: 0, Unknown: 1, Warning: 2, Failed: 3}

func worse(a, b State) State {
	if order[b] > order[a] {
		return b
	}
	return a
}
