package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/notices"
	"secretsbridge/store"
	"secretsbridge/worker"
)

var someDay = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// due are n deliveries to somebody that are due.
func due(to notices.Recipient, n int) (all []notices.Delivery) {
	for i := range n {
		event := events.EventID(fmt.Sprintf("c_%s.%d", to, i))
		all = append(all, notices.Delivery{
			ID: events.DeliveryOf(event, string(to)), To: to, Kind: events.NoticeApproved, Event: event, Seq: 7, Request: "r_1", At: someDay, Due: someDay, State: notices.Waiting,
		})
	}
	return all
}

func idsOf(all []notices.Delivery) (ids []events.DeliveryID) {
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	return ids
}

func TestDeliveriesAndThePositionMoveTogetherOnce(t *testing.T) {
	t.Parallel()
	pool := cluster.New(t).App
	d, loops := store.Deliveries{Pool: pool}, store.Loops{Pool: pool}
	const loop = notices.FanOutLoop
	if _, err := loops.Begin(t.Context(), loop, 1, 5); err != nil {
		t.Fatal(err)
	}
	fresh := due("user:u_1", 3)
	for want := range slices.Values([]int{3, 0}) {
		if added, err := d.Add(t.Context(), loop, 1, 9, fresh); err != nil || added != want {
			t.Fatalf("%d added, want %d: %v", added, want, err)
		}
	}
	if at, err := loops.Begin(t.Context(), loop, 2, 0); err != nil || at != 9 { // another server goes on
		t.Fatalf("at %d, %v", at, err)
	}
	if _, err := d.Add(t.Context(), loop, 1, 12, due("user:u_2", 1)); !errors.Is(err, worker.ErrFenced) {
		t.Errorf("the one before wrote: %v", err)
	}
	if page, err := d.List(t.Context(), "user:u_2", "", 10); err != nil || len(page.Items) != 0 {
		t.Errorf("of a commit that was refused there is %+v, %v", page.Items, err)
	}
	if _, err := d.Add(t.Context(), loop, 2, 12, nil); err != nil { // the server may stop after any of both
		t.Fatal(err)
	}
	if at, err := loops.Begin(t.Context(), loop, 3, 0); err != nil || at != 12 {
		t.Errorf("at %d, %v", at, err)
	}
}

func TestADeliveryIsOneClaimantsUntilTheClaimEnds(t *testing.T) {
	t.Parallel()
	pool := cluster.New(t).App
	d := store.Deliveries{Pool: pool}
	const loop = notices.SendLoop
	if _, err := (store.Loops{Pool: pool}).Begin(t.Context(), loop, 1, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Put(t.Context(), append(due("user:u_1", 40), due("user:u_2", 40)...)); err != nil {
		t.Fatal(err)
	}
	until := someDay.Add(time.Minute)
	var mu sync.Mutex
	var got []events.DeliveryID
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			taken, err := d.Take(t.Context(), loop, 1, someDay, until, []notices.Recipient{"user:u_2"}, 10)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, idsOf(taken)...)
		})
	}
	wait.Wait()
	for { // those that another held while it looked
		taken, err := d.Take(t.Context(), loop, 1, someDay, until, []notices.Recipient{"user:u_2"}, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(taken) == 0 {
			break
		}
		got = append(got, idsOf(taken)...)
	}
	slices.Sort(got)
	if len(got) != 40 || len(slices.Compact(got)) != 40 {
		t.Fatalf("%d were taken", len(got))
	}
	if again, err := d.Take(t.Context(), loop, 1, until, until.Add(time.Minute), nil, 100); err != nil || len(again) != 80 {
		t.Errorf("after the claim %d are taken, %v", len(again), err)
	}
	if _, err := (store.Loops{Pool: pool}).Begin(t.Context(), loop, 2, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Take(t.Context(), loop, 1, until.Add(time.Hour), until, nil, 1); !errors.Is(err, worker.ErrFenced) {
		t.Errorf("the one before took: %v", err)
	}
	if err := d.Settle(t.Context(), loop, 1, got[:1], notices.Settlement{State: notices.Sent, At: until}); !errors.Is(err, worker.ErrFenced) {
		t.Errorf("the one before settled: %v", err)
	}
}

func TestAMessageIsTakenWhole(t *testing.T) {
	t.Parallel()
	pool := cluster.New(t).App
	d := store.Deliveries{Pool: pool}
	const loop, to = notices.SendLoop, notices.Recipient("user:u_1")
	if _, err := (store.Loops{Pool: pool}).Begin(t.Context(), loop, 1, 0); err != nil {
		t.Fatal(err)
	}
	all := due(to, 20)
	if _, err := d.Put(t.Context(), append(all, due("user:u_2", 20)...)); err != nil {
		t.Fatal(err)
	}
	together := idsOf(all)[5:17]
	if err := d.Bind(t.Context(), loop, 1, "n_digest", together); err != nil {
		t.Fatal(err)
	}
	until := someDay.Add(time.Minute)
	taken, err := d.Take(t.Context(), loop, 1, someDay, until, nil, 6)
	if got := idsOf(taken); err != nil || !slices.Equal(got, idsOf(all)[:17]) {
		t.Errorf("taken are %d, %v: the six that are first and the message of the sixth are 17", len(got), err)
	}
	if rest, err := d.Take(t.Context(), loop, 1, someDay, until, nil, 100); err != nil || len(rest) != 23 {
		t.Errorf("%d are left to take, %v", len(rest), err)
	}
}

func TestWhatBecameOfDeliveriesIsKept(t *testing.T) {
	t.Parallel()
	pool := cluster.New(t).App
	d := store.Deliveries{Pool: pool}
	const loop, to = notices.SendLoop, notices.Recipient("integration:audit")
	if _, err := (store.Loops{Pool: pool}).Begin(t.Context(), loop, 1, 0); err != nil {
		t.Fatal(err)
	}
	all := due(to, 4)
	if _, err := d.Put(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	ids := idsOf(all)
	later := someDay.Add(time.Hour)
	if err := errors.Join(
		d.Bind(t.Context(), loop, 1, "n_digest", ids[:2]),
		d.Settle(t.Context(), loop, 1, ids[:2], notices.Settlement{State: notices.Sent, Attempts: 1, First: someDay, At: later}),
		d.Settle(t.Context(), loop, 1, ids[2:3], notices.Settlement{State: notices.Dead, Attempts: 12, First: someDay, Code: events.DeliveryTimeout, At: later}),
		d.Settle(t.Context(), loop, 1, ids[3:], notices.Settlement{State: notices.Waiting, Due: later, Held: true, At: someDay}),
		d.Settle(t.Context(), loop, 1, ids[:1], notices.Settlement{State: notices.Dead, At: later}), // what was sent stays sent
	); err != nil {
		t.Fatal(err)
	}
	page, err := d.List(t.Context(), to, "", 10)
	if err != nil || len(page.Items) != 4 {
		t.Fatal(page, err)
	}
	waits, dead, sent := page.Items[0], page.Items[1], page.Items[3]
	if waits.State != notices.Waiting || !waits.Due.Equal(later) || !waits.Held || !waits.Ended.IsZero() ||
		dead.State != notices.Dead || dead.Attempts != 12 || dead.Code != events.DeliveryTimeout || !dead.Ended.Equal(later) ||
		sent.State != notices.Sent || sent.Message != "n_digest" {
		t.Errorf("kept %+v", page.Items)
	}
	if times, err := d.SentSince(t.Context(), to, someDay, 5); err != nil || len(times) != 1 || !times[0].Equal(later) { // one message
		t.Errorf("sent at %v, %v", times, err)
	}
	if err := d.Retry(t.Context(), to, sent.ID, later, kept); !errors.Is(err, notices.ErrNoDelivery) {
		t.Errorf("what was sent is retried: %v", err)
	}
	if err := d.Retry(t.Context(), "integration:other", dead.ID, later, kept); !errors.Is(err, notices.ErrNoDelivery) {
		t.Errorf("another's is retried: %v", err)
	}
	if err := d.Retry(t.Context(), to, dead.ID, later, kept); err != nil {
		t.Fatal(err)
	}
	if waiting, late, err := d.Depth(t.Context(), later.Add(time.Minute)); err != nil || waiting != 2 || late != time.Minute {
		t.Errorf("%d wait, late by %s, %v", waiting, late, err)
	}
	everybody, theirs := held(""), held("u_ann", "u_nobody", "u_ann")
	before := someDay.Add(time.Second)
	if gone, err := d.Sweep(t.Context(), before, everybody); err != nil || gone != 0 {
		t.Errorf("%d are removed although everybody is held, %v", gone, err)
	}
	mine := notices.Test(events.NewCommandID(), notices.ToUser("u_ann"), someDay)
	if _, err := d.Put(t.Context(), []notices.Delivery{mine}); err != nil {
		t.Fatal(err)
	}
	if gone, err := d.Sweep(t.Context(), before, theirs); err != nil || gone != 4 {
		t.Errorf("%d are removed, %v", gone, err)
	}
	if gone, err := d.Sweep(t.Context(), before, command.Holds{}); err != nil || gone != 1 {
		t.Errorf("%d are removed when nobody is held, %v", gone, err)
	}
}

// held are holds of some people, or of everybody.
func held(users ...events.UserID) (h command.Holds) {
	for i, id := range users {
		h = h.Evolve(events.Event{Fact: events.LegalHoldPlaced{Hold: events.HoldID(fmt.Sprint("h_", i)), User: id}})
	}
	return h
}
