package policy

import (
	"math"
	"time"
)

// manyGrants is from when on the grants of a group are kept once for all who are in it, and not
// with each of them: looking at one more place costs about as much as a few more scopes.
const manyGrants = 64

// numbers give each permission its place in [entry]; the catalogue never changes while running.
var numbers = func() map[Permission]int {
	n := map[Permission]int{}
	for i, p := range Catalogue() {
		n[p] = i
	}
	return n
}()

// grants are roles in scopes, to be found by the spot that they cover.
type grants struct {
	tuples[*entry]
	latest []int64 // by permission: when the last grant of it ends
}

// entry is what is granted in one scope. Ends are in microseconds of Unix time, exclusive, and
// math.MaxInt64 for no end; what was never granted ended before all time.
type entry struct {
	until []int64 // by permission
	roles map[string]int64
}

func newGrants() *grants { return &grants{latest: never()} }

func never() []int64 {
	all := make([]int64, len(numbers))
	for i := range all {
		all[i] = math.MinInt64
	}
	return all
}

// add takes one more grant. A role that does not exist gives nothing.
func (x *grants) add(g *Governance, h Held) {
	permissions, ok := g.roles[h.Role]
	if !ok {
		return
	}
	until := endOf(h.Until)
	x.put(h.Scope, func(e *entry) *entry {
		if e == nil {
			e = &entry{until: never(), roles: map[string]int64{}}
		}
		if known, ok := e.roles[h.Role]; !ok || known < until {
			e.roles[h.Role] = until
		}
		for _, n := range permissions {
			e.until[n], x.latest[n] = max(e.until[n], until), max(x.latest[n], until)
		}
		return e
	})
}

func endOf(t time.Time) int64 {
	if t.IsZero() {
		return math.MaxInt64
	}
	return t.UnixMicro()
}
