package chat

import (
	"bytes"
	"errors"

	"secretsbridge/events"
	"secretsbridge/notices"
)

// maxTeams bounds a message, in bytes: Teams takes 28 KB (learn.microsoft.com, "Create Incoming
// Webhooks"), and a workflow wraps what it gets.
const maxTeams = 26 << 10

type (
	teams struct {
		Type        string            `json:"type"`
		Attachments []teamsAttachment `json:"attachments"`
	}
	teamsAttachment struct {
		ContentType string       `json:"contentType"`
		ContentURL  *string      `json:"contentUrl"` // null
		Content     adaptiveCard `json:"content"`
	}
	adaptiveCard struct {
		Schema  string        `json:"$schema"`
		Type    string        `json:"type"`
		Version string        `json:"version"`
		Body    []cardElement `json:"body"`
		Actions []cardAction  `json:"actions,omitempty"`
	}
	cardElement struct {
		Type    string      `json:"type"`
		Inlines []cardRun   `json:"inlines,omitempty"`
		Items   []any       `json:"items,omitempty"`
		Spacing string      `json:"spacing,omitempty"`
		Action  *cardAction `json:"selectAction,omitempty"`
	}
	cardRun struct {
		Type   string `json:"type"`
		Text   string `json:"text"`
		Weight string `json:"weight,omitempty"`
		Size   string `json:"size,omitempty"`
		Subtle bool   `json:"isSubtle,omitempty"`
	}
	cardAction struct {
		Type  string `json:"type"`
		Title string `json:"title"`
		URL   string `json:"url"`
	}
)

// run is a paragraph. A TextRun knows no Markdown, as a TextBlock would (adaptivecards.io, "TextRun").
func run(r cardRun) cardElement {
	r.Type = "TextRun"
	return cardElement{Type: "RichTextBlock", Inlines: []cardRun{r}}
}

func openURL(title, url string) cardAction {
	return cardAction{Type: "Action.OpenUrl", Title: title, URL: url}
}

func teamsMessage(s shown) any {
	body := []cardElement{run(cardRun{Text: s.subject, Weight: "Bolder", Size: "Medium"})}
	for _, l := range s.lines {
		box := cardElement{Type: "Container", Spacing: "Medium"}
		if l.Text != "" {
			box.Items = append(box.Items, run(cardRun{Text: l.Text}))
		}
		if l.Detail != "" {
			box.Items = append(box.Items, run(cardRun{Text: l.Detail, Subtle: true}))
		}
		if l.Link != "" && !s.single {
			action := openURL("Open", l.Link)
			box.Action = &action
		}
		if len(box.Items) > 0 {
			body = append(body, box)
		}
	}
	if s.more {
		body = append(body, run(cardRun{Text: moreLabel}))
	}
	body = append(body, run(cardRun{Text: s.at, Size: "Small", Subtle: true}))
	card := adaptiveCard{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", Body: body}
	if s.link != "" {
		card.Actions = []cardAction{openURL(openLabel, s.link)}
	}
	return teams{Type: "message", Attachments: []teamsAttachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: card}}}
}

// teamsAnswer finds what the older connectors of Teams say with status 200: that Teams itself
// answered something else (learn.microsoft.com, "Create Incoming Webhooks", rate limiting).
func teamsAnswer(answer []byte) *notices.Failure {
	if !bytes.Contains(answer, []byte("Microsoft Teams endpoint returned HTTP error")) {
		return nil
	}
	failure := &notices.Failure{Code: events.DeliveryUnavailable, Retry: true, Err: errors.New("the connector could not reach Teams")}
	if bytes.Contains(answer, []byte("HTTP error 429")) {
		failure.Code = events.DeliveryThrottled
	}
	return failure
}
