package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/notices"
	"secretsbridge/web/api"
)

// Notices keep what people and integrations were told. Package store has it.
type Notices interface {
	// List returns what somebody was told, newest first. Errors: [notices.ErrCursor].
	List(ctx context.Context, to notices.Recipient, cursor string, limit int) (notices.DeliveryPage, error)

	// Put lets something be sent.
	Put(ctx context.Context, fresh []notices.Delivery) (int, error)
}

// Personal keeps the addresses by which people have themselves told. Package integrations has it.
type Personal interface {
	SetPersonal(ctx context.Context, user events.UserID, address secret.Value, record func() error) error
	HasPersonal(ctx context.Context, user events.UserID) (bool, error)
	OpenPersonal(ctx context.Context, user events.UserID) (secret.Value, error)
}

// maxNoticeURL is how long the address of an incoming webhook may be; those of Teams have some
// hundred bytes.
const maxNoticeURL = 2048

// showNotices tells how the caller is told.
func (a *API) showNotices(c *call) (reply, error) {
	if _, err := c.query(); err != nil {
		return reply{}, err
	}
	chosen := notices.ChosenBy(a.Rights.User(c.person.ID))
	shown := api.Notices{Channel: string(chosen.Channel), Muted: []string{}, DigestSeconds: chosen.DigestSeconds}
	for _, kind := range chosen.Muted {
		shown.Muted = append(shown.Muted, string(kind))
	}
	if q := chosen.Quiet; q != nil {
		shown.Quiet = &api.QuietHours{From: clockOf(q.From), To: clockOf(q.To), Zone: q.Zone}
	}
	switch chosen.Channel {
	case events.ChannelEmail:
		shown.Usable = a.Installation.Mail && c.person.Email != ""
	case events.ChannelSlack, events.ChannelTeams:
		var err error
		if shown.Host, err = a.personalHost(c); err != nil {
			return reply{}, err
		}
		shown.Usable = shown.Host != ""
	}
	return reply{status: http.StatusOK, body: shown}, nil
}

// hasPersonal reports whether the caller has an address of their own.
func (a *API) hasPersonal(c *call) (bool, error) {
	if a.Personal == nil {
		return false, nil
	}
	return a.Personal.HasPersonal(c.ctx(), c.person.ID)
}

// personalHost is the host of the caller's own address, empty if there is none.
func (a *API) personalHost(c *call) (string, error) {
	has, err := a.hasPersonal(c)
	if err != nil || !has {
		return "", err
	}
	address, err := a.Personal.OpenPersonal(c.ctx(), c.person.ID)
	if err != nil {
		return "", err
	}
	defer address.Zero()
	u, err := url.Parse(string(address.Expose()))
	if err != nil {
		return "", errors.New("what is kept as an address is none") // not err: it holds the address
	}
	return u.Host, nil
}

// chooseNotices replaces how the caller is told. An address counts with the fact, or not at all.
func (a *API) chooseNotices(c *call) (reply, error) {
	var m api.ChooseNotices
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	cmd := events.NoticesChosen{Channel: events.Channel(m.Channel), DigestSeconds: m.DigestSeconds}
	for _, kind := range m.Muted {
		cmd.Muted = append(cmd.Muted, events.NoticeKind(kind))
	}
	if m.Quiet != nil {
		from, to := minutesOf(m.Quiet.From), minutesOf(m.Quiet.To)
		if from < 0 || to < 0 {
			return reply{}, command.ErrQuietHours
		}
		cmd.Quiet = &events.QuietHours{From: from, To: to, Zone: m.Quiet.Zone}
	}
	meta := c.meta()
	if _, err := a.Rights.User(c.person.ID).ChooseNotices(meta, cmd); err != nil {
		return reply{}, err // before an address is taken
	}
	var done command.Decision[command.User]
	err := a.keepPersonal(c, cmd.Channel, m.URL, func() (err error) {
		done, err = command.Execute(c.ctx(), a.Log, events.UserStream(c.person.ID), meta, func(u command.User) ([]events.Fact, error) {
			facts, err := u.ChooseNotices(meta, cmd)
			if err == nil && len(facts) == 0 && m.URL != "" { // all the same, but for the address
				facts = []events.Fact{cmd}
			}
			return facts, err
		})
		return err
	})
	if err == nil {
		err = a.Rights.WaitFor(c.ctx(), done.Seq)
	}
	return doneReply(done.Seq, err)
}

// keepPersonal takes an address in, or looks whether there is one from before, and records the
// choice.
func (a *API) keepPersonal(c *call, channel events.Channel, address string, record func() error) error {
	posted := channel == events.ChannelSlack || channel == events.ChannelTeams
	switch {
	case !posted && address != "", len(address) > maxNoticeURL:
		return errNoticeURL
	case !posted:
		return record()
	case address == "":
		has, err := a.hasPersonal(c)
		switch {
		case err != nil:
			return err
		case !has:
			return errNoticeURL
		}
		return record()
	}
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(u.Path) < 2 {
		return errNoticeURL
	}
	if a.Personal == nil {
		return errNoticeURL.because("this server keeps no addresses of people; choose email or none")
	}
	value := secret.New([]byte(address))
	defer value.Zero()
	return a.Personal.SetPersonal(c.ctx(), c.person.ID, value, record)
}

// myDeliveries is what the caller was told.
func (a *API) myDeliveries(c *call) (reply, error) {
	return a.deliveriesTo(c, notices.ToUser(c.person.ID))
}

// deliveriesTo is a page of what somebody was told.
func (a *API) deliveriesTo(c *call, to notices.Recipient) (reply, error) {
	q, err := c.query("cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	limit, err := limitOf(q)
	if err != nil {
		return reply{}, err
	}
	if limit == 0 {
		limit = pageLimit
	}
	found, err := a.Notices.List(c.ctx(), to, q.Get("cursor"), limit)
	if errors.Is(err, notices.ErrCursor) {
		err = errCursor
	}
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Delivery]{Items: []api.Delivery{}, Next: found.Next}
	for _, d := range found.Items {
		page.Items = append(page.Items, noticeOf(d))
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func noticeOf(d notices.Delivery) api.Delivery {
	shown := api.Delivery{
		ID: string(d.ID), Notice: string(d.Kind), At: d.At, Request: string(d.Request), State: string(d.State),
		Attempts: d.Attempts, Code: string(d.Code), Message: string(d.Message),
	}
	if d.State == notices.Waiting {
		shown.NextAt = &d.Due
	} else {
		shown.EndedAt = &d.Ended
	}
	return shown
}

// testNotices sends the caller a message that says nothing but that it arrived.
func (a *API) testNotices(c *call) (reply, error) {
	var m struct{}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	test := notices.Test(c.command, notices.ToUser(c.person.ID), c.now)
	done, err := command.Execute(c.ctx(), a.Log, events.UserStream(c.person.ID), c.meta(), func(command.User) ([]events.Fact, error) {
		return []events.Fact{events.NoticesTested{Delivery: test.ID}}, nil
	})
	if err != nil {
		return reply{}, err
	}
	if _, err := a.Notices.Put(c.ctx(), []notices.Delivery{test}); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusAccepted, seq: done.Seq, body: api.Queued{ID: string(test.ID)}}, nil
}

// clockOf writes minutes after midnight, and minutesOf reads them; -1 is none.
func clockOf(minutes int) string {
	return time.Time{}.Add(time.Duration(minutes) * time.Minute).Format("15:04")
}

func minutesOf(text string) int {
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != 5 {
		return -1
	}
	return at.Hour()*60 + at.Minute()
}
