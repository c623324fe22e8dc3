package transparency_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/transparency"
)

// benchSize is how many commits of 512 bytes are verified: two tiles of the second level.
const benchSize = 1 << 17

// BenchmarkVerify verifies an events file on one core, as it is started with -cpu 1, and compares with
// SHA-256 of the same bytes alone.
func BenchmarkVerify(b *testing.B) {
	l, k := &log{}, newKeys(b)
	for i := range benchSize {
		raw := commit(b, i, events.AuditRead{Reading: events.ReadingCommits})
		pad := 512 - len(raw) - len(`"filters":[""],`)
		raw = bytes.Replace(raw, []byte(`"reading"`), []byte(`"filters":["`+strings.Repeat("x", max(pad, 0))+`"],"reading"`), 1)
		if len(raw) != 512 {
			b.Fatalf("a commit of %d bytes", len(raw))
		}
		l.add(b, raw)
	}
	tree := tlog.Tree{N: benchSize}
	var err error
	if tree.Hash, err = tlog.TreeHash(benchSize, l.hashes); err != nil {
		b.Fatal(err)
	}
	all, signed := file(l.lines), k.sign(b, tree)
	bare := measure(b, "sha256", func() error {
		for _, line := range l.lines {
			sha256.Sum256(line)
		}
		return nil
	}, 0)
	for _, tiles := range []transparency.Tiles{l, nil} {
		measure(b, fmt.Sprintf("tiles=%t", tiles != nil), func() error {
			_, err := transparency.VerifyEvents(b.Context(), bytes.NewReader(all), transparency.Against{Policy: k.policy, Tiles: tiles, Checkpoints: [][]byte{signed}})
			return err
		}, bare)
	}
}

// measure reports events for each second of the clock and of the processor: a busy machine spoils the
// first alone. It returns the latter.
func measure(b *testing.B, name string, work func() error, bare float64) (rate float64) {
	b.Run(name, func(b *testing.B) {
		began := used(b)
		for b.Loop() {
			if err := work(); err != nil {
				b.Fatal(err)
			}
		}
		n := float64(benchSize) * float64(b.N)
		rate = n / (used(b) - began).Seconds()
		b.ReportMetric(n/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(rate, "events/cpu-s")
		if bare > 0 {
			b.ReportMetric(rate/bare, "ratio")
		}
	})
	return rate
}

func used(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
