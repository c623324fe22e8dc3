package policy

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"secretsbridge/events"
)

// Bounds of objects. They keep a decision quick and a mistake small; see docs/reference/policy.md.
const (
	MaxRules        = 2000
	MaxList         = 500 // names in one list
	MaxTeamDepth    = 20
	MaxSteps        = 10
	MaxApprovals    = 20
	MaxPriority     = 1000
	MaxPattern      = 512 // bytes
	maxDescription  = 1000
	maxClaim        = 256  // bytes
	maxPrefix       = 512  // bytes, as refs
	maxKey          = 256  // bytes
	maxReasonLength = 1000 // characters that a reason may be asked to have

	minute = 60
	day    = 24 * 3600
)

// Fault is one thing wrong with an object, and what to do about it. A warning hinders nothing.
type Fault struct {
	Object  events.ObjectRef
	Field   string // such as steps[1].from; empty: the object as a whole
	Problem string
	Warning bool
}

func (f Fault) String() string {
	if f.Field == "" {
		return fmt.Sprintf("%s: %s", f.Object, f.Problem)
	}
	return fmt.Sprintf("%s: %s: %s", f.Object, f.Field, f.Problem)
}

// Known tells what else exists. Whoever was ever added is known, also once they are gone: what
// names them still is harmless. A nil func is not asked.
type Known struct {
	Connections func(events.ConnectionID) bool
	Users       func(events.UserID) bool
}

// Check finds all that is wrong with objects together, in the order of their names. Without a
// fault that is no warning they may count.
func Check(objects map[events.ObjectRef]events.Object, known Known) []Fault {
	c := &checker{known: known, g: Compile(0, objects), at: map[prefixed]string{}, kinds: map[string][]events.EnvironmentKind{}}
	for _, p := range c.g.projects {
		for _, e := range p.Environments {
			c.kinds[e.Name] = append(c.kinds[e.Name], e.Kind)
		}
	}
	refs := slices.SortedFunc(maps.Keys(objects), func(a, b events.ObjectRef) int {
		return cmp.Or(cmp.Compare(slices.Index(events.ObjectKinds, a.Kind), slices.Index(events.ObjectKinds, b.Kind)), cmp.Compare(a.Name, b.Name))
	})
	rules := 0
	for _, ref := range refs {
		c.object = ref
		if !events.ValidName(ref.Name) {
			c.fault("name", "a name has 1 to 40 of a-z, 0-9 and \"-\", and begins with a letter")
		}
		switch spec := objects[ref].Spec.(type) {
		case events.Role:
			c.role(spec)
		case events.Team:
			c.team(spec)
		case events.Group:
			c.group(spec)
		case events.Project:
			c.project(spec)
		case events.Binding:
			c.binding(spec)
		case events.WorkflowSpec:
			c.workflow(spec)
		case events.Rule:
			if rules++; rules == MaxRules+1 {
				c.fault("", fmt.Sprintf("at most %d rules are allowed; make fewer, wider ones", MaxRules))
			}
			c.rule(spec)
		case events.Settings:
			c.settings(spec)
		default:
			c.fault("spec", "it says nothing of its kind")
		}
	}
	c.warnOfBindings()
	return c.faults
}

// checker looks at one object after another.
type checker struct {
	known  Known
	g      *Governance
	object events.ObjectRef                    // that is looked at
	at     map[prefixed]string                 // bindings that were looked at
	kinds  map[string][]events.EnvironmentKind // by the name of the environment, in any project
	faults []Fault
}

type prefixed struct {
	connection events.ConnectionID
	prefix     string
}

func (c *checker) fault(field, problem string) {
	c.faults = append(c.faults, Fault{Object: c.object, Field: field, Problem: problem})
}

func (c *checker) warn(field, problem string) {
	c.faults = append(c.faults, Fault{Object: c.object, Field: field, Problem: problem, Warning: true})
}

func (c *checker) has(kind events.ObjectKind, name string) bool {
	_, ok := c.g.Objects[events.ObjectRef{Kind: kind, Name: name}]
	return ok
}

// need says that a name must be one of another object.
func (c *checker) need(field string, kind events.ObjectKind, name string) {
	if !c.has(kind, name) {
		c.fault(field, fmt.Sprintf("there is no %s %q; make it in the same change, or name another", strings.ToLower(string(kind)), name))
	}
}

func (c *checker) description(text string) { c.text("description", text, maxDescription) }

// text is what people read: characters, without control characters but line ends.
func (c *checker) text(field, text string, most int) {
	if utf8.RuneCountInString(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		c.fault(field, fmt.Sprintf("it has at most %d characters, and no control characters", most))
	}
}

// between refuses a number out of its range; 0 is fine where it means something.
func (c *checker) between(field string, n, least, most int, zero string) {
	switch {
	case n == 0 && zero != "", n >= least && n <= most:
	case zero != "":
		c.fault(field, fmt.Sprintf("it is %d to %d, or 0 for %s", least, most, zero))
	default:
		c.fault(field, fmt.Sprintf("it is %d to %d", least, most))
	}
}

// list refuses a list that is too long or says something twice, and looks at each item.
func list[S ~string](c *checker, field string, items []S, look func(field string, item S)) {
	if len(items) > MaxList {
		c.fault(field, fmt.Sprintf("it has %d entries; at most %d are allowed, so make a group", len(items), MaxList))
		return
	}
	seen := make(map[S]bool, len(items))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", field, i)
		if seen[item] {
			c.fault(at, fmt.Sprintf("%q is there twice; take one out", item))
			continue
		}
		seen[item] = true
		look(at, item)
	}
}

func (c *checker) users(field string, users []events.UserID) {
	list(c, field, users, func(at string, u events.UserID) {
		switch {
		case !events.ValidID(string(u), "u_"):
			c.fault(at, fmt.Sprintf("%q is no id of a user; `sb user list` shows them", u))
		case c.known.Users != nil && !c.known.Users(u):
			c.fault(at, fmt.Sprintf("there is no user %s; `sb user list` shows them", u))
		}
	})
}

func (c *checker) connection(field string, id events.ConnectionID) {
	switch {
	case !events.ValidName(string(id)):
		c.fault(field, fmt.Sprintf("%q is no name of a connection", id))
	case c.known.Connections != nil && !c.known.Connections(id):
		c.fault(field, fmt.Sprintf("there is no connection %q; `sb connection list` shows them", id))
	}
}

var encoded = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// prefix refuses what no ref can begin with.
func (c *checker) prefix(field, prefix string) {
	bad := len(prefix) > maxPrefix || !utf8.ValidString(prefix) || strings.ContainsFunc(prefix, unicode.IsControl) ||
		strings.Contains(prefix, `\`) || encoded.MatchString(prefix)
	if prefix != "" {
		for segment := range strings.SplitSeq(strings.TrimSuffix(prefix, "/"), "/") {
			bad = bad || segment == "" || segment == "." || segment == ".."
		}
	}
	if bad {
		c.fault(field, fmt.Sprintf(`no ref begins with it: refs have no empty, "." or ".." segments, control characters, backslashes or percent encodings, and at most %d bytes`, maxPrefix))
	}
}

func (c *checker) kind(field string, k events.EnvironmentKind) {
	if k != events.Production && k != events.NonProduction {
		c.fault(field, fmt.Sprintf("%q is none of prod, non-prod", k))
	}
}

func (c *checker) operations(field string, all []events.Operation) {
	list(c, field, all, func(at string, o events.Operation) {
		if o != events.OperationRead && o != events.OperationPatch {
			c.fault(at, fmt.Sprintf("%q is none of read, patch", o))
		}
	})
}

func (c *checker) pattern(field, pattern string) {
	if pattern == "" {
		return
	}
	if len(pattern) > MaxPattern {
		c.fault(field, fmt.Sprintf("a pattern has at most %d bytes", MaxPattern))
	} else if _, err := regexp.Compile(pattern); err != nil {
		c.fault(field, fmt.Sprintf("it is no RE2 pattern: %v", err))
	}
}

// scope looks at a scope of a grant or of a rule.
func (c *checker) scope(field string, s events.Scope) {
	before := len(c.faults)
	if s.Team != "" {
		c.need(field+".team", events.KindTeam, s.Team)
	}
	if s.Project != "" {
		c.need(field+".project", events.KindProject, s.Project)
	}
	if s.Environment != "" && (s.Project == "" || c.has(events.KindProject, s.Project)) && len(c.kindsOf(s)) == 0 {
		where := "no project has"
		if s.Project != "" {
			where = fmt.Sprintf("project %q does not have", s.Project)
		}
		c.fault(field+".environment", fmt.Sprintf("%s an environment %q; name one that is there", where, s.Environment))
	}
	if s.Kind != "" {
		c.kind(field+".environment_kind", s.Kind)
	}
	if s.Connection != "" {
		c.connection(field+".connection", s.Connection)
	}
	if s.Prefix != "" {
		if s.Connection == "" {
			c.fault(field+".prefix", "a prefix is of the refs of one connection; name the connection too")
		}
		c.prefix(field+".prefix", s.Prefix)
	}
	placed := s.Team != "" || s.Project != "" || s.Environment != "" || s.Kind != ""
	if placed && len(c.faults) == before && !c.g.reaches(s) {
		c.warn(field, "it covers nothing: no binding leads to such a place")
	}
}

// kindsOf are the kinds of the environments that a scope can mean by their name.
func (c *checker) kindsOf(s events.Scope) (kinds []events.EnvironmentKind) {
	if s.Project == "" {
		return c.kinds[s.Environment]
	}
	for _, e := range c.g.projects[s.Project].Environments {
		if e.Name == s.Environment {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}
