package e2e_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/test/leaks"
	"secretsbridge/web/api"
)

// kindsOfAJob are the messages of which every job has at least one.
var kindsOfAJob = []string{
	"ticket", "start?", "start!", "datakey?", "datakey!", "handover?", "handover!", "complete?", "complete!",
}

// TestAProxyInTheLinkSeesNothingAndChangesNothing puts a proxy with a trusted
// certificate between the two real binaries.
func TestAProxyInTheLinkSeesNothingAndChangesNothing(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_LEASE=3s")
	c.login(t, "developer", "approver", "admin")
	canary := "canary/" + rand.Text() + "+ü"
	put := exec.Command(filepath.Join(bin, "sb-agent"), "put", "--config", filepath.Join(c.dir, "agent", "agent.yaml"), "file/prod/canary")
	put.Env = clean(os.Environ())
	put.Stdin = strings.NewReader(`{"one": "` + canary + `", "two": "` + canary + `"}`)
	if out, err := put.CombinedOutput(); err != nil {
		t.Fatalf("put: %v: %s", err, out)
	}
	p := startProxy(t, c)
	p.divert(t, c)

	t.Run("it sees no value", func(t *testing.T) {
		if state := throughProxy(t, c, canary); state != "executed" {
			t.Fatalf("the request is %s", state)
		}
		for _, kind := range append([]string{"heartbeat?", "heartbeat!"}, kindsOfAJob...) {
			if p.count(kind) == 0 {
				t.Errorf("the proxy saw no %s: it is not between the two", kind)
			}
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, form := range leaks.Forms(canary) {
			if bytes.Contains(p.traffic.Bytes(), form.Bytes) {
				t.Errorf("the value passes as %s", form.Name)
			}
		}
	})

	for _, kind := range append([]string{"heartbeat?", "heartbeat!"}, kindsOfAJob...) {
		t.Run("altered "+kind, func(t *testing.T) {
			altered := p.alteringFirst(kind, 2)
			state := throughProxy(t, c, canary)
			if strings.HasPrefix(kind, "heartbeat") { // they come by themselves
				eventually(t, 30*time.Second, "altered "+kind, func() bool { return altered() == 2 })
			}
			p.altering(nil)
			if altered() == 0 {
				t.Errorf("no %s was altered", kind)
			}
			// A ticket that nobody signed is refused for good; all else is asked again.
			if want := map[bool]string{true: "failed", false: "executed"}[kind == "ticket"]; state != want {
				t.Errorf("the request is %s, want %s", state, want)
			}
		})
	}

	for _, kind := range []string{"fail?", "fail!"} {
		t.Run("altered "+kind, func(t *testing.T) {
			altered := p.alteringFirst(kind, 2)
			r := ask(t, c, "no-such-key")
			p.altering(nil)
			if r.State != "failed" || r.Failure == nil || r.Failure.Code != "key_not_found" || altered() == 0 {
				t.Errorf("the request is %s, %+v, after %d", r.State, r.Failure, altered())
			}
		})
	}

	t.Run("altered rotate? and rotate!", func(t *testing.T) {
		before := currentKey(t, c)
		left := map[string]int{"rotate?": 1, "rotate!": 2} // one of the answers is a refusal of the altered question
		p.altering(func(m passed) []byte {
			if left[m.kind] == 0 {
				return m.payload
			}
			left[m.kind]--
			return flipped(m)
		})
		p.ageKey(t, c)
		eventually(t, 2*time.Minute, "rotated", func() bool { return currentKey(t, c) != before })
		p.altering(nil)
		if left["rotate?"] > 0 || left["rotate!"] > 0 {
			t.Errorf("not altered: %v", left)
		}
		if state := throughProxy(t, c, canary); state != "executed" {
			t.Errorf("after the rotation a request is %s", state)
		}
		if got := history(t, c); !slices.ContainsFunc(slices.Collect(maps.Values(got)), func(what string) bool {
			return strings.HasPrefix(what, "sb.agent.key_rotated.v1")
		}) {
			t.Error("the rotation is no fact")
		}
	})

	t.Run("altered at random", func(t *testing.T) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := mrand.New(mrand.NewPCG(seed, 0))
		n := 0
		p.altering(func(m passed) []byte { // under the proxy's lock
			if random.IntN(5) > 0 {
				return m.payload
			}
			n++
			return flipped(m)
		})
		var people sync.WaitGroup
		states := make([]string, 24)
		for i := range states {
			people.Go(func() { states[i] = throughProxy(t, c, canary) })
		}
		people.Wait()
		p.altering(nil)
		for _, state := range states {
			if state != "executed" && state != "failed" {
				t.Errorf("a request ended as %q", state)
			}
		}
		t.Logf("%d messages were altered; outcomes %v", n, states)
		if !slices.Contains(states, "executed") {
			t.Error("no request was executed")
		}
	})

	t.Run("all of it once more, after both have restarted", func(t *testing.T) {
		recorded := p.recorded()
		c.stop(t)
		c.up(t)
		eventually(t, startTime, "linked again", func() bool {
			answered := p.recorded()[len(recorded):]
			return slices.ContainsFunc(answered, func(m passed) bool { return m.kind == "heartbeat!" })
		})
		if state := throughProxy(t, c, canary); state != "executed" {
			t.Fatalf("after the restart a request is %s", state)
		}
		before := history(t, c)
		again := map[string]int{}
		for _, m := range recorded {
			switch {
			case strings.HasSuffix(m.kind, "?"):
				p.ask(t, m)
			case m.kind != "":
				p.tell(t, m)
			default:
				continue
			}
			again[m.kind]++
		}
		t.Logf("said again: %v", again)
		time.Sleep(4 * time.Second) // tickets that were told again end by then, with a lease
		after := history(t, c)
		for id, what := range after {
			if _, there := before[id]; !there && !strings.HasPrefix(what, "sb.access.") {
				t.Errorf("a repetition made a fact: %s", what)
			}
		}
		if state := throughProxy(t, c, canary); state != "executed" {
			t.Errorf("after all repetitions a request is %s", state)
		}
	})
}

// flipped changes one bit of a payload, somewhere behind NATS's headers.
func flipped(m passed) []byte {
	out := bytes.Clone(m.payload)
	if n := len(out) - m.header; n > 0 {
		// Never the bit of upper and lower case: names of JSON are read either way, and a
		// message with another one says the same.
		bits := []byte{1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 6, 1 << 7}
		out[m.header+mrand.IntN(n)] ^= bits[mrand.IntN(len(bits))]
	}
	return out
}

// throughProxy takes one request from submit to reveal. A value that is revealed is the
// right one.
func throughProxy(t *testing.T, c *control, canary string) (state string) {
	t.Helper()
	r := ask(t, c, "one")
	for _, e := range r.Envelopes {
		var got api.Revealed
		insist(c, "developer", "POST", "/requests/"+r.ID+"/envelopes/"+e.ID+"/reveal", newKey(), c.reveal, &got)
		if c.opened(t, r, e.ID, got) != canary {
			t.Errorf("request %s revealed something else", r.ID)
		}
	}
	if r.State == "executed" && len(r.Envelopes) != 1 {
		t.Errorf("request %s has %d envelopes", r.ID, len(r.Envelopes))
	}
	return r.State
}

// ask takes a request for one key to its end, and returns it.
func ask(t *testing.T, c *control, key string) (r api.Request) {
	t.Helper()
	var submitted api.Submitted
	body := api.Submit{Secret: "file/prod/canary", Keys: []string{key}, Reason: "through the proxy"}
	if status := insist(c, "developer", "POST", "/requests", newKey(), body, &submitted); status != http.StatusCreated {
		t.Fatalf("submit: %d", status)
	}
	insist(c, "approver", "POST", "/requests/"+submitted.ID+"/approve", newKey(), api.Verdict{}, nil)
	for deadline := time.Now().Add(2 * time.Minute); !final(r.State) && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		c.call("developer", "GET", "/requests/"+submitted.ID, "", nil, &r)
	}
	return r
}

// currentKey is the id of the key that the demo agent has on disk as the one of the
// moment.
func currentKey(t *testing.T, c *control) string {
	t.Helper()
	_, _, identity := identityOf(t, c)
	keys := identity["box_keys"].([]any)
	return keys[len(keys)-1].(map[string]any)["id"].(string)
}

// history is every event of the log: id → type, stream and position.
func history(t *testing.T, c *control) map[string]string {
	t.Helper()
	all := map[string]string{}
	for cursor := ""; ; {
		var page api.Page[api.Event]
		path := "/audit/events?limit=200"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		if status, code := c.call("admin", "GET", path, "", nil, &page); status != http.StatusOK {
			t.Fatalf("audit: %d %s", status, code)
		}
		for _, e := range page.Items {
			all[e.ID] = fmt.Sprintf("%s of %s at %d", e.Type, e.Stream, e.Seq)
		}
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}
