package gcp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
)

func TestLabelsThatGoogleWouldRefuseStopTheWrite(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config())
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprintf("k%d", i)] = "x"
	}
	for name, labels := range map[string]map[string]string{
		"too many": many, "no name": {"": "x"}, "upper case": {"Team": "x"}, "upper case in a value": {"team": "X"},
		"a digit first": {"1a": "x"}, "a dot": {"a.b": "x"}, "a space": {"a": "x y"}, "a long name": {strings.Repeat("x", 64): "x"},
		"a long value": {"x": strings.Repeat("x", 64)}, "many bytes": {"x": strings.Repeat("日", 43)}, "not UTF-8": {"x": "\xff"},
	} {
		b := providertest.Bundle(canary)
		b.Labels = labels
		if version, err := p.Write(t.Context(), providertest.Ref(t, "db"), b, ""); err == nil || version != "" {
			t.Errorf("%s: %q, %v", name, version, err)
		}
	}
	if l.Calls("CreateSecret")+l.Calls("AddSecretVersion") != 0 {
		t.Error("something was stored")
	}
	b := providertest.Bundle(canary)
	b.Labels = map[string]string{"größe_1-a": "", "x": strings.Repeat("日", 42), strings.Repeat("y", 63): strings.Repeat("0", 63)}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), b, ""); err != nil {
		t.Errorf("labels at the edge of what Google takes: %v", err)
	}
}

// TestWhoChangesASecretWhileItIsLabelled has somebody else change the secret between
// reading its etag and writing its labels.
func TestWhoChangesASecretWhileItIsLabelled(t *testing.T) {
	for _, c := range []struct {
		times int
		want  error
	}{{1, nil}, {2, nil}, {99, agent.ErrUnavailable}} {
		l := newLab(t)
		l.add("db", `{"k":"one"}`)
		changed, inside := 0, false
		l.Server.Before = func(method string, _ int) {
			if method != "UpdateSecret" || inside || changed == c.times {
				return
			}
			changed++
			inside = true
			defer func() { inside = false }()
			_, err := l.UpdateSecret(context.Background(), &secretmanagerpb.UpdateSecretRequest{
				Secret:     &secretmanagerpb.Secret{Name: name("db"), Labels: map[string]string{"theirs": fmt.Sprint(changed)}},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels"}},
			})
			if err != nil {
				t.Error(err)
			}
		}
		p := open(t, l.config())
		b := providertest.Bundle("two")
		b.Labels = map[string]string{"ours": "1"}
		version, err := p.Write(t.Context(), providertest.Ref(t, "db"), b, "1")
		if !errors.Is(err, c.want) || version != "2" {
			t.Errorf("%d times: version %q, %v", c.times, version, err)
		}
		l.Server.Before = nil
		got, err := p.Read(t.Context(), providertest.Ref(t, "db"))
		if err != nil || (got.Labels["ours"] == "1" && len(got.Labels) == 1) != (c.want == nil) {
			t.Errorf("%d times: labels %v, %v", c.times, got.Labels, err)
		}
	}
}

func TestValuesWithoutTheRightToLabel(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"one"}`)
	l.Deny("UpdateSecret", true)
	p := open(t, l.config())
	b := providertest.Bundle(canary)
	b.Labels = map[string]string{"team": "a"}
	version, err := p.Write(t.Context(), providertest.Ref(t, "db"), b, "1")
	if version != "2" || !errors.Is(err, agent.ErrForbidden) || !strings.Contains(err.Error(), "the labels are not") {
		t.Errorf("version %q, %v", version, err)
	}
	b.Labels = nil
	if version, err = p.Write(t.Context(), providertest.Ref(t, "db"), b, "2"); version != "3" || err != nil {
		t.Errorf("without labels: version %q, %v", version, err)
	}
}
