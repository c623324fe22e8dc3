// Package leaks looks for known values where none may be: in files, in text, and in the
// memory of other processes. It knows the forms in which a value hides.
package leaks

import (
	"bytes"
	"crypto/rand"
	"strings"
)

// Canaries are values that are made to be found. All of them begin with one random text
// and end with another, which occur nowhere else: so one pass finds every one of them, and
// also half of one, whose other half was overwritten.
type Canaries struct {
	head, tail string
	values     map[string]string // by name
	known      []known
}

// known is a value that was made elsewhere, such as a key.
type known struct {
	name  string
	value []byte
}

// piece is how much of each end of a known value is searched for: as many bits as a key has.
const piece = 16

// New makes a set that no other run has.
func New() *Canaries {
	return &Canaries{head: mark(), tail: mark(), values: map[string]string{}}
}

// mark has characters that each form spells in another way: base64 needs + and / in one
// alphabet and - and _ in the other, URLs escape three, UTF-8 takes two bytes for one. All
// of them may be in a ref, so a mark can also be planted where names are kept.
func mark() string {
	text := rand.Text()
	return text[:6] + "~?ő>" + text[6:14]
}

// Value returns the value of a name, a new one at the first call. A name is made of
// letters, digits and hyphens.
func (c *Canaries) Value(name string) string {
	return c.With(name, "")
}

// With is Value with something of the caller's inside, such as a quote.
func (c *Canaries) With(name, inside string) string {
	if _, ok := c.values[name]; !ok {
		c.values[name] = strings.Join([]string{c.head, name, inside, rand.Text(), c.tail}, ".")
	}
	return c.values[name]
}

// Know adds a value that was made elsewhere, at least 16 bytes that nothing spells by
// chance. Both its ends are searched for apart, and a hit has its name either way.
func (c *Canaries) Know(name string, value []byte) {
	if len(value) < piece {
		panic("leaks: " + name + " is too short to be told from chance")
	}
	c.known = append(c.known, known{name, bytes.Clone(value)})
}
