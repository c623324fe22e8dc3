// Package hook sends notices to webhooks, signed by Standard Webhooks 1.0: what a receiver checks
// is in docs/how-to/webhooks.md.
package hook

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"secretsbridge/events"
	"secretsbridge/notices"
	"secretsbridge/notices/internal/post"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// maxData bounds a body, in bytes. A digest of 50 notices has about 40 KiB.
const maxData = 256 << 10

// Sender posts the data of a message.
type Sender struct {
	Client *http.Client     // of package egress
	Now    func() time.Time // of the attempt: receivers refuse times that are minutes off
}

// Send implements notices.Sender. It signs with each of the keys of the address.
func (s Sender) Send(ctx context.Context, to notices.Address, m notices.Message) error {
	if len(to.SigningKeys) == 0 {
		return &notices.Failure{Code: events.DeliveryUnset, Err: errors.New("there is no signing key")}
	}
	if m.ID == "" || len(m.Data) == 0 || len(m.Data) > maxData {
		return &notices.Failure{Code: events.DeliveryInternal, Err: errors.New("the message has no id, no data, or too much")}
	}
	at := s.Now()
	var signatures []string
	for _, v := range to.SigningKeys {
		signature, err := sign(v.Expose(), m, at)
		if err != nil {
			return &notices.Failure{Code: events.DeliveryInternal, Err: err}
		}
		signatures = append(signatures, signature)
	}
	header := http.Header{}
	header.Set(standardwebhooks.HeaderWebhookID, string(m.ID))
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return post.Send(ctx, s.Client, to.URL, header, m.Data, nil)
}

// sign is "v1," and the signature of a message.
func sign(text []byte, m notices.Message, at time.Time) (string, error) {
	key, err := readKey(text)
	if err != nil {
		return "", err
	}
	defer clear(key)
	signer, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return "", ErrKey
	}
	return signer.Sign(string(m.ID), at, m.Data)
}
