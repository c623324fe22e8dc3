package notices

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/events"
)

// register is a [People] that counts how often it is asked. during, if set, happens while it reads.
type register struct {
	names  map[events.UserID]string
	asked  int
	during func()
}

func (r *register) Names(_ context.Context, ids []events.UserID) (map[events.UserID]string, error) {
	r.asked++
	found := map[events.UserID]string{}
	for _, id := range ids {
		if name, known := r.names[id]; known {
			found[id] = name
		}
	}
	if r.during != nil {
		r.during()
	}
	return found, nil
}

func (r *register) Email(_ context.Context, id events.UserID) (string, error) {
	r.asked++
	email := r.names[id]
	if email != "" {
		email += "@example.org"
	}
	if r.during != nil {
		r.during()
	}
	return email, nil
}

func TestContactsAreReadOnceUntilTheyAreForgottenOrOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &register{names: map[events.UserID]string{ana: "ana", ben: "ben"}}
		c := &Contacts{People: r, Now: time.Now}
		want := func(asked int, names map[events.UserID]string, email string) {
			t.Helper()
			got, err := c.Names(t.Context(), []events.UserID{ana, ben})
			at, also := c.Email(t.Context(), ana)
			if err != nil || also != nil || !maps.Equal(got, names) || at != email || r.asked != asked {
				t.Errorf("%v and %q after %d questions, want %v and %q after %d; %v, %v", got, at, r.asked, names, email, asked, err, also)
			}
		}
		both := map[events.UserID]string{ana: "ana", ben: "ben"}
		want(2, both, "ana@example.org")
		want(2, both, "ana@example.org")
		c.Forget(ana)
		want(4, both, "ana@example.org")
		c.ForgetAll()
		want(6, both, "ana@example.org")
		time.Sleep(contactAge - time.Second)
		want(6, both, "ana@example.org")
		time.Sleep(time.Second)
		want(8, both, "ana@example.org")
		delete(r.names, ana)
		c.Forget(ana)
		want(10, map[events.UserID]string{ben: "ben"}, "")
		want(12, map[events.UserID]string{ben: "ben"}, "") // who is not there may come
	})
}

func TestWhatWasReadBeforeSomebodyWasForgottenIsNotKept(t *testing.T) {
	r := &register{names: map[events.UserID]string{ana: "ana"}}
	c := &Contacts{People: r, Now: time.Now}
	r.during = func() { delete(r.names, ana); c.Forget(ana) } // after it was read
	if email, err := c.Email(t.Context(), ana); err != nil || email == "" {
		t.Fatalf("%q, %v", email, err)
	}
	r.during = nil
	if email, err := c.Email(t.Context(), ana); err != nil || email != "" {
		t.Errorf("later it is %q, %v", email, err)
	}
}

func TestContactsAreBounded(t *testing.T) {
	r := &register{names: map[events.UserID]string{}}
	c := &Contacts{People: r, Now: time.Now}
	for i := range 3*maxContacts/2 + 1 {
		id := events.UserID(fmt.Sprintf("u_%d", i))
		r.names[id] = "somebody"
		if _, err := c.Names(t.Context(), []events.UserID{id}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.known); n == 0 || n > maxContacts {
		t.Errorf("%d are kept", n)
	}
}
