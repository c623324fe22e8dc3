package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// Most conditions compare a few names with a few texts. Those parts are answered here, several
// times faster than by the language, which is asked only where this is unsure. A label that is
// missing is an error, as in the language: false && error is false, true && error is an error.
// A test holds both against each other.

// verdict is what is known of a part of a condition without the language.
type verdict int8

const (
	no verdict = iota
	yes
	failed // a label is missing
	unsure // another kind of expression
)

// quick is a part of a condition; nil: nothing is known of it.
type quick func(*view) verdict

// textual is a text in a condition; false: there is none, which is an error.
type textual func(*view) (string, bool)

// hasten finds what can be answered without the language.
func hasten(tree *ast.AST, e ast.Expr) quick {
	q := quickly{tree}
	return q.truth(e)
}

type quickly struct{ tree *ast.AST }

// variable is the name of the variable that an expression is, or empty.
func (q quickly) variable(e ast.Expr) string {
	if e.Kind() != ast.IdentKind && e.Kind() != ast.SelectKind {
		return ""
	}
	if ref, ok := q.tree.ReferenceMap()[e.ID()]; ok {
		return ref.Name
	}
	return ""
}

func (q quickly) truth(e ast.Expr) quick {
	switch e.Kind() {
	case ast.IdentKind, ast.SelectKind:
		switch q.variable(e) {
		case "requester.machine":
			return func(v *view) verdict { return is(v.machine) }
		case "create":
			return func(v *view) verdict { return is(v.ask.Create) }
		}
		if s := e.AsSelect(); e.Kind() == ast.SelectKind && s.IsTestOnly() && q.variable(s.Operand()) == "secret.labels" {
			return func(v *view) verdict { _, ok := v.ask.Labels[s.FieldName()]; return is(ok) }
		}
	case ast.CallKind:
		return q.call(e.AsCall())
	}
	return nil
}

func (q quickly) call(c ast.CallExpr) quick {
	args := c.Args()
	switch c.FunctionName() {
	case operators.LogicalAnd:
		return q.join(args, no)
	case operators.LogicalOr:
		return q.join(args, yes)
	case operators.LogicalNot:
		if x := q.truth(args[0]); x != nil {
			return func(v *view) verdict { return x(v).not() }
		}
	case operators.Equals:
		return q.compare(args, func(a, b string) bool { return a == b })
	case operators.NotEquals:
		return q.compare(args, func(a, b string) bool { return a != b })
	case operators.In:
		return q.within(args[0], args[1])
	case "startsWith":
		return q.compare([]ast.Expr{c.Target(), args[0]}, strings.HasPrefix)
	case "endsWith":
		return q.compare([]ast.Expr{c.Target(), args[0]}, strings.HasSuffix)
	case "contains":
		return q.compare([]ast.Expr{c.Target(), args[0]}, strings.Contains)
	}
	return nil
}

// join is a conjunction, which one "no" decides, or a disjunction, which one "yes" decides.
func (q quickly) join(args []ast.Expr, decides verdict) quick {
	var known []quick
	open := false // a part is not known at all
	for _, arg := range args {
		if x := q.truth(arg); x != nil {
			known = append(known, x)
		} else {
			open = true
		}
	}
	if len(known) == 0 {
		return nil
	}
	return func(v *view) verdict {
		all := decides.not()
		if open {
			all = unsure
		}
		for _, x := range known {
			part := x(v)
			if part == decides {
				return decides
			}
			all = max(all, part) // no and yes come before failed, and failed before unsure
		}
		return all
	}
}

func (q quickly) compare(args []ast.Expr, how func(a, b string) bool) quick {
	a, b := q.text(args[0]), q.text(args[1])
	if a == nil || b == nil {
		return nil
	}
	if args[1].Kind() == ast.LiteralKind { // mostly
		with := string(args[1].AsLiteral().(types.String))
		return func(v *view) verdict {
			if x, ok := a(v); ok {
				return is(how(x, with))
			}
			return failed
		}
	}
	return func(v *view) verdict {
		x, ok := a(v)
		y, fine := b(v)
		if !ok || !fine {
			return failed
		}
		return is(how(x, y))
	}
}

// within is a text in a list: one of the variables, or one written out.
func (q quickly) within(item, list ast.Expr) quick {
	text := q.text(item)
	if text == nil {
		return nil
	}
	among := func(of func(*view) []string) quick {
		return func(v *view) verdict {
			x, ok := text(v)
			if !ok {
				return failed
			}
			return is(slices.Contains(of(v), x))
		}
	}
	switch q.variable(list) {
	case "requester.groups":
		return among(func(v *view) []string { return v.inGroups })
	case "requester.teams":
		return among(func(v *view) []string { return v.inTeams })
	case "requester.roles":
		return among(func(v *view) []string { return v.hasRoles })
	case "keys":
		return among(func(v *view) []string { return v.ask.Keys })
	}
	if list.Kind() != ast.ListKind {
		return nil
	}
	var written []string
	for _, e := range list.AsList().Elements() {
		if e.Kind() != ast.LiteralKind || e.AsLiteral().Type() != types.StringType {
			return nil
		}
		written = append(written, string(e.AsLiteral().(types.String)))
	}
	return among(func(*view) []string { return written })
}

func (q quickly) text(e ast.Expr) textual {
	switch e.Kind() {
	case ast.LiteralKind:
		if s, ok := e.AsLiteral().(types.String); ok {
			return func(*view) (string, bool) { return string(s), true }
		}
	case ast.CallKind:
		c := e.AsCall()
		if c.FunctionName() == operators.Index && q.variable(c.Args()[0]) == "secret.labels" && c.Args()[1].Kind() == ast.LiteralKind {
			if name, ok := c.Args()[1].AsLiteral().(types.String); ok {
				return label(string(name))
			}
		}
	case ast.IdentKind, ast.SelectKind:
		if of, ok := texts[q.variable(e)]; ok {
			return func(v *view) (string, bool) { return of(v), true }
		}
		if e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly() && q.variable(e.AsSelect().Operand()) == "secret.labels" {
			return label(e.AsSelect().FieldName())
		}
	}
	return nil
}

func label(name string) textual {
	return func(v *view) (string, bool) {
		value, ok := v.ask.Labels[name]
		if !ok {
			v.missing = name
		}
		return value, ok
	}
}

// texts are the variables that are texts.
var texts = map[string]func(*view) string{
	"requester.id":            func(v *view) string { return string(v.user) },
	"operation":               func(v *view) string { return string(v.ask.Operation) },
	"secret.provider":         func(v *view) string { return v.ask.Provider },
	"secret.cluster":          func(v *view) string { return v.ask.Cluster },
	"secret.connection":       func(v *view) string { return string(v.ask.Connection) },
	"secret.ref":              func(v *view) string { return v.ask.Ref },
	"secret.project":          func(v *view) string { return v.place.Project },
	"secret.environment":      func(v *view) string { return v.place.Environment },
	"secret.environment_kind": func(v *view) string { return string(v.place.Kind) },
	"secret.team":             func(v *view) string { return v.place.Team },
	"secret.owner":            func(v *view) string { return v.place.Owner },
}

func is(b bool) verdict {
	if b {
		return yes
	}
	return no
}

func (x verdict) not() verdict {
	switch x {
	case no:
		return yes
	case yes:
		return no
	}
	return x
}
