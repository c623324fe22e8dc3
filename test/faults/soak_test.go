package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"secretsbridge/events"
	"secretsbridge/nats/leaf"
	"secretsbridge/seal"
	"secretsbridge/web/api"
)

const (
	warmUp   = time.Minute // of the soak, in which the server takes what it works with
	mayGrow  = 0.10        // of memory and goroutines, from the first third to the last
	guessers = 4
)

// soak has requests go through for minutes, while somebody guesses passwords and an agent of another
// cluster asks all services for what is not its own, both as fast as they are answered. The control
// measures the first third without any of it, so what the load takes looks like a leak.
func soak(t *testing.T, w world) (string, error) {
	p := start(t, "SB_OPS_ADDR=127.0.0.1:0")
	last := warmUp + time.Duration(w.trials)*time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), last+5*time.Minute)
	defer cancel()
	loading, rest := context.WithTimeout(ctx, last)
	defer rest()
	samples := []usage{p.usage(t)}
	if w.control {
		for range 20 {
			samples = append(samples, p.usage(t))
			time.Sleep(100 * time.Millisecond)
		}
	}
	var (
		all                      []life
		guesses, right, limited  atomic.Int64
		asked, taken, unanswered atomic.Int64
		load                     sync.WaitGroup
	)
	hostile, other := intruder(t, p), life{reason: "not the intruder's " + fresh()}
	other.ready(ctx, p)
	question, err := json.Marshal(map[string]any{"request": other.id, "job": other.id, "key": p.reveal.Recipient})
	if err != nil {
		t.Fatal(err)
	}
	load.Go(func() {
		for loading.Err() == nil {
			all = append(all, lives(ctx, p, p.reveal, 16, 4)...)
		}
	})
	for n := range guessers {
		load.Go(func() {
			for i := 0; loading.Err() == nil; i++ {
				guess := api.SignIn{Email: []string{"approver@demo.local", fmt.Sprintf("nobody-%d-%d@demo.local", n, i)}[i%2], Password: fresh()}
				status, _ := p.send("", "POST", "/sessions", fresh(), guess, nil)
				switch guesses.Add(1); {
				case status >= 200 && status < 300:
					right.Add(1)
				case status == http.StatusTooManyRequests:
					limited.Add(1)
				}
			}
		})
	}
	for _, service := range events.Services() {
		if service == events.ServiceRenew || service == events.ServiceHeartbeat || service == events.ServiceTrust || service == events.ServiceWitness {
			continue // are every agent's own
		}
		load.Go(func() {
			for loading.Err() == nil {
				calling, done := context.WithTimeout(loading, 5*time.Second)
				raw, err := hostile.Call(calling, service, question)
				done()
				var reply events.ServiceReply[json.RawMessage]
				switch asked.Add(1); {
				case err != nil:
					unanswered.Add(1)
				case json.Unmarshal(raw, &reply) == nil && reply.Error == nil:
					t.Logf("%s answered a foreign agent", service)
					taken.Add(1)
				}
			}
		})
	}
	for end := time.NewTicker(time.Second); loading.Err() == nil; <-end.C {
		samples = append(samples, p.usage(t))
	}
	load.Wait()
	seen, broken := judge(p, all)
	switch {
	case broken != nil:
		return "", broken
	case right.Load() > 0:
		return "", fmt.Errorf("%d wrong passwords were taken for right", right.Load())
	case taken.Load() > 0:
		return "", fmt.Errorf("%d questions of a foreign agent were answered", taken.Load())
	case limited.Load() == 0 || asked.Load() == unanswered.Load():
		t.Fatalf("%d guesses of which %d were limited, %d questions of which %d were not answered: this was no flood", guesses.Load(), limited.Load(), asked.Load(), unanswered.Load())
	}
	if !w.control {
		samples = samples[min(len(samples)-1, int(warmUp/time.Second)):]
	}
	third := max(1, len(samples)/3)
	if w.control {
		third = 20
	}
	early, late := middle(samples[:third]), middle(samples[len(samples)-max(1, len(samples)/3):])
	if float64(late.memory) > float64(early.memory)*(1+mayGrow) || float64(late.threads) > float64(early.threads)*(1+mayGrow)+5 {
		return "", fmt.Errorf("memory went from %d to %d MB and threads from %d to %d", early.memory>>20, late.memory>>20, early.threads, late.threads)
	}
	p.stop(t)
	if err := p.verify(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d minutes; %s; %d wrong passwords, %d of them limited; %d questions of a foreign agent, none answered; memory went from %d to %d MB, threads from %d to %d; views equal the log",
		w.trials, seen, guesses.Load(), limited.Load(), asked.Load(), early.memory>>20, late.memory>>20, early.threads, late.threads), nil
}

// usage is what a server holds.
type usage struct {
	memory  int64 // resident, in bytes
	threads int64
}

func (p *plant) usage(t *testing.T) (u usage) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			u.memory = n << 10
		case "Threads":
			u.threads = n
		}
	}
	return u
}

// middle is the median of each.
func middle(all []usage) usage {
	of := func(get func(usage) int64) int64 {
		var values []int64
		for _, one := range all {
			values = append(values, get(one))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return usage{of(func(u usage) int64 { return u.memory }), of(func(u usage) int64 { return u.threads })}
}

// intruder is an agent of a cluster of its own, which was enrolled as any other.
func intruder(t *testing.T, p *plant) *leaf.Link {
	t.Helper()
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	sign, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	var invited api.Invitation
	if status, code := p.call("admin", "POST", "/agents/invitations", fresh(), api.Invite{Name: "intruder", Cluster: "elsewhere"}, &invited); invited.Token == "" {
		t.Fatalf("invite an agent: %d %s", status, code)
	}
	var e events.Enrolment
	m := events.Enrol{Token: invited.Token, UserKey: public, BoxKey: box.Public().String(), SignKey: sign.Public().String(), Version: "faults"}
	if status, code := p.send("", "POST", "/agents/enrol", fresh(), m, &e); e.Account == "" {
		t.Fatalf("enrol an agent: %d %s", status, code)
	}
	link, err := leaf.Start(t.Context(), leaf.Config{
		URLs: e.LeafURLs, CA: []byte(e.CA), Account: e.Account, ServerName: string(e.Agent),
		Credentials: func() string { return e.Credential.UserJWT }, Sign: user.Sign,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	return link
}
