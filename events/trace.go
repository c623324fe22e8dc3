package events

import "strings"

// Traceparent names a span of a trace: W3C Trace Context, section 3.2, of version 00, such as
// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01". The empty one names none. A fact
// carries it as CloudEvents' Distributed Tracing extension does. Its ids are random, say nothing
// of anybody, and count for nothing: no decision looks at them.
type Traceparent string

// How long its parts are, in hexadecimal digits, and where they begin.
const (
	traceIDLength     = 32
	spanIDLength      = 16
	traceIDAt         = 3
	spanIDAt          = traceIDAt + traceIDLength + 1
	flagsAt           = spanIDAt + spanIDLength + 1
	traceparentLength = flagsAt + 2
)

// Valid reports whether it names a span: lower case, no id of zeros, and no flag but that it is
// sampled.
func (t Traceparent) Valid() bool {
	if len(t) != traceparentLength || t[:traceIDAt] != "00-" || t[spanIDAt-1] != '-' || t[flagsAt-1] != '-' {
		return false
	}
	flags := t[flagsAt:]
	return hexID(t.TraceID()) && hexID(t.SpanID()) && (flags == "00" || flags == "01")
}

func hexID(id string) bool {
	return strings.Trim(id, "0123456789abcdef") == "" && strings.Trim(id, "0") != ""
}

// TraceID is the trace that the span is of, or "".
func (t Traceparent) TraceID() string {
	if len(t) != traceparentLength {
		return ""
	}
	return string(t[traceIDAt : traceIDAt+traceIDLength])
}

// SpanID is the span's own id, or "".
func (t Traceparent) SpanID() string {
	if len(t) != traceparentLength {
		return ""
	}
	return string(t[spanIDAt : spanIDAt+spanIDLength])
}

// Sampled reports whether the trace is recorded.
func (t Traceparent) Sampled() bool { return len(t) == traceparentLength && t[flagsAt+1] == '1' }
