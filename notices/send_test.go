package notices

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/worker/workertest"
)

// TestFanOutTellsOnceWhereverItIsStopped stops the loop before and after each write, and lets it
// go on: everything is there once.
func TestFanOutTellsOnceWhereverItIsStopped(t *testing.T) {
	for _, after := range []bool{false, true} {
		w := newWorld(t)
		w.told = []Integration{{ID: "audit", Kind: events.IntegrationWebhook}}
		w.submit()
		faults := 1
		w.outbox.fail = func(call string, then bool) error {
			if call == "add" && then == after && faults > 0 {
				faults--
				return errFault
			}
			return nil
		}
		if err := w.fan(); !errors.Is(err, errFault) {
			t.Fatalf("the fault is %v", err)
		}
		w.outbox.seq = 0 // and whoever goes on knows nothing of what was done
		if err := w.fan(); err != nil {
			t.Fatal(err)
		}
		w.outbox.seq = 0
		if err := w.fan(); err != nil {
			t.Fatal(err)
		}
		if len(w.outbox.rows) != 3 { // Ben, Cleo, and the integration
			t.Errorf("after a fault (after: %v) there are %d deliveries", after, len(w.outbox.rows))
		}
	}
}

// told puts n notices of a kind to somebody into the outbox, each about another commit.
func (w *world) tell(to Recipient, kind events.NoticeKind, n int) {
	w.t.Helper()
	var fresh []Delivery
	for range n {
		fresh = append(fresh, Test(events.NewCommandID(), to, time.Now()))
		fresh[len(fresh)-1].Kind = kind
		if kind == events.NoticeAgentLost {
			fresh[len(fresh)-1].Seq = 6
		}
	}
	if _, err := w.outbox.Put(w.t.Context(), fresh); err != nil {
		w.t.Fatal(err)
	}
}

// approved puts n notices to Ana about her request into the outbox.
func (w *world) approved(n int) {
	w.t.Helper()
	history, err := w.log.Load(w.t.Context(), events.RequestStream(req))
	if err != nil || len(history) == 0 {
		w.t.Fatal(err)
	}
	var fresh []Delivery
	now := time.Now()
	due, held := dueAt(ChosenBy(w.User(ana)), events.NoticeApproved, now)
	for range n {
		fresh = append(fresh, Delivery{
			ID: events.DeliveryOf(events.EventID(events.NewCommandID()), "x"), To: ToUser(ana), Kind: events.NoticeApproved,
			Event: history[0].Events[0].ID, Seq: history[0].Seq, Request: req, At: now, Due: due, Held: held,
		})
	}
	if _, err := w.outbox.Put(w.t.Context(), fresh); err != nil {
		w.t.Fatal(err)
	}
}

func TestWhatIsDueIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.submit()
		if err := w.fan(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		sent := w.mail.all()
		if len(sent) != 2 || sent[0].Kind != events.NoticeSubmitted || sent[0].ID == sent[1].ID {
			t.Errorf("sent %+v", sent)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if again := w.mail.all(); len(again) != 2 {
			t.Errorf("later %d are sent", len(again))
		}
	})
}

func TestWhatIsNothingAnyMoreIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submit()
		if err := w.fan(); err != nil {
			t.Fatal(err)
		}
		w.record(events.RequestStream(req), events.RequestCancelled{}) // before anybody sent
		w.start()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if sent := w.mail.all(); len(sent) != 0 || w.outbox.to(ToUser(ben))[0].State != Moot {
			t.Errorf("sent %+v", sent)
		}
	})
}

func TestManyAtOnceAreOneDigestAndNoMoreThanFiveGoInAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submit()
		w.approved(8)
		w.start()
		time.Sleep(time.Second)
		synctest.Wait()
		if sent := w.mail.all(); len(sent) != 1 || sent[0].Kind != KindDigest || len(sent[0].Lines) != 8 {
			t.Fatalf("eight at once: %+v", sent)
		}
		for range 12 { // one each second
			w.approved(1)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if sent := w.mail.all(); len(sent) != floodCount {
			t.Errorf("%d went within a minute", len(sent))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		sent := w.mail.all()
		if len(sent) != floodCount+1 || len(sent[floodCount].Lines) != 8 {
			t.Errorf("then %d went, the last with %d lines", len(sent), len(sent[len(sent)-1].Lines))
		}
	})
}

func TestALongDigestCountsWhatItDoesNotSpellOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submit()
		w.approved(62)
		w.start()
		time.Sleep(time.Second)
		synctest.Wait()
		sent := w.mail.all()
		if len(sent) != 1 || len(sent[0].Lines) != MaxLines+1 || sent[0].Lines[MaxLines].Text != "And 12 more" {
			t.Errorf("sent %d, %+v", len(sent), sent)
		}
	})
}

func TestQuietHoursHoldBackAllButWhatIsUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins at midnight of 1 January 2000, in UTC
		w := newWorld(t)
		w.record(events.UserStream(ana), events.NoticesChosen{Channel: events.ChannelEmail, Quiet: &events.QuietHours{From: 22 * 60, To: 6 * 60, Zone: "UTC"}})
		w.record(events.UserStream(ben), events.NoticesChosen{Channel: events.ChannelEmail, Quiet: &events.QuietHours{From: 22 * 60, To: 6 * 60, Zone: "UTC"}})
		w.submit()
		w.record(events.RequestStream(req), events.GlassBroken{Reason: "it burns"})
		if err := w.fan(); err != nil {
			t.Fatal(err)
		}
		w.approved(3)
		w.start()
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		for _, m := range w.mail.all() {
			if m.Kind != events.NoticeBreakGlass && m.Kind != events.NoticeSubmitted { // Cleo sleeps at other times
				t.Errorf("at night came %+v", m)
			}
		}
		if !slices.ContainsFunc(w.mail.all(), func(m Message) bool { return m.Kind == events.NoticeBreakGlass }) {
			t.Error("what is urgent did not come")
		}
		before := len(w.mail.all())
		time.Sleep(70 * time.Minute)
		synctest.Wait()
		fresh := w.mail.all()[before:]
		if i := slices.IndexFunc(fresh, func(m Message) bool { return m.Kind == KindDigest }); i < 0 || len(fresh[i].Lines) != 3 {
			t.Errorf("in the morning came %+v", fresh)
		}
	})
}

func TestADigestComesAtTheEndOfItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.record(events.UserStream(ana), events.NoticesChosen{Channel: events.ChannelEmail, DigestSeconds: 600})
		w.submit()
		w.start()
		for range 3 {
			w.approved(1)
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if len(w.mail.all()) != 0 {
			t.Error("something came before")
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if sent := w.mail.all(); len(sent) != 1 || len(sent[0].Lines) != 3 {
			t.Errorf("sent %+v", sent)
		}
	})
}

func TestWhatFailsIsTriedAgainLaterAndGivenUpInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submit()
		var tries []time.Time
		var ids []events.DeliveryID
		w.mail.fail = func(_ string, m Message) error {
			tries, ids = append(tries, time.Now()), append(ids, m.ID)
			f := &Failure{Code: events.DeliveryUnavailable, Retry: true, Err: errFault}
			if len(tries) == 1 {
				f.Code, f.After = events.DeliveryThrottled, 10*time.Minute
			}
			return f
		}
		w.approved(1)
		w.start()
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		if len(tries) != maxAttempts && tries[len(tries)-1].Sub(tries[0]) < maxTrying-time.Hour {
			t.Fatalf("tried %d times", len(tries))
		}
		if len(slices.Compact(ids)) != 1 {
			t.Errorf("the ids are %v", ids)
		}
		if pause := tries[1].Sub(tries[0]); pause < 10*time.Minute || pause > 11*time.Minute {
			t.Errorf("who asked for ten minutes got %s", pause)
		}
		for i := 2; i < len(tries); i++ {
			// A lease that ends in the middle of it leaves a claim, which has to end first.
			if pause := tries[i].Sub(tries[i-1]); pause > longestPause+claim+time.Minute || pause < shortestPause/2 {
				t.Errorf("pause %d is %s", i, pause)
			}
		}
		d := w.outbox.to(ToUser(ana))[0]
		if d.State != Dead || d.Code != events.DeliveryUnavailable {
			t.Errorf("it is %+v", d)
		}
		abandoned := 0
		history, _ := w.log.Load(t.Context(), events.UserStream(ana))
		for _, c := range history {
			for _, e := range c.Events {
				if f, ok := e.Fact.(events.NoticeAbandoned); ok && f.Delivery == d.ID && f.Attempts == d.Attempts {
					abandoned++
				}
			}
		}
		if abandoned != 1 {
			t.Errorf("given up %d times", abandoned)
		}
	})
}

func TestWhatIsRefusedIsGivenUpAtOnceEvenWhereTheNoteIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.mail.fail = func(string, Message) error { return &Failure{Code: events.DeliveryRefused, Err: errFault} }
		lost := 0
		w.outbox.fail = func(call string, after bool) error {
			if call == "settle" && !after && lost < 3 {
				lost++
				return errFault
			}
			return nil
		}
		w.submit()
		w.approved(1)
		w.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		if d := w.outbox.to(ToUser(ana))[0]; d.State != Dead || lost != 3 {
			t.Fatalf("it is %+v after %d faults", d, lost)
		}
		u, _, err := command.Load[command.User](t.Context(), w.log, events.UserStream(ana))
		history, _ := w.log.Load(t.Context(), events.UserStream(ana))
		if err != nil || u.ID != ana || len(history) != 2 {
			t.Errorf("%d commits of Ana", len(history))
		}
	})
}

func TestWhoCannotBeReachedIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.people[ana] = ""
		w.submit()
		w.approved(1)
		w.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		if d := w.outbox.to(ToUser(ana))[0]; d.State != Unset || d.Attempts != 0 || len(w.mail.all()) != 0 {
			t.Errorf("it is %+v", d)
		}
	})
}

func TestWhoIsSlowHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.told = []Integration{{ID: "audit", Kind: events.IntegrationWebhook}}
		w.hook.fail = func(string, Message) error {
			time.Sleep(15 * time.Second)
			return &Failure{Code: events.DeliveryTimeout, Retry: true, Err: errFault}
		}
		w.start()
		w.submit()
		if err := w.fan(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if sent := w.mail.all(); len(sent) != 2 {
			t.Errorf("%d were told while one is slow", len(sent))
		}
	})
}

func TestAChannelOfWhichAllAreSlowHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hook.fail = func(string, Message) error {
			time.Sleep(sendTimeout)
			return &Failure{Code: events.DeliveryTimeout, Retry: true, Err: errFault}
		}
		for i := range 3 * parallel {
			w.tell(ToIntegration(events.IntegrationID(fmt.Sprintf("hook-%d", i))), events.NoticeTest, 1)
		}
		w.start()
		time.Sleep(time.Second) // all that may be sent to at once, hang
		w.submit()
		if err := w.fan(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if sent := w.mail.all(); len(sent) != 2 {
			t.Errorf("%d were told by mail while all webhooks hang", len(sent))
		}
	})
}

func TestDigestsOfMoreThanOneClaimHaveTheirOwnIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const many = 2*takeBatch + 76
		w.submit()
		w.approved(many)
		went := map[events.DeliveryID]int{}
		w.mail.fail = func(_ string, m Message) error {
			more := 0
			if len(m.Lines) > MaxLines {
				if _, err := fmt.Sscanf(m.Lines[MaxLines].Text, "And %d more", &more); err != nil {
					t.Error(err)
				}
			}
			rows := min(len(m.Lines), MaxLines) + more
			if was, known := went[m.ID]; known && was != rows {
				t.Errorf("%s goes out with %d notices, and before with %d", m.ID, rows, was)
			}
			_, known := went[m.ID]
			went[m.ID] = rows
			if !known { // each fails once, so that they come again together
				return &Failure{Code: events.DeliveryUnavailable, Retry: true, Err: errFault}
			}
			return nil
		}
		w.start()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		all := 0
		for _, rows := range went {
			all += rows
		}
		if sent := w.mail.all(); all != many || len(sent) != len(went) {
			t.Errorf("%d of %d notices in %d messages, of which %d went", all, many, len(went), len(sent))
		}
	})
}

func TestAWebhookHearsEachOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.tell(ToIntegration("audit"), events.NoticeTest, 20)
		w.start()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if sent := w.hook.all(); len(sent) != 20 {
			t.Errorf("%d were sent", len(sent))
		}
	})
}

func TestAnEndThatIsNearIsToldOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.submit()
		w.ends = []Ending{{Request: req, Place: 1, End: f.PendingUntil, Since: time.Now()}}
		look := func() {
			for range 2 { // two servers, one after the other
				w.endings = endings{}
				term, err := workertest.Term(t.Context(), w.leases, ExpiringLoop)
				if err == nil {
					err = w.tellEnding(t.Context(), term)
				}
				if err != nil {
					t.Fatal(err)
				}
				w.leases.End(ExpiringLoop)
			}
		}
		time.Sleep(6*time.Hour + 30*time.Minute)
		look()
		if len(w.outbox.rows) != 0 {
			t.Error("told too early")
		}
		time.Sleep(31 * time.Minute) // less than an hour is left
		look()
		look()
		var who []Recipient
		for _, r := range w.outbox.rows {
			who = append(who, r.To)
			said, err := w.composer.compose(t.Context(), r.Delivery)
			if err != nil || said.line.Text != "The request of Ana Lopez to read file/prod/db/password still waits, and ends soon" {
				t.Errorf("%q, %v", said.line.Text, err)
			}
		}
		if !slices.Equal(who, []Recipient{ToUser(ana), ToUser(ben), ToUser(cleo)}) {
			t.Errorf("told are %v", who)
		}
	})
}
