package notices

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
)

// KindDigest is the kind of a message that stands for several.
const KindDigest events.NoticeKind = "digest"

// MaxLines is how many notices a digest spells out. It counts the others.
const MaxLines = 50

// Message is what one recipient is sent, once or as a digest. It never holds a value. Its texts
// are plain: whoever sends them escapes them as the channel wants it.
type Message struct {
	ID      events.DeliveryID // the same at each attempt: Message-ID, webhook-id
	Kind    events.NoticeKind // [KindDigest] of several
	At      time.Time         // UTC, when it happened; of a digest, the newest
	Subject string            // one line: "Ana Lopez asks to read file/prod/db/password"
	Lines   []Line            // one, or those of a digest: at most MaxLines, and one that counts the others
	Link    string            // into the product
	Data    json.RawMessage   // for webhooks: {"id", "type", "time", "data"}, in the names of CloudEvents
}

// Line is one notice. No part of it holds a line break.
type Line struct {
	Text   string // a sentence
	Detail string // reason, ticket, place and end; may be empty
	Link   string // to what it is about
}

// Address is where a message goes, opened for one attempt.
type Address struct {
	Email       string         // of mail
	URL         secret.Value   // of what is posted to
	SigningKeys []secret.Value // of a webhook, newest first; two while one replaces the other
}

// Sender brings a message to an address. It tries once, within the time that ctx gives it, and
// what it returns is a [*Failure].
type Sender interface {
	Send(ctx context.Context, to Address, m Message) error
}

// Failure is why an attempt did not succeed.
type Failure struct {
	Code  events.DeliveryCode
	Retry bool          // it may succeed later
	After time.Duration // not before; 0 if the receiver did not say
	Err   error         // for the log; it holds nothing of the address
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return fmt.Sprintf("not delivered: %s", f.Code)
	}
	return fmt.Sprintf("not delivered: %s: %v", f.Code, f.Err)
}

func (f *Failure) Unwrap() error { return f.Err }
