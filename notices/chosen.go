package notices

import (
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// ChosenBy is how somebody is told: by e-mail and at once, unless they said otherwise.
func ChosenBy(u command.User) events.NoticesChosen {
	if u.Notices == nil {
		return events.NoticesChosen{Channel: events.ChannelEmail}
	}
	return *u.Notices
}

// wants reports whether somebody is told of something at all. What they asked for themselves
// always comes, where there is a channel.
func wants(n events.NoticesChosen, kind events.NoticeKind) bool {
	return kind == events.NoticeTest || n.Channel != events.ChannelNone && !slices.Contains(n.Muted, kind)
}

// urgent reports whether something is told in quiet hours too: what was done without approval,
// and what nobody looked at in time. So is what somebody asked for to see whether it comes.
func urgent(kind events.NoticeKind) bool {
	return kind == events.NoticeBreakGlass || kind == events.NoticeReviewDue || kind == events.NoticeTest
}

// dueAt is when something that came up is due, and whether it goes with all else that is: with a
// digest all that comes up within one of its turns is due at the end of that turn.
func dueAt(n events.NoticesChosen, kind events.NoticeKind, now time.Time) (due time.Time, held bool) {
	turn := time.Duration(n.DigestSeconds) * time.Second
	if turn == 0 || urgent(kind) {
		return now, false
	}
	return now.Truncate(turn).Add(turn), true // counted from the zero time, so alike on each server
}

// quietUntil is when quiet hours end that are now, and false when it is none of them. Their ends
// are times on the clocks of the zone: a night in which clocks are moved is longer or shorter.
func quietUntil(q *events.QuietHours, now time.Time) (time.Time, bool) {
	if q == nil {
		return time.Time{}, false
	}
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		return time.Time{}, false // a zone that is no more: better told than not
	}
	local := now.In(zone)
	year, month, day := local.Date()
	for back := -1; back <= 0; back++ { // those that began yesterday, and those that begin today
		from := time.Date(year, month, day+back, q.From/60, q.From%60, 0, 0, zone)
		next := 0
		if q.To < q.From {
			next = 1
		}
		to := time.Date(year, month, day+back+next, q.To/60, q.To%60, 0, 0, zone)
		if !now.Before(from) && now.Before(to) {
			return to, true
		}
	}
	return time.Time{}, false
}

// Test is a message to somebody that says nothing but that it arrived.
func Test(id events.CommandID, to Recipient, now time.Time) Delivery {
	event := events.EventIDOf(id, 0)
	return Delivery{ID: events.DeliveryOf(event, string(to)), To: to, Kind: events.NoticeTest, Event: event, At: now, State: Waiting, Due: now}
}
