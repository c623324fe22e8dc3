package projections

import (
	"slices"
	"time"

	"secretsbridge/events"
)

// attach puts envelopes into their requests, in the order they were stored.
func attach(requests map[string]*Request, envelopes []*Envelope) {
	slices.SortFunc(envelopes, func(a, b *Envelope) int { return a.Place - b.Place })
	for _, v := range envelopes {
		if r := requests[string(v.Request)]; r != nil {
			v.ExpiresAt, v.At = v.ExpiresAt.UTC(), v.At.UTC()
			r.Envelopes = append(r.Envelopes, *v)
		}
	}
}

// Rows come from Postgres in the local zone; facts are in UTC.

func (r *Request) inUTC() {
	utc(&r.SubmittedAt, &r.ChangedAt, &r.PendingUntil, r.ApprovedAt, r.Until, r.StartedAt, r.EndedAt, r.DueAt,
		r.ReviewUntil, r.OpenedAt, r.RemindedAt, r.NextPromptAt)
}

func (c *Connection) inUTC() { utc(&c.CreatedAt, &c.ChangedAt) }

func (a *Agent) inUTC() {
	utc(&a.TokenExpiresAt, &a.InvitedAt, a.EnrolledAt, a.CredentialsExpireAt, a.ConnectedAt, a.LostAt, a.LastSeenAt, a.RevokedAt)
}

func (u *User) inUTC() { utc(&u.AddedAt) }

func utc(times ...*time.Time) {
	for _, t := range times {
		if t != nil {
			*t = t.UTC()
		}
	}
}

// split sorts commits by the kind of their history, in order.
func split(commits []events.Recorded) map[events.Aggregate][]events.Recorded {
	kinds := map[events.Aggregate][]events.Recorded{}
	for _, c := range commits {
		kinds[c.Stream.Aggregate] = append(kinds[c.Stream.Aggregate], c)
	}
	return kinds
}
