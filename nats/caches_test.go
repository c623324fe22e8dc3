package nats

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// watched is what a server was told of a cache.
type watched struct {
	forgot chan events.UserID
	all    chan struct{}
}

func watchContacts(t *testing.T, c *Caches) watched {
	w := watched{forgot: make(chan events.UserID, 100), all: make(chan struct{}, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Watch(ctx, Contacts, func(id events.UserID) { w.forgot <- id }, func() { w.all <- struct{}{} })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("watch: %v", err)
		}
	})
	return w
}

// wait returns what comes next.
func wait[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		t.Fatalf("%s: nothing comes", what)
		panic("unreachable")
	}
}

func openCaches(t *testing.T, r *rig) *Caches {
	t.Helper()
	c, err := OpenCaches(t.Context(), connect(t, r.hub()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryServerForgetsWhoChanged(t *testing.T) {
	r := newRig(t, 1)
	one, two := openCaches(t, r), openCaches(t, r)
	servers := []watched{watchContacts(t, one), watchContacts(t, two)}
	for _, s := range servers {
		wait(t, "everything is dropped at the beginning", s.all)
	}
	ana, ben := events.NewUserID(), events.NewUserID()
	for _, id := range []events.UserID{ana, ben, ana} {
		if err := one.Invalidate(t.Context(), Contacts, id); err != nil {
			t.Fatal(err)
		}
		for i, s := range servers {
			if got := wait(t, "forget", s.forgot); got != id {
				t.Errorf("server %d forgets %s, not %s", i, got, id)
			}
		}
	}
	stream, err := r.streams.js.Stream(t.Context(), subject.BucketStream(subject.CachesBucket))
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(t.Context(), subject.KeyValue(subject.CachesBucket, "contacts."+string(ana)))
	if err != nil || len(msg.Data) != 0 {
		t.Errorf("%q is kept, %v", msg.Data, err)
	}
}

func TestAWatcherThatMissedSomethingDropsEverything(t *testing.T) {
	r := newRig(t, 1)
	c := openCaches(t, r)
	w := watchContacts(t, c)
	wait(t, "begin", w.all)
	restart(t, r.hub(), 0)
	eventually(t, "provision", r.streams.Provision) // what one replica had in memory is gone
	wait(t, "drop everything after a new link", w.all)
	id := events.NewUserID()
	eventually(t, "invalidate", func(ctx context.Context) error { return c.Invalidate(ctx, Contacts, id) })
	if got := wait(t, "forget", w.forgot); got != id {
		t.Errorf("forgets %s, not %s", got, id)
	}
}

func TestOnlyPeopleOfKnownCachesAreInvalidated(t *testing.T) {
	c := openCaches(t, newRig(t, 1))
	for i, err := range []error{
		c.Invalidate(t.Context(), "other", events.NewUserID()),
		c.Invalidate(t.Context(), Contacts, "ana@example.org"),
		c.Invalidate(t.Context(), Contacts, ""),
		c.Invalidate(t.Context(), Contacts, events.UserID(fmt.Sprint(events.NewUserID(), ".x"))),
	} {
		if err == nil {
			t.Errorf("case %d is taken", i)
		}
	}
}
