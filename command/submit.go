package command

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"secretsbridge/events"
)

// Limits of what a person may send with a request. docs/reference/limits.md lists
// them for users.
const (
	MaxReason    = 2000 // characters
	MaxComment   = 2000 // characters
	MaxRef       = 512  // bytes
	MaxKeys      = 64
	MaxKeyLength = 256 // bytes
)

// encoded is what some server on the way may decode into a slash or a dot.
var encoded = regexp.MustCompile(`%[0-9a-fA-F]{2}`)

// What can be wrong with a submit.
var (
	ErrReasonMissing      = &Rejection{"reason_missing", "say in a sentence why you need this"}
	ErrReasonTooLong      = &Rejection{"reason_too_long", fmt.Sprintf("shorten the reason to %d characters", MaxReason)}
	ErrRefInvalid         = &Rejection{"ref_invalid", "write the secret as CONNECTION/REF, such as file/prod/db/password"}
	ErrKeysInvalid        = &Rejection{"keys_invalid", fmt.Sprintf("name at most %d different keys of 1 to %d bytes, without control characters", MaxKeys, MaxKeyLength)}
	ErrConnectionUnknown  = &Rejection{"connection_unknown", "there is no such connection; `sb connection list` shows those you can use"}
	ErrConnectionDisabled = &Rejection{"connection_disabled", "this connection takes no requests now; ask an operator"}
	ErrPolicyDenied       = &Rejection{"policy_denied", "no policy lets you do this with this secret; ask a security team"}
)

// Submit asks to read or to change a secret. The connection's facts, the place and what policy
// says are looked up by the caller: the decider takes them as they stood.
type Submit struct {
	Requester     events.UserID
	Connection    Connection
	Ref           string
	Keys          []string // of a read; none means all
	Reason        string
	Ticket        string
	Place         events.Place
	Workflow      events.Workflow
	Justification events.Justification // what the reason and the ticket must be

	// Changes make it a patch. Create says that it makes a new secret. With Fill another team
	// brings the values.
	Changes []events.Change
	Create  bool
	Fill    *events.Fill

	// BreakGlass asks to do without approval. OverdueReviews is how often the requester did so
	// and was not reviewed in time.
	BreakGlass     *BreakGlass
	OverdueReviews int

	PendingTTL  time.Duration
	ApprovalTTL time.Duration
	RevealTTL   time.Duration
}

// Submit decides a new request. Its id follows from the command's, so the stream
// of a fresh command is empty.
func (r Request) Submit(meta Meta, cmd Submit) ([]events.Fact, error) {
	submitted, err := cmd.submitted(meta)
	if err != nil {
		return nil, err
	}
	facts := []events.Fact{submitted}
	approved := events.RequestApproved{Job: events.JobOf(submitted.Request), Until: meta.Time.Add(cmd.ApprovalTTL).UTC()}
	switch {
	case cmd.BreakGlass != nil:
		broken, err := cmd.breakGlass(meta, submitted.Reason)
		if err != nil {
			return nil, err
		}
		return append(facts, broken, approved), nil
	case cmd.Workflow.Direct:
		// The requester waits for it: it is read now, or asked for again.
		approved.Until = meta.Time.Add(min(cmd.ApprovalTTL, cmd.RevealTTL)).UTC()
		return append(facts, approved), nil
	}
	return facts, nil
}

// submitted is the request as it is asked for, if that may be asked at all.
func (cmd Submit) submitted(meta Meta) (events.RequestSubmitted, error) {
	reason, ticket := strings.TrimSpace(cmd.Reason), strings.TrimSpace(cmd.Ticket)
	none := events.RequestSubmitted{}
	switch {
	case reason == "":
		return none, ErrReasonMissing
	case utf8.RuneCountInString(reason) > MaxReason:
		return none, ErrReasonTooLong
	case hasControl(reason):
		return none, &Rejection{"reason_invalid", "the reason holds control characters; write plain text"}
	case cmd.Connection.State == "":
		return none, ErrConnectionUnknown
	case cmd.Connection.State == ConnectionDisabled:
		return none, ErrConnectionDisabled
	case !cmd.allowed():
		return none, ErrPolicyDenied
	}
	if err := checkRef(cmd.Ref); err != nil {
		return none, err
	}
	submitted := events.RequestSubmitted{
		Request: events.RequestOf(meta.Command), Requester: cmd.Requester, Operation: events.OperationRead,
		Connection: cmd.Connection.ID, Cluster: cmd.Connection.Cluster, Ref: cmd.Ref, Keys: cmd.Keys,
		Reason: reason, Ticket: ticket, Workflow: cmd.Workflow, Place: cmd.Place, Fill: cmd.Fill,
		PendingUntil:    meta.Time.Add(cmd.PendingTTL).UTC(),
		ApprovalSeconds: int(cmd.ApprovalTTL / time.Second),
		RevealSeconds:   int(cmd.RevealTTL / time.Second),
	}
	if cmd.patches() {
		if err := checkChanges(cmd.Changes, cmd.Create); err != nil {
			return none, err
		}
		submitted.Operation, submitted.Create, submitted.Changes = events.OperationPatch, cmd.Create, cmd.Changes
		submitted.Keys = keysOf(cmd.Changes)
		submitted.ValuesUntil = cmd.ValuesUntil(meta.Time)
	}
	if err := checkKeys(submitted.Keys); err != nil {
		return none, err
	}
	if err := cmd.checkFill(meta); err != nil {
		return none, err
	}
	return submitted, justified(reason, ticket, cmd.Justification)
}

func (cmd Submit) patches() bool { return len(cmd.Changes) > 0 || cmd.Create }

// allowed reports whether a rule lets this be asked: somebody has to agree to it, or it is a
// read that nobody has to agree to.
func (cmd Submit) allowed() bool {
	if cmd.Workflow.Direct {
		return !cmd.patches()
	}
	asked := Request{Submitted: events.RequestSubmitted{Workflow: cmd.Workflow}}
	_, open := asked.openStep()
	return open
}

// ValuesUntil is the end of the envelopes of a patch that is submitted now: nobody may
// need them later. Whole seconds, as they are bound.
func (cmd Submit) ValuesUntil(now time.Time) time.Time {
	return now.Add(cmd.PendingTTL + cmd.ApprovalTTL + time.Second).UTC().Truncate(time.Second)
}

// CheckRef refuses what no provider path can be. The agent checks again, against
// its own allow-list: the control plane's word is not enough there.
func CheckRef(ref string) error { return checkRef(ref) }

func checkRef(ref string) error {
	switch {
	case ref == "":
		return ErrRefInvalid
	case len(ref) > MaxRef:
		return ErrRefInvalid.because(fmt.Sprintf("the ref has %d bytes; at most %d are allowed", len(ref), MaxRef))
	case !utf8.ValidString(ref) || strings.ContainsFunc(ref, unicode.IsControl) || strings.Contains(ref, `\`) || encoded.MatchString(ref):
		return ErrRefInvalid.because("the ref holds a control character, a backslash or a percent encoding such as %2e")
	}
	for segment := range strings.SplitSeq(ref, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return ErrRefInvalid.because(`the ref has an empty, "." or ".." segment`)
		}
	}
	return nil
}

func checkKeys(keys []string) error {
	if len(keys) > MaxKeys {
		return ErrKeysInvalid
	}
	seen := make(map[string]bool, len(keys))
	for _, k := range keys {
		if k == "" || len(k) > MaxKeyLength || !utf8.ValidString(k) || strings.ContainsFunc(k, unicode.IsControl) || seen[k] {
			return ErrKeysInvalid
		}
		seen[k] = true
	}
	return nil
}

// hasControl reports control characters that no text of a person has.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\t' })
}
