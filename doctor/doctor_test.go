package doctor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/doctor"
)

func exam() doctor.Exam {
	return doctor.Exam{Program: "test", Version: "1.2.3", Limit: 5 * time.Second, Now: time.Now}
}

func fixed(s doctor.Seen) func(context.Context) doctor.Seen {
	return func(context.Context) doctor.Seen { return s }
}

// TestAllChecksAreMade has one check break, one hang, and one end with its context: the others are
// told all the same, in their order.
func TestAllChecksAreMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		began := time.Now()
		r := exam().Look(t.Context(), []doctor.Check{
			{Name: "first", Look: fixed(doctor.Fine("it is %d", 1))},
			{Name: "breaks", Look: func(context.Context) doctor.Seen { var m map[string]int; m["x"] = 1; return doctor.Seen{} }},
			{Name: "hangs", Look: func(context.Context) doctor.Seen { <-forever; return doctor.Fine("") }},
			{Name: "waits", Look: func(ctx context.Context) doctor.Seen {
				<-ctx.Done()
				return doctor.Unsure("wait", "%v", ctx.Err())
			}},
			{Name: "last", Look: fixed(doctor.None("there is none"))},
		})
		close(forever)
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("it took %s", took)
		}
		want := []struct {
			name  string
			state doctor.State
			says  string
		}{
			{"first", doctor.OK, "it is 1"}, {"breaks", doctor.Unknown, "doctor_test.go:"}, {"hangs", doctor.Unknown, "did not end within 5s"},
			{"waits", doctor.Unknown, "deadline exceeded"}, {"last", doctor.NotApplicable, "there is none"},
		}
		if len(r.Findings) != len(want) {
			t.Fatalf("%+v", r)
		}
		for i, w := range want {
			if f := r.Findings[i]; f.Check != w.name || f.State != w.state || !strings.Contains(f.Seen, w.says) {
				t.Errorf("%+v, want %+v", f, w)
			}
		}
		if r.Worst != doctor.Unknown || !errors.Is(r.Err(), doctor.ErrDoubtful) {
			t.Errorf("%s, %v", r.Worst, r.Err())
		}
	})
}

func TestTheWorstDecides(t *testing.T) {
	for _, c := range []struct {
		states []doctor.State
		want   error
	}{
		{nil, nil},
		{[]doctor.State{doctor.OK, doctor.NotApplicable}, nil},
		{[]doctor.State{doctor.Unknown, doctor.OK}, doctor.ErrDoubtful},
		{[]doctor.State{doctor.Unknown, doctor.Warning}, doctor.ErrDoubtful},
		{[]doctor.State{doctor.Failed, doctor.Warning, doctor.Unknown}, doctor.ErrFailed},
	} {
		var checks []doctor.Check
		for _, s := range c.states {
			checks = append(checks, doctor.Check{Name: string(s), Look: fixed(doctor.Seen{State: s})})
		}
		if err := exam().Look(t.Context(), checks).Err(); err != c.want {
			t.Errorf("%v: %v, want %v", c.states, err, c.want)
		}
	}
}

// TestReportsAreForPeopleAndPrograms writes both forms: one line each, without what is hidden, and not
// too long.
func TestReportsAreForPeopleAndPrograms(t *testing.T) {
	e := exam()
	e.Scrub = func(s string) string { return strings.ReplaceAll(s, "hush5b1", "[hidden]") }
	r := e.Look(t.Context(), []doctor.Check{
		{Name: "a", Look: fixed(doctor.Fine("all is well"))},
		{Name: "longer", Look: fixed(doctor.Fail("set hush5b1", "the password\nhush5b1 <is> %s", strings.Repeat("long ", 1000)))},
	})
	var text, doc bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteJSON(&doc)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text.String(), "\n"); n != 5 || strings.Contains(text.String()+doc.String(), "hush5b1") || text.Len() > 3000 {
		t.Errorf("%d lines, %d bytes: %s", n, text.Len(), &text)
	}
	for _, want := range []string{"ok       a       all is well\n", "FAILED   longer  the password; [hidden] <is> long", "next: set [hidden]\n", "\n1 failed, 0 warnings, 0 unknown, 1 ok, 0 not applicable\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in %s", want, &text)
		}
	}
	var back doctor.Report
	if err := json.Unmarshal(doc.Bytes(), &back); err != nil || back.Format != doctor.Format || back.Version != "1.2.3" || back.Worst != doctor.Failed || len(back.Findings) != 2 || back.Findings[1].Next != "set [hidden]" {
		t.Errorf("%+v, %v", back, err)
	}
}
