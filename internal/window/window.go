// Package window says how often somebody may do something: the purposes that are
// counted, each with its limit, and the arithmetic. Whoever keeps the count keeps one
// time for each purpose and person or address; package nats does.
package window

import "time"

// Purpose is what is counted. There are no others than the constants of this package.
type Purpose int

// What is counted, and of whom.
const (
	CallsOfAddress   Purpose = iota + 1 // every call, in units: a query is 1, a change 5
	CallsOfPerson                       // likewise, of those who are signed in
	SignInsOfAddress                    // attempts, whoever they are for
	SignInsOfAccount                    // attempts, by e-mail, of one address: others cannot use them up
	Intakes                             // keys to seal to, of one address
	Enrolments                          // of agents: attempts of one address
	Denials                             // of one actor: each is a fact
	Refusals                            // facts about one person's [CallsOfPerson] and the like
	KeyJobs                             // of one person: each reads a secret at its provider
	Submits                             // of one person: each waits for others
	Reveals                             // attempts of one person
	Invitations                         // of one person: tokens and links that let somebody in
	StepUps                             // of one person: attempts to prove a factor
	SignOns                             // by the identity provider, of one address: two calls each, three of a command line
	Logouts                             // by the identity provider: tokens, of one address
)

// Units of [CallsOfAddress] and [CallsOfPerson]. A change costs appends and locks, and
// a page of a list is one query.
const (
	QueryCost  = 1
	ChangeCost = 5
)

// Limit is how much there may be: Burst at once, and as much again in each Per. It is
// whole seconds.
type Limit struct {
	Burst int
	Per   time.Duration
}

// Rates are what an operator sets, in units a minute; the rest of the table follows.
type Rates struct {
	Person  int // [CallsOfPerson]
	Address int // [CallsOfAddress]
}

// DefaultRates are 600 queries or 120 changes a minute of one person, and twice that of
// one address.
var DefaultRates = Rates{Person: 600, Address: 1200}

// line is one purpose. Exactly one of burst, ofPerson and ofAddress is set.
type line struct {
	name      string // as it goes into keys: for ever, or the count begins anew
	burst     int
	ofPerson  int // burst is this part of [Rates.Person]: 10 is a tenth
	ofAddress int // likewise of [Rates.Address]
	per       time.Duration
}

// purposes is the table. People type a password a few times, a machine that guesses
// tries for ever; many people may share an address, and each patch asks for keys; a
// secret has at most 64 keys, which somebody may reveal at once, three times.
var purposes = map[Purpose]line{
	CallsOfAddress:   {name: "calls of address", ofAddress: 1, per: time.Minute},
	CallsOfPerson:    {name: "calls of person", ofPerson: 1, per: time.Minute},
	SignInsOfAddress: {name: "sign-ins of address", burst: 30, per: time.Minute},
	SignInsOfAccount: {name: "sign-ins of account", burst: 10, per: time.Minute},
	Intakes:          {name: "intakes", burst: 600, per: time.Minute},
	Enrolments:       {name: "enrolments", burst: 30, per: time.Minute},
	Denials:          {name: "denials", burst: 60, per: time.Minute},
	Refusals:         {name: "refusals", burst: 1, per: time.Minute},
	KeyJobs:          {name: "key jobs", burst: 60, per: time.Minute},
	Submits:          {name: "submits", ofPerson: 10, per: time.Minute},
	Reveals:          {name: "reveals", ofPerson: 3, per: 10 * time.Minute},
	Invitations:      {name: "invitations", burst: 100, per: time.Hour},
	StepUps:          {name: "step-ups", burst: 20, per: time.Minute},
	SignOns:          {name: "sign-ons", burst: 120, per: time.Minute},
	Logouts:          {name: "log-outs", burst: 600, per: time.Minute},
}

// String is the purpose's name, and empty for none.
func (p Purpose) String() string { return purposes[p].name }

// Of is the limit of a purpose; false if there is no such purpose.
func (r Rates) Of(p Purpose) (Limit, bool) {
	l, ok := purposes[p]
	switch {
	case l.ofPerson > 0:
		l.burst = max(1, r.Person/l.ofPerson)
	case l.ofAddress > 0:
		l.burst = max(1, r.Address/l.ofAddress)
	}
	return Limit{Burst: l.burst, Per: l.per}, ok
}

// Take counts cost against what was counted before. What is kept is one time: when all
// that was taken is given back, the theoretical arrival time of GCRA (ITU-T I.371, annex
// A). The zero time is nothing taken.
//
// If wait is 0 it is granted, next is to be kept, and left is how much more there is now.
// Otherwise nothing is to be kept, and wait is after how long this cost is granted if
// nobody takes anything meanwhile; for a cost above the burst, that is never.
//
// A time that is further ahead than a whole Per was kept by a clock that is ahead of
// this one. It counts as a Per: nobody waits longer than that for it, and nobody gains
// by going from one server to another. Clocks of servers are to be within seconds.
func (l Limit) Take(kept, now time.Time, cost int) (next time.Time, wait time.Duration, left int) {
	end := now.Add(l.Per)
	if kept.Before(now) {
		kept = now
	}
	if kept.After(end) {
		kept = end
	}
	each := l.Per / time.Duration(l.Burst)
	next = kept.Add(time.Duration(cost) * each)
	if wait = next.Sub(end); wait > 0 {
		return kept, wait, int(end.Sub(kept) / each)
	}
	return next, 0, int(end.Sub(next) / each)
}
