package main

import (
	"testing"
	"time"
)

func TestALabelHasANameBeforeAColon(t *testing.T) {
	for text, want := range map[string]bool{
		"Environment:prod": true, "Environment:": true, "a:b:c": true, `a\:b:c`: true, `\::x`: true, `a\b:c`: true, `a\\:b`: true, `\\:`: true,
		"": false, "Environment": false, ":prod": false, `a\:b`: false, `\:`: false,
	} {
		if got := isLabel(text); got != want {
			t.Errorf("isLabel(%q) = %v", text, got)
		}
	}
}

func TestALabelReadsAsItIsAskedFor(t *testing.T) {
	for name, want := range map[string]string{"Team": "Team: a:b", "a:b": `a\:b: a:b`, `a\`: `a\\: a:b`} {
		if got := labelText(name, "a:b"); got != want || !isLabel(got) {
			t.Errorf("the label %s reads %s, want %s", name, got, want)
		}
	}
}

func TestLongSpans(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "1d": day, "6h": 6 * time.Hour, "36h": 36 * time.Hour, "0d": 0,
		"": -1, "d": -1, "-1d": -1, "1.5d": -1, "90": -1, "1d2h": -1, "65536d": -1,
	} {
		got, err := longSpan(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("longSpan(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestSchedulesReadAsTheyAreSaid(t *testing.T) {
	for seconds, want := range map[int]string{0: "", 900: "every 15m", 3600: "every 1h", 90000: "every 25h", 86400: "every 1d", 1000: "every 1000s"} {
		if got := every(seconds); got != want {
			t.Errorf("every(%d) = %q, want %q", seconds, got, want)
		}
	}
}
