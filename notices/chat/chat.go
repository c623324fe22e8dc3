// Package chat sends notices to channels of Slack and Teams, by the incoming webhooks that these
// make.
//
// What people wrote stands in elements of plain text, which know no marks, so nobody can write a
// link that says one thing and leads to another, or call a whole channel. A message has a link into
// the product, and no button that decides anything: whoever decides signs in there.
package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"

	"secretsbridge/events"
	"secretsbridge/notices"
	"secretsbridge/notices/internal/plain"
	"secretsbridge/notices/internal/post"
)

// What of a message is shown, in characters.
const (
	maxSubject = 150
	maxText    = 400
	maxDetail  = 1000
)

// openLabel is on whatever leads into the product, and moreLabel in place of what does not fit.
const (
	openLabel = "Open in Secrets Bridge"
	moreLabel = "There is more in Secrets Bridge."
)

// Slack posts to incoming webhooks of Slack.
type Slack struct {
	Client *http.Client // of package egress
}

// Send implements notices.Sender.
func (s Slack) Send(ctx context.Context, to notices.Address, m notices.Message) error {
	body, err := fit(m, maxSlack, slackLines, slackMessage)
	if err != nil {
		return err
	}
	return post.Send(ctx, s.Client, to.URL, nil, body, nil)
}

// Teams posts to webhooks of Teams workflows.
type Teams struct {
	Client *http.Client // of package egress
}

// Send implements notices.Sender.
func (s Teams) Send(ctx context.Context, to notices.Address, m notices.Message) error {
	body, err := fit(m, maxTeams, notices.MaxLines+1, teamsMessage)
	if err != nil {
		return err
	}
	return post.Send(ctx, s.Client, to.URL, nil, body, teamsAnswer)
}

// fit draws as many lines of a message as it may have, in as many bytes as it may have.
func fit(m notices.Message, most, lines int, draw func(shown) any) ([]byte, error) {
	whole := show(m)
	var body []byte
	var fault error
	tooMany := func(n int) bool {
		text, err := json.Marshal(draw(whole.first(n)))
		switch {
		case err != nil:
			fault = err
		case len(text) <= most:
			body = text // sort.Search goes up from what fits
			return false
		}
		return true
	}
	sort.Search(min(len(m.Lines), lines)+1, tooMany)
	if body == nil {
		return nil, &notices.Failure{Code: events.DeliveryInternal, Err: fmt.Errorf("the message is too long without any line, or is not encoded: %v", fault)}
	}
	return body, nil
}

// shown is a message as it may be shown: bounded, and with nothing in it that a chat reads as more
// than text.
type shown struct {
	subject, at, link string
	lines             []notices.Line
	single            bool // one line only, which the subject may say as well
	more              bool // lines were left out
}

func show(m notices.Message) shown {
	s := shown{
		subject: plain.Quiet(m.Subject, maxSubject), at: m.At.UTC().Format(time.RFC1123), link: plain.Link(m.Link),
		single: len(m.Lines) == 1,
	}
	for _, l := range m.Lines {
		s.lines = append(s.lines, notices.Line{Text: plain.Quiet(l.Text, maxText), Detail: plain.Quiet(l.Detail, maxDetail), Link: plain.Link(l.Link)})
	}
	if s.single && m.Lines[0].Text == m.Subject {
		s.lines[0].Text = ""
	}
	return s
}

// first is a message with so many of its lines.
func (s shown) first(n int) shown {
	s.more = n < len(s.lines)
	s.lines = s.lines[:n]
	return s
}

// joined is a line with its detail below.
func joined(l notices.Line) string {
	return strings.Trim(l.Text+"\n"+l.Detail, "\n")
}
