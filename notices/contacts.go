package notices

import (
	"context"
	"sync"
	"time"

	"secretsbridge/events"
)

const (
	// maxContacts bounds how many people are kept. When there are more, all are read again.
	maxContacts = 4096

	// contactAge is how long somebody is kept at most: so a change of which this server was not
	// told counts after that.
	contactAge = time.Minute
)

// Contacts keep in memory how people are called and reached, so that a notice to many asks the
// database once for each. Whoever changes or erases somebody has every server [Contacts.Forget]
// them. Use it from any goroutine.
type Contacts struct {
	People
	Now func() time.Time

	mu    sync.Mutex
	turn  uint64 // counts what was forgotten: what was read before is not kept after
	known map[events.UserID]contact
}

// contact is what is known of somebody. An empty text is none: it is looked for each time.
type contact struct {
	name, email string
	read        time.Time // of what was read first
}

// Names implements [People].
func (c *Contacts) Names(ctx context.Context, ids []events.UserID) (map[events.UserID]string, error) {
	all := make(map[events.UserID]string, len(ids))
	var missing []events.UserID
	turn, now := c.look(func(known func(events.UserID) contact) {
		for _, id := range ids {
			if name := known(id).name; name != "" {
				all[id] = name
			} else {
				missing = append(missing, id)
			}
		}
	})
	if len(missing) == 0 {
		return all, nil
	}
	read, err := c.People.Names(ctx, missing)
	if err != nil {
		return nil, err
	}
	for id, name := range read {
		all[id] = name
		c.keep(turn, now, id, func(k *contact) { k.name = name })
	}
	return all, nil
}

// Email implements [People].
func (c *Contacts) Email(ctx context.Context, id events.UserID) (email string, err error) {
	turn, now := c.look(func(known func(events.UserID) contact) { email = known(id).email })
	if email != "" {
		return email, nil
	}
	if email, err = c.People.Email(ctx, id); err == nil && email != "" {
		c.keep(turn, now, id, func(k *contact) { k.email = email })
	}
	return email, err
}

// look shows what is kept and not too old.
func (c *Contacts) look(at func(known func(events.UserID) contact)) (turn uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now = c.Now()
	at(func(id events.UserID) contact {
		k := c.known[id]
		if now.Sub(k.read) >= contactAge {
			delete(c.known, id)
			return contact{}
		}
		return k
	})
	return c.turn, now
}

// keep adds what was read in a turn that began then, unless somebody was forgotten since.
func (c *Contacts) keep(turn uint64, now time.Time, id events.UserID, set func(*contact)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turn != turn {
		return
	}
	k, there := c.known[id]
	if c.known == nil || !there && len(c.known) >= maxContacts {
		c.known = map[events.UserID]contact{}
	}
	if !there {
		k.read = now
	}
	set(&k)
	c.known[id] = k
}

// Forget has somebody be read again.
func (c *Contacts) Forget(id events.UserID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn++
	delete(c.known, id)
}

// ForgetAll has everybody be read again.
func (c *Contacts) ForgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn++
	c.known = nil
}
