package command

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// MaxHolds is how many legal holds may count at a time.
const MaxHolds = 200

// What can be wrong with a command about legal holds, and what one stands in the way of.
var (
	ErrHoldReason   = &Rejection{"hold_reason_invalid", "say why in 1 to 2000 characters of plain text, such as the number of the case; it is kept for ever, so name nobody in it"}
	ErrHoldUnknown  = &Rejection{"hold_unknown", "there is no such legal hold, or it was lifted; `sb audit hold list` shows those that count"}
	ErrTooManyHolds = &Rejection{"too_many_holds", fmt.Sprintf("at most %d legal holds may count at a time; lift some", MaxHolds)}
	ErrLegalHold    = &Rejection{"legal_hold", "a legal hold keeps what is known of this one; `sb audit hold list` shows it, and whoever may manage holds can lift it"}
)

// Hold is one legal hold that counts.
type Hold struct {
	ID     events.HoldID
	User   events.UserID // empty: everybody
	Reason string
	By     events.Actor
	Since  time.Time
}

// Holds are the legal holds that count. The zero value is none. Whatever removes something that a
// hold keeps folds them from the log before it does: a row says nothing about them, so changing
// rows lifts none.
type Holds struct {
	Open []Hold // in the order they were placed

	taken taken
}

// Evolve implements [State].
func (h Holds) Evolve(e events.Event) Holds {
	h.taken = h.taken.with(e.Command)
	switch f := e.Fact.(type) {
	case events.LegalHoldPlaced:
		h.Open = append(slices.Clip(h.Open), Hold{f.Hold, f.User, f.Reason, e.Actor, e.Time})
	case events.LegalHoldLifted:
		h.Open = without(h.Open, func(o Hold) bool { return o.ID == f.Hold })
	}
	return h
}

// Took implements [State].
func (h Holds) Took(id events.CommandID) bool { return h.taken.has(id) }

// Place decides a hold, of one person or machine, or of everybody. The caller knows that there is
// such a one.
func (h Holds) Place(_ Meta, cmd events.LegalHoldPlaced) ([]events.Fact, error) {
	var err error
	switch cmd.Reason, err = holdReason(cmd.Reason); {
	case err != nil:
		return nil, err
	case len(h.Open) >= MaxHolds:
		return nil, ErrTooManyHolds
	}
	return []events.Fact{cmd}, nil
}

// Lift decides that a hold counts no more.
func (h Holds) Lift(_ Meta, id events.HoldID, reason string) ([]events.Fact, error) {
	if !slices.ContainsFunc(h.Open, func(o Hold) bool { return o.ID == id }) {
		return nil, ErrHoldUnknown
	}
	reason, err := holdReason(reason)
	if err != nil {
		return nil, err
	}
	return []events.Fact{events.LegalHoldLifted{Hold: id, Reason: reason}}, nil
}

func holdReason(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || utf8.RuneCountInString(reason) > MaxReason || hasControl(reason) || !utf8.ValidString(reason) {
		return "", ErrHoldReason
	}
	return reason, nil
}

// Everybody reports whether a hold counts for everybody.
func (h Holds) Everybody() bool {
	return slices.ContainsFunc(h.Open, func(o Hold) bool { return o.User == "" })
}

// Keep reports whether what is known of somebody must stay.
func (h Holds) Keep(id events.UserID) bool {
	return slices.ContainsFunc(h.Open, func(o Hold) bool { return o.User == "" || o.User == id })
}

// Users are those of whom something must stay, sorted, each once. Whether that is everybody is
// [Holds.Everybody].
func (h Holds) Users() []events.UserID {
	users := []events.UserID{}
	for _, o := range h.Open {
		if o.User != "" {
			users = append(users, o.User)
		}
	}
	slices.Sort(users)
	return slices.Compact(users)
}
