package command

import (
	"errors"
	"slices"

	"secretsbridge/events"
)

// What can be wrong with values that another team fills in.
var (
	ErrFillInvalid    = &Rejection{"fill_invalid", "another team fills in values that a patch sets, within the time for which the request waits"}
	ErrOwnFill        = &Rejection{"own_fill", "somebody else has to fill in the values that you ask for"}
	ErrNotTheTeam     = &Rejection{"not_the_team", "this request asks another team for its values"}
	ErrNotAwaiting    = &Rejection{"not_awaiting_values", "this request does not wait for values"}
	ErrValuesMismatch = &Rejection{"values_mismatch", "fill in exactly the keys that the request names, each with a value"}
)

// checkFill refuses what nobody could fill in.
func (cmd Submit) checkFill(meta Meta) error {
	if cmd.Fill == nil {
		return nil
	}
	unset := slices.ContainsFunc(cmd.Changes, func(c events.Change) bool { return c.Action != events.ChangeSet || c.Envelope != "" })
	switch {
	case len(cmd.Changes) == 0, unset:
		return ErrFillInvalid.because("another team only fills in values that are set; leave unset keys and values out")
	case !events.ValidName(cmd.Fill.Team):
		return ErrFillInvalid.because("name the team that fills the values in")
	case !cmd.Fill.Until.After(meta.Time), cmd.Fill.Until.After(meta.Time.Add(cmd.PendingTTL)):
		return ErrFillInvalid.because("the team's time must end before the request does")
	}
	return nil
}

// Provide is somebody of the other team filling the values in.
type Provide struct {
	By      events.UserID
	Behind  []events.UserID // as of [Vote]
	Fits    bool            // is of that team and may, as of now
	Changes []events.Change // those of the request, in their order, with their envelopes
	Comment string
}

// MayProvide decides all about it but the envelopes, which are not there before the values
// are taken in.
func (r Request) MayProvide(meta Meta, cmd Provide) error {
	if _, err := comment(cmd.Comment, 0); err != nil {
		return err
	}
	keys := keysOf(cmd.Changes)
	if checkKeys(keys) != nil {
		return ErrValuesMismatch
	}
	if err := r.mayFill(meta, cmd.By, cmd.Behind, cmd.Fits); err != nil {
		return err
	}
	if !slices.Equal(keys, r.Submitted.Keys) ||
		slices.ContainsFunc(cmd.Changes, func(c events.Change) bool { return c.Action != events.ChangeSet }) {
		return ErrValuesMismatch
	}
	return nil
}

// Provide decides it: from now on the request is like one whose requester brought the values,
// and its approvers look at it.
func (r Request) Provide(meta Meta, cmd Provide) ([]events.Fact, error) {
	if err := r.MayProvide(meta, cmd); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(cmd.Changes, func(c events.Change) bool { return c.Envelope == "" || c.Fingerprint == "" }) {
		return nil, ErrValuesMismatch
	}
	why, err := comment(cmd.Comment, 0)
	if err != nil {
		return nil, err
	}
	return []events.Fact{events.ValuesProvided{By: cmd.By, Changes: cmd.Changes, Comment: why}}, nil
}

// Refuse is somebody of the other team saying that there will be no values.
type Refuse struct {
	By      events.UserID
	Behind  []events.UserID // as of [Vote]
	Fits    bool            // is of that team and may, as of now
	Comment string
}

// Refuse decides it: one of the team is enough.
func (r Request) Refuse(meta Meta, cmd Refuse) ([]events.Fact, error) {
	why, short := comment(cmd.Comment, MinComment)
	if errors.Is(short, ErrCommentTooLong) {
		return nil, short
	}
	if err := r.mayFill(meta, cmd.By, cmd.Behind, cmd.Fits); err != nil {
		return nil, err
	}
	if short != nil {
		return nil, short
	}
	return []events.Fact{events.ValuesRefused{By: cmd.By, Comment: why}}, nil
}

func (r Request) mayFill(meta Meta, by events.UserID, behind []events.UserID, fits bool) error {
	switch {
	case r.State == "":
		return ErrRequestUnknown
	case r.State == events.StateCancelled:
		return ErrCancelled
	case r.State == events.StateExpired, r.State == events.StateAwaiting && !meta.Time.Before(r.Submitted.Fill.Until):
		return ErrRequestExpired
	case r.State != events.StateAwaiting:
		return ErrNotAwaiting
	case r.asked(by, behind):
		return ErrOwnFill
	case !fits:
		return ErrNotTheTeam
	}
	return nil
}
