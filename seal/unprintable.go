package seal

import (
	"fmt"
	"io"
	"log/slog"
)

// placeholder is what a key prints as, wherever it is printed.
const placeholder = "[key]"

// unprintable is embedded by every type that holds a private or symmetric key. It
// answers fmt, slog and the encoders; the key itself sits behind a closure beside
// it, because fmt prints bytes in someone's unexported field without asking.
type unprintable struct{}

// Format prints the placeholder, whatever the verb and flags.
func (unprintable) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, placeholder) }

// String implements fmt.Stringer.
func (unprintable) String() string { return placeholder }

// LogValue implements slog.LogValuer.
func (unprintable) LogValue() slog.Value { return slog.StringValue(placeholder) }

// MarshalText refuses, and with it JSON, YAML and map keys.
func (unprintable) MarshalText() ([]byte, error) { return nil, ErrEncode }

// MarshalJSON refuses.
func (unprintable) MarshalJSON() ([]byte, error) { return nil, ErrEncode }
