package main

import (
	"context"
	"errors"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/integrations"
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
		Log: st.facts, Feed: st.store, Positions: store.Loops{Pool: st.pool}, Rights: st.rights, People: st.contacts,
		Outbox: store.Deliveries{Pool: st.pool}, Ends: ends{projections.Requests{Pool: st.pool}},
		Integrations: outlets{st},
		Slack:        chat.Slack{Client: client}, Teams: chat.Teams{Client: client}, Hook: hook.Sender{Client: client, Now: time.Now},
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

// outlets are the integrations that are told, and people's own addresses, in the words of package
// notices.
type outlets struct{ st *stack }

func (o outlets) Told(ctx context.Context, at events.Seq) ([]notices.Integration, error) {
	if err := o.st.progress.WaitFor(ctx, at); err != nil {
		return nil, err
	}
	found, err := projections.Integrations{Pool: o.st.pool}.Told(ctx)
	all := make([]notices.Integration, len(found))
	for i, f := range found {
		all[i] = notices.Integration{ID: f.Name, Kind: f.Kind, Notices: f.Notices, Projects: f.Projects}
	}
	return all, err
}

func (o outlets) Address(ctx context.Context, id events.IntegrationID) (events.IntegrationKind, notices.Address, error) {
	found, err := projections.Integrations{Pool: o.st.pool}.Get(ctx, id)
	if errors.Is(err, projections.ErrNotFound) || err == nil && (found.State != command.IntegrationActive || !found.Kind.Told()) {
		return "", notices.Address{}, notices.ErrNoAddress
	}
	if err != nil {
		return "", notices.Address{}, err
	}
	urls, err := o.st.integrations.Open(ctx, id, events.IntegrationURL)
	if err != nil {
		return found.Kind, notices.Address{}, noAddress(err)
	}
	addr := notices.Address{URL: urls[0]}
	if found.Kind == events.IntegrationWebhook {
		addr.SigningKeys, err = o.st.integrations.Open(ctx, id, events.IntegrationSigningKey)
	}
	return found.Kind, addr, noAddress(err)
}

func (o outlets) Personal(ctx context.Context, id events.UserID) (notices.Address, error) {
	url, err := o.st.integrations.OpenPersonal(ctx, id)
	return notices.Address{URL: url}, noAddress(err)
}

func noAddress(err error) error {
	if errors.Is(err, integrations.ErrUnset) {
		return notices.ErrNoAddress
	}
	return err
}

// deliveries answer the API about what integrations were told.
type deliveries struct{ rows store.Deliveries }

func (d deliveries) OfIntegration(ctx context.Context, id events.IntegrationID, cursor string, limit int) (projections.Page[integrations.Delivery], error) {
	found, err := d.rows.List(ctx, notices.ToIntegration(id), cursor, limit)
	if errors.Is(err, notices.ErrCursor) {
		err = projections.ErrCursor
	}
	page := projections.Page[integrations.Delivery]{Items: []integrations.Delivery{}, Next: found.Next}
	for _, f := range found.Items {
		shown := integrations.Delivery{
			ID: f.ID, Notice: f.Kind, State: string(f.State), Attempts: f.Attempts, Code: f.Code, Request: f.Request, At: f.At, Ended: f.Ended,
		}
		if f.State == notices.Waiting {
			shown.Next = f.Due
		}
		page.Items = append(page.Items, shown)
	}
	return page, err
}

func (d deliveries) Retry(ctx context.Context, id events.IntegrationID, delivery events.DeliveryID, record func() error) error {
	err := d.rows.Retry(ctx, notices.ToIntegration(id), delivery, time.Now(), record)
	if errors.Is(err, notices.ErrNoDelivery) {
		err = integrations.ErrNoDelivery
	}
	return err
}

func (d deliveries) Test(ctx context.Context, meta command.Meta, id events.IntegrationID) (events.DeliveryID, error) {
	test := notices.Test(meta.Command, notices.ToIntegration(id), meta.Time)
	_, err := d.rows.Put(ctx, []notices.Delivery{test})
	return test.ID, err
}
