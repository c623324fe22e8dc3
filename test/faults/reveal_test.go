package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/web/api"
)

// racers is how many reveal one value at once.
const racers = 64

// revealRace has many clients reveal the same value at once, spread over all servers. The
// control is a client that acts on what it read: it counts who found the value ready.
func revealRace(t *testing.T, w world) (string, error) {
	_, servers, reveal := several(t, 3, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w.trials)*time.Minute+time.Minute)
	defer cancel()
	shown, refused := 0, 0
	for range w.trials {
		l := life{reason: "race " + fresh()}
		r := l.ready(ctx, servers[0])
		if len(r.Envelopes) != 1 {
			t.Fatalf("request %s is %s and has %d values", l.id, r.State, len(r.Envelopes))
		}
		path := "/requests/" + l.id + "/envelopes/" + r.Envelopes[0].ID + "/reveal"
		var got, late, ready atomic.Int32
		begin := make(chan struct{})
		var all sync.WaitGroup
		for n := range racers {
			c := servers[n%len(servers)]
			all.Go(func() {
				<-begin
				if w.control {
					var seen api.Request
					if status, _ := c.call("developer", "GET", "/requests/"+l.id, "", nil, &seen); status == http.StatusOK && len(seen.Envelopes) == 1 && seen.Envelopes[0].State == "ready" {
						ready.Add(1)
					}
				}
				var value api.Revealed
				racer := life{}
				switch status := racer.insist(ctx, c, "developer", "POST", path, reveal, &value); {
				case status == http.StatusOK && len(value.Sealed) > 0:
					got.Add(1)
				case status == http.StatusGone:
					late.Add(1)
				}
			})
		}
		close(begin)
		all.Wait()
		if w.control && ready.Load() > 1 {
			return "", fmt.Errorf("%d of %d would have been shown one value", ready.Load(), racers)
		}
		if ctx.Err() != nil {
			t.Fatalf("after %d values the time is over", shown)
		}
		if got.Load() != 1 || late.Load() != racers-1 {
			return "", fmt.Errorf("of %d clients %d were shown one value and %d were told that it is gone", racers, got.Load(), late.Load())
		}
		shown, refused = shown+1, refused+racers-1
	}
	facts, err := countDenials(servers[0], "already_revealed")
	if err != nil {
		return "", err
	}
	if facts != refused {
		return "", fmt.Errorf("%d reveals were refused, and %d denials are facts", refused, facts)
	}
	return fmt.Sprintf("%d values to %d clients each over %d servers: %d shown, %d refused, each refusal a fact", w.trials, racers, len(servers), shown, refused), nil
}

// ready takes a request to a value that waits to be seen.
func (l *life) ready(ctx context.Context, c caller) api.Request {
	var submitted api.Submitted
	l.insist(ctx, c, "developer", "POST", "/requests", api.Submit{Secret: secret, Keys: []string{"password"}, Reason: l.reason}, &submitted)
	l.id = submitted.ID
	l.insist(ctx, c, "approver", "POST", "/requests/"+l.id+"/approve", api.Verdict{}, nil)
	var r api.Request
	for ctx.Err() == nil && r.State != "executed" && r.State != "failed" {
		c.call("developer", "GET", "/requests/"+l.id, "", nil, &r)
		time.Sleep(20 * time.Millisecond)
	}
	return r
}

// countDenials counts facts in the audit that say that somebody was refused for a reason.
func countDenials(c caller, reason string) (int, error) {
	n, cursor := 0, ""
	for {
		var page api.Page[struct {
			Data struct{ Code string }
		}]
		path := "/audit/events?limit=200&type=sb.access.denied.v1"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		if status := ask(c, path, &page); status != http.StatusOK {
			return 0, fmt.Errorf("read the audit: %d", status)
		}
		for _, denial := range page.Items {
			if denial.Data.Code == reason {
				n++
			}
		}
		if cursor = page.Next; cursor == "" {
			return n, nil
		}
	}
}

// forgetful loses so many of ten answers: what was asked for has happened, and nobody hears of it.
type forgetful struct {
	caller
	loses int
	n     *atomic.Int64
}

func (f forgetful) call(who, method, path, key string, body, into any) (int, string) {
	status, code := f.caller.call(who, method, path, key, body, into)
	if method != http.MethodGet && int(f.n.Add(1)%10) < f.loses {
		return 0, ""
	}
	return status, code
}

// lostAnswers loses three of ten answers on their way to clients that repeat their calls.
func lostAnswers(t *testing.T, w world) (string, error) {
	p := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w.trials)*2*time.Second+2*time.Minute)
	defer cancel()
	var c caller = forgetful{p, 3, new(atomic.Int64)}
	if w.control {
		c = impatient{c}
	}
	return judge(p, lives(ctx, c, p.reveal, w.trials, 8))
}
