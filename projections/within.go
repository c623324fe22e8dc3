package projections

import (
	"slices"
	"strings"

	"secretsbridge/events"
)

// Area is a part of a connection: the refs below Prefix, without those below one of Except. A
// prefix that ends in one of "/-_." is taken as text; any other is a whole segment, as package
// policy says.
type Area struct {
	Connection events.ConnectionID
	Prefix     string
	Except     []string
}

// Within narrows a list to areas. Nil is everywhere, and empty is nowhere.
type Within []Area

// separator stands between a connection and a ref. No name has it, and nothing sorts before it.
const separator = "\x01"

// span is the texts from lo on and before hi, in the order of bytes. What is in an area is some
// of them, of texts that are a connection, the separator and a ref.
type span struct{ lo, hi string }

// bounds are the spans of all areas together, sorted and apart: where the first begins, where it
// ends, where the next begins. A text lies in one of them if the number of bounds up to it is
// odd, which is found by halving, however many there are.
func (w Within) bounds() []string {
	var all []span
	for _, a := range w {
		var out []span
		for _, prefix := range a.Except {
			out = append(out, spansOf(a.Connection, prefix)...)
		}
		all = append(all, without(spansOf(a.Connection, a.Prefix), united(out))...)
	}
	bounds := []string{}
	for _, s := range united(all) {
		bounds = append(bounds, s.lo, s.hi)
	}
	return bounds
}

// spansOf are the refs of a connection below a prefix.
func spansOf(connection events.ConnectionID, prefix string) []span {
	key, end := string(connection)+separator, string(connection)+"\x02"
	prefix = clean(prefix)
	switch {
	case prefix == "":
		return []span{{key, end}}
	case strings.ContainsRune("/-_.", rune(prefix[len(prefix)-1])):
		if after := afterPrefix(prefix); after != "" {
			end = key + after
		}
		return []span{{key + prefix, end}}
	}
	// The prefix itself, and what is below it: "0" follows "/".
	return []span{{key + prefix, key + prefix + "\x01"}, {key + prefix + "/", key + prefix + "0"}}
}

// united sorts spans and joins those that touch.
func united(all []span) []span {
	slices.SortFunc(all, func(a, b span) int { return strings.Compare(a.lo, b.lo) })
	var joined []span
	for _, s := range all {
		if last := len(joined) - 1; last >= 0 && s.lo <= joined[last].hi {
			joined[last].hi = max(joined[last].hi, s.hi)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// without takes spans, sorted and apart, out of others.
func without(in, out []span) []span {
	var left []span
	for _, s := range in {
		for _, o := range out {
			if o.hi <= s.lo || s.hi <= o.lo {
				continue
			}
			if s.lo < o.lo {
				left = append(left, span{s.lo, o.lo})
			}
			s.lo = o.hi
		}
		if s.lo < s.hi {
			left = append(left, s)
		}
	}
	return left
}

// Bounds is how other tables than those of this package are asked for areas (package store). Nil
// is everywhere.
func (w Within) Bounds() []string {
	if w == nil {
		return nil
	}
	return w.bounds()
}

// inBounds is the condition that a connection and a ref, both columns, lie within the bounds of
// a parameter.
func inBounds(connection, ref, bounds string) string {
	return "width_bucket((" + connection + " || chr(1) || " + ref + `) COLLATE "C", ` + bounds + "::text[]) % 2 = 1"
}

// connections are those of the areas, in order.
func (w Within) connections() []events.ConnectionID {
	names := make([]events.ConnectionID, 0, len(w))
	for _, a := range w {
		names = append(names, a.Connection)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// whole reports whether the areas are connections as a whole, and no parts.
func (w Within) whole() bool {
	whole := map[events.ConnectionID]bool{}
	for _, a := range w {
		whole[a.Connection] = whole[a.Connection] || a.Prefix == "" && len(a.Except) == 0
	}
	for _, is := range whole {
		if !is {
			return false
		}
	}
	return true
}

// within adds the condition that a row lies in areas; connection and ref are columns.
func (q *query) within(w Within, connection, ref string) {
	if w == nil {
		return
	}
	q.and(connection+" = ANY (?)", w.connections())
	if !w.whole() {
		q.and(inBounds(connection, ref, "?"), w.bounds())
	}
}

// maxPrefixes is by how many prefixes at most a list walks along the refs. Beyond that it goes
// through the connections of the areas.
const maxPrefixes = 16

// prefixes are what all refs that the filter wants begin with, each with nothing that another
// one begins with; nil if that is anything, or too many to walk by.
func (f search) prefixes() []string {
	var all []string
	if f.Prefix != "" {
		all = []string{clean(f.Prefix)}
	}
	if f.bounds == nil {
		return all
	}
	var areas []string
	for _, a := range f.Within {
		prefix := clean(a.Prefix)
		switch wanted := clean(f.Prefix); {
		case strings.HasPrefix(prefix, wanted):
		case strings.HasPrefix(wanted, prefix):
			prefix = wanted
		default:
			continue // no ref begins with both
		}
		areas = append(areas, prefix)
	}
	slices.Sort(areas)
	var apart []string
	for _, prefix := range areas {
		if len(apart) == 0 || !strings.HasPrefix(prefix, apart[len(apart)-1]) {
			apart = append(apart, prefix)
		}
	}
	if len(apart) == 0 || len(apart) > maxPrefixes || apart[0] == "" {
		return all
	}
	return apart
}
