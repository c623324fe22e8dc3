package main

import (
	"context"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/egress"
	"secretsbridge/notices"
	"secretsbridge/notices/chat"
	"secretsbridge/notices/hook"
	"secretsbridge/projections"
	"secretsbridge/store"
)

// openNotices tells people what happens. The settings of mail were tried at start.
func (st *stack) openNotices() *notices.Notices {
	client := egress.Client(egress.Policy{Allow: st.settings.Egress})
	cfg := notices.Config{
		Log: st.store, Feed: st.store, Positions: store.Loops{Pool: st.pool}, Rights: st.rights, People: st.people,
		Outbox: store.Deliveries{Pool: st.pool}, Ends: ends{projections.Requests{Pool: st.pool}},
		Slack: chat.Slack{Client: client}, Teams: chat.Teams{Client: client}, Hook: hook.Sender{Client: client, Now: time.Now},
		URL: st.settings.publicURL(), Logger: st.log, Now: time.Now,
	}
	if sender, err := st.settings.mailSender(); err != nil {
		st.log.Error("mail cannot be sent", "err", err)
	} else if sender != nil { // a nil pointer in an interface is not nil
		cfg.Mail = sender
	}
	return notices.New(cfg)
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
