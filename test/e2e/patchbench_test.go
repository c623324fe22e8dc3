package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"secretsbridge/web/api"
)

// patchAppends are the durable appends of a patch that nothing gets in the way of, from
// its approval on: approved, started, begun, delivered, executed.
const patchAppends = 5

// BenchmarkPatchEndToEnd measures how long a patch of one key takes from its approval to
// the durable fact that it was executed, by the server's own clock: merged, written to
// the demo agent's file store with compare-and-set, and read back. "beyond-ms" is what of
// the p50 lies beyond five durable appends to a log on the same disk; the file store
// syncs to that disk as well.
func BenchmarkPatchEndToEnd(b *testing.B) {
	c := start(b, "SB_LOG_LEVEL=WARN")
	c.signedIn(b, "developer", "approver", "admin")
	c.put(b, "file/prod/bench", `{"first":"1"}`)
	n := 0
	patch := func() time.Duration {
		n++
		id := c.submitPatch(b, "file/prod/bench", "k", fmt.Sprint("v", n))
		c.approvePatch(b, id)
		r := c.patchEnd(b, id)
		wantEnd(b, r, "executed", "written")
		return r.EndedAt.Sub(*r.ApprovedAt)
	}
	for range 20 { // a server that has just started is not what is measured
		patch()
	}
	oneAppend := durableAppend(b)
	var took []time.Duration
	for b.Loop() {
		// A fact bears the time at which its command came in, before it is appended.
		took = append(took, patch()+oneAppend)
	}
	slices.Sort(took)
	p50 := quantile(took, 0.50)
	b.ReportMetric(ms(p50), "p50-ms")
	b.ReportMetric(ms(quantile(took, 0.99)), "p99-ms")
	b.ReportMetric(ms(patchAppends*oneAppend), "five-appends-ms")
	b.ReportMetric(ms(p50-patchAppends*oneAppend), "beyond-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkThousandPatches lets 1,000 patches of one secret, each of a key of its own, be
// approved while an agent works on them: "patches/s" is from the first approval to the
// last end. "lost" must be 0: it counts patches that are called executed and are not
// there, or did not end by name.
func BenchmarkThousandPatches(b *testing.B) {
	const patches, people = 1000, 40
	for b.Loop() {
		c := start(b, "SB_LOG_LEVEL=WARN", "SB_PATCH_REAPPROVE=never", "SB_LOOK_EACH=1h", "SB_OPEN_REQUESTS=1000")
		c.signedIn(b, "developer", "approver", "admin")
		c.put(b, "file/prod/thousand", `{"first":"1"}`)
		ends := make([]api.Request, patches)
		together(patches, people, func(i int) {
			ends[i].ID = c.submitPatch(b, "file/prod/thousand", fmt.Sprint("k", i), fmt.Sprint("v", i))
		})
		began := time.Now()
		together(patches, people, func(i int) { c.approvePatch(b, ends[i].ID) })
		for i := range ends {
			ends[i] = c.patchEnd(b, ends[i].ID)
		}
		took := time.Since(began)
		got, version := c.stored(b, "prod/thousand")
		executed, refused, lost := 0, 0, 0
		for i, r := range ends {
			switch there := got[fmt.Sprint("k", i)] == fmt.Sprintf(`"v%d"`, i); {
			case r.State == "executed" && there:
				executed++
			case r.State == "failed" && r.Failure != nil && !there:
				refused++
			default:
				lost++
			}
		}
		if lost > 0 || version != fmt.Sprint(executed+1) {
			b.Errorf("%d lost; %d executed, and the version is %s", lost, executed, version)
		}
		b.ReportMetric(patches/took.Seconds(), "patches/s")
		b.ReportMetric(float64(executed), "executed")
		b.ReportMetric(float64(refused), "refused-by-name")
		b.ReportMetric(float64(lost), "lost")
		c.stop(b)
	}
	b.ReportMetric(0, "ns/op")
}
