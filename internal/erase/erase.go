// Package erase takes plaintext out of where its owner cannot reach it: stacks, registers,
// and what libraries allocated and dropped. A slice that one holds is cleared with clear,
// at once; this is for all the copies that one does not hold (decision 0075).
//
// It works in binaries that are built with GOEXPERIMENT=runtimesecret, on Linux on amd64
// and arm64. In others [Do] only runs its function.
package erase

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// Pause is how often at most [Run] collects garbage. What is garbage when a [Do] ends is
// overwritten within it and the time that two collections take.
const Pause = 5 * time.Second

// dirty says that a Do has ended since the last collection began.
var dirty atomic.Bool

// Do runs f in this goroutine. The stack and the registers that f used are overwritten
// before Do returns; what f and all that it calls allocate, when the garbage collector
// finds it unreachable. Goroutines that f starts are on their own. Each allocation in f
// costs more, so f is where plaintext is and little else.
func Do(f func()) {
	defer dirty.Store(true)
	do(f)
}

// Run collects garbage soon after values were worked with, until ctx ends. An idle program would else wait for two minutes (runtime, forcegcperiod), and
// then for the memory to be used again.
func Run(ctx context.Context) {
	if !Works {
		return
	}
	tick := time.NewTicker(Pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if dirty.Swap(false) {
				collect()
			}
		}
	}
}

// collect overwrites all garbage. It takes two collections, each with its sweep: what is
// in a [sync.Pool], such as a library's buffers, outlives the first.
func collect() {
	runtime.GC()
	runtime.GC()
}
