package main

import (
	"context"
	"time"

	"secretsbridge/events"
	"secretsbridge/notices"
	"secretsbridge/projections"
	"secretsbridge/store"
)

// openNotices tells people and integrations what happens.
func (st *stack) openNotices() *notices.Notices {
	return notices.New(notices.Config{
		Log: st.store, Feed: st.store, Positions: store.Loops{Pool: st.pool}, Rights: st.rights, People: st.people,
		Outbox: store.Deliveries{Pool: st.pool}, Ends: ends{projections.Requests{Pool: st.pool}},
		URL: st.settings.publicURL(), Logger: st.log, Now: time.Now,
	})
}

// ends finds what ends soon in the words of package notices.
type ends struct{ requests projections.Requests }

func (e ends) Ending(ctx context.Context, after time.Time, place events.Seq, before time.Time, limit int) ([]notices.Ending, error) {
	found, err := e.requests.Ending(ctx, after, place, before, limit)
	all := make([]notices.Ending, len(found))
	for i, f := range found {
		all[i] = notices.Ending{Request: f.ID, Place: f.Seq, End: f.Due, Since: f.Since}
	}
	return all, err
}
