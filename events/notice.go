package events

import "slices"

// NoticeKind is what people and integrations are told of. It is what they choose by.
type NoticeKind string

// The kinds, and who is told beside the integrations.
const (
	NoticeSubmitted  NoticeKind = "submitted"   // approvers of the first step: a request waits for them
	NoticeStepOpened NoticeKind = "step_opened" // approvers of a later step: likewise
	NoticeValues     NoticeKind = "values"      // who may fill in the values of a patch: a request waits for them
	NoticeVoted      NoticeKind = "voted"       // the requester: somebody agreed, and more must
	NoticeApproved   NoticeKind = "approved"    // the requester
	NoticeRejected   NoticeKind = "rejected"    // the requester: an approver, or the team of the values, said no
	NoticeCancelled  NoticeKind = "cancelled"   // whoever was asked: there is nothing to decide any more
	NoticeExecuted   NoticeKind = "executed"    // the requester: ready to be revealed, or written
	NoticeFailed     NoticeKind = "failed"      // the requester and who approved
	NoticeExpiring   NoticeKind = "expiring"    // whoever can still act: the end is near
	NoticeExpired    NoticeKind = "expired"     // the requester
	NoticeRevealed   NoticeKind = "revealed"    // the requester and who approved: a value was opened
	NoticeBreakGlass NoticeKind = "break_glass" // who must review: it was done without approval
	NoticeReviewed   NoticeKind = "reviewed"    // the requester: somebody judged it
	NoticeReviewDue  NoticeKind = "review_due"  // who must review: nobody did in time
	NoticeReminder   NoticeKind = "reminder"    // approvers of the open step
	NoticeEscalated  NoticeKind = "escalated"   // the fallback of a step, which may vote now
	NoticeVoided     NoticeKind = "voided"      // approvers and the requester: approvals must be given again
	NoticeRolledOut  NoticeKind = "rolled_out"  // the requester: the change is live
	NoticeRollout    NoticeKind = "rollout"     // the requester: the change is not live, or nobody can tell
	NoticeAgentLost  NoticeKind = "agent_lost"  // integrations only: an agent fell silent
	NoticeDelivery   NoticeKind = "delivery"    // integrations only: another one could not be told
	NoticeTest       NoticeKind = "test"        // whoever asked for it
)

// NoticeKinds lists what can be chosen.
func NoticeKinds() []NoticeKind {
	return []NoticeKind{
		NoticeSubmitted, NoticeStepOpened, NoticeValues, NoticeVoted, NoticeApproved, NoticeRejected, NoticeCancelled, NoticeExecuted, NoticeFailed,
		NoticeExpiring, NoticeExpired, NoticeRevealed, NoticeBreakGlass, NoticeReviewed, NoticeReviewDue, NoticeReminder, NoticeEscalated,
		NoticeVoided, NoticeRolledOut, NoticeRollout, NoticeAgentLost, NoticeDelivery,
	}
}

// Valid reports whether it can be chosen.
func (k NoticeKind) Valid() bool { return slices.Contains(NoticeKinds(), k) }

// DeliveryID is one message to one recipient: n_…. It is the same at each attempt, and so it is
// what receivers know a repetition by (Standard Webhooks, webhook-id).
type DeliveryID string

// DeliveryCode is why an attempt did not succeed, without anything that the other side said.
type DeliveryCode string

const (
	DeliveryRefused     DeliveryCode = "refused"     // the receiver said no, and will again
	DeliveryThrottled   DeliveryCode = "throttled"   // the receiver asked to come later
	DeliveryUnavailable DeliveryCode = "unavailable" // not reached, or an error of its own
	DeliveryTimeout     DeliveryCode = "timeout"     // no answer in time: it may have arrived
	DeliveryForbidden   DeliveryCode = "forbidden"   // the address is one that must not be called
	DeliveryUntrusted   DeliveryCode = "untrusted"   // its certificate is not trusted
	DeliveryUnset       DeliveryCode = "unset"       // there is no address, or what is needed for the channel is not set up
	DeliveryInternal    DeliveryCode = "internal"    // of ours; the log says which
)

// Channel is how a person is told.
type Channel string

const (
	ChannelEmail Channel = "email"
	ChannelSlack Channel = "slack" // an incoming webhook of their own
	ChannelTeams Channel = "teams" // likewise
	ChannelNone  Channel = "none"
)

// Channels lists them.
func Channels() []Channel { return []Channel{ChannelEmail, ChannelSlack, ChannelTeams, ChannelNone} }

// Valid reports whether there is such a channel.
func (c Channel) Valid() bool { return slices.Contains(Channels(), c) }

// QuietHours are when nothing is sent, each day, in minutes after midnight of Zone. From may be
// after To: then they go over midnight.
type QuietHours struct {
	From int    `json:"from"` // 0 to 1439
	To   int    `json:"to"`   // likewise, exclusive; not From
	Zone string `json:"zone"` // of the IANA time zone database, such as Europe/Berlin
}

// NoticesChosen says how somebody wants to be told, in place of what they said before. The
// address of a channel lies elsewhere, where it can be erased.
type NoticesChosen struct {
	Channel       Channel      `json:"channel"`
	Muted         []NoticeKind `json:"muted,omitempty"`          // what they are not told
	Quiet         *QuietHours  `json:"quiet,omitempty"`          // nil: none
	DigestSeconds int          `json:"digest_seconds,omitempty"` // one message for what came up meanwhile; 0: at once
}

// NoticeAbandoned says that somebody was not told, however often it was tried.
type NoticeAbandoned struct {
	Delivery DeliveryID   `json:"delivery"`
	Notice   NoticeKind   `json:"notice"`
	Channel  Channel      `json:"channel"`
	Code     DeliveryCode `json:"code"` // of the last attempt
	Attempts int          `json:"attempts"`
}

func (NoticesChosen) fact()   {}
func (NoticeAbandoned) fact() {}
