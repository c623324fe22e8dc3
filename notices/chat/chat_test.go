package chat_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
	"secretsbridge/notices"
	"secretsbridge/notices/chat"
	"secretsbridge/notices/internal/receiver"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the messages that are compared")

const link = "https://bridge.example.org/requests/r_1"

func single() notices.Message {
	return notices.Message{
		ID: "n_1", Kind: events.NoticeSubmitted, At: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), Link: link,
		Subject: "Ana López asks to read file/prod/db/password",
		Lines:   []notices.Line{{Text: "Ana López asks to read file/prod/db/password", Detail: "OPS-12: the database is down", Link: link}},
	}
}

func digest() notices.Message {
	m := single()
	m.Kind, m.Subject, m.Link = notices.KindDigest, "2 notices", "https://bridge.example.org/inbox"
	m.Lines = append(m.Lines, notices.Line{Text: "Your request was approved", Link: "https://bridge.example.org/requests/r_2"})
	return m
}

// flood is as much as anybody can write, and more.
func flood(text string) notices.Message {
	m := digest()
	m.Subject, m.Lines = text, nil
	for range 51 {
		m.Lines = append(m.Lines, notices.Line{Text: text, Detail: text, Link: link})
	}
	return m
}

// post sends by a kind of chat and returns the body.
func post(t *testing.T, kind string, m notices.Message) []byte {
	t.Helper()
	r := receiver.New(t, nil)
	if err := sender(kind, r.Client(0)).Send(t.Context(), notices.Address{URL: r.URL()}, m); err != nil {
		t.Fatal(err)
	}
	return r.Got()[0].Body
}

func sender(kind string, c *http.Client) notices.Sender {
	if kind == "teams" {
		return chat.Teams{Client: c}
	}
	return chat.Slack{Client: c}
}

func TestMessagesLookAsTheyDid(t *testing.T) {
	for _, kind := range []string{"slack", "teams"} {
		for name, m := range map[string]notices.Message{"single": single(), "digest": digest()} {
			var got any
			if err := json.Unmarshal(post(t, kind, m), &got); err != nil {
				t.Fatal(err)
			}
			text, err := json.MarshalIndent(got, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", kind+"-"+name+".json")
			if *update {
				if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(text)+"\n"); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	}
}

// walk calls see for each object in a document.
func walk(v any, see func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		see(v)
		for _, child := range v {
			walk(child, see)
		}
	case []any:
		for _, child := range v {
			walk(child, see)
		}
	}
}

func TestNobodyWritesLinksOrCallsAChannel(t *testing.T) {
	for _, evil := range []string{
		"<!channel> <!here> <!everyone> <@U012AB3CD> <#C024BE7LR> @channel @here",
		"<https://evil.example|your bank> [your bank](https://evil.example) https://evil.example www.evil.example",
		"*bold* _it_ ~no~ `code` > quote\n# head\n- item", "<at>everyone</at>", "mailto:evil@evil.example", "line\r\nline\u2028line\u202egnp\u200b",
		`","blocks":[{"type":"section"}],"x":"`,
	} {
		for _, kind := range []string{"slack", "teams"} {
			for _, m := range []notices.Message{flood(evil), {ID: "n_1", Subject: evil, Lines: []notices.Line{{Text: evil, Detail: evil, Link: "javascript:alert(1)"}}, Link: "http://evil.example"}} {
				body := post(t, kind, m)
				var doc any
				if err := json.Unmarshal(body, &doc); err != nil {
					t.Fatal(err)
				}
				walk(doc, func(o map[string]any) {
					if url, ok := o["url"].(string); ok && !strings.HasPrefix(url, "https://bridge.example.org/") {
						t.Errorf("%s leads to %s", kind, url)
					}
					text, ok := o["text"].(string)
					if !ok {
						return
					}
					if strings.Contains(text, "://") || strings.Contains(text, "www.") || strings.Contains(text, "@c") || strings.Contains(text, "@h") || strings.Contains(text, "mailto:") ||
						strings.ContainsAny(text, "\r\u2028\u202e") {
						t.Errorf("%s may make more of %q than text", kind, text)
					}
					switch kind {
					case "slack":
						if strings.ContainsAny(text, "<>") || o["type"] == "mrkdwn" || o["mrkdwn"] == true {
							t.Errorf("slack reads %v", o)
						}
					case "teams":
						if o["type"] != "TextRun" {
							t.Errorf("teams reads Markdown in %v", o)
						}
					}
				})
			}
		}
	}
}

func TestMessagesStayWithinBounds(t *testing.T) {
	for _, text := range []string{strings.Repeat("&", 5000), strings.Repeat("ü", 5000), strings.Repeat("🔥", 5000), "short"} {
		var slack struct {
			Blocks []struct {
				Type string
				Text struct{ Text string }
			}
		}
		body := post(t, "slack", flood(text))
		if err := json.Unmarshal(body, &slack); err != nil {
			t.Fatal(err)
		}
		if len(slack.Blocks) > 50 || len(slack.Blocks) < 20 || len(body) > 128<<10 {
			t.Errorf("%.1s: %d blocks, %d bytes", text, len(slack.Blocks), len(body))
		}
		for _, b := range slack.Blocks {
			if n, most := utf8.RuneCountInString(b.Text.Text), map[string]int{"header": 150, "section": 3000}[b.Type]; n > most {
				t.Errorf("%.1s: %d characters in a %s", text, n, b.Type)
			}
		}
		for _, kind := range []string{"slack", "teams"} {
			if body := string(post(t, kind, flood(text))); kind == "teams" && len(body) > 26<<10 || !strings.Contains(body, "There is more") && (kind == "slack" || text != "short") {
				t.Errorf("%s, %.1s: %d bytes, or it does not say that something is left out", kind, text, len(body))
			}
		}
	}
	if strings.Contains(string(post(t, "teams", flood("short"))), "There is more") {
		t.Error("something is left out that fits")
	}
}

func TestWhatAChatAnswers(t *testing.T) {
	tests := map[string]struct {
		kind   string
		status int
		body   string
		code   events.DeliveryCode
		retry  bool
		after  time.Duration
	}{
		"the channel is gone":         {"slack", 404, "no_service", events.DeliveryRefused, false, 0},
		"the channel is archived":     {"slack", 410, "channel_is_archived", events.DeliveryRefused, false, 0},
		"not understood":              {"slack", 400, "invalid_blocks", events.DeliveryRefused, false, 0},
		"too many":                    {"slack", 429, "rate_limited", events.DeliveryThrottled, true, 12 * time.Second},
		"of its own":                  {"slack", 500, "rollup_error", events.DeliveryUnavailable, true, 0},
		"the workflow is off":         {"teams", 400, "WorkflowTriggerIsNotEnabled", events.DeliveryRefused, false, 0},
		"too many for the workflow":   {"teams", 429, "", events.DeliveryThrottled, true, 12 * time.Second},
		"too many for a connector":    {"teams", 200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId x", events.DeliveryThrottled, true, 0},
		"something else, by the same": {"teams", 200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 500 with ContextId x", events.DeliveryUnavailable, true, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := receiver.New(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.status == http.StatusTooManyRequests {
					w.Header().Set("Retry-After", "12")
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			err := sender(tt.kind, r.Client(0)).Send(t.Context(), notices.Address{URL: r.URL()}, single())
			var failure *notices.Failure
			if !errors.As(err, &failure) || failure.Code != tt.code || failure.Retry != tt.retry || failure.After != tt.after {
				t.Errorf("%v", err)
			}
		})
	}
	for _, kind := range []string{"slack", "teams"} {
		r := receiver.New(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
		if err := sender(kind, r.Client(0)).Send(t.Context(), notices.Address{URL: r.URL()}, single()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		var failure *notices.Failure
		if err := sender(kind, r.Client(0)).Send(t.Context(), notices.Address{}, single()); !errors.As(err, &failure) || failure.Code != events.DeliveryUnset {
			t.Errorf("%s without an address: %v", kind, err)
		}
	}
}
