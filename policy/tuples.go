package policy

import (
	"strings"

	"secretsbridge/events"
)

// tuples finds what is said of the scopes that cover a spot, without looking at the others.
// Scopes that set the same fields make a shape; in each shape a spot fits few scopes, and those
// are looked up. The time depends on the shapes, the depth of teams and the segments of the
// ref, not on how many scopes there are.
type tuples[T any] struct {
	shapes []*shape[T]
}

type shape[T any] struct {
	fields         fields
	short, longest int // prefixes
	at             map[events.Scope]T
}

// fields are those that a scope sets.
type fields uint8

const (
	hasTeam fields = 1 << iota
	hasProject
	hasEnvironment
	hasKind
	hasConnection
	hasPrefix
)

func fieldsOf(s events.Scope) (f fields) {
	for i, set := range [...]bool{s.Team != "", s.Project != "", s.Environment != "", s.Kind != "", s.Connection != "", s.Prefix != ""} {
		if set {
			f |= 1 << i
		}
	}
	return f
}

// put changes what is said of a scope. A prefix without a connection covers nothing.
func (x *tuples[T]) put(s events.Scope, change func(T) T) {
	if s.Prefix != "" && s.Connection == "" {
		return
	}
	f := fieldsOf(s)
	var in *shape[T]
	for _, known := range x.shapes {
		if known.fields == f {
			in = known
		}
	}
	if in == nil {
		in = &shape[T]{fields: f, short: len(s.Prefix), at: map[events.Scope]T{}}
		x.shapes = append(x.shapes, in)
	}
	in.short, in.longest = min(in.short, len(s.Prefix)), max(in.longest, len(s.Prefix))
	in.at[s] = change(in.at[s])
}

// find calls yield with all that is said of scopes that cover a spot, until it answers false.
// Lineage is the place's team and all teams above it.
func (x *tuples[T]) find(at Spot, lineage []string, yield func(events.Scope, T) bool) bool {
	for _, s := range x.shapes {
		key, ok := s.key(at)
		if !ok || s.fields&hasTeam != 0 && len(lineage) == 0 {
			continue
		}
		if s.fields&hasTeam == 0 {
			if !s.prefixes(key, at.Ref, yield) {
				return false
			}
			continue
		}
		for _, team := range lineage {
			key.Team = team
			if !s.prefixes(key, at.Ref, yield) {
				return false
			}
		}
	}
	return true
}

// key is the one scope of this shape that can cover a spot, but for its team and its prefix.
func (s *shape[T]) key(at Spot) (key events.Scope, ok bool) {
	if s.fields&hasProject != 0 {
		key.Project = at.Place.Project
	}
	if s.fields&hasEnvironment != 0 {
		key.Environment = at.Place.Environment
	}
	if s.fields&hasKind != 0 {
		key.Kind = at.Place.Kind
	}
	if s.fields&hasConnection != 0 {
		key.Connection = at.Connection
	}
	return key, fieldsOf(key) == s.fields&^(hasTeam|hasPrefix)
}

func (s *shape[T]) prefixes(key events.Scope, ref string, yield func(events.Scope, T) bool) bool {
	if s.fields&hasPrefix == 0 {
		found, ok := s.at[key]
		return !ok || yield(key, found)
	}
	for n := min(len(ref), s.longest); n >= s.short; n-- {
		if !cuts(ref, n) {
			continue
		}
		key.Prefix = ref[:n]
		if found, ok := s.at[key]; ok && !yield(key, found) {
			return false
		}
	}
	return true
}

// cuts reports whether a ref lies below its own first n bytes. See [Below].
func cuts(ref string, n int) bool {
	return n == 0 || n == len(ref) || ref[n] == '/' || strings.IndexByte("/-_.", ref[n-1]) >= 0
}
