package faults

import "testing"

func TestAPlanGivesEachCallItsFault(t *testing.T) {
	var p Plan[Fault]
	writes := func(f Fault) bool { return f != CutAnswer }
	meets := func(what string, can func(Fault) bool, want Fault) {
		t.Helper()
		if got := p.Meet(what, can); got != want {
			t.Errorf("%s met %q, want %q", what, got, want)
		}
	}
	meets("the first", nil, None)
	p.Break(CutAnswer, 2)
	meets("a call that cannot", writes, None)
	meets("the first that can", nil, CutAnswer)
	meets("the second that can", nil, CutAnswer)
	meets("the third that can", nil, None)
	p.Script(func(operation string) Fault {
		if operation == "outer" {
			return p.Meet("inner", nil) // it may ask the server
		}
		return Cut
	})
	meets("outer", nil, Cut)
	p.Script(nil)
	meets("one after the script", nil, None)
	p.Break(Broken, -1)
	for range 3 {
		meets("each", nil, Broken)
	}
	p.Break(None, 0)
	meets("the last", nil, None)
}
