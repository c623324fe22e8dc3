package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/common/types"
	"pgregory.net/rapid"

	"secretsbridge/events"
)

func viewOf(labels map[string]string) *view {
	g := Compile(1, map[events.ObjectRef]events.Object{
		{Kind: events.KindTeam, Name: "shop"}:    {Kind: events.KindTeam, Name: "shop", Spec: events.Team{Members: []events.UserID{"u_1"}}},
		{Kind: events.KindGroup, Name: "oncall"}: {Kind: events.KindGroup, Name: "oncall", Spec: events.Group{Members: []events.UserID{"u_1"}}},
	})
	p := g.Powers(Subject{User: "u_1", Grants: []Held{{Grant: events.Grant{Role: RoleDeveloper}}}})
	a := &Ask{
		Powers: p, Operation: events.OperationRead, Connection: "main", Provider: "vault", Cluster: "east", Ref: "kv/app/db", Labels: labels,
		Owner: "shop", Keys: []string{"user", "password"}, Now: time.Date(2026, 7, 3, 22, 30, 0, 0, time.FixedZone("", 3600)),
	}
	return newView(a, p, Spot{Connection: "main", Ref: "kv/app/db", Place: events.Place{
		Project: "web", Environment: "live", Kind: events.Production, Team: "shop", Owner: "shop",
	}})
}

func TestConditionsKnowTheAsk(t *testing.T) {
	v := viewOf(map[string]string{"tier": "gold", "app.kubernetes.io/name": "db"})
	for text, want := range map[string]bool{
		`requester.id == "u_1" && !requester.machine`:                           true,
		`requester.groups == ["oncall"] && requester.teams == ["shop"]`:         true,
		`"developer" in requester.roles && !("approver" in requester.roles)`:    true,
		`operation == "read" && !create`:                                        true,
		`secret.provider == "vault" && secret.cluster == "east"`:                true,
		`secret.connection == "main" && secret.ref.matches("^kv/[a-z]+/db$")`:   true,
		`secret.labels["app.kubernetes.io/name"] == "db"`:                       true,
		`secret.labels.all(k, k != "tier" || secret.labels[k] == "gold")`:       true,
		`secret.project == "web" && secret.environment == "live"`:               true,
		`secret.environment_kind == "prod" && secret.team == "shop"`:            true,
		`secret.owner in requester.teams`:                                       true,
		`keys.exists(k, k == "password") && size(keys) == 2`:                    true,
		`keys.exists_one(k, k.startsWith("p"))`:                                 true,
		`now.getHours() == 21 && now.getDayOfWeek() == 5`:                       true, // a Friday, in UTC
		`now.getHours("Europe/Berlin") == 23 && now.getMinutes("+05:30") == 0`:  true, // summer time
		`now.getDate("Asia/Tokyo") == 4 && now.getDayOfWeek("Asia/Tokyo") == 6`: true,
		`now.getMonth("UTC") == 6 && now.getSeconds("Europe/Paris") == 0`:       true,
		`now.getFullYear("America/New_York") == 2026`:                           true,
		`now < timestamp("2026-07-04T00:00:00Z") && now - duration("1h") < now`: true,
		`has(secret.labels.tier) && !has(secret.labels.owner)`:                  true,
		`has(secret.labels.owner) && secret.labels.owner == "x"`:                false,
		`secret.labels.tier in ["silver", "tin"]`:                               false,
		`secret.ref.contains("..") || secret.ref.endsWith("/root")`:             false,
		`create ? keys.all(k, k != "root") : false`:                             false,
	} {
		c, err := compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := c.holds(v); got != want || err != nil {
			t.Errorf("%s is %v (%v)", text, got, err)
		}
	}
}

func TestConditionsAreRefusedWhenSaved(t *testing.T) {
	for text, because := range map[string]string{
		``:                                 "",
		`requester.name == "x"`:            "requester.name",
		`requestor.id == "x"`:              "there are requester.id",
		`secret.value == "x"`:              "undeclared",
		`request.mfa`:                      "undeclared",
		`mfa == true`:                      "mfa",
		`requester == "x"`:                 "undeclared",
		`secret.labels.tier`:               "neither true nor false",
		`dyn(true)`:                        "neither true nor false",
		`"x"`:                              "neither true nor false",
		`operation == 1`:                   "no matching overload",
		`operation == "read" &&`:           "Syntax error",
		`keys.map(k, k + k) == keys`:       "undeclared",
		`keys.filter(k, k == "x") == keys`: "undeclared",
		`now.getHours("Mars/Base") == 1`:   "no such zone",
		`now.getHours("Local") == 1`:       "no such zone",
		`now.getHours("+99:00") == 1`:      "no such zone",
		`now.getHours(secret.ref) == 1`:    "written out",
		`secret.ref.matches("(")`:          "invalid matches",
		`now < timestamp("yesterday")`:     "",
		`keys.all(a, keys.all(b, a == b))`: "nest",
		`keys.all(a, requester.groups.exists(g, g.matches(a)))`:               "nest",
		`requester.groups.all(g, secret.ref.matches("^" + g + secret.owner))`: "cost",
		strings.Repeat("(", 100) + "create" + strings.Repeat(")", 100):        "",
		`create || "` + strings.Repeat("x", MaxCondition) + `" == operation`:  "bytes",
		strings.Repeat("create || ", 200) + `create`:                          "",
		strings.TrimSuffix(strings.Repeat(`keys.all(k,k!="")&&`, 100), "&&"):  "limit",
	} {
		c, err := compile(text)
		if text == strings.Repeat("create || ", 200)+`create` {
			if err != nil {
				t.Errorf("a long plain condition: %v", err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%.60s is taken: %v", text, c.text)
		} else if !strings.Contains(err.Error(), because) {
			t.Errorf("%.60s: %v; want %q", text, err, because)
		}
	}
}

func TestWhatCannotBeAnsweredIsAnError(t *testing.T) {
	v := viewOf(nil)
	for _, text := range []string{`secret.labels["tier"] == "gold"`, `secret.labels.tier != "gold"`, `!(secret.labels.tier == "x")`, `int(secret.ref) > 1`} {
		c, err := compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.holds(v); err == nil {
			t.Errorf("%s is %v", text, got)
		}
	}
}

func TestACostBeyondTheEstimateEndsTheCondition(t *testing.T) {
	c, err := compile(`secret.labels.all(k, k != "x")`)
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for i := range 100_000 {
		labels[fmt.Sprintf("label-%d", i)] = ""
	}
	if got, err := c.holds(viewOf(labels)); err == nil {
		t.Errorf("it took all the cost and said %v", got)
	}
}

// expression draws a condition of the kinds that are answered quickly, mixed with others.
func expression(t *rapid.T, depth int) string {
	leaf := rapid.SampledFrom([]string{
		`create`, `requester.machine`, `operation == "read"`, `operation != "patch"`, `"patch" == operation`, `secret.labels["tier"] == "gold"`,
		`secret.labels.tier != "gold"`, `secret.labels["app"] == secret.labels["tier"]`, `has(secret.labels.tier)`, `"oncall" in requester.groups`,
		`secret.owner in requester.teams`, `"admin" in requester.roles`, `"user" in keys`, `secret.labels["app"] in keys`, `operation in ["read", "x"]`,
		`secret.ref.startsWith("kv/")`, `secret.labels["app"].endsWith("b")`, `secret.ref.contains(secret.owner)`, `size(keys) > 1`,
		`secret.labels.exists(k, secret.labels[k] == "gold")`, `now.getHours() > 12`, `int(secret.labels["app"]) == 1`, `true`, `false`,
		`secret.ref.matches("^kv")`, `secret.labels.exists(operation, operation == "tier")`,
	})
	if depth == 0 {
		return leaf.Draw(t, "leaf")
	}
	a, b := expression(t, depth-1), expression(t, depth-1)
	switch rapid.IntRange(0, 5).Draw(t, "how") {
	case 0:
		return a
	case 1:
		return "!(" + a + ")"
	case 2:
		return "((" + a + ") == (" + b + "))"
	case 3, 4:
		return "((" + a + ") && (" + b + "))"
	}
	return "((" + a + ") || (" + b + "))"
}

func TestQuickAnswersAreThoseOfTheLanguage(t *testing.T) {
	sure := 0
	rapid.Check(t, func(t *rapid.T) {
		text := expression(t, rapid.IntRange(0, 3).Draw(t, "depth"))
		c, err := compile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		labels := map[string]string{}
		for _, name := range []string{"tier", "app"} {
			if value := rapid.SampledFrom([]string{"", "gold", "db", "user"}).Draw(t, name); value != "" {
				labels[name] = value
			}
		}
		v := viewOf(labels)
		v.machine = rapid.Bool().Draw(t, "machine")
		v.ask.Create = rapid.Bool().Draw(t, "create")
		if c.quick == nil {
			return
		}
		known := c.quick(v)
		if known == unsure {
			return
		}
		sure++
		out, _, err := c.plain.Eval(v)
		if (err != nil) != (known == failed) || (out == types.True) != (known == yes) {
			t.Fatalf("%s with %v: quickly %v, by the language %v, %v", text, labels, known, out, err)
		}
	})
	if sure < 20 && !testing.Short() { // rapid draws a fifth with -short
		t.Errorf("only %d were sure", sure)
	}
}

// FuzzCondition: whatever is typed is refused, or answers true or false or an error, within
// the limit.
func FuzzCondition(f *testing.F) {
	for _, seed := range []string{`create`, `keys.exists(k, k == "x")`, `secret.labels["a"] == "b"`, `1`, `dyn(true)`, `"a" in requester.groups && now.getHours("UTC") < 5`, `[[create]][0][0]`, `{"a": create}["a"]`, `type(create) == bool`, `optional.none()`} {
		f.Add(seed)
	}
	v := viewOf(map[string]string{"tier": "gold"})
	f.Fuzz(func(t *testing.T, text string) {
		c, err := compile(text)
		if err != nil {
			return
		}
		out, _, err := c.plain.Eval(v)
		if err != nil {
			if quickly, err := c.holds(v); err == nil {
				t.Errorf("%q fails, or is %v", text, quickly)
			}
			return
		}
		if _, ok := out.(types.Bool); !ok {
			t.Errorf("%q says %v", text, out)
		}
		if quickly, err := c.holds(v); err != nil || quickly != (out == types.True) {
			t.Errorf("%q is %v, or %v (%v)", text, out, quickly, err)
		}
		if out, _, err = c.meter.Eval(v); err != nil {
			t.Errorf("%q costs more than was estimated: %v, %v", text, out, err)
		}
	})
}
