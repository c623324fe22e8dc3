// Package secret holds plaintext for the short time that somebody may see it.
//
// A [Value] prints as "[secret]" under every fmt verb and slog handler and refuses
// to be encoded, so a value cannot reach a log, an error or a document by accident.
// Whoever wants the bytes says so, with [Value.Expose].
package secret

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// placeholder is what a value prints as, wherever it is printed.
const placeholder = "[secret]"

// ErrEncode says that somebody tried to encode a value as text or JSON.
var ErrEncode = errors.New("a secret value is never encoded")

// Value is a plaintext secret. The bytes are held behind a closure, because fmt
// prints bytes that sit in someone's unexported field without asking the type.
// The closure also makes values incomparable with ==. The zero Value is empty.
type Value struct{ expose func() []byte }

// New takes ownership of b: the caller must not use the slice afterwards.
func New(b []byte) Value { return Value{expose: func() []byte { return b }} }

// Expose returns the bytes themselves, not a copy.
func (v Value) Expose() []byte {
	if v.expose == nil {
		return nil
	}
	return v.expose()
}

// Zero overwrites the bytes. Copies that the runtime or a library made are out of
// its reach (docs/security/limits.md).
func (v Value) Zero() { clear(v.Expose()) }

// Format prints the placeholder, whatever the verb and flags.
func (Value) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, placeholder) }

// String implements fmt.Stringer.
func (Value) String() string { return placeholder }

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(placeholder) }

// MarshalText refuses, and with it JSON, YAML and map keys.
func (Value) MarshalText() ([]byte, error) { return nil, ErrEncode }

// MarshalJSON refuses.
func (Value) MarshalJSON() ([]byte, error) { return nil, ErrEncode }
