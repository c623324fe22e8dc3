package gitops_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"secretsbridge/events"
	"secretsbridge/gitops"
)

var drawLook = rapid.Custom(func(t *rapid.T) gitops.Seen {
	now := rapid.IntRange(-60, 600).Draw(t, "at")
	s := look(now,
		refreshed(rapid.IntRange(-60, 600).Draw(t, "refreshed")),
		version(rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "version")),
		health(rapid.SampledFrom([]string{"", "Healthy", "Degraded", "Progressing"}).Draw(t, "health")),
		inSync(rapid.SampledFrom([]string{"", "Synced", "OutOfSync", "Unknown"}).Draw(t, "sync")),
		started(rapid.SliceOfN(rapid.IntRange(-60, 700), 0, 4).Draw(t, "pods")...),
	)
	if rapid.Bool().Draw(t, "plain") {
		plain(&s.Observation)
	}
	if rapid.IntRange(0, 4).Draw(t, "problem") == 0 {
		trouble(events.RolloutUnreachable)(&s.Observation)
	}
	if rapid.IntRange(0, 6).Draw(t, "clock") == 0 {
		s.At = s.At.Add(time.Duration(rapid.IntRange(-7200, 7200).Draw(t, "jump")) * time.Second)
	}
	if rapid.IntRange(0, 6).Draw(t, "slow") == 0 {
		s.Answered = s.Answered.Add(8 * time.Second)
	}
	return s
})

// Whatever is seen in whatever order: applied is only what was reached and is live everywhere, the
// write is never taken for earlier by the cluster's clock than it was, and a look that saw nothing
// takes nothing back.
func TestJudgeHoldsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := gitops.Begin(events.IntegrationArgoCD, written, gitops.Baseline{})
		for range rapid.IntRange(1, 12).Draw(t, "looks") {
			seen := drawLook.Draw(t, "look")
			next, state := gitops.Judge(s, seen)
			p := next.Progress
			if p.Live > p.Total || p.Live < 0 || len(p.Laggards) > min(p.Total-p.Live, events.MaxLaggards) {
				t.Fatalf("%d of %d, laggards %v", p.Live, p.Total, p.Laggards)
			}
			if state == events.WatchApplied && (p.Reached.IsZero() || p.Live != p.Total || p.Problem != "" || p.Health != "Healthy" || seen.At.Before(p.Reached)) {
				t.Fatalf("applied with %+v", p)
			}
			if !p.Reached.IsZero() && p.Proof == "" {
				t.Fatal("reached without a proof")
			}
			if s.Clock.Jumped && next.Clock.High < s.Clock.High {
				t.Fatalf("the latest that the write can have been fell from %s to %s", s.Clock.High, next.Clock.High)
			}
			if seen.Problem != "" {
				had := s.Progress
				had.Problem = seen.Problem
				if state != events.WatchOpen || had.Live != p.Live || had.Total != p.Total || !had.Reached.Equal(p.Reached) || p.Problem != seen.Problem {
					t.Fatalf("a problem changed %+v to %+v", had, p)
				}
			}
			for name, was := range s.Secrets {
				if is := next.Secrets[name]; !was.Reached.IsZero() && (is.Reached.IsZero() || is.Reached.After(was.Reached)) {
					t.Fatalf("%s was reached at %s and is at %s", name, was.Reached, is.Reached)
				}
			}
			s = next
		}
	})
}
