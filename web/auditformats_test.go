package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/siem"
)

// TestAnExportComesInTheFormatsOfOthers compares each line with what package siem makes of the
// stored bytes.
func TestAnExportComesInTheFormatsOfOthers(t *testing.T) {
	t.Parallel()
	r := busy(t)
	var want []siem.Record
	last, err := r.log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := events.Seq(1); seq <= last; seq++ {
		c, err := r.log.At(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all, err := siem.Records(seq, c.Raw)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, all...)
	}
	for _, f := range siem.Formats {
		got := r.call(r.admin, "GET", "/audit/export?format="+string(f), nil, r.newest()).wants(t, 200, "")
		kind, name := "application/x-ndjson", "."+string(f)+`.jsonl"`
		if f == siem.CEF {
			kind, name = "text/plain; charset=utf-8", `.cef"`
		}
		if got.Header.Get("Content-Type") != kind || !strings.HasSuffix(got.Header.Get("Content-Disposition"), name) {
			t.Errorf("%s: %v", f, got.Header)
		}
		lines := strings.SplitAfter(string(got.body), "\n")
		if len(lines) < len(want) {
			t.Fatalf("%s has %d lines, want %d", f, len(lines), len(want))
		}
		for i, record := range want {
			line, err := f.Append(nil, record, 0)
			if err != nil {
				t.Fatal(err)
			}
			if lines[i] != string(line)+"\n" {
				t.Fatalf("%s, line %d:\n%s\nwant\n%s", f, i, lines[i], line)
			}
		}
		if strings.Contains(string(got.body), r.developer.Name) || strings.Contains(string(got.body), r.developer.Email) {
			t.Errorf("%s names people", f)
		}
		one := r.call(r.admin, "GET", fmt.Sprintf("/audit/export?format=%s&after=%d.%d&limit=1", f, want[2].Seq, want[2].Place), nil).wants(t, 200, "")
		if seq, place, err := f.At([]byte(strings.TrimSuffix(string(one.body), "\n"))); err != nil || seq != want[3].Seq || place != want[3].Place {
			t.Errorf("%s goes on with %d.%d, %v", f, seq, place, err)
		}
	}
	plain := r.call(r.admin, "GET", "/audit/export", nil).wants(t, 200, "")
	told := r.call(r.admin, "GET", "/audit/export?format=event", nil).wants(t, 200, "")
	if !strings.HasPrefix(string(told.body), string(plain.body)) {
		t.Error("format=event is not what comes without it")
	}
	for _, q := range []string{"format=", "format=leef", "format=CEF", "format=cef&format=ocsf", "follow=yes"} {
		r.call(r.admin, "GET", "/audit/export?"+q, nil).wants(t, 400, "parameter_invalid")
	}
}

// TestWhoFollowsIsOnRecordOnceInTenMinutes looks again and again, as `sb audit export --follow` does.
func TestWhoFollowsIsOnRecordOnceInTenMinutes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	exported := func() int { return len(facts[events.AuditExported](r)) }
	follow := func(q string) answer {
		t.Helper()
		return r.call(r.admin, "GET", "/audit/export?follow=true"+q, nil, r.newest()).wants(t, 200, "")
	}
	for range 5 {
		follow("")
		follow("&after=1&limit=1")
	}
	if n := exported(); n != 1 {
		t.Errorf("%d facts of one following, want 1", n)
	}
	follow("&type=sb.user.")
	follow("&format=cef")
	if n := exported(); n != 3 {
		t.Errorf("%d facts of three ways, want 3", n)
	}
	r.clock.Add(10 * time.Minute)
	follow("&after=1")
	r.call(r.admin, "GET", "/audit/export?after=1", nil).wants(t, 200, "")
	r.call(r.admin, "GET", "/audit/export?after=1", nil).wants(t, 200, "")
	if n := exported(); n != 6 {
		t.Errorf("%d facts after ten minutes and two calls of their own, want 6", n)
	}
}
