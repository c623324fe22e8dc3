package window_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"secretsbridge/internal/window"
	"secretsbridge/internal/window/windowtest"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestEveryPurposeHasALimitOfWholeSeconds(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range windowtest.Purposes() {
		l, ok := window.DefaultRates.Of(p)
		if !ok || l.Burst < 1 || l.Per < time.Second || l.Per%time.Second != 0 || p.String() == "" || seen[p.String()] {
			t.Errorf("purpose %d %q: %+v", p, p, l)
		}
		seen[p.String()] = true
	}
	if _, ok := window.DefaultRates.Of(0); ok {
		t.Error("there is a purpose 0")
	}
	if _, ok := window.DefaultRates.Of(window.Purpose(len(seen) + 1)); ok || len(seen) < 13 {
		t.Errorf("there are more than %d purposes", len(seen))
	}
}

func TestRatesScaleWhatPeopleDo(t *testing.T) {
	for p, want := range map[window.Purpose]window.Limit{
		window.CallsOfPerson: {Burst: 60, Per: time.Minute}, window.CallsOfAddress: {Burst: 100, Per: time.Minute},
		window.Submits: {Burst: 6, Per: time.Minute}, window.Reveals: {Burst: 20, Per: 10 * time.Minute},
		window.SignInsOfAccount: {Burst: 10, Per: time.Minute},
	} {
		if got, _ := (window.Rates{Person: 60, Address: 100}).Of(p); got != want {
			t.Errorf("%s: %+v, want %+v", p, got, want)
		}
	}
}

// TestNoWindowHoldsMoreThanTwoBursts takes at random times and costs. In any stretch of
// one Per there is the burst that was saved up, and what comes back meanwhile.
func TestNoWindowHoldsMoreThanTwoBursts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := window.Limit{Burst: rapid.IntRange(1, 50).Draw(t, "burst"), Per: time.Duration(rapid.IntRange(1, 600).Draw(t, "per")) * time.Second}
		type grant struct {
			at   time.Time
			cost int
		}
		var granted []grant
		var kept time.Time
		for now := noon; len(granted) < 200 && now.Before(noon.Add(5*l.Per)); {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(l.Per)/4).Draw(t, "pause")))
			cost := rapid.IntRange(1, l.Burst).Draw(t, "cost")
			next, wait, left := l.Take(kept, now, cost)
			if left < 0 || left > l.Burst || wait < 0 || wait > l.Per {
				t.Fatalf("left %d, wait %s of %+v", left, wait, l)
			}
			if wait > 0 {
				if _, again, _ := l.Take(kept, now.Add(wait), cost); again != 0 {
					t.Fatalf("after %s there are %s more to wait", wait, again)
				}
				if _, again, _ := l.Take(kept, now.Add(wait-1), cost); again == 0 {
					t.Fatalf("%s was too long", wait)
				}
				continue
			}
			kept, granted = next, append(granted, grant{now, cost})
			sum := 0
			for _, g := range granted {
				if now.Sub(g.at) < l.Per {
					sum += g.cost
				}
			}
			if sum > 2*l.Burst {
				t.Fatalf("%d in %s of %+v", sum, l.Per, l)
			}
		}
	})
}

// TestTheReferenceSaysWhatCounts compares docs/reference/limits.md with the table.
func TestTheReferenceSaysWhatCounts(t *testing.T) {
	reference, err := os.ReadFile("../../docs/reference/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	for p, sentence := range map[window.Purpose]string{
		window.CallsOfAddress:   "| %s a minute (`SB_CALLS_PER_ADDRESS`, 60 to 1,000,000)",
		window.CallsOfPerson:    "| %s a minute (`SB_CALLS_PER_PERSON`, 60 to 100,000); whatever is no GET counts as 5;",
		window.SignInsOfAddress: "| sign-in attempts | %s a minute from one address,",
		window.SignInsOfAccount: "one address, %s a minute for one account |",
		window.Intakes:          "| intake keys | %s a minute to one address |",
		window.Enrolments:       "| enrolment attempts | %s a minute from one address |",
		window.Denials:          "| denials of one person | %s a minute,",
		window.Refusals:         "it is recorded, once a minute.",
		window.KeyJobs:          "| jobs for names of keys of one person | %s a minute |",
		window.Submits:          "| submits of one person | %s a minute: a tenth of",
		window.Reveals:          "| attempts of one person to reveal | %s in ten minutes: a third of",
		window.Invitations:      "| invitations of one person | %s an hour |",
		window.StepUps:          "| attempts of one person to prove a factor | %s a minute |",
	} {
		l, _ := window.DefaultRates.Of(p)
		number := strconv.Itoa(l.Burst)
		if l.Burst >= 1000 {
			number = number[:len(number)-3] + "," + number[len(number)-3:]
		}
		if want := strings.Replace(sentence, "%s", number, 1); !strings.Contains(string(reference), want) {
			t.Errorf("%s: the reference lacks %q", p, want)
		}
	}
}

func TestAClockThatIsAheadCostsOnePerAtMost(t *testing.T) {
	l := window.Limit{Burst: 10, Per: time.Minute}
	if _, wait, left := l.Take(noon.Add(24*time.Hour), noon, 1); wait != 6*time.Second || left != 0 {
		t.Errorf("wait %s, left %d", wait, left)
	}
	if _, wait, _ := l.Take(noon.Add(24*time.Hour), noon, 10); wait != time.Minute {
		t.Errorf("wait %s", wait)
	}
}
