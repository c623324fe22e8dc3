package notices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/rights"
)

// errMoot says that there is nothing to be told any more: the request went on, or whoever was to
// be told is gone or may not know it any more.
var errMoot = errors.New("there is nothing to be told any more")

// People know how somebody is called and reached. They are asked when something is sent, so that
// nothing of who was erased is sent, or lies in the outbox. Package store has it.
type People interface {
	Names(ctx context.Context, ids []events.UserID) (map[events.UserID]string, error)

	// Email returns the address of somebody, empty if there is none or they were erased.
	Email(ctx context.Context, id events.UserID) (string, error)
}

// composer makes what is sent out of what is to be told. It holds nothing of its own: the same
// facts make the same message.
type composer struct {
	log    command.Log
	feed   command.Feed
	rights Rights
	people People
	base   string // https://HOST
	now    func() time.Time
}

// composed is one notice in words.
type composed struct {
	line Line
	data json.RawMessage
}

// compose says what is to be told. It returns errMoot where that is nothing any more.
func (c *composer) compose(ctx context.Context, d Delivery) (composed, error) {
	switch {
	case d.Kind == events.NoticeTest:
		line := Line{Text: "This is a test: notices reach you here", Link: c.base + "/settings"}
		return c.wrap(d, line, nil)
	case d.Request != "":
		return c.ofRequest(ctx, d)
	}
	return c.ofOther(ctx, d)
}

// ofRequest looks at the request as it was, for the words, and as it is, for whether they still
// matter.
func (c *composer) ofRequest(ctx context.Context, d Delivery) (composed, error) {
	history, err := c.log.Load(ctx, events.RequestStream(d.Request))
	if err != nil {
		return composed{}, fmt.Errorf("load request %s: %w", d.Request, err)
	}
	var then, current command.Request
	var about events.Event
	for _, commit := range history {
		for _, e := range commit.Events {
			current = current.Evolve(e)
			if e.ID == d.Event {
				about = e
			}
		}
		if commit.Seq <= d.Seq {
			then = current
		}
	}
	if user, ok := d.To.User(); ok && !c.concerns(d.Kind, user, current) {
		return composed{}, errMoot
	}
	called, err := c.people.Names(ctx, peopleIn(about, then))
	if err != nil {
		return composed{}, fmt.Errorf("how people are called: %w", err)
	}
	text, said := sentence(d.Kind, about, then, called)
	line := Line{Text: capital(clean(text, maxText)), Detail: detail(d.Kind, then, said), Link: c.linkTo(d.Kind, then)}
	s := then.Submitted
	return c.wrap(d, line, &requestData{
		Request: then.ID, State: then.State, Operation: s.Operation, Connection: s.Connection, Ref: clean(s.Ref, maxWhat),
		Requester: then.Requester, RequesterName: names(called).of(then.Requester), Reason: clean(s.Reason, maxReason), Ticket: clean(s.Ticket, maxName),
		Project: s.Place.Project, Environment: s.Place.Environment,
	})
}

// concerns reports whether something is still of concern to a person: what asks for an act must
// still be theirs to do, and everything else needs somebody who may sign in.
func (c *composer) concerns(kind events.NoticeKind, user events.UserID, r command.Request) bool {
	d := director{rights: c.rights, now: c.now()}
	if len(d.active(user)) == 0 {
		return false
	}
	w, m := d.word(user), rights.MatterOf(c.rights.Governance(), r)
	switch kind {
	case events.NoticeSubmitted, events.NoticeStepOpened, events.NoticeReminder, events.NoticeEscalated:
		return w.Votes(r, m)
	case events.NoticeValues:
		return r.State == events.StateAwaiting && w.Provides(m)
	case events.NoticeBreakGlass, events.NoticeReviewDue:
		return r.Glass != nil && r.Glass.Review == nil && w.Reviews(m)
	case events.NoticeExpiring:
		_, end := endAhead(r)
		return end.After(d.now) && (user == r.Requester || w.Votes(r, m) || r.State == events.StateAwaiting && w.Provides(m))
	case events.NoticeVoided:
		return user == r.Requester || w.Votes(r, m)
	}
	return true
}

// linkTo is where a notice leads: to the inbox of who is to act, or to the request.
func (c *composer) linkTo(kind events.NoticeKind, r command.Request) string {
	id := url.PathEscape(string(r.ID))
	switch kind {
	case events.NoticeSubmitted, events.NoticeStepOpened, events.NoticeValues, events.NoticeReminder, events.NoticeEscalated,
		events.NoticeBreakGlass, events.NoticeReviewDue:
		return c.base + "/inbox?request=" + id
	}
	return c.base + "/requests/" + id
}

// ofOther says what happened to an agent or to another integration.
func (c *composer) ofOther(ctx context.Context, d Delivery) (composed, error) {
	commit, err := c.feed.At(ctx, d.Seq)
	if err != nil {
		return composed{}, fmt.Errorf("read commit %d: %w", d.Seq, err)
	}
	switch d.Kind {
	case events.NoticeAgentLost:
		agent, _, err := command.Load[command.Agent](ctx, c.log, commit.Stream)
		if err != nil {
			return composed{}, err
		}
		text := fmt.Sprintf("The agent %s of %s fell silent", clean(agent.Name, maxName), clean(string(agent.Cluster), maxName))
		return c.wrap(d, Line{Text: text, Link: c.base + "/agents/" + url.PathEscape(string(agent.ID))}, nil)
	case events.NoticeDelivery:
		text := fmt.Sprintf("The integration %s could not be told", clean(commit.Stream.ID, maxName))
		return c.wrap(d, Line{Text: text, Link: c.base + "/integrations"}, nil)
	}
	return composed{}, errMoot
}

// requestData is what a webhook is told of a request. It holds no value, envelope or fingerprint.
type requestData struct {
	Request       events.RequestID    `json:"request"`
	State         events.RequestState `json:"state"` // after it
	Operation     events.Operation    `json:"operation"`
	Connection    events.ConnectionID `json:"connection"`
	Ref           string              `json:"ref"`
	Requester     events.UserID       `json:"requester"`
	RequesterName string              `json:"requester_name"`
	Reason        string              `json:"reason,omitempty"`
	Ticket        string              `json:"ticket,omitempty"`
	Project       string              `json:"project,omitempty"`
	Environment   string              `json:"environment,omitempty"`
}

// wrap adds the body of webhooks.
func (c *composer) wrap(d Delivery, line Line, about *requestData) (composed, error) {
	type told struct {
		Text   string `json:"text"`
		Detail string `json:"detail,omitempty"`
		Link   string `json:"link"`
		*requestData
	}
	data, err := json.Marshal(struct {
		ID   events.DeliveryID `json:"id"`
		Type string            `json:"type"`
		Time time.Time         `json:"time"`
		Data told              `json:"data"`
	}{d.ID, "sb.notice." + string(d.Kind), d.At.UTC(), told{line.Text, line.Detail, line.Link, about}})
	if err != nil {
		return composed{}, fmt.Errorf("encode notice %s: %w", d.ID, err)
	}
	return composed{line, data}, nil
}

// single is the message of one notice.
func single(d Delivery, one composed) Message {
	return Message{ID: d.ID, Kind: d.Kind, At: d.At, Subject: one.line.Text, Lines: []Line{one.line}, Link: one.line.Link, Data: one.data}
}

// digest is the message of several.
func (c *composer) digest(id events.DeliveryID, of []Delivery, all []composed) Message {
	m := Message{ID: id, Kind: KindDigest, Subject: fmt.Sprintf("%d notices of Secrets Bridge", len(all)), Link: c.base + "/inbox"}
	for i, one := range all {
		if of[i].At.After(m.At) {
			m.At = of[i].At
		}
		if i < MaxLines {
			m.Lines = append(m.Lines, one.line)
		}
	}
	if more := len(all) - MaxLines; more > 0 {
		m.Lines = append(m.Lines, Line{Text: fmt.Sprintf("And %d more", more), Link: m.Link})
	}
	return m
}
