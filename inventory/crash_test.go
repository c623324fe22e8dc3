package inventory_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/inventory"
)

// recorded is what the facts of a scan's pages say, whatever its end says.
func (r *rig) recorded(t fatal, job events.JobID) (told events.ScanTally) {
	t.Helper()
	r.eachFact(t, func(e events.Event) {
		switch f := e.Fact.(type) {
		case events.SecretsFound:
			if f.Scan == job {
				told.Found += len(f.Secrets)
			}
		case events.SecretsChanged:
			if f.Scan == job {
				told.Changed += len(f.Secrets)
			}
		case events.SecretsGone:
			if f.Scan == job {
				told.Gone += len(f.Refs)
			}
		}
	})
	return told
}

// numbered are secrets of one version, and pages of a scan that lists the first of them.
func numbered(n int) []events.SecretMetadata {
	secrets := make([]events.SecretMetadata, n)
	for i := range secrets {
		secrets[i] = secret(fmt.Sprintf("s%04d", i), "1")
	}
	return secrets
}

// counted fails where the end of a job says something else than its facts.
func (r *rig) counted(t fatal, job events.JobID) {
	t.Helper()
	got := r.result(t, job)
	if diff := cmp.Diff(r.recorded(t, job), events.ScanTally{Found: got.Found, Changed: got.Changed, Gone: got.Gone}); diff != "" {
		t.Errorf("the tally (-facts +tally):\n%s", diff)
	}
}

func TestAPageThatWasRecordedBeforeACrashIsCounted(t *testing.T) {
	for name, again := range map[string]func(*rig, events.JobID) int{
		"by the same attempt": func(*rig, events.JobID) int { return 1 },
		"by the next attempt": func(r *rig, job events.JobID) int { return r.take(t, another, job).Attempt },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.scan(t, secret("a", "1"))
			job, grant := r.begin(t)
			r.scans.lose = true
			if _, err := r.page(job, grant.Attempt, 1, secret("a", "2"), secret("b", "1")); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			by, attempt := ours, again(r, job)
			if attempt > 1 {
				by = another
			}
			if _, err := r.Page(t.Context(), r.meta(), by, events.ScanPage{
				Job: job, Attempt: attempt, Number: 1, Secrets: []events.SecretMetadata{secret("a", "2"), secret("b", "1")},
			}); err != nil {
				t.Fatal(err)
			}
			if err := r.Finish(t.Context(), r.meta(), by, events.FinishJob{Job: job, Attempt: attempt, Pages: 1}); err != nil {
				t.Fatal(err)
			}
			r.counted(t, job)
			if got := r.result(t, job); got.Found != 1 || got.Changed != 1 {
				t.Errorf("counted %+v", got)
			}
		})
	}
}

// The server dies after it recorded some of what is gone. Whoever ends the job then, it
// says of everything that its facts say.
func TestWhatWasRecordedAsGoneBeforeACrashIsCounted(t *testing.T) {
	for name, end := range map[string]func(*rig, events.JobID) error{
		"by the same attempt": func(r *rig, job events.JobID) error {
			return r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: 1, Pages: 1})
		},
		"by the next attempt, that lists a page again": func(r *rig, job events.JobID) error {
			grant := r.take(t, ours, job)
			_, err := r.page(job, grant.Attempt, grant.Page, numbered(1)...)
			return errors.Join(err, r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: 2, Pages: 2}))
		},
		"by whoever calls it off": func(r *rig, job events.JobID) error {
			_, err := r.Cancel(t.Context(), r.meta(), job, "enough")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.scan(t, numbered(1200)...)
			job, _ := r.begin(t)
			if _, err := r.page(job, 1, 1, numbered(1)...); err != nil {
				t.Fatal(err)
			}
			pages := 0
			r.log.OnAppend = func(stream events.Stream, commit []events.Event) commandtest.Fault {
				if _, ok := commit[0].Fact.(events.SecretsGone); ok {
					if pages++; pages == 2 {
						return commandtest.Fails
					}
				}
				return commandtest.Works
			}
			if err := r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: 1, Pages: 1}); err == nil {
				t.Fatal("the crash was not noticed")
			}
			r.log.OnAppend = nil
			if err := end(r, job); err != nil {
				t.Fatal(err)
			}
			r.counted(t, job)
			if got := r.result(t, job); got.Gone == 0 {
				t.Errorf("counted %+v", got)
			}
		})
	}
}

// An agent whose answer takes long asks again, and another server takes the same end.
func TestTwoServersThatEndOneScanRecordWhatIsGoneOnce(t *testing.T) {
	for _, at := range []int{1, 2, 3} { // before which page of what is gone the other server comes in
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			r := newRig(t)
			r.scan(t, numbered(1100)...)
			job, _ := r.begin(t)
			if _, err := r.page(job, 1, 1, numbered(1)...); err != nil {
				t.Fatal(err)
			}
			finish := func() error {
				return r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: 1, Pages: 1})
			}
			pages := 0
			r.log.OnAppend = func(_ events.Stream, commit []events.Event) commandtest.Fault {
				if _, ok := commit[0].Fact.(events.SecretsGone); ok {
					if pages++; pages == at {
						if err := finish(); err != nil {
							t.Error(err)
						}
					}
				}
				return commandtest.Works
			}
			if err := finish(); err != nil {
				t.Fatal(err)
			}
			r.log.OnAppend = nil
			r.counted(t, job)
			r.goneOnce(t, 1099)
		})
	}
}

// Many servers at once, each as fast as it can.
func TestManyServersThatEndOneScanRecordWhatIsGoneOnce(t *testing.T) {
	r := newRig(t)
	r.scan(t, numbered(1100)...)
	job, _ := r.begin(t)
	if _, err := r.page(job, 1, 1, numbered(1)...); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: 1, Pages: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r.counted(t, job)
	r.goneOnce(t, 1099)
}

// What a scan met is forgotten when it is called off. The end that is under way then must
// not take that for nothing met.
func TestAScanThatIsCalledOffWhileItEndsLosesNothing(t *testing.T) {
	r := newRig(t)
	r.scan(t, numbered(20)...)
	job, _ := r.begin(t)
	if _, err := r.page(job, 1, 1, numbered(20)...); err != nil {
		t.Fatal(err)
	}
	r.scans.onMet = func() {
		if _, err := r.Cancel(t.Context(), r.meta(), job, "enough"); err != nil {
			t.Error(err)
		}
	}
	if err := r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: 1, Pages: 1}); !errors.Is(err, command.ErrJobOver) {
		t.Errorf("the end: %v", err)
	}
	if n := len(r.refs()); n != 20 {
		t.Errorf("%d secrets are left of 20", n)
	}
}

// goneOnce fails where a ref was recorded as gone twice, or not as many as were.
func (r *rig) goneOnce(t *testing.T, want int) {
	t.Helper()
	times := map[string]int{}
	r.eachFact(t, func(e events.Event) {
		if f, ok := e.Fact.(events.SecretsGone); ok {
			for _, ref := range f.Refs {
				times[ref]++
			}
		}
	})
	twice := 0
	for _, n := range times {
		if n > 1 {
			twice++
		}
	}
	if len(times) != want || twice > 0 {
		t.Errorf("%d are gone, want %d; %d of them twice", len(times), want, twice)
	}
}

func (r *rig) eachFact(t fatal, look func(events.Event)) {
	t.Helper()
	last, err := r.log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := events.Seq(1); seq <= last; seq++ {
		c, err := r.log.At(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			look(e)
		}
	}
}

func TestAJobThatWasTriedTooOftenSaysWhatItMet(t *testing.T) {
	r := newRig(t)
	job, _ := r.begin(t)
	if _, err := r.page(job, 1, 1, numbered(3)...); err != nil {
		t.Fatal(err)
	}
	for range command.MaxAttempts - 1 {
		r.take(t, ours, job)
	}
	if _, err := r.Take(t.Context(), r.meta(), ours, job); !errors.Is(err, command.ErrJobOver) {
		t.Errorf("one attempt more: %v", err)
	}
	if got := r.result(t, job); got.Pages != 1 || got.Secrets != 3 || got.Found != 3 {
		t.Errorf("it met %+v", got)
	}
}

// The server dies, or its database is away, between the end of a job and the moment that
// its fingerprints count.
func TestFingerprintsCountAlsoAfterACrashAtTheEnd(t *testing.T) {
	print := strings.Repeat("0c", 32)
	for name, later := range map[string]func(*rig, events.FinishJob) error{
		"the agent says it again": func(r *rig, m events.FinishJob) error { return r.Finish(t.Context(), r.meta(), ours, m) },
		"nobody says it again":    func(r *rig, _ events.FinishJob) error { return r.Sweep(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			queued, err := r.Queue(t.Context(), r.meta(), "vault", events.OperationFingerprint)
			if err != nil {
				t.Fatal(err)
			}
			job := queued.State.ID
			grant := r.take(t, ours, job)
			if _, err := r.Prints(t.Context(), ours, events.FingerprintPage{
				Job: job, Attempt: grant.Attempt, Number: 1, KeyID: "0123456789abcdef",
				Secrets: []events.Fingerprinted{{Ref: "a", Prints: []string{print}}},
			}); err != nil {
				t.Fatal(err)
			}
			m := events.FinishJob{Job: job, Attempt: grant.Attempt, Pages: 1}
			r.scans.loseEnd = true
			if err := r.Finish(t.Context(), r.meta(), ours, m); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			if err := later(r, m); err != nil {
				t.Fatal(err)
			}
			got, err := r.scans.Counting(t.Context())
			if err != nil || len(got) != 1 || got[0].Print != print {
				t.Errorf("%v count, %v", got, err)
			}
			if _, err := r.scans.Get(t.Context(), job); !errors.Is(err, inventory.ErrNoScan) {
				t.Errorf("the checkpoint is left: %v", err)
			}
		})
	}
}

// A job is called off between the moment that an agent took it and its checkpoint.
func TestASweepForgetsTheCheckpointsOfEndedJobsAlone(t *testing.T) {
	r := newRig(t)
	ended, grant := r.begin(t)
	if _, err := r.Cancel(t.Context(), r.meta(), ended, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := r.scans.Begin(t.Context(), ended, grant.Attempt, 1, r.now); err != nil {
		t.Fatal(err)
	}
	running, _ := r.begin(t)
	if err := r.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.scans.Get(t.Context(), ended); !errors.Is(err, inventory.ErrNoScan) {
		t.Errorf("the checkpoint of an ended job is left: %v", err)
	}
	if _, err := r.scans.Get(t.Context(), running); err != nil {
		t.Errorf("that of a running one is not: %v", err)
	}
}
