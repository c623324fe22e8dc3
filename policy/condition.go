package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // so that a zone means the same on every host

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"secretsbridge/events"
)

// Bounds of a condition. A unit of cost is about one operation, or ten characters looked at:
// ten thousand take well under a millisecond.
const (
	MaxCondition     = 2048   // bytes of text
	MaxConditionCost = 10_000 // at most, over all inputs within the bounds below
	maxNodes         = 1000   // of the tree, macros expanded
	maxDepth         = 64
	maxProgram       = 500 // instructions of a regular expression

	// What a condition looks at is at most this long. Beyond it the cost is counted while the
	// condition runs, and it ends at MaxConditionCost.
	maxNames = 500 // groups, teams or roles of one person
	maxFew   = 64  // keys, and labels
	maxName  = 64  // bytes of a name that somebody chose
	maxText  = events.MaxLabelValue
)

// A condition is the When of a rule, ready to run.
type condition struct {
	text  string
	quick quick       // what can be known without a program; nil: nothing
	plain cel.Program // for inputs within the bounds: the estimate holds
	meter cel.Program // counts, and ends at the limit
}

// variables are all that a condition knows, with their types. A name with a dot is one
// variable: what is not listed does not exist.
var variables = []variable{
	{"requester.id", cel.StringType, 0, maxName},
	{"requester.groups", cel.ListType(cel.StringType), maxNames, maxName},
	{"requester.teams", cel.ListType(cel.StringType), maxNames, maxName},
	{"requester.roles", cel.ListType(cel.StringType), maxNames, maxName},
	{"requester.machine", cel.BoolType, 0, 0},
	{"operation", cel.StringType, 0, maxName},
	{"create", cel.BoolType, 0, 0},
	{"secret.provider", cel.StringType, 0, maxName},
	{"secret.cluster", cel.StringType, 0, maxName},
	{"secret.connection", cel.StringType, 0, maxName},
	{"secret.ref", cel.StringType, 0, maxPrefix},
	{"secret.labels", cel.MapType(cel.StringType, cel.StringType), maxFew, maxText},
	{"secret.project", cel.StringType, 0, maxName},
	{"secret.environment", cel.StringType, 0, maxName},
	{"secret.environment_kind", cel.StringType, 0, maxName},
	{"secret.team", cel.StringType, 0, maxName},
	{"secret.owner", cel.StringType, 0, maxKey},
	{"keys", cel.ListType(cel.StringType), maxFew, maxKey},
	{"now", cel.TimestampType, 0, 0},
}

type variable struct {
	name  string
	is    *cel.Type
	items uint64 // of a list or a map, at most
	bytes uint64 // of a text, or of each item
}

// environment is made once: the standard functions, four macros, and zones that come with the
// binary. map and filter are left out: they build lists, and lists of lists.
var environment = sync.OnceValue(func() *cel.Env {
	options := []cel.EnvOption{
		cel.ClearMacros(), cel.Macros(cel.HasMacro, cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro),
		cel.ParserExpressionSizeLimit(MaxCondition), cel.ParserRecursionLimit(maxDepth), cel.ParserErrorRecoveryLimit(4),
		cel.ExpressionNodeLimit(maxNodes), cel.RegexProgramSizeLimit(maxProgram),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(), cel.ValidateComprehensionNestingLimit(1)),
	}
	for _, v := range variables {
		options = append(options, cel.Variable(v.name, v.is))
	}
	for function, overload := range clocks {
		options = append(options, cel.Function(function, cel.MemberOverload(overload.zone,
			[]*cel.Type{cel.TimestampType, cel.StringType}, cel.IntType, cel.BinaryBinding(inZone(function)))))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		panic(fmt.Sprintf("policy: the language of conditions does not hold together: %v", err)) // a mistake in this file
	}
	return env
})

// What can be wrong with a condition.
var (
	errTooLong     = fmt.Errorf("it has more than %d bytes; make several rules", MaxCondition)
	errNotBool     = errors.New("it says neither true nor false; compare with something")
	errTooCostly   = fmt.Errorf("it could take more than %d units of cost; look at fewer lists, or at less of them", MaxConditionCost)
	errZone        = errors.New(`a zone is written out, such as now.getHours("Europe/Berlin")`)
	errUnknownZone = errors.New("there is no such zone")
)

// compile makes a condition, or says what is wrong with it in words for its author.
func compile(text string) (*condition, error) {
	if len(text) > MaxCondition {
		return nil, errTooLong
	}
	env := environment()
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, told(issues)
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, errNotBool
	}
	if err := zones(checked.NativeRep()); err != nil {
		return nil, err
	}
	estimate, err := env.EstimateCost(checked, inputs{})
	if err != nil {
		return nil, err
	}
	if estimate.Max > MaxConditionCost {
		return nil, errTooCostly
	}
	c := &condition{text: text, quick: hasten(checked.NativeRep(), checked.NativeRep().Expr())}
	if c.plain, err = env.Program(checked, cel.EvalOptions(cel.OptOptimize)); err != nil {
		return nil, err
	}
	c.meter, err = env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxConditionCost))
	return c, err
}

// told is the first thing wrong, on one line, with what there is instead.
func told(issues *cel.Issues) error {
	first := issues.Errors()[0]
	message, _, _ := strings.Cut(first.Message, "\n")
	if strings.Contains(message, "undeclared reference") {
		names := make([]string, len(variables))
		for i, v := range variables {
			names[i] = v.name
		}
		message += "; there are " + strings.Join(names, ", ")
	}
	return fmt.Errorf("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, message)
}

// holds runs the condition. An error is of the inputs: a label that is missing, or the cost.
func (c *condition) holds(v *view) (bool, error) {
	if c.quick != nil {
		switch c.quick(v) {
		case yes:
			return true, nil
		case no:
			return false, nil
		case failed:
			return false, missing(v.missing)
		}
	}
	program := c.plain
	if v.long {
		program = c.meter
	}
	out, _, err := program.Eval(v)
	if err != nil {
		return false, err
	}
	return out == types.True, nil
}

// missing is a label that a condition asks for and that is not there, in the words of the
// language.
type missing string

func (m missing) Error() string { return "no such key: " + string(m) }

// conditions remembers what was compiled, since every change of the governance comes with all
// the old conditions again. It forgets everything when it is full.
var conditions = struct {
	sync.Mutex
	known map[string]compiled
}{known: map[string]compiled{}}

type compiled struct {
	condition *condition
	err       error
}

const maxRemembered = 4096

func conditionOf(text string) (*condition, error) {
	conditions.Lock()
	c, ok := conditions.known[text]
	conditions.Unlock()
	if ok {
		return c.condition, c.err
	}
	c.condition, c.err = compile(text)
	conditions.Lock()
	defer conditions.Unlock()
	if len(conditions.known) >= maxRemembered {
		clear(conditions.known)
	}
	conditions.known[text] = c
	return c.condition, c.err
}

// inputs tell the estimate how long inputs are.
type inputs struct{}

func (inputs) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	path := node.Path()
	if len(path) == 0 {
		return nil
	}
	i := slices.IndexFunc(variables, func(v variable) bool { return v.name == path[0] })
	switch {
	case i < 0:
		return nil
	case len(path) == 1 && variables[i].items > 0:
		return &cost.SizeEstimate{Max: variables[i].items}
	}
	return &cost.SizeEstimate{Max: variables[i].bytes}
}

func (inputs) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// clocks are the functions that read a clock, with their overloads in UTC and in a zone.
var clocks = map[string]struct{ utc, zone string }{
	"getFullYear":     {overloads.TimestampToYear, overloads.TimestampToYearWithTz},
	"getMonth":        {overloads.TimestampToMonth, overloads.TimestampToMonthWithTz},
	"getDayOfYear":    {overloads.TimestampToDayOfYear, overloads.TimestampToDayOfYearWithTz},
	"getDayOfMonth":   {overloads.TimestampToDayOfMonthZeroBased, overloads.TimestampToDayOfMonthZeroBasedWithTz},
	"getDate":         {overloads.TimestampToDayOfMonthOneBased, overloads.TimestampToDayOfMonthOneBasedWithTz},
	"getDayOfWeek":    {overloads.TimestampToDayOfWeek, overloads.TimestampToDayOfWeekWithTz},
	"getHours":        {overloads.TimestampToHours, overloads.TimestampToHoursWithTz},
	"getMinutes":      {overloads.TimestampToMinutes, overloads.TimestampToMinutesWithTz},
	"getSeconds":      {overloads.TimestampToSeconds, overloads.TimestampToSecondsWithTz},
	"getMilliseconds": {overloads.TimestampToMilliseconds, overloads.TimestampToMillisecondsWithTz},
}

// inZone reads a clock in a zone. The library loads the zone from disk each time; here it is
// loaded once.
func inZone(function string) func(ref.Val, ref.Val) ref.Val {
	overload := clocks[function]
	return func(at, zone ref.Val) ref.Val {
		name := string(zone.(types.String))
		if strings.Contains(name, ":") {
			return at.(types.Timestamp).Receive(function, overload.zone, []ref.Val{zone})
		}
		location, err := locationOf(name)
		if err != nil {
			return types.WrapErr(err)
		}
		return types.Timestamp{Time: at.(types.Timestamp).In(location)}.Receive(function, overload.utc, nil)
	}
}

var locations sync.Map // name → *time.Location; only names that exist

func locationOf(name string) (*time.Location, error) {
	if known, ok := locations.Load(name); ok {
		return known.(*time.Location), nil
	}
	if name == "" || name == "Local" { // of whom?
		return nil, fmt.Errorf("%w: %q", errUnknownZone, name)
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %q", errUnknownZone, name)
	}
	locations.Store(name, location)
	return location, nil
}

// zones refuses a zone that is not written out, or that does not exist.
func zones(tree *ast.AST) error {
	var found error
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if found != nil || e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 1 {
			return
		}
		if _, clock := clocks[e.AsCall().FunctionName()]; !clock {
			return
		}
		zone := e.AsCall().Args()[0]
		if zone.Kind() != ast.LiteralKind {
			found = errZone
			return
		}
		out := inZone("getHours")(types.Timestamp{Time: time.Unix(0, 0)}, zone.AsLiteral())
		if types.IsError(out) {
			found = fmt.Errorf("%w: %q", errUnknownZone, zone.AsLiteral().Value())
		}
	}))
	return found
}
