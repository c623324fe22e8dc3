package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What clocks may differ by. Signatures of calls and tokens of identity providers are taken within a
// minute, so half of it is too much; and what differs by two seconds is not kept by NTP.
const (
	clockWarns = 2 * time.Second
	clockFails = 30 * time.Second
)

// Offset is how far another clock is ahead of ours: not less than Least and not more than Most.
type Offset struct{ Least, Most time.Duration }

// Heard is the offset of a clock that said something between two moments of ours. What it said is
// exact to a unit: a time in whole seconds was up to one second later.
func Heard(said, before, after time.Time, unit time.Duration) Offset {
	return Offset{Least: said.Sub(after), Most: said.Add(unit).Sub(before)}
}

// AtLeast is how far the clocks certainly are apart.
func (o Offset) AtLeast() time.Duration { return max(0, o.Least, -o.Most) }

// String tells the offset and how well it is known.
func (o Offset) String() string {
	middle, within := (o.Least+o.Most)/2, (o.Most-o.Least)/2
	return fmt.Sprintf("%+.3f s ± %.3f s", middle.Seconds(), within.Seconds())
}

// Judge says of offsets of some clocks, by their names in the order given, whether they are small
// enough.
func Judge(names []string, offsets map[string]Offset) Seen {
	text, worst := "", time.Duration(0)
	var least, most time.Duration
	for i, name := range names {
		o := offsets[name]
		worst = max(worst, o.AtLeast())
		if text != "" {
			text += ", "
		}
		text += name + " " + o.String()
		middle := (o.Least + o.Most) / 2
		if i == 0 {
			least, most = middle, middle
		}
		least, most = min(least, middle), max(most, middle)
	}
	text = "against this machine's clock: " + text
	if len(names) > 1 {
		text += fmt.Sprintf("; among each other about %.3f s", (most - least).Seconds())
	}
	next := "have all machines keep the time by NTP (chronyc tracking, timedatectl), this one too: docs/security/hardening.md"
	switch {
	case worst >= clockFails:
		return Fail(next, "%s; sign-in, signatures and ends of requests need clocks within %s", text, clockFails)
	case worst >= clockWarns:
		return Warn(next, "%s; more than %s is not what NTP does", text, clockWarns)
	}
	return Fine("%s", text)
}

// HTTPClock asks a server over HTTP what time it is (RFC 9110, section 6.6.1): whatever it answers
// to the call has a Date.
func HTTPClock(ctx context.Context, client *http.Client, url string) (Offset, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Offset{}, err
	}
	before := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return Offset{}, err
	}
	after := time.Now()
	if err := res.Body.Close(); err != nil {
		return Offset{}, err
	}
	said, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return Offset{}, errors.New("its answer has no time")
	}
	return Heard(said, before, after, time.Second), nil
}
