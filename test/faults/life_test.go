package faults_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"secretsbridge/web/api"
)

// life is one request from its submit to its reveal, by people who repeat a call until it is answered.
type life struct {
	reason   string
	id       string
	state    string
	revealed int  // how often its value was shown
	burnt    bool // its reveal was refused: it may have been shown in an answer that was lost
	worst    time.Duration

	before func(step string) // nil: nobody is told which call comes
}

func (l *life) about(step string) {
	if l.before != nil {
		l.before(step)
	}
}

// caller is who calls: a plant, or one of several servers.
type caller interface {
	call(who, method, path, key string, body, into any) (status int, code string)
}

// impatient makes a new call of each repetition: the control of whatever relies on keys.
type impatient struct{ caller }

func (i impatient) call(who, method, path, _ string, body, into any) (int, string) {
	return i.caller.call(who, method, path, fresh(), body, into)
}

// insist repeats a call until it is answered or ctx ends, and notes how long that took.
func (l *life) insist(ctx context.Context, c caller, who, method, path string, body, into any) int {
	began, key := time.Now(), fresh()
	defer func() { l.worst = max(l.worst, time.Since(began)) }()
	for {
		status, code := c.call(who, method, path, key, body, into)
		if answered(status, code) {
			return status
		}
		select {
		case <-ctx.Done():
			return 0
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// live takes a request through. The reveal is tried twice: the second call must be refused.
func (l *life) live(ctx context.Context, c caller, reveal api.Reveal) {
	var submitted api.Submitted
	l.about("submit")
	l.insist(ctx, c, "developer", "POST", "/requests", api.Submit{Secret: secret, Keys: []string{"password"}, Reason: l.reason}, &submitted)
	if l.id = submitted.ID; l.id == "" {
		return
	}
	l.about("approve")
	l.insist(ctx, c, "approver", "POST", "/requests/"+l.id+"/approve", api.Verdict{}, nil)
	var r api.Request
	for ctx.Err() == nil && (r.State == "" || slices.Contains([]string{"pending", "approved", "running"}, r.State)) {
		c.call("developer", "GET", "/requests/"+l.id, "", nil, &r)
		time.Sleep(20 * time.Millisecond)
	}
	l.state = r.State
	for _, e := range r.Envelopes {
		l.about("reveal")
		for range 2 {
			var got api.Revealed
			path := "/requests/" + l.id + "/envelopes/" + e.ID + "/reveal"
			switch status := l.insist(ctx, c, "developer", "POST", path, reveal, &got); {
			case status == http.StatusOK && len(got.Sealed) > 0:
				l.revealed++
			case status != 0:
				l.burnt = true
			}
		}
	}
}

// lives takes n requests through, so many at a time.
func lives(ctx context.Context, c caller, reveal api.Reveal, n, together int) []life {
	all := make([]life, n)
	next := make(chan *life)
	var people sync.WaitGroup
	for range together {
		people.Go(func() {
			for l := range next {
				l.live(ctx, c, reveal)
			}
		})
	}
	for i := range all {
		all[i].reason = fmt.Sprintf("fault %s %d", fresh(), i)
		next <- &all[i]
	}
	close(next)
	people.Wait()
	return all
}

// judge says what a promise was broken by, and what the lives came to. Whoever asked must find
// the one request that was asked for. A request may end as executed, as failed, or as the caller says.
func judge(c caller, all []life, also ...string) (seen string, broken error) {
	states := map[string]int{}
	shown := 0
	var worst time.Duration
	for i := range all {
		l := &all[i]
		states[l.state]++
		worst = max(worst, l.worst)
		shown += l.revealed
		switch {
		case l.id == "":
			return "", fmt.Errorf("a submit was never answered")
		case l.state != "executed" && l.state != "failed" && !slices.Contains(also, l.state):
			return "", fmt.Errorf("request %s ended as %q", l.id, l.state)
		case l.revealed > 1:
			return "", fmt.Errorf("request %s was revealed %d times", l.id, l.revealed)
		case l.state == "executed" && l.revealed == 0 && !l.burnt:
			return "", fmt.Errorf("request %s was executed and its value was never shown", l.id)
		}
	}
	made, err := requests(c)
	if err != nil {
		return "", err
	}
	for i := range all {
		switch n := made[all[i].reason]; {
		case n == 0:
			return "", fmt.Errorf("request %s was acknowledged and is not there", all[i].id)
		case n > 1:
			return "", fmt.Errorf("%d %s", n, madeTwice)
		}
	}
	var words []string
	for _, state := range slices.Sorted(maps.Keys(states)) {
		words = append(words, fmt.Sprintf("%d %s", states[state], state))
	}
	return fmt.Sprintf("%d requests: %s, %d shown once; the longest call took %.1f s", len(all), strings.Join(words, ", "), shown, worst.Seconds()), nil
}

// requests counts all requests by their reason.
func requests(c caller) (map[string]int, error) {
	made, cursor := map[string]int{}, ""
	for {
		var page api.Page[api.Request]
		path := "/requests?limit=200"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		if status := ask(c, path, &page); status != http.StatusOK {
			return nil, fmt.Errorf("list requests: %d", status)
		}
		for _, r := range page.Items {
			made[r.Reason]++
		}
		if cursor = page.Next; cursor == "" {
			return made, nil
		}
	}
}

// askPatience is how long a question may take: to a server that has just come back, or, after its clock was ahead, until a
// window of a minute lets people in again.
const askPatience = 90 * time.Second

// ask reads something as the admin, and repeats that until it is answered.
func ask(c caller, path string, into any) int {
	ctx, cancel := context.WithTimeout(context.Background(), askPatience)
	defer cancel()
	var l life
	return l.insist(ctx, c, "admin", "GET", path, nil, into)
}
