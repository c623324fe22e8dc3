package agent_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
)

// synthetic lists n secrets that exist nowhere, in pages of size; the cursor is how many
// there were. Each has the labels that it is given.
type synthetic struct {
	*providertest.Memory
	n, size int
	labels  func(i int) map[string]string
	page    func(at int, page *agent.Page) error // may change a page, or end the list
	listed  int                                  // secrets of all pages, by the goroutine of the scan
}

func (s *synthetic) List(_ context.Context, from agent.Cursor) iter.Seq2[agent.Page, error] {
	return func(yield func(agent.Page, error) bool) {
		at, err := strconv.Atoi("0" + string(from))
		if err != nil {
			yield(agent.Page{}, agent.ErrCursor)
			return
		}
		for {
			page, end := agent.Page{}, min(at+s.size, s.n)
			for i := at; i < end; i++ {
				secret := events.SecretMetadata{Ref: ref(i), Version: "1", Created: time.Unix(int64(i), 0).UTC()}
				if s.labels != nil {
					secret.Labels = s.labels(i)
				}
				page.Secrets = append(page.Secrets, secret)
			}
			if end < s.n {
				page.Next = agent.Cursor(strconv.Itoa(end))
			}
			if s.page != nil {
				if err := s.page(at, &page); err != nil {
					yield(agent.Page{}, fmt.Errorf("list: %w", err))
					return
				}
			}
			s.listed += len(page.Secrets)
			if !yield(page, nil) || end == s.n {
				return
			}
			at = end
		}
	}
}

func ref(i int) string { return fmt.Sprintf("prod/team-%03d/service-%06d", i/1000, i) }

func refs(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = ref(i)
	}
	slices.Sort(out)
	return out
}

// serve makes connection one of p.
func serve(p agent.Provider) func(*agent.Config) {
	return func(cfg *agent.Config) {
		cfg.Connections = agent.NewConnections(map[events.ConnectionID]agent.Connection{
			connection: {Kind: events.ProviderFile, Open: func() (agent.Provider, error) { return p, nil }},
		}, cfg.Logger)
	}
}

// scanned runs a test of a scan of a synthetic provider.
func scanned(t *testing.T, p *synthetic, test func(*testing.T, *rig)) {
	t.Helper()
	p.Memory = providertest.NewMemory()
	bubbleOn(t, p.Memory, serve(p), test)
}

func TestAScanTellsAllThatTheProviderLists(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.memory.PageSize, r.memory.Unlisted = 200, 1
		var want []string
		for i := range 1100 {
			r.put(t, ref(i), "k", "1")
			want = append(want, ref(i))
		}
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if diff := cmp.Diff(want, s.found()); diff != "" {
			t.Errorf("secrets (-want +got):\n%s", diff)
		}
		var sizes []int
		unlisted := 0
		for _, page := range s.pages {
			sizes, unlisted = append(sizes, len(page.Secrets)), unlisted+page.Unlisted
		}
		if diff := cmp.Diff([]int{500, 500, 100}, sizes); diff != "" || unlisted != 6 {
			t.Errorf("%d unlisted; pages (-want +got):\n%s", unlisted, diff)
		}
		if first := s.pages[0].Secrets[0]; first.Version != "1" || first.Created.IsZero() {
			t.Errorf("what is said of a secret: %+v", first)
		}
		if r.memory.Calls("read") != 0 {
			t.Error("a scan read a secret")
		}
	})
}

func TestAScanOfNothingHasNoPage(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if len(s.pages) != 0 {
			t.Errorf("%d pages", len(s.pages))
		}
	})
}

func TestWhatIsNotListedIsCountedOverAllPages(t *testing.T) {
	p := &synthetic{n: 1000, size: 250, page: func(_ int, page *agent.Page) error { page.Skipped, page.Unlisted = 3, 2; return nil }}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		skipped, unlisted := 0, 0
		for _, page := range s.pages {
			skipped, unlisted = skipped+page.Skipped, unlisted+page.Unlisted
		}
		if skipped != 12 || unlisted != 8 {
			t.Errorf("%d skipped, %d unlisted", skipped, unlisted)
		}
	})
}

func TestAFolderThatIsNotOpenIsToldAlsoWithoutAnySecret(t *testing.T) {
	p := &synthetic{n: 0, size: 250, page: func(_ int, page *agent.Page) error { page.Unlisted = 1; return nil }}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if len(s.pages) != 1 || s.pages[0].Unlisted != 1 {
			t.Errorf("pages %+v", s.pages)
		}
	})
}

// fat are the largest labels that ValidLabels admits: 64 of 1.5 KiB.
func fat(letter string) func(int) map[string]string {
	return func(int) map[string]string {
		labels := map[string]string{}
		for i := range events.MaxLabels {
			name := fmt.Sprintf("%02d", i)
			labels[name+strings.Repeat(letter, events.MaxLabelName-len(name))] = strings.Repeat(letter, events.MaxLabelValue)
		}
		return labels
	}
}

func TestPagesAreSplitByTheirBytes(t *testing.T) {
	p := &synthetic{n: 20, size: 7, labels: fat("v")}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if diff := cmp.Diff(refs(20), s.found()); diff != "" {
			t.Errorf("secrets (-want +got):\n%s", diff)
		}
		// Each page has a cursor that leaves out nothing which is not in it or before it.
		told := 0
		for _, page := range s.pages {
			told += len(page.Secrets)
			from, _ := strconv.Atoi("0" + page.Cursor)
			if from > told || from%7 != 0 {
				t.Errorf("page %d has cursor %q after %d secrets", page.Number, page.Cursor, told)
			}
		}
		if last := s.pages[len(s.pages)-1]; len(s.pages) != 4 || last.Cursor != "14" {
			t.Errorf("%d pages, the last with cursor %q", len(s.pages), last.Cursor)
		}
	})
}

func TestASecretThatNoPageCanHoldIsUnlisted(t *testing.T) {
	p := &synthetic{n: 3, size: 2, labels: fat("\x01")} // six bytes of JSON each
	all := p.labels
	p.labels = func(i int) map[string]string {
		if i == 1 {
			return all(i)
		}
		return nil
	}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if diff := cmp.Diff([]string{ref(0), ref(2)}, s.found()); diff != "" || s.pages[0].Unlisted != 1 {
			t.Errorf("%d unlisted; secrets (-want +got):\n%s", s.pages[0].Unlisted, diff)
		}
	})
}

func TestASecretThatIsListedTwiceIsInAPageOnce(t *testing.T) {
	p := &synthetic{n: 900, size: 100, page: func(at int, page *agent.Page) error {
		page.Secrets = append(page.Secrets, page.Secrets[0], events.SecretMetadata{Ref: ref(max(0, at-1))})
		return nil
	}}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if diff := cmp.Diff(refs(900), s.found()); diff != "" {
			t.Errorf("secrets (-want +got):\n%s", diff)
		}
	})
}

// TestNoCallOfAScanIsLostForGood loses each call, before and after it was taken.
func TestNoCallOfAScanIsLostForGood(t *testing.T) {
	for _, op := range []events.Operation{events.OperationDiscover, events.OperationFingerprint} {
		for _, service := range []events.Service{events.ServiceTake, events.ServicePage, events.ServicePrints, events.ServiceFinish} {
			for name, f := range map[string]fault{
				"lost before it was taken": {before: true},
				"lost after it was taken":  {after: true},
				"not taken now":            {reply: &events.ServiceError{Code: "unavailable", Retry: true}},
			} {
				t.Run(fmt.Sprintf("%s: %s %s", op, service, name), func(t *testing.T) {
					bubble(t, withPrints(7), func(t *testing.T, r *rig) {
						lost := 0
						r.onCall(func(s events.Service, n int) fault {
							if s == service && n%2 == 1 && lost < 6 {
								lost++
								return f
							}
							return fault{}
						})
						for i := range 1001 {
							r.put(t, ref(i), "k", hard)
						}
						s := r.queueJob(op)
						r.settle(5 * time.Minute)
						r.wantJob(t, s, events.JobStateFinished, "", "done")
						if diff := cmp.Diff(refs(1001), s.found()); diff != "" || service != events.ServiceTake && s.attempt != 1 {
							t.Errorf("attempt %d; secrets (-want +got):\n%s", s.attempt, diff)
						}
					})
				})
			}
		}
	}
}

func TestAScanGoesOnWhereTheAttemptBeforeEnded(t *testing.T) {
	p := &synthetic{n: 2000, size: 250}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.planJob(events.OperationDiscover)
		r.set(func() {
			s.attempt, s.state, s.cursor = 1, events.JobStateRunning, "1500"
			s.pages = make([]events.ScanPage, 3)
		})
		r.deliver(s.signed)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if diff := cmp.Diff(refs(2000)[1500:], s.found()); diff != "" || len(s.pages) != 4 || p.listed != 500 {
			t.Errorf("%d pages, %d listed; secrets (-want +got):\n%s", len(s.pages), p.listed, diff)
		}
	})
}

// TestAnotherAttemptGoesOnAfterACrash: the page was stored, its answer was lost, and
// somebody else takes the job over.
func TestAnotherAttemptGoesOnAfterACrash(t *testing.T) {
	p := &synthetic{n: 2000, size: 250}
	scanned(t, p, func(t *testing.T, r *rig) {
		var s *standalone
		r.onCall(func(service events.Service, n int) fault {
			if service == events.ServicePage && n == 2 {
				return fault{after: true}
			}
			if service == events.ServicePage && n == 3 {
				s.attempt++ // with control's lock held
			}
			return fault{}
		})
		s = r.planJob(events.OperationDiscover)
		r.deliver(s.signed)
		r.settle(time.Minute)
		r.wantJob(t, s, events.JobStateRunning, "", "") // the ticket is the other agent's
		if len(r.agent.Status().Running) != 0 || len(s.pages) != 2 {
			t.Fatalf("%d pages, and it runs on: %v", len(s.pages), r.agent.Status().Running)
		}
		r.deliver(s.signed) // which dies
		r.settle(time.Minute)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if got := s.grants[1]; got.Page != 3 || got.Cursor != "1000" {
			t.Errorf("granted %+v", got)
		}
		if diff := cmp.Diff(refs(2000), s.found()); diff != "" || len(s.pages) != 4 {
			t.Errorf("%d pages; secrets (-want +got):\n%s", len(s.pages), diff)
		}
	})
}

// TestACrashAfterTheLastPageReadsOnePageAgain: its cursor is not that of the beginning.
func TestACrashAfterTheLastPageReadsOnePageAgain(t *testing.T) {
	p := &synthetic{n: 1000, size: 250}
	scanned(t, p, func(t *testing.T, r *rig) {
		var s *standalone
		r.onCall(func(service events.Service, n int) fault {
			if service == events.ServiceFinish && n == 1 {
				s.attempt++
			}
			return fault{}
		})
		s = r.planJob(events.OperationDiscover)
		r.deliver(s.signed)
		r.settle(time.Minute)
		r.deliver(s.signed)
		r.settle(time.Minute)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if p.listed != 1250 || len(s.pages) != 3 {
			t.Errorf("%d listed in %d pages", p.listed, len(s.pages))
		}
	})
}

func TestAListWhoseCursorIsNoneAnyMoreBeginsAnewOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		times int
		state events.JobState
		code  events.FailureCode
	}{
		{"once", 1, events.JobStateFinished, ""},
		{"again and again", 1000, events.JobStateFailed, events.FailureProviderUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := 0
			p := &synthetic{n: 1000, size: 250, page: func(at int, _ *agent.Page) error {
				if at == 500 && broken < c.times {
					broken++
					return agent.ErrCursor
				}
				return nil
			}}
			scanned(t, p, func(t *testing.T, r *rig) {
				s := r.queueJob(events.OperationDiscover)
				r.settle(30 * time.Minute)
				r.wantJob(t, s, c.state, c.code, "done")
				if c.times == 1 && (s.attempt != 1 || len(s.found()) != 1000) {
					t.Errorf("attempt %d found %d", s.attempt, len(s.found()))
				}
			})
		})
	}
}

// awayUntil makes a provider's calls of one kind fail from the n-th on, for a while.
func awayFrom(n int, back func() bool) hook {
	return func(c providertest.Call) providertest.Fault {
		if c.N >= n && !back() {
			return providertest.Fault{Err: agent.ErrUnavailable}
		}
		return providertest.Fault{}
	}
}

func TestAScanSitsOutAnOutage(t *testing.T) {
	for _, c := range []struct {
		name     string
		away     time.Duration
		attempts int
	}{
		{"of a minute, within the attempt", time.Minute, 1},
		{"of five minutes, with other attempts", 5 * time.Minute, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.memory.PageSize = 100
				for i := range 1000 {
					r.put(t, ref(i), "k", "1")
				}
				back := time.Now().Add(c.away)
				r.onList(awayFrom(4, func() bool { return !time.Now().Before(back) }))
				s := r.queueJob(events.OperationDiscover)
				r.settle(10 * time.Minute)
				r.wantJob(t, s, events.JobStateFinished, "", "done")
				if diff := cmp.Diff(refs(1000), s.found()); diff != "" || s.attempt > c.attempts || c.attempts == 1 && s.attempt != 1 {
					t.Errorf("attempt %d; secrets (-want +got):\n%s", s.attempt, diff)
				}
				if c.attempts > 1 && (len(s.pages[0].Secrets) != 300 || s.grants[1].Cursor == "") {
					t.Errorf("what there was before the outage: %d; granted next: %+v", len(s.pages[0].Secrets), s.grants[1])
				}
			})
		})
	}
}

func TestAScanThatCannotBeDoneIsAbandonedWithItsCode(t *testing.T) {
	answer := func(err error) func(*rig) {
		return func(r *rig) {
			r.onList(func(providertest.Call) providertest.Fault { return providertest.Fault{Err: err} })
		}
	}
	for name, c := range map[string]struct {
		prepare func(*rig)
		ticket  func(*events.Ticket)
		want    events.FailureCode
	}{
		"forbidden":                 {answer(agent.ErrForbidden), nil, events.FailureForbidden},
		"no sign-in":                {answer(agent.ErrSignIn), nil, events.FailureSignIn},
		"a folder without end":      {answer(agent.ErrTooLarge), nil, events.FailureListTooLarge},
		"away without end":          {answer(agent.ErrUnavailable), nil, events.FailureProviderUnavailable},
		"a connection that is not":  {nil, func(t *events.Ticket) { t.Connection = "other" }, events.FailureUnknownConnection},
		"another kind of provider":  {nil, func(t *events.Ticket) { t.Provider = events.ProviderVault }, events.FailureUnknownConnection},
		"a provider that panics":    {func(r *rig) { r.onList(panicOn) }, nil, events.FailureInternal},
		"a page that is not taken":  {refusePages("page_invalid"), nil, events.FailureInternal},
		"pages that are not in row": {refusePages("page_out_of_order"), nil, events.FailureInternal},
		"more than may be met":      {refusePages("scan_too_large"), nil, events.FailureListTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.settle(time.Millisecond)
				r.put(t, "a", "k", "1")
				if c.prepare != nil {
					c.prepare(r)
				}
				change := c.ticket
				if change == nil {
					change = unchanged
				}
				s := r.queueJob(events.OperationDiscover, change)
				r.settle(30 * time.Minute)
				r.wantJob(t, s, events.JobStateFailed, c.want, "done")
				if len(r.deliveries) > 4 {
					t.Errorf("%d deliveries of the 5 there are", len(r.deliveries))
				}
			})
		})
	}
}

func refusePages(code string) func(*rig) {
	return func(r *rig) {
		r.onCall(func(s events.Service, _ int) fault {
			if s == events.ServicePage {
				return fault{reply: &events.ServiceError{Code: code}}
			}
			return fault{}
		})
	}
}

func TestAListThatIsCutShortIsNotTakenForComplete(t *testing.T) {
	p := &cutShort{providertest.NewMemory()}
	bubbleOn(t, p.Memory, serve(p), func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Minute)
		r.wantJob(t, s, events.JobStateFailed, events.FailureInternal, "done")
		if len(s.found()) != 1 {
			t.Errorf("found %v", s.found())
		}
	})
}

// cutShort lists one page, says that another follows, and ends.
type cutShort struct{ *providertest.Memory }

func (*cutShort) List(context.Context, agent.Cursor) iter.Seq2[agent.Page, error] {
	return func(yield func(agent.Page, error) bool) {
		yield(agent.Page{Secrets: []events.SecretMetadata{{Ref: "a"}}, Next: "b"}, nil)
	}
}

func TestAProviderThatHangsIsAwayAfterAWhile(t *testing.T) {
	for _, nth := range []int{1, 2} {
		t.Run(fmt.Sprintf("at page %d", nth), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				block := make(chan struct{}) // never closed
				r.memory.PageSize = 1
				r.put(t, "a", "k", "1")
				r.put(t, "b", "k", "1")
				r.onList(func(c providertest.Call) providertest.Fault {
					if c.N == nth {
						return providertest.Fault{Block: block}
					}
					return providertest.Fault{}
				})
				s := r.queueJob(events.OperationDiscover)
				r.settle(4 * time.Minute)
				r.wantJob(t, s, events.JobStateRunning, "", "")
				r.settle(2 * time.Minute)
				r.wantJob(t, s, events.JobStateFinished, "", "done")
			})
		})
	}
}

// TestEachOutageIsSatOutByItself: the patience is for one, not for all of a job of hours.
func TestEachOutageIsSatOutByItself(t *testing.T) {
	failed := 0
	p := &synthetic{n: 1000, size: 100, page: func(at int, _ *agent.Page) error {
		if failed < (at/100+1)*5 { // half a minute before each page
			failed++
			return agent.ErrUnavailable
		}
		return nil
	}}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(20 * time.Minute)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if s.attempt != 1 || len(s.found()) != 1000 {
			t.Errorf("attempt %d found %d", s.attempt, len(s.found()))
		}
	})
}

func TestAScanThatIsCalledOffEndsWithItsNextPage(t *testing.T) {
	p := &synthetic{n: 100000, size: 250, page: func(int, *agent.Page) error { time.Sleep(time.Second); return nil }}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Minute)
		r.set(func() { s.state = events.JobStateCancelled })
		pages := len(s.pages)
		r.settle(4 * time.Second)
		r.wantJob(t, s, events.JobStateCancelled, "", "done")
		if pages < 20 || len(s.pages) != pages {
			t.Errorf("%d pages, then %d", pages, len(s.pages))
		}
	})
}

// TestAScanThatFindsLittleIsCalledOffAsWell: a page goes out within half a minute.
func TestAScanThatFindsLittleIsCalledOffAsWell(t *testing.T) {
	p := &synthetic{n: 100000, size: 1, page: func(_ int, page *agent.Page) error { time.Sleep(5 * time.Second); page.Secrets = nil; return nil }}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Hour)
		if n := len(s.pages); n < 100 || s.cursor == "" {
			t.Errorf("%d pages in an hour, cursor %q", n, s.cursor)
		}
		r.set(func() { s.state = events.JobStateCancelled })
		r.settle(36 * time.Second)
		r.wantJob(t, s, events.JobStateCancelled, "", "done")
	})
}

// A provider that hangs says nothing for minutes, and then again. The next scan of the
// cluster has four minutes of patience for the place of this one.
func TestAScanWhoseProviderHangsIsCalledOffAsWell(t *testing.T) {
	for _, nth := range []int{1, 2} {
		t.Run(fmt.Sprintf("at page %d", nth), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				block := make(chan struct{}) // never closed
				r.memory.PageSize = 1
				r.put(t, "a", "k", "1")
				r.put(t, "b", "k", "1")
				r.onList(func(c providertest.Call) providertest.Fault {
					if c.N >= nth {
						return providertest.Fault{Block: block}
					}
					return providertest.Fault{}
				})
				s := r.queueJob(events.OperationDiscover)
				r.settle(10 * time.Second)
				r.set(func() { s.state = events.JobStateCancelled })
				r.settle(65 * time.Second)
				r.wantJob(t, s, events.JobStateCancelled, "", "done")
			})
		})
	}
}

func TestAScanEndsWithItsTicket(t *testing.T) {
	p := &synthetic{n: 100000, size: 250, page: func(int, *agent.Page) error { time.Sleep(time.Minute); return nil }}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover, func(k *events.Ticket) { k.Until = time.Now().Add(90 * time.Second) })
		r.settle(3 * time.Minute)
		r.wantJob(t, s, events.JobStateRunning, "", "done") // the control plane ends it by itself
		if r.count(events.ServiceAbandon)+r.count(events.ServiceFinish) != 0 {
			t.Error("it was ended after its time")
		}
	})
}

func TestAnOutageNearTheEndOfAScanIsToldInTime(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.onList(awayFrom(1, func() bool { return false }))
		s := r.queueJob(events.OperationDiscover, func(k *events.Ticket) { k.Until = time.Now().Add(90 * time.Second) })
		r.settle(89 * time.Second)
		r.wantJob(t, s, events.JobStateFailed, events.FailureProviderUnavailable, "done")
	})
}

func TestAStoppingAgentGivesAScanBackAtOnceAndAnotherGoesOn(t *testing.T) {
	p := &synthetic{n: 10000, size: 250, page: func(int, *agent.Page) error { time.Sleep(time.Second); return nil }}
	p.Memory = providertest.NewMemory()
	var cfg *agent.Config
	change := func(c *agent.Config) { serve(p)(c); cfg = c }
	bubbleOn(t, p.Memory, change, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(10 * time.Second)
		began := time.Now()
		r.stop()
		if d := r.deliveries[0]; d.how() != "later" || d.delay != 0 || time.Since(began) > time.Second {
			t.Errorf("ended as %q after %v", d.how(), time.Since(began))
		}
		next, err := agent.New(*cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- next.Run(ctx) }()
		r.settle(time.Minute)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if diff := cmp.Diff(refs(10000), s.found()); diff != "" || s.attempt != 2 || p.listed > 10000+3*250 {
			t.Errorf("attempt %d, %d listed; secrets (-want +got):\n%s", s.attempt, p.listed, diff)
		}
	})
}

// TestAScanInHandThatIsDeliveredAgainKeepsItsTicket: five deliveries of a long job are
// soon used up.
func TestAScanInHandThatIsDeliveredAgainKeepsItsTicket(t *testing.T) {
	p := &synthetic{n: 5000, size: 250, page: func(int, *agent.Page) error { time.Sleep(5 * time.Second); return nil }}
	scanned(t, p, func(t *testing.T, r *rig) {
		s := r.queueJob(events.OperationDiscover)
		r.settle(35 * time.Second)
		again := r.deliver(s.signed)
		r.settle(time.Minute)
		if again.how() != "" || again.renewed() != 0 {
			t.Errorf("the repetition ended as %q", again.how())
		}
		if n := r.deliveries[0].renewed(); n != 9 {
			t.Errorf("the lease was renewed %d times in 95 s", n)
		}
		r.settle(time.Minute)
		if s.state != events.JobStateFinished || r.deliveries[0].how() != "done" || r.count(events.ServiceTake) != 1 {
			t.Errorf("the job is %s after %d attempts", s.state, r.count(events.ServiceTake))
		}
		late := r.deliver(s.signed)
		r.settle(time.Second)
		if late.how() != "done" || r.count(events.ServiceTake) != 1 {
			t.Errorf("a ticket of a finished job ended as %q", late.how())
		}
	})
}
