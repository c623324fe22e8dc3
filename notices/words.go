package notices

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Bounds of texts, in characters. What is longer is cut, and ends with an ellipsis.
const (
	maxName   = 80
	maxWhat   = 200
	maxReason = 300
	maxText   = 400
	maxDetail = 600
)

// somebody stands for who was erased, or has no name.
const somebody = "somebody"

// clean makes plain text of one line of what people typed: no control characters, none that turn
// the direction of what follows or that cannot be seen, and nothing that a mail program would
// make a link of by its scheme. Links in messages are ours.
func clean(text string, most int) string {
	var b strings.Builder
	space := false
	for _, r := range strings.ToValidUTF8(text, "�") {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			space = b.Len() > 0
			continue
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r): // bidi overrides are Cf
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	plain := strings.ReplaceAll(b.String(), "://", ": //")
	if utf8.RuneCountInString(plain) <= most {
		return plain
	}
	return string([]rune(plain)[:most-1]) + "…"
}

// names are how people are called, by id.
type names map[events.UserID]string

func (n names) of(id events.UserID) string {
	if name := clean(n[id], maxName); name != "" {
		return name
	}
	return somebody
}

// whatOf is what a request is about: connection, reference and key, or how many keys.
func whatOf(r command.Request) string {
	s := r.Submitted
	what := clean(string(s.Connection)+"/"+s.Ref, maxWhat)
	switch len(s.Keys) {
	case 0:
		return what
	case 1:
		return what + "/" + clean(s.Keys[0], maxName)
	}
	return fmt.Sprintf("%s (%d keys)", what, len(s.Keys))
}

// verbOf is what it asks for.
func verbOf(r command.Request) string {
	switch {
	case r.Submitted.Operation == events.OperationRead:
		return "read"
	case r.Submitted.Create:
		return "create"
	}
	return "change"
}

// peopleIn are whose names a sentence about a fact needs.
func peopleIn(e events.Event, r command.Request) []events.UserID {
	ids := []events.UserID{r.Requester}
	switch f := e.Fact.(type) {
	case events.ApprovalGiven:
		ids = append(ids, f.Approver)
	case events.RequestRejected:
		ids = append(ids, f.Approver)
	case events.ValuesRefused:
		ids = append(ids, f.By)
	case events.ValuesProvided:
		ids = append(ids, f.By)
	case events.EnvelopeRevealed:
		ids = append(ids, f.By)
	case events.GlassReviewed:
		ids = append(ids, f.By)
	}
	return ids
}

// sentence says what happened to a request, and what was said about it beside its reason.
func sentence(kind events.NoticeKind, e events.Event, r command.Request, n names) (text, said string) {
	who, verb, what := n.of(r.Requester), verbOf(r), whatOf(r)
	asks := who + " asks to " + verb + " " + what
	wish := "the request of " + who + " to " + verb + " " + what
	switch kind {
	case events.NoticeSubmitted:
		return asks, ""
	case events.NoticeStepOpened:
		return asks + ", and it is for you now to decide", ""
	case events.NoticeValues:
		return who + " asks for the values of " + what, ""
	case events.NoticeVoted:
		f, _ := e.Fact.(events.ApprovalGiven)
		return n.of(f.Approver) + " approved " + wish + "; others must, too", f.Comment
	case events.NoticeApproved:
		return wish + " is approved", ""
	case events.NoticeRejected:
		if f, ok := e.Fact.(events.ValuesRefused); ok {
			return n.of(f.By) + " does not bring the values for " + wish, f.Comment
		}
		f, _ := e.Fact.(events.RequestRejected)
		return n.of(f.Approver) + " rejected " + wish, f.Comment
	case events.NoticeCancelled:
		f, _ := e.Fact.(events.RequestCancelled)
		return who + " cancelled the request to " + verb + " " + what, f.Comment
	case events.NoticeExecuted:
		if r.Submitted.Operation == events.OperationRead {
			return what + " is ready to be revealed", ""
		}
		return "the change of " + what + " is written", ""
	case events.NoticeFailed:
		f, _ := e.Fact.(events.RequestFailed)
		return wish + " failed", f.Detail
	case events.NoticeExpiring:
		switch r.State {
		case events.StateExecuted:
			return what + " is ready to be revealed, and not for long any more", ""
		case events.StateApproved:
			return wish + " is approved, and nothing has carried it out: it ends soon", ""
		}
		return wish + " still waits, and ends soon", ""
	case events.NoticeExpired:
		if _, ok := e.Fact.(events.EnvelopeExpired); ok {
			return "a value of " + what + " was not revealed in time, and is destroyed", ""
		}
		return wish + " reached its end", ""
	case events.NoticeRevealed:
		f, _ := e.Fact.(events.EnvelopeRevealed)
		return n.of(f.By) + " revealed " + clean(f.Key, maxName) + " of " + clean(string(r.Submitted.Connection)+"/"+r.Submitted.Ref, maxWhat), ""
	case events.NoticeBreakGlass:
		f, _ := e.Fact.(events.GlassBroken)
		return who + " did without approval to " + verb + " " + what, f.Reason
	case events.NoticeReviewed:
		f, _ := e.Fact.(events.GlassReviewed)
		return fmt.Sprintf("%s finds it %s that %s did without approval to %s %s", n.of(f.By), f.Outcome, who, verb, what), f.Comment
	case events.NoticeReviewDue:
		return "nobody reviewed in time that " + who + " did without approval to " + verb + " " + what, ""
	case events.NoticeReminder:
		return wish + " still waits for approval", ""
	case events.NoticeEscalated:
		return wish + " has waited for too long: you may decide now", ""
	case events.NoticeVoided:
		return "the secret changed, so " + wish + " must be approved again", ""
	case events.NoticeRolledOut:
		return "the change of " + what + " is live", ""
	case events.NoticeRollout:
		if f, ok := e.Fact.(events.RequestUnverified); ok {
			return fmt.Sprintf("the change of %s is written, and nobody could tell whether it is live: %d not verified", what, f.Unverified), ""
		}
		f, _ := e.Fact.(events.RequestRolloutFailed)
		return fmt.Sprintf("the change of %s is written, and its roll-out failed: %d of the watched", what, f.Failed), ""
	}
	return "", ""
}

// detail is the reason, what was said, the ticket, the place, and what ends when.
func detail(kind events.NoticeKind, r command.Request, said string) string {
	var parts []string
	add := func(name, text string, most int) {
		if text = clean(text, most); text != "" {
			parts = append(parts, name+text)
		}
	}
	add("reason: ", r.Submitted.Reason, maxReason)
	add("said: ", said, maxReason)
	add("ticket: ", r.Submitted.Ticket, maxName)
	if p := r.Submitted.Place; p.Project != "" {
		add("", p.Project+"/"+p.Environment, maxWhat)
	}
	if end := endOf(kind, r); !end.IsZero() {
		parts = append(parts, "until "+end.UTC().Format("2 January 2006 15:04 UTC"))
	}
	return clean(strings.Join(parts, "; "), maxDetail)
}

// endOf is when it is too late for what a notice asks for; zero where it asks for nothing.
func endOf(kind events.NoticeKind, r command.Request) time.Time {
	switch kind {
	case events.NoticeSubmitted, events.NoticeStepOpened, events.NoticeReminder, events.NoticeEscalated, events.NoticeVoided:
		return r.PendingUntil
	case events.NoticeValues:
		if r.Submitted.Fill != nil {
			return r.Submitted.Fill.Until
		}
	case events.NoticeBreakGlass, events.NoticeReviewDue:
		if r.Glass != nil {
			return r.Glass.Until
		}
	case events.NoticeExecuted, events.NoticeExpiring:
		_, end := endAhead(r)
		return end
	}
	return time.Time{}
}

// endAhead is the end that a request goes towards, and when its way there began to count; zero
// where there is none.
func endAhead(r command.Request) (life time.Duration, end time.Time) {
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	switch r.State {
	case events.StateAwaiting:
		if r.Submitted.Fill != nil {
			return 0, r.Submitted.Fill.Until
		}
	case events.StatePending:
		return 0, r.PendingUntil
	case events.StateApproved:
		return seconds(r.Submitted.ApprovalSeconds), r.Until
	case events.StateExecuted:
		for _, e := range r.Envelopes {
			if e.State == command.EnvelopeReady && (end.IsZero() || e.Expires.Before(end)) {
				end = e.Expires
			}
		}
		return seconds(r.Submitted.RevealSeconds), end
	}
	return 0, time.Time{}
}

// capital begins a sentence.
func capital(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
