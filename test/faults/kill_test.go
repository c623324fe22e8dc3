package faults_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/events"
)

// killsOfLog kills the process that holds the log after a few commits, again and again.
func killsOfLog(t *testing.T, w world) (string, error) {
	dir := t.TempDir()
	book := logBook{acked: map[events.Seq]string{}, ahead: w.control}
	var worst time.Duration
	for n := range w.trials + 1 {
		began := time.Now()
		if err := book.live(t, dir, true, 1+w.random.IntN(12), killNine); err != nil {
			return "", fmt.Errorf("kill %d: %w", n, err)
		}
		worst = max(worst, time.Since(began))
	}
	return fmt.Sprintf("%d acknowledged commits, each there once; up and at work again within %.1f s", len(book.acked), worst.Seconds()), nil
}

// killsOfSystem kills server, agent and Postgres at random while requests go through.
func killsOfSystem(t *testing.T, w world) (string, error) {
	p := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w.trials)*8*time.Second+3*time.Minute)
	defer cancel()
	var c caller = forgetful{p, 1, new(atomic.Int64)}
	if w.control {
		c = impatient{c}
	}
	loading, rest := context.WithCancel(ctx)
	defer rest()
	var all []life
	var load sync.WaitGroup
	load.Go(func() {
		for loading.Err() == nil { // until the last kill; what has begun is brought to its end
			all = append(all, lives(ctx, c, p.reveal, 16, 8)...)
		}
	})
	kills, offset := map[string]int{}, w.random.IntN(3)
	var worst time.Duration
	for n := range w.trials {
		time.Sleep(time.Duration(200+w.random.IntN(1200)) * time.Millisecond)
		switch (n + offset) % 3 {
		case 0:
			began := time.Now()
			p.kill()
			p.up(t)
			worst = max(worst, time.Since(began))
			kills["server"]++
		case 1:
			if pid := p.agentPID(); pid != 0 {
				killNine(pid)
				kills["agent"]++
			}
		case 2:
			if pid := p.postgresPID(); pid != 0 {
				killNine(pid)
				kills["postgres"]++
			}
		}
	}
	rest()
	load.Wait()
	seen, broken := judge(p, all)
	if broken != nil {
		return "", broken
	}
	p.stop(t)
	if err := p.verify(); err != nil {
		return "", err
	}
	return fmt.Sprintf("killed %v; the server served again within %.1f s; %s; views equal the log", kills, worst.Seconds(), seen), nil
}
