package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/inventory"
	"secretsbridge/inventory/inventorytest"
)

var (
	ours    = inventory.Agent{ID: "a_1", Cluster: "demo"}
	theirs  = inventory.Agent{ID: "a_2", Cluster: "other"}
	another = inventory.Agent{ID: "a_3", Cluster: "demo"}
)

// rig is an inventory in memory.
type rig struct {
	*inventory.Inventory
	log   *commandtest.Memory
	views inventorytest.Views
	scans *breakable
	now   time.Time
}

// breakable is a store whose next Advance, or next End, may be lost, and that another call
// may change between two.
type breakable struct {
	*inventorytest.Scans
	lose    bool
	loseEnd bool
	onMet   func() // called once before what was met is read
}

var errCrash = errors.New("the server crashed")

func (b *breakable) Advance(ctx context.Context, from, to inventory.Checkpoint, met []events.SecretID, c events.ConnectionID, p []inventory.Print) (bool, error) {
	if b.lose {
		b.lose = false
		return false, errCrash
	}
	return b.Scans.Advance(ctx, from, to, met, c, p)
}

func (b *breakable) End(ctx context.Context, job events.JobID, replaces events.ConnectionID) error {
	if b.loseEnd {
		b.loseEnd = false
		return errCrash
	}
	return b.Scans.End(ctx, job, replaces)
}

func (b *breakable) MetAfter(ctx context.Context, job events.JobID, after events.SecretID, limit int) ([]events.SecretID, error) {
	if do := b.onMet; do != nil {
		b.onMet = nil
		do()
	}
	return b.Scans.MetAfter(ctx, job, after, limit)
}

// fatal is a test or a property.
type fatal interface {
	Helper()
	Context() context.Context
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

func newRig(t fatal) *rig {
	r := &rig{log: &commandtest.Memory{}, now: commandtest.Noon}
	r.views = inventorytest.Views{Log: r.log}
	r.scans = &breakable{Scans: inventorytest.NewScans()}
	r.Inventory = inventory.New(inventory.Config{
		Log: r.log, Feed: r.log, Views: r.views, Told: &inventorytest.Told{Log: r.log}, Scans: r.scans, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return r.now },
	})
	for _, name := range []events.ConnectionID{"vault", "file"} {
		if _, err := command.Record(context.Background(), r.log, events.ConnectionStream(name), r.meta(), events.ConnectionCreated{
			Connection: name, Provider: events.ProviderVault, Cluster: "demo",
		}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *rig) meta() command.Meta {
	return command.Meta{Command: events.NewCommandID(), Actor: "user:u_op", Time: r.now}
}

// begin queues a scan and takes it.
func (r *rig) begin(t fatal) (events.JobID, events.JobGrant) {
	t.Helper()
	queued, err := r.Queue(context.Background(), r.meta(), "vault", events.OperationDiscover)
	if err != nil {
		t.Fatal(err)
	}
	return queued.State.ID, r.take(t, ours, queued.State.ID)
}

func (r *rig) take(t fatal, by inventory.Agent, job events.JobID) events.JobGrant {
	t.Helper()
	grant, err := r.Take(context.Background(), r.meta(), by, job)
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

func (r *rig) page(job events.JobID, attempt, number int, secrets ...events.SecretMetadata) (events.PageTaken, error) {
	return r.Page(context.Background(), r.meta(), ours, events.ScanPage{
		Job: job, Attempt: attempt, Number: number, Secrets: secrets, Cursor: fmt.Sprint("after ", number),
	})
}

// scan lists secrets in pages of two, and returns what the job met.
func (r *rig) scan(t fatal, secrets ...events.SecretMetadata) events.ScanTally {
	t.Helper()
	job, grant := r.begin(t)
	pages := 0
	for part := range slices.Chunk(secrets, 2) {
		pages++
		if got, err := r.page(job, grant.Attempt, pages, part...); err != nil || got.Next != pages+1 {
			t.Fatalf("page %d: %+v, %v", pages, got, err)
		}
	}
	if err := r.Finish(context.Background(), r.meta(), ours, events.FinishJob{Job: job, Attempt: grant.Attempt, Pages: pages}); err != nil {
		t.Fatal(err)
	}
	return r.result(t, job)
}

// result is what the history of a job says it met.
func (r *rig) result(t fatal, job events.JobID) events.ScanTally {
	t.Helper()
	history, err := r.log.Load(context.Background(), events.JobStream(job))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range history {
		for _, e := range c.Events {
			switch f := e.Fact.(type) {
			case events.JobFinished:
				return f.Result
			case events.JobFailed:
				return f.Result
			case events.JobCancelled:
				return f.Result
			}
		}
	}
	t.Fatal("the job has no end")
	return events.ScanTally{}
}

func (r *rig) refs() []string {
	var refs []string
	for _, s := range r.views.Present(context.Background()) {
		refs = append(refs, s.Ref+"@"+s.Version)
	}
	slices.Sort(refs)
	return refs
}

func secret(ref, version string, labels ...string) events.SecretMetadata {
	s := events.SecretMetadata{Ref: ref, Version: version, Created: commandtest.Noon}
	for i := 0; i < len(labels); i += 2 {
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[labels[i]] = labels[i+1]
	}
	return s
}

func TestScansFindWhatIsNewChangedOrGone(t *testing.T) {
	r := newRig(t)
	a, b, c := secret("a", "1"), secret("b", "1", "team", "x"), secret("c", "")
	want := func(got, want events.ScanTally, refs ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("tally (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(refs, r.refs()); diff != "" {
			t.Errorf("inventory (-want +got):\n%s", diff)
		}
	}
	want(r.scan(t, a, b, c), events.ScanTally{Pages: 2, Secrets: 3, Found: 3}, "a@1", "b@1", "c@")
	before, _ := r.log.Last(t.Context())
	want(r.scan(t, c, b, a), events.ScanTally{Pages: 2, Secrets: 3}, "a@1", "b@1", "c@")
	if after, _ := r.log.Last(t.Context()); after-before != 3 {
		t.Errorf("a scan that found nothing new appended %d commits", after-before)
	}
	want(r.scan(t, a, secret("b", "2", "team", "x")), events.ScanTally{Pages: 1, Secrets: 2, Changed: 1, Gone: 1}, "a@1", "b@2")
	want(r.scan(t, a, secret("b", "2", "team", "y"), c), events.ScanTally{Pages: 2, Secrets: 3, Found: 1, Changed: 1}, "a@1", "b@2", "c@")
	want(r.scan(t), events.ScanTally{Gone: 3})
}

// Whatever an agent should not send changes nothing.
func TestPagesThatAreRefused(t *testing.T) {
	many := make([]events.SecretMetadata, events.MaxPageSecrets+1)
	for i := range many {
		many[i] = secret(fmt.Sprint("s", i), "")
	}
	labels := map[string]string{}
	for i := range events.MaxLabels + 1 {
		labels[fmt.Sprint(i)] = "x"
	}
	long := make([]byte, 10<<20)
	for name, c := range map[string]struct {
		by    inventory.Agent
		alter func(*events.ScanPage)
		want  error
	}{
		"of another cluster":             {theirs, nil, command.ErrJobNotYours},
		"of an agent that has no lease":  {another, nil, command.ErrAttemptStale},
		"of an attempt to come":          {ours, func(p *events.ScanPage) { p.Attempt++ }, command.ErrAttemptStale},
		"of a job that is not there":     {ours, func(p *events.ScanPage) { p.Job = events.ScanOf("x", events.OperationDiscover, 1) }, command.ErrJobUnknown},
		"a page too early":               {ours, func(p *events.ScanPage) { p.Number++ }, command.ErrPageOrder},
		"a page that was there, altered": {ours, func(p *events.ScanPage) { p.Number-- }, command.ErrPageOrder},
		"page 0":                         {ours, func(p *events.ScanPage) { p.Number = 0 }, command.ErrPageInvalid},
		"a ref twice":                    {ours, func(p *events.ScanPage) { p.Secrets = append(p.Secrets, p.Secrets[0]) }, command.ErrPageInvalid},
		"a ref that is none":             {ours, func(p *events.ScanPage) { p.Secrets[0].Ref = "a/../b" }, command.ErrPageInvalid},
		"a ref with a control character": {ours, func(p *events.ScanPage) { p.Secrets[0].Ref = "a\x00b" }, command.ErrPageInvalid},
		"too many secrets":               {ours, func(p *events.ScanPage) { p.Secrets = many }, command.ErrPageInvalid},
		"too many labels":                {ours, func(p *events.ScanPage) { p.Secrets[0].Labels = labels }, command.ErrPageInvalid},
		"a label of 10 MB":               {ours, func(p *events.ScanPage) { p.Secrets[0].Labels = map[string]string{"k": string(long)} }, command.ErrPageInvalid},
		"a label that is no UTF-8":       {ours, func(p *events.ScanPage) { p.Secrets[0].Labels = map[string]string{"k": "\xff"} }, command.ErrPageInvalid},
		"a version that is no text":      {ours, func(p *events.ScanPage) { p.Secrets[0].Version = "\n" }, command.ErrPageInvalid},
		"a time that cannot be written":  {ours, func(p *events.ScanPage) { p.Secrets[0].Created = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC) }, command.ErrPageInvalid},
		"less than nothing skipped":      {ours, func(p *events.ScanPage) { p.Skipped = -1 }, command.ErrPageInvalid},
		"a cursor that does not print":   {ours, func(p *events.ScanPage) { p.Cursor = "\x00" }, command.ErrPageInvalid},
		"a cursor of 5 KiB":              {ours, func(p *events.ScanPage) { p.Cursor = string(make([]byte, 5<<10)) }, command.ErrPageInvalid},
		"600 KiB of labels": {ours, func(p *events.ScanPage) {
			for i := range 500 {
				s := secret(fmt.Sprint("l", i), "")
				s.Labels = map[string]string{"k": fmt.Sprintf("%01024d", i), "l": fmt.Sprintf("%0200d", i)}
				p.Secrets = append(p.Secrets, s)
			}
			p.Secrets = p.Secrets[:500]
		}, command.ErrPageInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			job, grant := r.begin(t)
			if _, err := r.page(job, grant.Attempt, 1, secret("first", "1")); err != nil {
				t.Fatal(err)
			}
			p := events.ScanPage{Job: job, Attempt: grant.Attempt, Number: 2, Secrets: []events.SecretMetadata{secret("second", "1")}}
			if c.alter != nil {
				c.alter(&p)
			}
			if _, err := r.Page(t.Context(), r.meta(), c.by, p); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if diff := cmp.Diff([]string{"first@1"}, r.refs()); diff != "" {
				t.Errorf("inventory (-want +got):\n%s", diff)
			}
			if got, err := r.page(job, grant.Attempt, 2, secret("second", "1")); err != nil || got.Next != 3 {
				t.Errorf("the page that should come: %+v, %v", got, err)
			}
		})
	}
}

func TestAnAgentDoesNotListWithoutEnd(t *testing.T) {
	r := newRig(t)
	job, grant := r.begin(t)
	if _, err := r.page(job, grant.Attempt, 1, secret("a", "1")); err != nil {
		t.Fatal(err)
	}
	at, err := r.scans.Get(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	many := at
	many.Pages, many.Tally.Secrets = 2, command.MaxScanSecrets
	if moved, err := r.scans.Advance(t.Context(), at, many, nil, "vault", nil); err != nil || !moved {
		t.Fatal(moved, err)
	}
	if _, err := r.page(job, grant.Attempt, 3, secret("b", "1")); !errors.Is(err, command.ErrScanTooLarge) {
		t.Errorf("one more: %v", err)
	}
	if diff := cmp.Diff([]string{"a@1"}, r.refs()); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
}

func TestAPageWhoseAnswerWasLostIsAnsweredAgain(t *testing.T) {
	r := newRig(t)
	job, grant := r.begin(t)
	for range 3 {
		if got, err := r.page(job, grant.Attempt, 1, secret("a", "1")); err != nil || got.Next != 2 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	r.scans.lose = true
	if _, err := r.page(job, grant.Attempt, 2, secret("b", "1")); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	// Its facts are in the log; another attempt sees another page there.
	grant = r.take(t, ours, job)
	if grant.Attempt != 2 || grant.Page != 2 || grant.Cursor != "after 1" {
		t.Errorf("the second attempt begins at %+v", grant)
	}
	if _, err := r.page(job, 2, 2, secret("b", "2"), secret("c", "1")); err != nil {
		t.Fatal(err)
	}
	if err := r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: 2, Pages: 2}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a@1", "b@2", "c@1"}, r.refs()); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	if got := r.result(t, job); got.Secrets != 3 || got.Gone != 0 {
		t.Errorf("met %+v", got)
	}
	if err := r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: 2, Pages: 2}); err != nil {
		t.Errorf("the end, again: %v", err)
	}
}

func TestOnlyACompleteScanSaysWhatIsGone(t *testing.T) {
	for name, end := range map[string]func(*rig, events.JobID, int) error{
		"it was abandoned": func(r *rig, job events.JobID, attempt int) error {
			return r.Abandon(context.Background(), r.meta(), ours, events.AbandonJob{Job: job, Attempt: attempt, Code: events.FailureProviderUnavailable})
		},
		"it was cancelled": func(r *rig, job events.JobID, _ int) error {
			_, err := r.Cancel(context.Background(), r.meta(), job, "enough")
			return err
		},
		"its time was over": func(r *rig, _ events.JobID, _ int) error {
			r.now = r.now.Add(command.MaxScan)
			return r.Expire(context.Background())
		},
		"nobody got its ticket again": func(r *rig, job events.JobID, _ int) error {
			known, err := r.Bury(context.Background(), "demo", job, events.FailureAgentLost)
			if !known {
				return errors.New("not known")
			}
			return err
		},
		"a part could not be listed": func(r *rig, job events.JobID, attempt int) error {
			_, err := r.Page(context.Background(), r.meta(), ours, events.ScanPage{Job: job, Attempt: attempt, Number: 2, Unlisted: 1})
			return errors.Join(err, r.Finish(context.Background(), r.meta(), ours, events.FinishJob{Job: job, Attempt: attempt, Pages: 2}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.scan(t, secret("a", "1"), secret("b", "1"), secret("c", "1"))
			job, grant := r.begin(t)
			if _, err := r.page(job, grant.Attempt, 1, secret("a", "2")); err != nil {
				t.Fatal(err)
			}
			if err := end(r, job, grant.Attempt); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"a@2", "b@1", "c@1"}, r.refs()); diff != "" {
				t.Errorf("inventory (-want +got):\n%s", diff)
			}
			if got := r.result(t, job); got.Secrets != 1 || got.Changed != 1 || got.Gone != 0 {
				t.Errorf("met %+v", got)
			}
			if _, err := r.page(job, grant.Attempt, 3, secret("d", "1")); !errors.Is(err, command.ErrJobOver) {
				t.Errorf("a page after the end: %v", err)
			}
			r.now = r.now.Add(time.Second)
			if _, err := r.Cancel(t.Context(), r.meta(), job, ""); name != "it was cancelled" && !errors.Is(err, command.ErrJobOver) {
				t.Errorf("another end: %v", err)
			}
			r.scan(t, secret("a", "2"))
		})
	}
}

func TestAScanThatMissedAPageDoesNotEnd(t *testing.T) {
	r := newRig(t)
	r.scan(t, secret("a", "1"))
	job, grant := r.begin(t)
	if err := r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: grant.Attempt, Pages: 1}); !errors.Is(err, command.ErrPageOrder) {
		t.Errorf("%v", err)
	}
	if err := r.Finish(t.Context(), r.meta(), theirs, events.FinishJob{Job: job, Attempt: grant.Attempt}); !errors.Is(err, command.ErrJobNotYours) {
		t.Errorf("another cluster's: %v", err)
	}
	if len(r.refs()) != 1 {
		t.Errorf("%v is left", r.refs())
	}
}

func TestOneScanOfAConnectionAtATime(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	var queued []events.JobID
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			done, err := r.Queue(t.Context(), r.meta(), "vault", events.OperationDiscover)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				queued = append(queued, done.State.ID)
			case !errors.Is(err, command.ErrScanRunning) || done.State.ID == "":
				t.Errorf("%v, with job %q", err, done.State.ID)
			}
		})
	}
	wg.Wait()
	if len(queued) != 1 {
		t.Fatalf("queued %v", queued)
	}
	if _, err := r.Queue(t.Context(), r.meta(), "file", events.OperationDiscover); err != nil {
		t.Errorf("another connection: %v", err)
	}
	if _, err := r.Queue(t.Context(), r.meta(), "vault", events.OperationFingerprint); err != nil {
		t.Errorf("another kind of job: %v", err)
	}
	if _, err := r.Queue(t.Context(), r.meta(), "vault", events.OperationRead); !errors.Is(err, command.ErrJobKind) {
		t.Errorf("a request's operation: %v", err)
	}
	if _, err := r.Queue(t.Context(), r.meta(), "nowhere", events.OperationDiscover); !errors.Is(err, command.ErrConnectionUnknown) {
		t.Errorf("no connection: %v", err)
	}
	if _, err := r.Cancel(t.Context(), r.meta(), queued[0], ""); err != nil {
		t.Fatal(err)
	}
	meta := r.meta()
	first, err := r.Queue(t.Context(), meta, "vault", events.OperationDiscover)
	if err != nil || first.State.Queued.Number != 2 {
		t.Fatalf("the next one: %+v, %v", first.State, err)
	}
	if again, err := r.Queue(t.Context(), meta, "vault", events.OperationDiscover); err != nil || again.State.ID != first.State.ID || !again.Repeated {
		t.Errorf("the same command again: %+v, %v", again.State, err)
	}
}

func TestAScheduleQueuesAScanWhenItsTimeHasCome(t *testing.T) {
	r := newRig(t)
	if _, err := command.Execute(t.Context(), r.log, events.ConnectionStream("vault"), r.meta(), func(c command.Connection) ([]events.Fact, error) {
		return c.Schedule(r.meta(), time.Hour)
	}); err != nil {
		t.Fatal(err)
	}
	scans := func() int {
		n, _ := r.views.LastNumber(t.Context(), "vault", events.OperationDiscover)
		return n
	}
	due := func(want int) {
		t.Helper()
		for range 2 { // two servers
			if err := r.QueueDue(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := scans(); got != want {
			t.Errorf("%d scans, want %d", got, want)
		}
	}
	due(1)
	r.now = r.now.Add(2 * time.Hour)
	due(1) // the first is under way
	job := events.ScanOf("vault", events.OperationDiscover, 1)
	grant := r.take(t, ours, job)
	if err := r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: grant.Attempt}); err != nil {
		t.Fatal(err)
	}
	due(1)
	r.now = r.now.Add(time.Hour)
	due(2)
	next, _, err := command.Load[command.Job](t.Context(), r.log, events.JobStream(events.ScanOf("vault", events.OperationDiscover, 2)))
	if err != nil || !next.Queued.Scheduled || next.By != "system:worker" {
		t.Errorf("%+v, %v", next.Queued, err)
	}
}

func TestKeyNamesWaitForWhoeverAsked(t *testing.T) {
	r := newRig(t)
	queued, err := r.QueueKeys(t.Context(), r.meta(), "vault", "prod/db")
	if err != nil {
		t.Fatal(err)
	}
	job := queued.State.ID
	grant := r.take(t, ours, job)
	if err := r.Finish(t.Context(), r.meta(), theirs, events.FinishJob{Job: job, Attempt: grant.Attempt, Keys: []string{"x"}}); !errors.Is(err, command.ErrJobNotYours) {
		t.Errorf("another cluster's names: %v", err)
	}
	if err := r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: grant.Attempt, Keys: []string{"x", "x"}}); !errors.Is(err, command.ErrOutcomeInvalid) {
		t.Errorf("a name twice: %v", err)
	}
	if err := r.Finish(t.Context(), r.meta(), ours, events.FinishJob{Job: job, Attempt: grant.Attempt, Keys: []string{"password", "user"}, Version: "3"}); err != nil {
		t.Fatal(err)
	}
	if names, err := r.scans.Names(t.Context(), job, r.now); err != nil || !slices.Equal(names, []string{"password", "user"}) {
		t.Errorf("names %v, %v", names, err)
	}
	r.now = r.now.Add(time.Hour)
	if err := r.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.scans.Names(t.Context(), job, commandtest.Noon); !errors.Is(err, inventory.ErrNoScan) {
		t.Errorf("names after their end: %v", err)
	}
}

// Whatever happens on the way, a scan that ends well leaves the inventory as the provider
// was listed, and everything that did not end well leaves nothing gone.
func TestAfterACompleteScanTheInventoryIsTheProvider(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(t)
		ref := rapid.StringMatching(`[a-c]{1,2}`)
		provider := map[string]string{}
		for range rapid.IntRange(1, 5).Draw(t, "scans") {
			for range rapid.IntRange(0, 6).Draw(t, "edits") {
				if name := ref.Draw(t, "ref"); rapid.Bool().Draw(t, "stays") {
					provider[name] = rapid.StringMatching(`[12]`).Draw(t, "version")
				} else {
					delete(provider, name)
				}
			}
			before := r.views.Present(context.Background())
			job, grant := r.begin(t)
			number := grant.Page
			for part := range slices.Chunk(slices.Sorted(maps.Keys(provider)), 3) {
				var page []events.SecretMetadata
				for _, name := range part {
					page = append(page, secret(name, provider[name]))
				}
				for {
					r.scans.lose = rapid.IntRange(0, 3).Draw(t, "crash") == 0
					got, err := r.page(job, grant.Attempt, number, page...)
					if err == nil {
						number = got.Next
						break
					}
					if !errors.Is(err, errCrash) {
						t.Fatal(err)
					}
					if rapid.Bool().Draw(t, "another attempt") {
						if grant = r.take(t, ours, job); grant.Page != number {
							t.Fatalf("attempt %d begins at page %d, want %d", grant.Attempt, grant.Page, number)
						}
					}
				}
			}
			r.scans.lose = false
			if rapid.IntRange(0, 3).Draw(t, "cancelled") == 0 {
				if _, err := r.Cancel(context.Background(), r.meta(), job, ""); err != nil {
					t.Fatal(err)
				}
				after := r.views.Present(context.Background())
				for id, s := range before {
					if _, there := after[id]; !there {
						t.Fatalf("%s is gone after a scan that was cancelled", s.Ref)
					}
				}
				continue
			}
			if err := r.Finish(context.Background(), r.meta(), ours, events.FinishJob{Job: job, Attempt: grant.Attempt, Pages: number - 1}); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, s := range r.views.Present(context.Background()) {
				got[s.Ref] = s.Version
			}
			if diff := cmp.Diff(provider, got); diff != "" {
				t.Fatalf("inventory (-want +got):\n%s", diff)
			}
		}
	})
}
