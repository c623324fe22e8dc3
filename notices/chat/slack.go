package chat

import (
	"strings"
	"unicode/utf8"
)

// Limits of Slack (docs.slack.dev, "Blocks"): 50 blocks a message, 150 characters in a header, 3000
// in a section, 75 on a button. A message has a header, a line of time, one of what was left out, and a button
// beside its lines.
const (
	slackLines = 50 - 4
	maxSlack   = 128 << 10 // ours, in bytes
)

type (
	slack struct {
		Text        string       `json:"text"` // of notifications on a phone, and for screen readers
		Mrkdwn      bool         `json:"mrkdwn"`
		UnfurlLinks bool         `json:"unfurl_links"`
		UnfurlMedia bool         `json:"unfurl_media"`
		Blocks      []slackBlock `json:"blocks"`
	}
	slackBlock struct {
		Type      string         `json:"type"`
		Text      *slackText     `json:"text,omitempty"`
		Elements  []any          `json:"elements,omitempty"`
		Accessory *slackButtonOf `json:"accessory,omitempty"`
	}
	slackText struct {
		Type  string `json:"type"`
		Text  string `json:"text"`
		Emoji bool   `json:"emoji"`
	}
	slackButtonOf struct {
		Type string    `json:"type"`
		Text slackText `json:"text"`
		URL  string    `json:"url"`
	}
)

// slackEscape are the three characters that Slack reads as more than text, anywhere
// (docs.slack.dev, "Escaping text").
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackPlain is text as it is, of at most so many characters when it is escaped.
func slackPlain(text string, most int) *slackText {
	var b strings.Builder
	left := most
	for _, r := range text {
		one := slackEscape.Replace(string(r))
		if left -= utf8.RuneCountInString(one); left < 0 {
			break
		}
		b.WriteString(one)
	}
	return &slackText{Type: "plain_text", Text: b.String()}
}

func slackButton(label, url string) *slackButtonOf {
	return &slackButtonOf{Type: "button", Text: *slackPlain(label, 75), URL: url}
}

func slackMessage(s shown) any {
	blocks := []slackBlock{{Type: "header", Text: slackPlain(s.subject, 150)}}
	for _, l := range s.lines {
		if text := joined(l); text != "" {
			block := slackBlock{Type: "section", Text: slackPlain(text, 3000)}
			if l.Link != "" && !s.single {
				block.Accessory = slackButton("Open", l.Link)
			}
			blocks = append(blocks, block)
		}
	}
	if s.more {
		blocks = append(blocks, slackBlock{Type: "section", Text: slackPlain(moreLabel, 3000)})
	}
	blocks = append(blocks, slackBlock{Type: "context", Elements: []any{slackPlain(s.at, 150)}})
	if s.link != "" {
		blocks = append(blocks, slackBlock{Type: "actions", Elements: []any{slackButton(openLabel, s.link)}})
	}
	return slack{Text: slackEscape.Replace(s.subject), Blocks: blocks}
}
