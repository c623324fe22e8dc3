// Package faults_test breaks what the system stands on, in the ways that machines, disks, networks
// and people do, and prints what became of its promises.
//
// Each line of the table is a fault. It is tried so many times, and a promise that was broken fails
// it. Then its control is tried: the same fault with one protection taken away. A control that
// breaks nothing fails the line too, for then the line cannot see what it looks for.
package faults_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// Settings of a run. Tests that run without any are the smoke run.
const (
	sizeSetting  = "FAULTS"       // smoke or full
	mostSetting  = "FAULTS_MOST"  // trials of a line, where time is short, but never less than of a smoke run; empty: as many as it has
	seedSetting  = "FAULTS_SEED"  // a number, to try a run again
	tableSetting = "FAULTS_TABLE" // a file that the table is written to as well
)

// fault is one line of the programme.
type fault struct {
	item        int    // of the programme: docs/operations/faults.md lists them
	name        string // of the subtest
	smoke, full int    // trials; no smoke: only the full programme has it
	root        bool   // it mounts: the smoke run of somebody else leaves it out and says so

	// try lets it happen w.trials times and says what was seen. The error is a broken promise;
	// what keeps the trial from being made fails t instead.
	try func(t *testing.T, w world) (seen string, broken error)

	without  string // the protection that the control takes away; "" for none: cited tests have their own
	breaks   string // part of what the control then says: one that ends otherwise shows nothing of what was taken away
	controls int    // trials of the control, which end with the first that breaks something; 0: 1
}

// world is what a trial is made in.
type world struct {
	trials  int
	control bool // the protection is taken away
	random  *rand.Rand
}

// row is what became of a fault.
type row struct {
	fault
	trials  int
	failed  string // "" if it survived
	seen    string
	took    time.Duration
	control string
}

// table gathers rows in the order in which they end.
type table struct {
	mu   sync.Mutex
	rows []row
	seed uint64
}

var result table

func (r *table) add(one row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, one)
}

// String is the table as docs show it.
func (r *table) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rows) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "item\tfault\ttrials\tresult\tseconds\tseen\tcontrol")
	for _, one := range r.rows {
		verdict := "survived"
		if one.failed != "" {
			verdict = "FAILED"
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%.0f\t%s\t%s\n", one.item, one.name, one.trials, verdict, one.took.Seconds(), cmp.Or(one.failed, one.seen), one.control)
	}
	_ = w.Flush()
	fmt.Fprintf(&b, "seed %d\n", r.seed)
	return b.String()
}

func (r *table) print() error {
	text := r.String()
	if text == "" {
		return nil
	}
	fmt.Print(text)
	if path := os.Getenv(tableSetting); path != "" {
		return os.WriteFile(path, []byte(text), 0o644)
	}
	return nil
}

// size reads how much is tried.
func size() (full bool, err error) {
	switch chosen := os.Getenv(sizeSetting); chosen {
	case "", "smoke":
		return false, nil
	case "full":
		return true, nil
	default:
		return false, fmt.Errorf("%s is %q: write smoke or full", sizeSetting, chosen)
	}
}

func most() (int, error) {
	text := os.Getenv(mostSetting)
	if text == "" {
		return math.MaxInt, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is %q: write how many trials a line has at most", mostSetting, text)
	}
	return n, nil
}

func seed() (uint64, error) {
	text := os.Getenv(seedSetting)
	if text == "" {
		return uint64(time.Now().UnixNano()), nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q: write a whole number", seedSetting, text)
	}
	return n, nil
}

// TestFaults is the programme.
func TestFaults(t *testing.T) {
	full, err := size()
	if err != nil {
		t.Fatal(err)
	}
	if result.seed, err = seed(); err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d", result.seed)
	most, err := most()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range programme {
		trials := f.smoke
		if full {
			trials = f.full
		}
		switch trials = max(min(trials, most), f.smoke); {
		case trials == 0:
		case f.root && os.Geteuid() != 0 && !full:
			t.Logf("%s is left out: it mounts a file system, so it needs root", f.name)
		default:
			t.Run(f.name, func(t *testing.T) { f.run(t, trials) })
		}
	}
}

func (f fault) run(t *testing.T, trials int) {
	one := row{fault: f, trials: trials, failed: "could not be tried", control: "of the test"}
	began := time.Now()
	defer func() {
		one.took = time.Since(began)
		result.add(one)
	}()
	random := rand.New(rand.NewPCG(result.seed, uint64(f.item)))
	seen, broken := f.try(t, world{trials: trials, random: random})
	if broken != nil {
		one.failed = broken.Error()
		t.Errorf("%s: %v", f.name, broken)
		return
	}
	one.seen = seen
	t.Logf("%s: %s", f.name, seen)
	if f.without == "" {
		one.failed = ""
		return
	}
	one.failed, one.control = "the control could not be tried", "not tried"
	_, broken = f.try(t, world{trials: max(f.controls, 1), control: true, random: random})
	if broken == nil {
		one.failed, one.control = "the control broke nothing", f.without+": broke nothing"
		t.Errorf("%s: without protection (%s) nothing breaks, so this proves nothing", f.name, f.without)
		return
	}
	one.control = fmt.Sprintf("%s: %v", f.without, broken)
	if f.breaks == "" || !strings.Contains(broken.Error(), f.breaks) {
		one.failed = "the control broke something else"
		t.Errorf("%s: without protection (%s) it is to say %q, and said: %v", f.name, f.without, f.breaks, broken)
		return
	}
	one.failed = ""
	t.Logf("%s, control (%s): %v", f.name, f.without, broken)
}

// within waits for a condition; what does not come in time fails the trial.
func within(ctx context.Context, patience time.Duration, condition func() bool) bool {
	for end := time.Now().Add(patience); !condition(); {
		if time.Now().After(end) || ctx.Err() != nil {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}
