package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

func TestAnEditUnderARunningServerIsFoundByTheNextPass(t *testing.T) {
	for _, seq := range []events.Seq{1, 2500, 4999} {
		t.Run(fmt.Sprint(seq), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.fill(5000)
				cfg := r.config()
				cfg.ScrubEach = 10 * time.Minute
				k, ended := r.run(cfg)
				settle(30 * time.Minute)
				if s := k.Stats().Scrub; ended() != nil || s.Passes < 2 || s.Done != 5000 || s.Of != 5000 || s.EndedAt.IsZero() {
					t.Fatalf("%v; %+v", ended(), s)
				}
				r.feed.change(seq, flip)
				settle(11 * time.Minute)
				if err := ended(); !errors.Is(err, command.LogForked) || !strings.Contains(err.Error(), fmt.Sprintf("commit %d ", seq)) {
					t.Errorf("%v, want LogForked that names commit %d", err, seq)
				}
			})
		})
	}
}

// TestAPassComparesWithWhatWasRead: somebody changes a commit, and the audit with it, and removes
// the checkpoints.
func TestAPassComparesWithWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(50)
		cfg := r.config()
		cfg.ScrubEach = time.Minute
		_, ended := r.run(cfg)
		settle(30 * time.Second)
		none := events.Seq(0)
		r.audit.set(&none)
		r.kept.Empty()
		r.feed.change(7, flip)
		settle(time.Minute)
		if err := ended(); !errors.Is(err, command.LogForked) || !strings.Contains(err.Error(), "when this server read it") {
			t.Errorf("%v, want LogForked", err)
		}
	})
}

func TestNoPassIsMadeWhenItIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(5)
		k, _ := r.run(r.config())
		settle(24 * time.Hour)
		if s := k.Stats().Scrub; s.Passes != 0 {
			t.Errorf("%+v", s)
		}
	})
}
