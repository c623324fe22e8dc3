// Package events is the vocabulary of Secrets Bridge: facts, identifiers and the
// shapes that cross a wire or outlive a process.
//
// A fact is past tense and never carries a secret, only where it is and a keyed
// fingerprint. What one decision produced travels as one commit: a CloudEvents 1.0
// JSON batch of one or more events of one stream (CloudEvents JSON Event Format,
// section 4). The stored bytes are the truth; they are never encoded again.
package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Source is the CloudEvents source of everything that the control plane records.
const Source = "/secrets-bridge/control-plane"

const (
	specVersion     = "1.0"
	dataContentType = "application/json"
)

// MaxCommitEvents is how many facts one decision may produce.
const MaxCommitEvents = 256

// MaxCommitBytes is how long an encoded commit may be: below the 1 MiB that a NATS
// server takes by default (max_payload), with room for headers.
const MaxCommitBytes = 1<<20 - 64<<10

// ErrMalformed says that bytes are not a commit of this vocabulary.
var ErrMalformed = errors.New("not a commit")

// UnknownTypeError says that a commit holds a fact that this version does not know,
// written by a newer one. Whoever meets it must not decide anything on that stream.
type UnknownTypeError struct{ Type string }

func (e *UnknownTypeError) Error() string {
	return fmt.Sprintf("fact type %q is unknown to this version; upgrade it", e.Type)
}

// Fact is one thing that happened. The set is closed: every fact is in the registry.
type Fact interface{ fact() }

// Event is a fact with its circumstances.
type Event struct {
	ID          EventID       // unique in the log; derived from the command
	Stream      Stream        // whose history this is
	Time        time.Time     // UTC, when it was decided; order is by sequence, not by time
	Actor       Actor         // who caused it, from the authenticated connection
	Correlation CorrelationID // joins all that one request set in motion
	Command     CommandID     // the command that was decided
	Trace       Traceparent   // the span in which it was; empty where nobody traces
	Fact        Fact
}

// Seq is a position in the log. The first commit has 1; 0 means "nothing yet".
type Seq uint64

// AnySeq tells an append to expect nothing about what is already there.
const AnySeq = ^Seq(0)

// Recorded is a commit as it stands in the log. Raw is exactly what is stored. After is the
// commit that its writer knew to be the stream's last, 0 for none, or [AnySeq] if it did not ask.
type Recorded struct {
	Seq    Seq
	Stream Stream
	After  Seq
	Events []Event
	Raw    []byte
}

// envelope is the JSON of one CloudEvent. Extension attributes are lower-case
// letters only (CloudEvents 1.0, section 3.1).
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              EventID         `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Actor           Actor           `json:"actor"`
	Correlation     CorrelationID   `json:"correlation"`
	Command         CommandID       `json:"command"`
	Trace           Traceparent     `json:"traceparent,omitempty"` // CloudEvents, Distributed Tracing extension
	Data            json.RawMessage `json:"data"`
}

// Encode writes a commit. All events must be of one stream and one command.
func Encode(commit []Event) ([]byte, error) {
	if len(commit) == 0 || len(commit) > MaxCommitEvents {
		return nil, fmt.Errorf("encode commit: %d events, want 1 to %d", len(commit), MaxCommitEvents)
	}
	batch := make([]envelope, len(commit))
	for i, e := range commit {
		if e.Stream != commit[0].Stream || e.Command != commit[0].Command {
			return nil, fmt.Errorf("encode commit: event %d is of another stream or command", i)
		}
		if e.Trace != "" && !e.Trace.Valid() {
			return nil, fmt.Errorf("encode commit: event %d names no span: %q", i, e.Trace)
		}
		typ, err := TypeOf(e.Fact)
		if err != nil {
			return nil, fmt.Errorf("encode commit: %w", err)
		}
		data, err := marshalPlain(e.Fact)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", typ, err)
		}
		batch[i] = envelope{
			SpecVersion: specVersion, ID: e.ID, Source: Source, Type: typ, Subject: e.Stream.String(),
			Time: e.Time.UTC(), DataContentType: dataContentType,
			Actor: e.Actor, Correlation: e.Correlation, Command: e.Command, Trace: e.Trace, Data: data,
		}
	}
	raw, err := marshalPlain(batch)
	if err != nil {
		return nil, fmt.Errorf("encode commit: %w", err)
	}
	if len(raw) > MaxCommitBytes {
		return nil, fmt.Errorf("encode commit: %d bytes, the limit is %d", len(raw), MaxCommitBytes)
	}
	return raw, nil
}

// Decode reads a commit. It returns [ErrMalformed] for what is none, and an
// [*UnknownTypeError] for a fact of a newer version.
func Decode(raw []byte) ([]Event, error) {
	var batch []envelope
	if err := json.Unmarshal(raw, &batch); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(batch) == 0 {
		return nil, fmt.Errorf("%w: no events", ErrMalformed)
	}
	commit := make([]Event, len(batch))
	for i, e := range batch {
		if e.SpecVersion != specVersion {
			return nil, fmt.Errorf("%w: specversion %q", ErrMalformed, e.SpecVersion)
		}
		stream, err := ParseStream(e.Subject)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if e.Trace != "" && !e.Trace.Valid() {
			return nil, fmt.Errorf("%w: traceparent %q", ErrMalformed, e.Trace)
		}
		fact, err := DecodeFact(e.Type, e.Data)
		if err != nil {
			return nil, err
		}
		commit[i] = Event{
			ID: e.ID, Stream: stream, Time: e.Time, Actor: e.Actor,
			Correlation: e.Correlation, Command: e.Command, Trace: e.Trace, Fact: fact,
		}
	}
	return commit, nil
}

// marshalPlain encodes without escaping <, > and &: an auditor reads these bytes.
func marshalPlain(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// Stream names the history of one aggregate.
type Stream struct {
	Aggregate Aggregate
	ID        string
}

// Aggregate is a kind of history.
type Aggregate string

// The aggregates of this version.
const (
	AggregateRequest    Aggregate = "request"
	AggregateAgent      Aggregate = "agent"
	AggregateConnection Aggregate = "connection"
	AggregateAccess     Aggregate = "access"
	AggregateSetting    Aggregate = "setting"
	AggregateJob        Aggregate = "job"       // that no request stands behind
	AggregateInventory  Aggregate = "inventory" // a page of a scan
	AggregateSecret     Aggregate = "secret"    // what people say of one
	AggregateGovernance Aggregate = "governance"
	AggregateUser       Aggregate = "user"

	AggregateIntegration Aggregate = "integration"
)

// Aggregates are all kinds of histories.
var Aggregates = []Aggregate{
	AggregateRequest, AggregateAgent, AggregateConnection, AggregateAccess, AggregateSetting,
	AggregateJob, AggregateInventory, AggregateSecret, AggregateGovernance, AggregateUser, AggregateIntegration,
}

// RequestStream is the history of one request.
func RequestStream(id RequestID) Stream { return Stream{AggregateRequest, string(id)} }

// AgentStream is the history of one agent, from its enrolment token on.
func AgentStream(id AgentID) Stream { return Stream{AggregateAgent, string(id)} }

// ConnectionStream is the history of one connection; its name is its id.
func ConnectionStream(id ConnectionID) Stream { return Stream{AggregateConnection, string(id)} }

// AccessStream is the history of sign-ins and denials of one actor.
func AccessStream(actor Actor) Stream {
	return Stream{AggregateAccess, strings.ReplaceAll(string(actor), ":", "-")}
}

// SessionStream tells of the end that one session reached by itself. It is not its person's,
// so that telling it once needs no look at years of sign-ins.
func SessionStream(id SessionID) Stream { return Stream{AggregateAccess, string(id)} }

// String is the stream's name as CloudEvents subject, such as "request/r_3f…".
func (s Stream) String() string { return string(s.Aggregate) + "/" + s.ID }

// ParseStream reads what [Stream.String] wrote.
func ParseStream(s string) (Stream, error) {
	aggregate, id, ok := strings.Cut(s, "/")
	stream := Stream{Aggregate(aggregate), id}
	if !ok || !stream.Valid() {
		return Stream{}, fmt.Errorf("%q is not a stream", s)
	}
	return stream, nil
}

// Valid reports whether both halves are names that every store can hold: 1 to 80 of
// the characters a-z, A-Z, 0-9, "_" and "-", and a known aggregate.
func (s Stream) Valid() bool {
	return slices.Contains(Aggregates, s.Aggregate) && validToken(s.ID)
}

func validToken(s string) bool {
	if s == "" || len(s) > 80 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
