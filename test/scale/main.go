// Command scale measures how Secrets Bridge grows: with agents, with requests and with secrets. It
// starts one sb-server on this machine, a fleet of real agents in this process, and takes real
// requests and scans through them over the real API and the real links.
//
//	go run ./test/scale [-size small|full] [-only STEP,...] [-agents N] [-for DURATION] [-json FILE]
//
// It prints a table, and writes the same figures as JSON. Everything shares this machine: the
// fleet and the callers use processor time that a server of its own would have.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// plan is how far it goes.
type plan struct {
	// Steps come in this order. The last one takes what time is left.
	agents   []int // linked at the same time
	real     int   // of them have a NATS server inside, as agents have; the links of the others are modelled
	together []int // callers at the same time
	stores   int   // that are scanned
	secrets  []int // of all stores together
	requests []int // whole lives, by as many callers as were best
	history  []int // requests that no agent has a part in
	idle     time.Duration
	repeat   int // of callers: the median is reported
	bound    time.Duration
	bin      string // folder of sb-server and sb-agent; "": they are built
}

var plans = map[string]plan{
	"small": {agents: []int{10, 50}, real: 40, together: []int{1, 8}, repeat: 1, stores: 5, secrets: []int{1_000, 5_000}, requests: []int{600}, history: []int{500}, idle: 3 * time.Second, bound: 10 * time.Minute},
	"full": {
		agents: []int{100, 300, 1_000, 3_000, 10_000}, real: 300, together: []int{1, 2, 4, 8, 16}, repeat: 3, history: []int{1_000, 10_000, 100_000},
		stores: 20, secrets: []int{10_000, 100_000, 1_000_000}, requests: []int{10_000, 30_000, 100_000}, idle: 20 * time.Second, bound: 45 * time.Minute,
	},
}

// report is everything that was measured.
type report struct {
	Machine  machine         `json:"machine"`
	Agents   []agentsFigure  `json:"agents"`
	Together []livesFigure   `json:"together"`
	Requests []livesFigure   `json:"requests"`
	Secrets  []secretsFigure `json:"secrets"`
	History  []historyFigure `json:"history"`
	CutShort []string        `json:"cut_short"` // what the time did not suffice for
	Repeated int64           `json:"repeated"`  // calls that were made again, because no answer came or 503
}

type machine struct {
	Cores  int    `json:"cores"`
	Go     string `json:"go"`
	Load   string `json:"load"` // before the run: 1, 5 and 15 minutes
	Memory int64  `json:"memory_mb"`
}

func main() {
	size := flag.String("size", "full", "small or full")
	into := flag.String("json", "", "file that the figures are written to")
	keep := flag.String("agents", "", "most agents, where memory is short; empty: those of the size")
	real := flag.Int("real", 0, "agents whose links are real and not modelled, where they are not to be those of the size")
	bin := flag.String("bin", "", "folder with sb-server and sb-agent; empty: they are built")
	bound := flag.Duration("for", 0, "what it may take, where that is not the size's own; what does not fit is left out and named")
	chosen := flag.String("only", "", "steps to take, with commas between them: agents, callers, secrets, requests, history; empty: all")
	flag.Parse()
	only, err := namesOf(*chosen)
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(2)
	}
	p, ok := plans[*size]
	if !ok {
		fmt.Fprintf(os.Stderr, "scale: size %q: write small or full\n", *size)
		os.Exit(2)
	}
	if *keep != "" {
		var most int
		if _, err := fmt.Sscan(*keep, &most); err != nil || most < 1 {
			fmt.Fprintf(os.Stderr, "scale: %q agents: write a number\n", *keep)
			os.Exit(2)
		}
		p.agents = append(below(p.agents, most), most)
	}
	if *real > 0 {
		p.real = *real
	}
	p.bin = *bin
	if *bound > 0 {
		p.bound = *bound
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, p.bound)
	defer cancel()
	r, err := measure(ctx, p, only)
	fmt.Print(r)
	if *into != "" {
		raw, encoding := json.MarshalIndent(r, "", "  ")
		if encoding == nil {
			encoding = os.WriteFile(*into, append(raw, '\n'), 0o644)
		}
		if encoding != nil {
			fmt.Fprintln(os.Stderr, "scale:", encoding)
			os.Exit(1)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// namesOf are the steps that were chosen.
func namesOf(list string) (only []string, err error) {
	if list == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		known := false
		for _, step := range steps {
			known = known || step.name == name
		}
		if !known {
			return nil, fmt.Errorf("there is no step %q: choose of agents, callers, secrets, requests and history", name)
		}
		only = append(only, name)
	}
	return only, nil
}

func below(all []int, most int) (kept []int) {
	for _, n := range all {
		if n < most {
			kept = append(kept, n)
		}
	}
	return kept
}

// steps come in this order.
var steps = []struct {
	name  string
	share float64 // of the whole time that it may use, where all are taken
	take  func(*report, context.Context, plan, *server, *fleet) error
}{
	{"agents", 0.35, (*report).growFleet}, {"callers", 0.15, (*report).callTogether}, {"secrets", 0.25, (*report).fillInventory},
	{"requests", 0.15, (*report).growHistory}, {"history", 1, (*report).growRecord}, // which stops the server, so it is the last
}

func measure(ctx context.Context, p plan, only []string) (*report, error) {
	r := &report{Machine: thisMachine()}
	dir, err := os.MkdirTemp("", "sb-scale-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // the user postgres passes through
		return r, err
	}
	bin := p.bin
	if bin == "" {
		bin = dir
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "grpcnotrace", "-o", dir+"/", "secretsbridge/cmd/sb-server", "secretsbridge/cmd/sb-agent")
		build.Env = append(os.Environ(), "GOEXPERIMENT=runtimesecret")
		if out, err := build.CombinedOutput(); err != nil {
			return r, fmt.Errorf("build: %w: %s", err, out)
		}
	}
	s, err := startServer(bin, dir)
	if err != nil {
		return r, err
	}
	defer s.stop()
	defer func() {
		r.Repeated = s.repeated.Load()
		if err != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "server.log"))
			fmt.Fprintf(os.Stderr, "the server said at last:\n%s\n", log[max(0, len(log)-4000):])
		}
	}()
	working, rest := context.WithCancel(context.WithoutCancel(ctx))
	f := &fleet{server: s, ctx: working, real: p.real}
	defer f.wait.Wait()
	defer rest()
	if len(only) > 0 && !slices.Contains(only, "agents") { // the others need some
		if _, err := f.grow(ctx, p.agents[0]); err != nil {
			return r, err
		}
	}
	for _, step := range steps {
		share := step.share
		switch {
		case len(only) == 0:
		case !slices.Contains(only, step.name):
			continue
		default:
			share = 1
		}
		within, cancel := context.WithTimeout(ctx, time.Duration(share*float64(p.bound)))
		err = step.take(r, within, p, s, f)
		cancel()
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(raw))[:3], " ")
	}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		m.Memory = int64(info.Totalram) * int64(info.Unit) >> 20
	}
	return m
}

// out reports whether the time is over, and notes what is left out then.
func (r *report) out(ctx context.Context, what string, args ...any) bool {
	if ctx.Err() == nil {
		return false
	}
	r.CutShort = append(r.CutShort, fmt.Sprintf(what, args...))
	return true
}
