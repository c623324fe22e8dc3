package aws_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
)

func labelled(value string, labels map[string]string) agent.Bundle {
	b := providertest.Bundle(value)
	b.Labels = labels
	return b
}

func TestTagsOfAWSItselfStay(t *testing.T) {
	server := start(t)
	p, ref := open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	version, err := p.Write(t.Context(), ref, labelled("one", map[string]string{"team": "payments", "old": "1"}), "")
	if err != nil {
		t.Fatal(err)
	}
	const stack = "aws:cloudformation:stack-name"
	server.SetTag("prod/db", stack, "core")
	b, err := p.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"team": "payments", "old": "1", stack: "core"}, b.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	for page, err := range p.List(t.Context(), "") {
		if err != nil || len(page.Secrets) != 1 || page.Secrets[0].Labels[stack] != "core" {
			t.Errorf("listed %v, %v", page.Secrets, err)
		}
	}
	// What was read goes back as it is, and other labels leave AWS's own alone.
	for _, want := range []map[string]string{b.Labels, {"team": "search"}} {
		if version, err = p.Write(t.Context(), ref, labelled("two", want), version); err != nil {
			t.Fatal(err)
		}
		want = maps.Clone(want)
		want[stack] = "core"
		if b, err = p.Read(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.Labels); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
	}
	for name, labels := range map[string]map[string]string{"another value": {stack: "mine"}, "another name": {"aws:mine": "x"}, "in capitals": {"AWS:mine": "x"}} {
		if got, err := p.Write(t.Context(), ref, labelled(canary, labels), version); !errors.Is(err, agent.ErrNotBundle) || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, now := providertest.Value(t, p, ref); got != "two" || now != version {
		t.Errorf("value %q of version %q after refused labels", got, now)
	}
}

func TestLabelsThatAWSWouldRefuseStopTheWrite(t *testing.T) {
	server := start(t)
	p, ref := open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprint(i)] = "x"
	}
	for name, labels := range map[string]map[string]string{
		"too many": many, "no name": {"": "x"}, "long name": {strings.Repeat("ü", 129): "x"}, "long value": {"x": strings.Repeat("ü", 257)},
		"other characters": {"a,b": "x"}, "not UTF-8": {"x": "\xff"}, "of AWS": {"aws:x": "y"},
	} {
		version, err := p.Write(t.Context(), ref, labelled(canary, labels), "")
		if version != "" || !errors.Is(err, agent.ErrNotBundle) && !errors.Is(err, agent.ErrTooLarge) {
			t.Errorf("%s: %q, %v", name, version, err)
		}
	}
	if n := server.Calls(create); n != 0 {
		t.Errorf("%d secrets were created", n)
	}
	delete(many, "0")
	many[strings.Repeat("ü", 128)], many["empty"] = strings.Repeat("ü", 256), ""
	delete(many, "1")
	delete(many, "2")
	version, err := p.Write(t.Context(), ref, labelled("one", many), "")
	if err != nil {
		t.Fatal(err)
	}
	others := map[string]string{}
	for i := range 50 {
		others[fmt.Sprint("other ", i)] = "x"
	}
	if _, err := p.Write(t.Context(), ref, labelled("two", others), version); err != nil {
		t.Errorf("50 labels in the place of 50: %v", err)
	}
	if b, err := p.Read(t.Context(), ref); err != nil || cmp.Diff(others, b.Labels) != "" {
		t.Errorf("read: %v, %d labels", err, len(b.Labels))
	}
}

func TestValuesAreStoredAlsoWhereLabelsAreNot(t *testing.T) {
	server := start(t)
	p, ref := open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	first := providertest.Put(t, p, ref, "one", "")
	server.Deny("TagResource", true)
	version, err := p.Write(t.Context(), ref, labelled("two", map[string]string{"team": "a"}), first)
	if version == "" || !errors.Is(err, agent.ErrForbidden) || !strings.Contains(err.Error(), "the labels are not") {
		t.Errorf("write without the right to tag: %q, %v", version, err)
	}
	if got, now := providertest.Value(t, p, ref); got != "two" || now != version {
		t.Errorf("value %q of version %q, written %q", got, now, version)
	}
	// Labels that are there already need no right.
	if _, err := p.Write(t.Context(), ref, labelled("three", map[string]string{}), version); err != nil {
		t.Errorf("write with the labels that it has: %v", err)
	}
}
